//! `list`, `read` and `search`: what an agent may look at between its turns. They see the redacted tree and nothing else, change
//! nothing, and answer within bounds. Arguments come from a model, so whatever is wrong with them is said back to it.

use razar_runtime::contract::agent::{ToolCall, ToolResult, ToolSchema};
use serde::Deserialize;
use serde_json::json;

use super::tree::Tree;

/// Lines that `list` answers with.
const LISTED: usize = 500;
/// Lines that `read` answers with unless told otherwise, and at most.
const LINES: usize = 2_000;
/// Finds that `search` answers with.
const FOUND: usize = 100;
/// Characters of a found line.
const WIDTH: usize = 300;
/// Bytes of any answer.
const ANSWER: usize = 64 << 10;

/// What is offered.
pub(crate) fn schemas() -> Vec<ToolSchema> {
    let tool = |name: &str, description: &str, properties: serde_json::Value, required: &[&str]| ToolSchema {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        })
        .to_string(),
        extensions: Vec::new(),
    };
    let path = json!({ "type": "string", "description": "Relative to the component's root." });
    vec![
        tool(
            "list",
            "Lists the component's files with their sizes in bytes.",
            json!({ "path": { "type": "string", "description": "Only what begins so." } }),
            &[],
        ),
        tool(
            "read",
            "Reads a file of the component, or some lines of it.",
            json!({
                "path": path,
                "from": { "type": "integer", "minimum": 1, "description": "The first line; 1 without." },
                "lines": { "type": "integer", "minimum": 1, "maximum": LINES, "description": "How many." },
            }),
            &["path"],
        ),
        tool(
            "search",
            "Finds a text in the component's files, exactly as it is written: path, line and the line itself.",
            json!({
                "text": { "type": "string", "minLength": 1 },
                "path": { "type": "string", "description": "Only in files whose path begins so." },
            }),
            &["text"],
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    path: String,
    from: Option<usize>,
    lines: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    text: String,
    #[serde(default)]
    path: String,
}

/// Runs one call.
pub(crate) fn run(tree: &Tree, call: &ToolCall) -> ToolResult {
    let answer = match call.name.as_str() {
        "list" => arguments(&call.arguments).map(|wanted| list(tree, &wanted)),
        "read" => arguments(&call.arguments).and_then(|wanted| read(tree, &wanted)),
        "search" => arguments(&call.arguments).and_then(|wanted| search(tree, &wanted)),
        _ => Err("there is no such tool; there are `list`, `read` and `search`".to_owned()),
    };
    let is_error = answer.is_err();
    let (Ok(content) | Err(content)) = answer;
    ToolResult { id: call.id.clone(), content, is_error }
}

fn arguments<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("the arguments do not fit: {error}"))
}

fn list(tree: &Tree, wanted: &List) -> String {
    let prefix = plain(&wanted.path);
    let seen = tree.files().map(|(path, text)| (path, format!("{path} {}", text.len())));
    let unseen = tree.withheld().map(|(path, why)| (path, format!("{path} ({why})")));
    let mut lines: Vec<_> = seen.chain(unseen).filter(|(path, _)| path.starts_with(prefix)).collect();
    lines.sort();
    let more = lines.len().saturating_sub(LISTED);
    let mut answer = bounded(lines.into_iter().take(LISTED).map(|(_, line)| line));
    if more > 0 {
        answer.push_str(&format!("and {more} more: name a `path`\n"));
    }
    if answer.is_empty() { "there is no file whose path begins so\n".to_owned() } else { answer }
}

fn read(tree: &Tree, wanted: &Read) -> Result<String, String> {
    let path = plain(&wanted.path);
    let Some(text) = tree.file(path) else {
        let why = tree.withheld().find(|(known, _)| *known == path).map(|(_, why)| why);
        return Err(match why {
            Some(why) => format!("this file is not shown ({why})"),
            None => "there is no such file; `list` says what there is".to_owned(),
        });
    };
    let (from, count) = (wanted.from.unwrap_or(1).max(1), wanted.lines.unwrap_or(LINES).clamp(1, LINES));
    let all = text.lines().count();
    if from == 1 && count >= all && text.len() <= ANSWER {
        return Ok(text.to_owned());
    }
    let part = bounded(text.lines().skip(from - 1).take(count).map(str::to_owned));
    let last = from - 1 + part.lines().count();
    Ok(format!("lines {from} to {last} of {all}:\n{part}"))
}

fn search(tree: &Tree, wanted: &Search) -> Result<String, String> {
    if wanted.text.is_empty() || wanted.text.contains('\n') {
        return Err("`text` is one line, and not empty".to_owned());
    }
    let prefix = plain(&wanted.path);
    let files = tree.files().filter(|(path, _)| path.starts_with(prefix));
    let mut found = files.flat_map(|(path, text)| {
        let hits = text.lines().enumerate().filter(|(_, line)| line.contains(&wanted.text));
        hits.map(move |(at, line)| {
            format!("{path}:{}: {}", at + 1, line.chars().take(WIDTH).collect::<String>())
        })
    });
    let mut answer = bounded(found.by_ref().take(FOUND));
    if found.next().is_some() {
        answer.push_str("and more: search for something longer, or name a `path`\n");
    }
    Ok(if answer.is_empty() { "not found\n".to_owned() } else { answer })
}

/// A path as a model may write it.
fn plain(path: &str) -> &str {
    let path = path.trim();
    path.strip_prefix("./").unwrap_or(path).trim_start_matches('/')
}

/// As many lines as fit.
fn bounded(lines: impl Iterator<Item = String>) -> String {
    let mut answer = String::new();
    for line in lines {
        if answer.len() + line.len() >= ANSWER {
            break;
        }
        answer.push_str(&line);
        answer.push('\n');
    }
    answer
}

#[cfg(test)]
mod tests {
    use razar_core::redact::Redactor;

    use super::*;

    fn tree() -> Tree {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/app.py"), "import os\nprint(os)\ntoken = 'c4nary-x'\n").unwrap();
        std::fs::write(dir.path().join("big.txt"), "0123456789abcdef\n".repeat(10_000)).unwrap();
        std::fs::write(dir.path().join(".env"), "KEY=c4nary-y").unwrap();
        for number in 0..600 {
            std::fs::write(dir.path().join(format!("f{number:03}")), "same\n").unwrap();
        }
        Tree::read(dir.path(), Redactor::default()).unwrap()
    }

    fn call(tree: &Tree, name: &str, arguments: &str) -> (bool, String) {
        let call = ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() };
        let result = run(tree, &call);
        assert_eq!(result.id, "1");
        assert!(
            result.content.len() < ANSWER + 200 && !result.content.contains("c4nary"),
            "{}",
            result.content
        );
        (result.is_error, result.content)
    }

    #[test]
    fn an_agent_looks_around_within_bounds() {
        let tree = tree();
        for (name, arguments, parts) in [
            (
                "list",
                "{}",
                &[".env (withheld: it holds secrets)\nbig.txt 170000\n", "and 103 more: name a `path`"][..],
            ),
            ("list", r#"{"path":"./src"}"#, &["src/app.py 43\n"]),
            ("list", r#"{"path":"none"}"#, &["there is no file whose path begins so"]),
            ("read", r#"{"path":"/src/app.py"}"#, &["import os\nprint(os)\ntoken = '[redacted-"]),
            ("read", r#"{"path":"src/app.py","from":2,"lines":1}"#, &["lines 2 to 2 of 3:\nprint(os)\n"]),
            ("read", r#"{"path":"src/app.py","from":9}"#, &["lines 9 to 8 of 3:\n"]),
            ("read", r#"{"path":"big.txt"}"#, &["lines 1 to 2000 of 10000:\n0123"]),
            ("search", r#"{"text":"print"}"#, &["src/app.py:2: print(os)\n"]),
            ("search", r#"{"text":"print","path":"f"}"#, &["not found"]),
            ("search", r#"{"text":"same"}"#, &["f000:1: same\n", "and more: search"]),
            ("search", r#"{"text":"c4nary"}"#, &["not found"]),
        ] {
            let (failed, answer) = call(&tree, name, arguments);
            assert!(!failed, "{name} {arguments}: {answer}");
            for part in parts {
                assert!(answer.contains(part), "{name} {arguments}: {answer}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_to_the_model() {
        let tree = tree();
        for (name, arguments, part) in [
            ("read", r#"{"path":".env"}"#, "not shown (withheld"),
            ("read", r#"{"path":"../../etc/passwd"}"#, "no such file"),
            ("read", "{}", "missing field `path`"),
            ("read", r#"{"path":"x","more":1}"#, "unknown field `more`"),
            ("read", r#"{"path":7}"#, "invalid type"),
            ("search", r#"{"text":""}"#, "not empty"),
            ("search", r#"{"text":"a\nb"}"#, "one line"),
            ("write", r#"{"path":"x"}"#, "no such tool"),
            ("list", "x", "do not fit"),
        ] {
            let (failed, answer) = call(&tree, name, arguments);
            assert!(failed && answer.contains(part), "{name} {arguments}: {answer}");
        }
    }

    #[test]
    fn schemas_are_schemas() {
        for tool in schemas() {
            let schema: serde_json::Value = serde_json::from_str(&tool.input_schema).unwrap();
            assert!(jsonschema::validator_for(&schema).is_ok(), "{}", tool.name);
        }
    }
}
