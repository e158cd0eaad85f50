//! What the README shows is what happens: every console block is run, in order, in the repository, and every line it
//! shows must appear. Numbers and the width of columns may differ; `…` stands for anything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A command and the lines it is shown to print.
struct Shown {
    command: String,
    lines: Vec<String>,
}

fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            line => match line.strip_prefix("$ ") {
                Some(command) => all.push(Shown { command: command.to_owned(), lines: Vec::new() }),
                None => all.last_mut().unwrap().lines.push(line.to_owned()),
            },
        }
    }
    all
}

/// A line without what may differ from run to run: digits, and the width of columns.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split_whitespace() {
        let word: String = word.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let mut previous = '\0';
        shape.extend(word.chars().filter(|c| std::mem::replace(&mut previous, *c) != '#' || *c != '#'));
        shape.push(' ');
    }
    // Spans may be shown in another unit or without a fraction.
    shape.replace("#.# s", "# ms").replace("# s ", "# ms ")
}

fn matches(printed: &str, shown: &str) -> bool {
    let (printed, shown) = (shape(printed), shape(shown));
    match shown.split_once('…') {
        Some((start, end)) => {
            printed.starts_with(start.trim_end()) && printed.trim_end().ends_with(end.trim())
        }
        None => printed == shown,
    }
}

/// Each shown line appears after the one before it.
fn check(shown: &Shown, printed: &str) {
    let mut rest = printed.lines();
    for line in shown.lines.iter().filter(|line| line.as_str() != "…") {
        let found = rest.any(|printed| matches(printed, line));
        assert!(found, "`{}` no longer prints `{line}`:\n{printed}", shown.command);
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where cargo puts programs: this test is one of them.
fn programs() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

#[test]
fn every_console_block_holds() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let all = shown(&readme);
    assert!(all.len() >= 5, "the README shows too little");
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
    let state = tempfile::tempdir().unwrap();
    for shown in all {
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {}", shown.command)])
            .current_dir(root())
            .env("PATH", &path)
            .env("RAZAR_STATE", state.path())
            .output()
            .unwrap();
        check(&shown, &String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn shapes_ignore_numbers_and_nothing_else() {
    for (printed, shown, same) in [
        ("05:58:02 store: ready after 9 ms", "11:22:33 store: ready after 140 ms", true),
        ("config-web: ready after 2 s", "config-web: ready after 2.2 s", true),
        ("store  ready   15.0 s  31265  1", "store ready 9 s 1 2", true),
        ("store: failed", "store: ready", false),
        ("error: anything at all", "error: …", true),
        ("warning: anything", "error: …", false),
    ] {
        assert_eq!(matches(printed, shown), same, "{printed} / {shown}");
    }
}
