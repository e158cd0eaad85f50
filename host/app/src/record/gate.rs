//! What the gate was asked, so that it can be asked again: the files as the agent was shown them, what else lay there, and the
//! rules. The gate is a function, so the same question has the same answer; no secret is needed for it.

use std::collections::BTreeMap;

use razar_core::id::Digest;
use razar_core::patch::{Change as Asked, Node, Proposal, Rules, Tree, gate};
use razar_runtime::contract::agent::{self, Change, Remedy};
use razar_runtime::tape::recording::{Came, Data};
use serde::{Deserialize, Serialize};

use super::clean::Cleaner;

/// Bytes of all files: what is more is left out.
const MAX_BYTES: usize = 8 << 20;

/// The question, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    rules: Rules,
    files: BTreeMap<String, Lies>,
    /// What the agent was shown.
    shown: Vec<String>,
    /// In one line.
    pub(crate) answer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<String>,
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Lies {
    File(Digest),
    Large(u64),
    Dir,
    Link,
    Special,
}

impl Gate {
    /// Of files that an agent was shown some of, without their secrets. The bytes go where all bytes of the document are.
    pub(crate) fn of(
        rules: Rules,
        tree: &Tree,
        shown: &BTreeMap<String, String>,
        cleaner: &mut Cleaner,
        contents: &mut BTreeMap<Digest, Data>,
    ) -> Self {
        let mut left = MAX_BYTES;
        let mut files = BTreeMap::new();
        for (path, node) in tree.iter() {
            let lies = match node {
                Node::File(bytes) => {
                    let clean = match shown.get(path) {
                        Some(text) => text.clone().into_bytes(),
                        None => {
                            let text = String::from_utf8_lossy(bytes);
                            let clean = cleaner.text(Came::File(path), &text);
                            if clean == text { bytes.to_vec() } else { clean.into_bytes() }
                        }
                    };
                    let Some(rest) = left.checked_sub(clean.len()) else {
                        return Self::left_out(format!("its files have more than {} MiB", MAX_BYTES >> 20));
                    };
                    left = rest;
                    let digest = Digest::of(&clean);
                    contents.insert(digest, Data(clean.into()));
                    Lies::File(digest)
                }
                Node::Large(bytes) => Lies::Large(*bytes),
                Node::Dir => Lies::Dir,
                Node::Link => Lies::Link,
                Node::Special => Lies::Special,
            };
            files.insert(path.to_owned(), lies);
        }
        let shown = shown.keys().cloned().collect();
        Self { rules, files, shown, answer: String::new(), left_out: None }
    }

    /// One that cannot be asked again.
    pub(crate) fn left_out(why: String) -> Self {
        let (rules, files, shown) = (Rules::default(), BTreeMap::new(), Vec::new());
        Self { rules, files, shown, answer: String::new(), left_out: Some(why) }
    }

    /// Whether its files are no more than are ever kept: the same few bytes under many names would fill the memory.
    pub(crate) fn check(&self, contents: &BTreeMap<Digest, Data>) -> Result<(), String> {
        let length = |lies: &Lies| match lies {
            Lies::File(digest) => contents.get(digest).map(|data| data.0.len()),
            Lies::Large(_) | Lies::Dir | Lies::Link | Lies::Special => None,
        };
        let bytes = self.files.values().filter_map(length).fold(0_usize, usize::saturating_add);
        if bytes > MAX_BYTES {
            return Err(format!("its files have more than {} MiB", MAX_BYTES >> 20));
        }
        Ok(())
    }

    /// Asks it.
    pub(crate) fn ask(&self, remedy: &Remedy, contents: &BTreeMap<Digest, Data>) -> String {
        let changes = match remedy {
            Remedy::Patch(changes) => changes,
            Remedy::Restore(version) => return format!("restores {version}"),
            Remedy::Decline(_) => return "declined".to_owned(),
            Remedy::Act(_) => return "refused unknown-action".to_owned(),
        };
        let mut tree = Tree::default();
        for (path, lies) in &self.files {
            let node = match lies {
                Lies::File(digest) => match contents.get(digest) {
                    Some(data) => Node::File(data.0.as_ref().into()),
                    None => return format!("`{path}` is not in the recording"),
                },
                Lies::Large(bytes) => Node::Large(*bytes),
                Lies::Dir => Node::Dir,
                Lies::Link => Node::Link,
                Lies::Special => Node::Special,
            };
            tree.insert(path.clone(), node);
        }
        let seen = self.shown.iter().filter_map(|path| Some((path.clone(), tree.digest(path)?)));
        let proposal = Proposal { changes: changes.iter().map(change).collect(), shown: seen.collect() };
        match gate(&proposal, &tree, &self.rules) {
            Ok(changes) => format!("taken {}", changes.digest()),
            Err(refusal) => format!("refused {}", refusal.code()),
        }
    }
}

fn change(change: &Change) -> Asked {
    match change {
        Change::Write(agent::SourceFile { path, content }) => {
            Asked::Write { path: path.clone(), content: content.clone() }
        }
        Change::Delete(path) => Asked::Delete { path: path.clone() },
        Change::UnifiedDiff(diff) => Asked::Diff(diff.clone().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_says_the_same_of_files_without_their_secrets() {
        let mut tree = Tree::default();
        tree.insert_file("src/a.py", b"key = 'c4nary-key-0123456789'\nx = 1\n");
        tree.insert_file("tests/test_a.py", b"\n");
        let shown = [("src/a.py".to_owned(), "key = '[redacted-1]'\nx = 1\n".to_owned())].into();
        let mut cleaner = Cleaner::new(["c4nary-key-0123456789".to_owned()].into());
        let mut contents = BTreeMap::new();
        let made = Gate::of(Rules::default(), &tree, &shown, &mut cleaner, &mut contents);
        let written = serde_json::to_string(&(&made, &contents)).unwrap();
        assert!(!written.contains("c4nary"), "{written}");
        let (made, contents): (Gate, BTreeMap<Digest, Data>) = serde_json::from_str(&written).unwrap();
        let file = |path: &str, text: &str| {
            let content = text.as_bytes().to_vec();
            Remedy::Patch(vec![Change::Write(agent::SourceFile { path: path.to_owned(), content })])
        };
        let taken = made.ask(&file("src/a.py", "key = '[redacted-1]'\nx = 2\n"), &contents);
        assert!(taken.starts_with("taken sha256:"), "{taken}");
        assert_eq!(made.ask(&file("tests/test_a.py", "pass\n"), &contents), "refused protected-tests");
        assert_eq!(made.ask(&Remedy::Decline(String::new()), &contents), "declined");
        // A stranger's: one large file, and then again under another name.
        let large = Data(vec![b'x'; MAX_BYTES / 2 + 1].into());
        let digest = Digest::of(&large.0);
        let (mut strange, contents) = (made, BTreeMap::from([(digest, large)]));
        strange.files = [("a".to_owned(), Lies::File(digest))].into();
        strange.check(&contents).unwrap();
        strange.files.insert("b".to_owned(), Lies::File(digest));
        assert!(strange.check(&contents).unwrap_err().contains("more than 8 MiB"));
    }
}
