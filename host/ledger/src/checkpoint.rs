//! A checkpoint: this ledger, at this moment, ended with this fact. Signed, it can be kept where the host cannot change
//! it; a ledger that is replaced as a whole then contradicts it. It says nothing about facts recorded after it.

use razar_core::fact::Anchor;
use razar_core::id::Digest;
use razar_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{LedgerKey, PublicKey, Signature};

/// Longest line of a checkpoint anybody needs to read.
pub const MAX_LINE: usize = 1024;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The state directory's own name.
    pub state: String,
    /// The newest fact.
    #[serde(flatten)]
    pub head: Anchor,
    /// Root of the tree over all facts up to that one, where somebody needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// When.
    pub at: Timestamp,
}

/// What is said, by whom, and the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    /// What is said.
    #[serde(flatten)]
    pub checkpoint: Checkpoint,
    /// Who says it; believed only by whoever knows the key from elsewhere.
    pub key: PublicKey,
    /// Over its text.
    pub signature: Signature,
}

impl Checkpoint {
    /// Exactly what is signed: one value a line, and a first line that no other use of the key has.
    fn text(&self) -> Option<String> {
        let Self { state, head, root, at } = self;
        // A name with a line end in it could pass for two lines.
        if !state.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let root = root.map_or_else(|| "-".to_owned(), |root| root.to_string());
        let (seq, hash, at) = (head.seq, head.hash, at.0);
        Some(format!("razar-host checkpoint v1\n{state}\n{seq}\n{hash}\n{root}\n{at}\n"))
    }

    /// Vouches for it; none when the name is none that a ledger has.
    pub fn sign(self, key: &LedgerKey) -> Option<SignedCheckpoint> {
        let signature = key.sign(self.text()?.as_bytes());
        Some(SignedCheckpoint { checkpoint: self, key: key.public(), signature })
    }
}

impl SignedCheckpoint {
    /// Whether this key vouched for it, whatever key it names itself.
    pub fn is_vouched_by(&self, key: &PublicKey) -> bool {
        self.checkpoint.text().is_some_and(|text| key.vouches(text.as_bytes(), &self.signature))
    }

    /// One line of JSON, without its end.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn every_value_of_a_checkpoint_is_signed() {
        let dir = TempDir::new().unwrap();
        let key = LedgerKey::open_or_create(dir.path()).unwrap();
        let checkpoint = || Checkpoint {
            state: "00ff00ff00ff00ff".to_owned(),
            head: Anchor { seq: 7, hash: Digest::of(b"7") },
            root: None,
            at: Timestamp(9),
        };
        let signed = checkpoint().sign(&key).unwrap();
        let line = signed.line().unwrap();
        assert!(line.len() < MAX_LINE, "{}", line.len());
        let read: SignedCheckpoint = serde_json::from_str(&line).unwrap();
        assert_eq!(read, signed);
        assert!(read.is_vouched_by(&key.public()));

        let changes: [fn(&mut Checkpoint); 5] = [
            |c| c.state = "10ff00ff00ff00ff".to_owned(),
            |c| c.head.seq = 8,
            |c| c.head.hash = Digest::of(b"8"),
            |c| c.root = Some(Digest::of(b"root")),
            |c| c.at = Timestamp(10),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = signed.clone();
            change(&mut changed.checkpoint);
            assert!(!changed.is_vouched_by(&key.public()), "change {number}");
        }
        let mut odd = checkpoint();
        odd.state = "a\n7".to_owned();
        assert!(odd.sign(&key).is_none());
    }
}
