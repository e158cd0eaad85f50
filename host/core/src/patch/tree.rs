//! The files of a component at one moment, as a value: what a proposal is judged against. It reads nothing; whoever has
//! the directory fills it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Digest;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file and its bytes.
    File(Arc<[u8]>),
    /// A regular file that is larger than anything a proposal may change; its bytes were not read.
    Large(u64),
    /// A directory, not a link to one.
    Dir,
    /// A symbolic link, wherever it leads.
    Link,
    /// A socket, a FIFO, a device.
    Special,
}

/// A component's files. Paths are relative with `/`, as the file system has them: they need not be paths that a proposal
/// could name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Puts something at a path; the directories that hold it are not made.
    pub fn insert(&mut self, path: impl Into<String>, node: Node) {
        self.nodes.insert(path.into(), node);
    }

    /// Puts a file at a path, and the directories that hold it where they are missing.
    pub fn insert_file(&mut self, path: &str, bytes: &[u8]) {
        for (at, _) in path.match_indices('/') {
            let parent = path.get(..at).unwrap_or_default();
            self.nodes.entry(parent.to_owned()).or_insert(Node::Dir);
        }
        self.insert(path, Node::File(bytes.into()));
    }

    /// Takes away what lies at a path.
    pub(super) fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    /// What lies at a path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The bytes of a regular file.
    pub fn file(&self, path: &str) -> Option<&Arc<[u8]>> {
        match self.get(path) {
            Some(Node::File(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The digest of a regular file.
    pub fn digest(&self, path: &str) -> Option<Digest> {
        self.file(path).map(|bytes| Digest::of(bytes))
    }

    /// Everything, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The paths at which two trees differ.
    pub fn differences<'t>(&'t self, other: &'t Self) -> Vec<&'t str> {
        let here =
            self.iter().filter(|(path, node)| !other.get(path).is_some_and(|theirs| same(node, theirs)));
        let there = other.iter().filter(|(path, _)| self.get(path).is_none());
        here.chain(there).map(|(path, _)| path).collect()
    }
}

/// Files that were not touched share their bytes, so that a large tree is compared without reading it again.
fn same(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::File(a), Node::File(b)) => Arc::ptr_eq(a, b) || a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_differ_where_a_file_is_other_gone_or_new() {
        let mut a = Tree::default();
        a.insert_file("src/a.py", b"1\n");
        a.insert_file("src/b.py", b"2\n");
        let mut b = a.clone();
        assert!(a.differences(&b).is_empty());
        b.insert_file("src/a.py", b"one\n");
        b.remove("src/b.py");
        b.insert_file("c/d.py", b"");
        assert_eq!(a.differences(&b), ["src/a.py", "src/b.py", "c", "c/d.py"]);
        assert_eq!(b.get("c"), Some(&Node::Dir));
        assert_eq!(a.digest("src/a.py"), Some(Digest::of(b"1\n")));
        assert_eq!(a.digest("src"), None);
    }
}
