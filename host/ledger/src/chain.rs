//! The hash chain: `hash = sha256(prev ‖ seq ‖ at ‖ body)`, numbers as eight big-endian bytes, body exactly as
//! stored, so verification never depends on writing JSON the same way twice. It shows that facts were changed to
//! whoever kept a [`Head`]; it cannot stop somebody who may rewrite both.

use razar_core::fact::Anchor;
use razar_core::id::Digest;
use razar_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// The newest fact's position and hash: the anchor of everything before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Position of the newest fact; 0 when there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// The head of a ledger without facts.
    pub const GENESIS: Self = Self { seq: 0, hash: [0; 32] };

    /// The head after one more fact.
    pub(crate) fn next(self, at: Timestamp, body: &[u8]) -> Self {
        let seq = self.seq.saturating_add(1);
        let hash = Sha256::new()
            .chain_update(self.hash)
            .chain_update(seq.to_be_bytes())
            .chain_update(at.0.to_be_bytes())
            .chain_update(body)
            .finalize();
        Self { seq, hash: hash.into() }
    }

    /// As facts and files name it.
    pub const fn anchor(&self) -> Anchor {
        Anchor { seq: self.seq, hash: Digest::from_bytes(self.hash) }
    }

    /// The hash as hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.hash)
    }
}
