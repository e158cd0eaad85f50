//! What somebody suggests to do with a component's files, exactly as it was said. Nothing in it has been judged.

use std::collections::BTreeMap;

use crate::id::Digest;

/// One change to files, in the words of the contract with agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file as it should be, whole: created or replaced.
    Write {
        /// Relative to the component's directory.
        path: String,
        /// Exact bytes.
        content: Vec<u8>,
    },
    /// A file that should be gone.
    Delete {
        /// Relative to the component's directory.
        path: String,
    },
    /// A unified diff of any number of files; text, if it is a diff at all.
    Diff(Vec<u8>),
}

/// Changes that belong together: all of them or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// What should change. No file twice.
    pub changes: Vec<Change>,
    /// The files that whoever proposes was shown, with what they were then. A file that is another one now makes the whole
    /// proposal stale, also where it is not to be changed: it was thought out about something else.
    pub shown: BTreeMap<String, Digest>,
}

impl Proposal {
    /// A unified diff and nothing else.
    pub fn diff(text: impl Into<Vec<u8>>) -> Self {
        Self { changes: vec![Change::Diff(text.into())], shown: BTreeMap::new() }
    }
}
