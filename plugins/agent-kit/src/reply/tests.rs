//! Replies as models write them.

use super::*;

const APP: &str = "def a():\n    return 1\n";
const DIFF: &str = "--- a/app.py\n+++ b/app.py\n@@ -1,2 +1,2 @@\n def a():\n-    return 1\n+    return 2\n";

fn read(text: &str) -> Result<Proposed, ReplyError> {
    let sources = [SourceFile { path: "app.py".to_owned(), content: APP.as_bytes().to_vec() }];
    parse(text, &Offered { actions: vec!["rotate"], versions: vec!["v1"], sources: &sources })
}

/// What is proposed, in a few words.
fn short(text: &str) -> Result<Vec<String>, &'static str> {
    let one = |change: Change| match change {
        Change::Write(write) => format!("{}={}", write.path, String::from_utf8(write.content).unwrap()),
        Change::Delete(path) => format!("-{path}"),
        Change::UnifiedDiff(diff) => diff,
    };
    match read(text).map_err(|error| error.as_str())?.remedy {
        Remedy::Patch(changes) => Ok(changes.into_iter().map(one).collect()),
        Remedy::Restore(id) => Ok(vec![format!("restore {id}")]),
        Remedy::Act(actions) => {
            Ok(actions.into_iter().map(|act| format!("{} {}", act.name, act.parameters)).collect())
        }
        Remedy::Decline(reason) => Ok(vec![format!("decline {reason}")]),
    }
}

#[test]
fn one_proposal_is_read_in_every_form() {
    let json =
        r#"{"rationale": "because", "patch": [{"path": "app.py", "content": "x\n"}, {"delete": "old.py"}]}"#;
    for (text, expected) in [
        // Diffs.
        (format!("```diff\n{DIFF}```"), vec![DIFF]),
        (format!("The cause is `a`.\n\n```diff\n{DIFF}```\n\nThat is all."), vec![DIFF]),
        (format!("```\n{DIFF}```"), vec![DIFF]),
        (format!("```patch\n\n{DIFF}```"), vec![DIFF]),
        (DIFF.to_owned(), vec![DIFF]),
        (format!("Here it is:\n\n{DIFF}\nIt returns two.\n"), vec![DIFF]),
        (format!("```python\nreturn 2  # like this\n```\nSo:\n```diff\n{DIFF}```"), vec![DIFF]),
        // Whole files.
        ("FILE: app.py\n```python\nx = 1\n```".to_owned(), vec!["app.py=x = 1\n"]),
        (
            "Fixed.\n\nFILE: `app.py`\n\n```python\nx\n```\nFILE: b/c.py\n```\ny\n```".to_owned(),
            vec!["app.py=x\n", "b/c.py=y\n"],
        ),
        ("FILE: app.py\n```\nx\n```\nDELETE: old.py\n".to_owned(), vec!["app.py=x\n", "-old.py"]),
        ("DELETE: ./old.py".to_owned(), vec!["-old.py"]),
        ("```python app.py\nx\n```".to_owned(), vec!["app.py=x\n"]),
        ("FILE: README.md\n````md\n```sh\nrun\n```\n````".to_owned(), vec!["README.md=```sh\nrun\n```\n"]),
        ("FILE: a.json\n```json\n{\"patch\": 1}\n```".to_owned(), vec!["a.json={\"patch\": 1}\n"]),
        ("FILE: fix.patch\n```diff\nx\n```".to_owned(), vec!["fix.patch=x\n"]),
        ("FILE: empty.py\n```\n```".to_owned(), vec!["empty.py="]),
        // JSON.
        (json.to_owned(), vec!["app.py=x\n", "-old.py"]),
        (format!("I think:\n```json\n{json}\n```\nDone."), vec!["app.py=x\n", "-old.py"]),
        (format!("I think:\n{json}\nDone."), vec!["app.py=x\n", "-old.py"]),
        (format!("```json\n{json}\n```\nAgain:\n```json\n{json}\n```"), vec!["app.py=x\n", "-old.py"]),
        (serde_json::json!({ "patch": [{ "diff": DIFF }] }).to_string(), vec![DIFF]),
        (serde_json::json!({ "patch": DIFF }).to_string(), vec![DIFF]),
        (r#"{"decline": "no sources"}"#.to_owned(), vec!["decline no sources"]),
        (r#"{"restore": "v1", "reason": "it worked"}"#.to_owned(), vec!["restore v1"]),
        (
            r#"{"act": [{"name": "rotate", "parameters": {"n": 1}}, {"name": "rotate"}]}"#.to_owned(),
            vec!["rotate {\"n\":1}", "rotate {}"],
        ),
        // Thoughts are none of it, whatever is in them.
        (
            format!("<think>\n```diff\n{DIFF}```\nor FILE: x.py\n```\ny\n```\n</think>\n```diff\n{DIFF}```"),
            vec![DIFF],
        ),
    ] {
        assert_eq!(short(&text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
    }
}

#[test]
fn what_is_unclear_has_a_name() {
    let other = DIFF.replace("return 2", "return 3");
    let file = "FILE: app.py\n```\nx\n```";
    for (text, name) in [
        (String::new(), "empty"),
        (" \n".to_owned(), "empty"),
        ("<think>hm</think>\n".to_owned(), "empty"),
        ("<think>I was cut".to_owned(), "truncated"),
        (format!("```diff\n{DIFF}"), "truncated"),
        ("I cannot help with that.".to_owned(), "no-proposal"),
        ("Try:\n```python\nreturn 2\n```".to_owned(), "no-proposal"),
        ("```json\n{\"status\": \"ok\"}\n```".to_owned(), "no-proposal"),
        ("```json\n[1, 2]\n```".to_owned(), "no-proposal"),
        (format!("```diff\n{DIFF}```\n{file}"), "mixed-forms"),
        (format!("{file}\n{{\"decline\": \"no\"}}"), "mixed-forms"),
        (format!("```diff\n{DIFF}```\n{{\"decline\": \"no\"}}"), "mixed-forms"),
        (format!("```diff\n{DIFF}```\nOr:\n```diff\n{other}```"), "file-twice"),
        (format!("{file}\nor\n{file}"), "file-twice"),
        (format!("{file}\nDELETE: app.py"), "file-twice"),
        (r#"{"patch": [{"path": "a", "content": ""}, {"delete": "./a"}]}"#.to_owned(), "file-twice"),
        ("{\"decline\": \"a\"}\n{\"decline\": \"b\"}".to_owned(), "several-answers"),
        ("FILE: a.py\n```python b.py\nx\n```".to_owned(), "which-file"),
        (r#"{"patch": [], "rationale": "x"}"#.to_owned(), "json"),
        (r#"{"patch": [{"path": "a"}]}"#.to_owned(), "json"),
        (r#"{"patch": [{"path": "a", "content": "x", "mode": "755"}]}"#.to_owned(), "json"),
        (r#"{"patch": ["a"]}"#.to_owned(), "json"),
        (r#"{"patch": {"a": "x"}}"#.to_owned(), "json"),
        (r#"{"decline": "a", "restore": "v1"}"#.to_owned(), "json"),
        (r#"{"decline": ""}"#.to_owned(), "json"),
        (r#"{"decline": "a", "files": {"x": "y"}}"#.to_owned(), "json"),
        (r#"{"act": [{"name": "rotate", "parameters": 1}]}"#.to_owned(), "json"),
        (r#"{"act": []}"#.to_owned(), "json"),
        (
            "```json\n{\"patch\": [{\"path\": \"a\", \"content\": \"unescaped \"quote\"\"}]}\n```".to_owned(),
            "json",
        ),
        (r#"{"restore": "v9"}"#.to_owned(), "not-offered"),
        (r#"{"act": [{"name": "reboot"}]}"#.to_owned(), "not-offered"),
        ("```diff\n+ a\n```".to_owned(), "diff"),
        ("--- a/x\n+++ b/x\nno hunk".to_owned(), "diff"),
    ] {
        assert_eq!(short(&text), Err(name), "{text}");
    }
}

#[test]
fn the_reason_is_what_stands_around_it() {
    let text = format!("The cause is `a`.\n\n```diff\n{DIFF}```\n\nNothing else.");
    assert_eq!(read(&text).unwrap().rationale, "The cause is `a`.\n\n\nNothing else.");
    assert_eq!(
        read(r#"Because:\n{"decline": "x"}"#).map(drop),
        Err(ReplyError::NoProposal),
        "not on a line of its own"
    );
    assert_eq!(read("Because:\n{\"decline\": \"x\"}").unwrap().rationale, "Because:");
    assert_eq!(read(r#"{"rationale": "r", "decline": "x"}"#).unwrap().rationale, "r");
    let long = format!("{}\n{{\"decline\": \"x\"}}", "r".repeat(10_000));
    assert_eq!(read(&long).unwrap().rationale.len(), RATIONALE);
}

#[test]
fn a_refusal_shows_the_beginning_of_what_was_said() {
    let error = ReplyError::FileTwice("a\u{1b}[2J.py".to_owned()).refusal(&"x".repeat(10_000));
    assert_eq!(error.kind, PluginErrorKind::Other("unusable-reply".to_owned()));
    assert_eq!(error.message, "unusable reply (file-twice): `a [2J.py` is given twice");
    assert_eq!((error.extensions[0].1.as_str(), error.extensions[1].1.len()), ("file-twice", RATIONALE));
}

#[test]
fn no_text_takes_long_or_breaks_it() {
    for text in [
        "{".repeat(1 << 20),
        "{\n".repeat(1 << 16),
        "[".repeat(1 << 20),
        "```\n".repeat(100_001),
        "--- a\n+++ b\n".repeat(10_000),
        "@@ -1 +1 @@\n".repeat(10_000),
        format!("--- a/x\n+++ b/x\n@@ -1 +1 @@\n{}", "-\n".repeat(20_000)),
        "<think>".repeat(10_000),
        "ä".repeat(1 << 20),
    ] {
        // Whatever it says, it says so.
        let _ = short(&text);
    }
    assert_eq!(short(&"x".repeat(LONGEST + 1)), Err("truncated"));
}

#[test]
fn an_answer_comes_out_of_the_marks_around_it() {
    for text in [
        "<think>hm</think><answer>{\"decline\": \"x\"}</answer>",
        "<think>hm</think>\n<answer>\n<|begin_of_box|>{\"decline\": \"x\"}<|end_of_box|>\n</answer>\n",
        "<|begin_of_box|>{\"decline\": \"x\"}<|end_of_box|>",
    ] {
        let proposed = parse(text, &Offered::default()).unwrap();
        assert!(matches!(proposed.remedy, Remedy::Decline(why) if why == "x"), "{text}");
    }
}
