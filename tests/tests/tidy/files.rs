//! What every file looks like, and what the top of the repository holds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::none;
use crate::tokens::attributes;
use crate::tree::{self, Source};

/// The whole top level, dotfiles aside.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "config",
    "examples",
    "host",
    "plugins",
    "rust-toolchain.toml",
    "tests",
    "wit",
];

/// The one file that may say `unsafe`: it loads the native code that this host compiled.
const UNSAFE: &str = "host/runtime/src/cwasm.rs";

/// Never part of the product: the raw side of a comparison loads native code as the host does, and a hostile guest searches its memory.
const BESIDE: [&str; 2] =
    ["host/runtime/benches/runtime/ready.rs", "tests/hostile/guests/agent-hostile/src/memory.rs"];

#[test]
fn every_source_opens_with_what_it_owns() {
    let silent =
        |text: &str| text.lines().next().is_none_or(|line| line.trim_start_matches("//!").trim().is_empty());
    let unsaid = tree::rust().iter().filter(|source| !source.text.starts_with("//!") || silent(&source.text));
    let findings: Vec<_> = unsaid.map(|source| source.file.display().to_string()).collect();
    none(&findings, "begin the file with `//!`: what it owns and what it must never do");
}

#[test]
fn the_top_level_holds_the_rooms_and_nothing_else() {
    let first = |file: &PathBuf| file.iter().next().map(|name| name.to_string_lossy().into_owned());
    let found: BTreeSet<_> =
        tree::tracked().iter().filter_map(first).filter(|name| !name.starts_with('.')).collect();
    let expected: BTreeSet<_> = TOP.iter().map(|name| (*name).to_owned()).collect();
    let mut findings: Vec<_> =
        found.difference(&expected).map(|name| format!("`{name}` has no place here")).collect();
    findings.extend(expected.difference(&found).map(|name| format!("`{name}` is missing")));
    none(&findings, "move it into the room it belongs to, or commit what is missing");
}

#[test]
fn unsafe_code_lives_in_one_file() {
    let mut findings = Vec::new();
    let mut allowed = 0;
    for Source { file, names, .. } in tree::rust() {
        for name in names.iter().filter(|name| name.path == "unsafe") {
            if file == Path::new(UNSAFE) {
                allowed += 1;
            } else if BESIDE.iter().all(|beside| file != Path::new(beside)) {
                findings.push(format!("{}:{}", file.display(), name.line));
            }
        }
    }
    assert!(allowed > 0, "{UNSAFE} has no unsafe code any more: forbid it everywhere and change this test");
    none(&findings, "use a crate that wraps it safely (rustix, cap-std)");
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut findings = Vec::new();
    for file in tree::files().iter().filter(|file| is_ours(file)) {
        for (at, line) in tree::read(file).lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if words.any(|word| marks.contains(&word)) {
                findings.push(format!("{}:{}: {}", file.display(), at + 1, line.trim()));
            }
        }
    }
    for Source { file, text, names } in tree::rust() {
        let unfinished = |name: &str| ["todo", "unimplemented", "dbg"].contains(&name);
        for name in names.iter().filter(|name| name.is_macro) {
            if name.segments().last().is_some_and(unfinished) {
                findings.push(format!("{}:{}: `{}!`", file.display(), name.line, name.path));
            }
        }
        let ignored = |text: &str| {
            text == "ignore"
                || text.starts_with("ignore=")
                || text.starts_with("cfg_attr(") && text.contains(",ignore")
        };
        let ignored = attributes(text).into_iter().filter(|(text, _)| ignored(text));
        findings.extend(ignored.map(|(text, line)| format!("{}:{line}: `#[{text}]`", file.display())));
    }
    none(&findings, "do it now, or open an issue and say nothing here");
}

/// Written here: neither generated nor taken over from elsewhere.
fn is_ours(file: &Path) -> bool {
    let vendored = file.starts_with("wit") && file.iter().any(|part| part == "deps");
    !vendored
        && !["Cargo.lock", "LICENSE", "tests/advisory-db.tar.gz"].iter().any(|name| file == Path::new(name))
}
