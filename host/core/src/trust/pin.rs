//! What is pinned of one package. A pin says which bytes are meant; it does not say that they are good.

use std::collections::BTreeMap;

use minisign_verify::Signature;
use semver::Version;

use crate::id::{Digest, PluginId};
use crate::time::Timestamp;

/// All packages of one directory.
pub type Lock = BTreeMap<PluginId, Pin>;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its version, as its manifest says.
    pub version: Version,
    /// Of the whole package file.
    pub digest: Digest,
    /// Where it was added from, for people.
    pub from: String,
    /// When, for people.
    pub added: String,
    /// What was pinned before, where somebody chose something older or less vouched for.
    pub downgraded_from: Option<Version>,
    /// Who signed it, if somebody did.
    pub signed: Option<Signed>,
}

/// A signature that was verified when the package was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The operator's name for the key.
    pub signer: String,
    /// The public key, as minisign prints it.
    pub key: String,
    /// The whole signature, as minisign wrote it.
    pub text: String,
}

impl Signed {
    /// What the signer said beside the signature, and signed with it.
    pub fn comment(&self) -> Option<String> {
        Some(Signature::decode(&self.text).ok()?.trusted_comment().to_owned())
    }

    /// When it was signed, if the signer said so.
    pub fn at(&self) -> Option<Timestamp> {
        signed_at(&self.comment()?)
    }
}

/// The `timestamp:` of a trusted comment, in seconds as minisign writes it.
pub fn signed_at(comment: &str) -> Option<Timestamp> {
    let said = comment.split_whitespace().find_map(|word| word.strip_prefix("timestamp:"))?;
    Some(Timestamp(said.parse::<u64>().ok()?.saturating_mul(1000)))
}
