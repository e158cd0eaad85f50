//! What is found in which file, and what is never found in a good one.

use razar_sdk::evaluator::Outcome;

use super::*;

/// The outcome's word, and each finding as `line message`.
fn found(name: &str, content: &[u8]) -> (&'static str, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(name), content).unwrap();
    let judgement = judge(home.path(), &[name.to_owned()]);
    let finding = |finding: &Finding| {
        assert_eq!(finding.path, name);
        format!("{} {}", finding.line.unwrap_or_default(), finding.message)
    };
    (word(&judgement), judgement.findings.iter().map(finding).collect())
}

fn word(judgement: &Judgement) -> &'static str {
    match &judgement.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::NotEvaluable(_) => "not-evaluable",
    }
}

#[test]
fn good_files_pass() {
    let sum = format!("x = {}1\n", "1 + ".repeat(20_000));
    let numbers = format!("x = [{}]\n", "-1, not y, lambda: 0, ".repeat(5_000));
    let chosen = "x = 1 if a else 2\n".repeat(2_000);
    for (name, content) in [
        (
            "a.py",
            "def f(x: int) -> int:\n    match x:\n        case 1: return f\"{x!r:>{x}}\"\n    return -x ** 2\n",
        ),
        ("a.py", ""),
        ("a.py", "\u{feff}x = 1\r\nif x:\r\n\ty = '''\n((('''\r\n"),
        ("a.py", "# -*- coding: utf-8 -*-\nx = 'ä' # (((\n"),
        (
            "a.py",
            "type X[T] = list[T]\nx = f\"{x[\"a\"]} {f\"{1}\"}\"\ntry: pass\nexcept* ValueError: pass\n",
        ),
        ("a.py", sum.as_str()),
        ("a.py", numbers.as_str()),
        ("a.py", chosen.as_str()),
        ("a.json", "{\"a\": [1, 2.5e3, null, \"\\u00e4\"]}\n"),
        ("a.toml", "[a]\nb = 1979-05-27T07:32:00Z\n[[c]]\nd = { e = [1, 2] }\n"),
        ("a.YML", "a: &x\n  - 1\n  - *x\n---\nb: |\n  text {{ not }} a template\n"),
        ("a.yaml", "# nothing\n"),
    ] {
        let (outcome, findings) = found(name, content.as_bytes());
        let start: String = content.chars().take(60).collect();
        assert_eq!((outcome, findings), ("pass", Vec::new()), "{name}: {start}");
    }
}

#[test]
fn what_is_wrong_has_a_line() {
    let deep = |open: &str, close: &str, times| {
        format!("x = 1\ny = {}1{}\n", open.repeat(times), close.repeat(times))
    };
    let blocks: String = (0..120).map(|depth| format!("{}if x:\n", " ".repeat(depth))).collect();
    for (name, content, line, part) in [
        ("a.py", "x = 1\ndef f(:\n    pass\n".to_owned(), 2, ""),
        ("a.py", "if x:\npass\n".to_owned(), 2, "xpected an indented block"),
        ("a.py", "x = 'a\ny = 2\n".to_owned(), 1, ""),
        ("a.py", "print 'a'\n".to_owned(), 1, ""),
        ("a.py", "x = 1\n\0".to_owned(), 2, "null byte"),
        ("a.py", deep("(", ")", 3_000), 2, "too many nested parentheses"),
        ("a.py", deep("not ", "", 3_000), 2, "operators inside of each other"),
        ("a.py", deep("- ", "", 3_000), 2, "operators inside of each other"),
        ("a.py", deep("lambda: ", "", 3_000), 2, "operators inside of each other"),
        ("a.py", deep("1 if x else ", "", 3_000), 2, "operators inside of each other"),
        ("a.py", deep("2 ** ", "", 3_000), 2, "operators inside of each other"),
        ("a.py", blocks, 101, "indented blocks"),
        ("a.json", "{\n  \"a\": 1,\n}\n".to_owned(), 3, "trailing comma"),
        ("a.json", "{\"a\": 1}\n{}\n".to_owned(), 2, "trailing characters"),
        ("a.json", String::new(), 1, "EOF"),
        ("a.json", format!("{}{}", "[".repeat(3_000), "]".repeat(3_000)), 1, "500 levels"),
        ("a.toml", "a = 1\na = 2\n".to_owned(), 2, "duplicate key"),
        ("a.toml", "a = 1\nb =\n".to_owned(), 2, ""),
        ("a.toml", format!("a = {}{}", "[".repeat(3_000), "]".repeat(3_000)), 1, ""),
        ("a.yaml", "a: 1\n  b: 2\n".to_owned(), 2, "not allowed in this context"),
        ("a.yaml", "a: 1\nb: *x\n".to_owned(), 2, "unknown anchor"),
        ("a.yaml", "a: [1, 2\nb: 3\n".to_owned(), 2, ""),
        ("a.yaml", format!("{}{}", "[".repeat(3_000), "]".repeat(3_000)), 1, "recursion limit"),
        ("a.yaml", format!("{}x\n", "- ".repeat(600)), 1, "500 levels"),
    ] {
        let start: String = content.chars().take(60).collect();
        let (outcome, findings) = found(name, content.as_bytes());
        assert_eq!(outcome, "fail", "{name}: {start}");
        let first = &findings[0];
        assert!(
            first.starts_with(&format!("{line} ")) && first.contains(part),
            "{name}: {start}: {findings:?}"
        );
        assert!(findings.len() <= MAX_PER_FILE, "{findings:?}");
    }
    let keys = format!("{} = 1\n", vec!["a"; 20_000].join("."));
    let (outcome, _) = found("a.toml", keys.as_bytes());
    assert!(["pass", "fail"].contains(&outcome), "it ends, one way or the other");
}

#[test]
fn text_is_utf_8_unless_python_says_otherwise() {
    for (name, content, expected) in [
        ("a.py", b"x = 1\ny = '\xe4'\n".as_slice(), "2 is not UTF-8 text: byte 11"),
        ("a.py", b"# coding: utf-8\ny = '\xe4'\n", "2 is not UTF-8 text: byte 21"),
        ("a.json", b"\"\xff\"", "1 is not UTF-8 text: byte 1"),
        ("a.toml", b"a = \"\xff\"", "1 is not UTF-8 text"),
        ("a.yaml", b"a: \xff", "1 is not UTF-8 text"),
    ] {
        let (outcome, findings) = found(name, content);
        assert_eq!(outcome, "fail");
        assert!(findings[0].starts_with(expected), "{findings:?}");
    }
    assert_eq!(
        found("a.py", b"#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\nx = '\xe4'\n").0,
        "pass"
    );
    assert_eq!(found("a.py", b"# coding: koi8-r\nx = '\xe4'\n").0, "not-evaluable");
}

#[test]
fn only_what_has_changed_and_is_there_is_looked_at() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("good.py"), "x = 1\n").unwrap();
    std::fs::write(home.path().join("bad.py"), "x =\n").unwrap();
    std::fs::write(home.path().join("page.html"), "<").unwrap();
    std::fs::write(home.path().join("large.json"), vec![b' '; MAX_FILE + 1]).unwrap();
    for (changed, outcome, summary) in [
        (&["good.py"][..], "pass", "the changed file can be parsed"),
        (&["good.py", "good.py", "gone.py"], "pass", "the changed file can be parsed"),
        (&["good.py", "bad.py"], "fail", "1 of 2 changed files cannot be parsed"),
        (&["bad.py", "bad.py"], "fail", "1 of 1 changed files cannot be parsed"),
        (&["page.html", "gone.py", "good.py/x.py"], "not-evaluable", "no changed file here is"),
        (&[], "not-evaluable", "no changed file here is"),
        (&["../bad.py", "/bad.py"], "not-evaluable", "no changed file here is"),
        (&["good.py", "large.json"], "not-evaluable", "`large.json` is larger than 4 MiB"),
    ] {
        let changed: Vec<String> = changed.iter().map(|path| (*path).to_owned()).collect();
        let judgement = judge(home.path(), &changed);
        assert_eq!(word(&judgement), outcome, "{changed:?}");
        assert!(judgement.summary.starts_with(summary), "{changed:?}: {}", judgement.summary);
    }
}

#[test]
fn there_is_nothing_to_set() {
    let request = Request::new("shop").with_settings(r#"{"strict":true}"#);
    let error = EvaluatorSyntax::evaluate(request).unwrap_err();
    assert!(error.message.contains("strict"), "{}", error.message);
}
