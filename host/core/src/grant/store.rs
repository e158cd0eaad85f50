//! Key-value stores: which of its own a plugin may open, and how much may lie in one. A store belongs to one plugin;
//! no rule can name somebody else's.

use super::error::RuleError;
use super::secret::plain_name;
use crate::document::units::Bytes;

/// Whether a store can be called so.
pub(crate) fn store_name(name: &str) -> Result<(), RuleError> {
    plain_name(name, "the name of a store")
}

/// How much may lie in one store, and how often one call may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Keys and values together.
    pub bytes: Bytes,
    /// Keys: an empty value has a price too.
    pub keys: u32,
    /// One key.
    pub key: Bytes,
    /// One value.
    pub value: Bytes,
    /// Keys set, incremented or deleted in one call: the disk is everybody's.
    pub writes: u32,
}

impl Quota {
    /// Where the operator says nothing: counters, cursors and a small cache.
    pub const DEFAULT: Self =
        Self { bytes: Bytes::kib(64), keys: 256, key: Bytes(128), value: Bytes::kib(16), writes: 32 };
    /// What this host keeps for one store at most.
    pub const CEILING: Self =
        Self { bytes: Bytes::mib(16), keys: 10_000, key: Bytes::kib(1), value: Bytes::mib(1), writes: 1_000 };

    /// The first part that is above the ceiling, and the most it may be.
    pub fn beyond(&self) -> Option<(&'static str, String)> {
        let most = Self::CEILING;
        let sizes = [
            ("bytes", self.bytes, most.bytes),
            ("key", self.key, most.key),
            ("value", self.value, most.value),
        ];
        let counts = [("keys", self.keys, most.keys), ("writes", self.writes, most.writes)];
        let size = sizes.into_iter().find(|(_, given, most)| given > most);
        let count = counts.into_iter().find(|(_, given, most)| given > most);
        size.map(|(name, _, most)| (name, format!("\"{most}\"")))
            .or_else(|| count.map(|(name, _, most)| (name, most.to_string())))
    }
}
