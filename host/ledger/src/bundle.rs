//! Facts for whoever has no ledger: those about one component, each with the proof that it is below the signed root of
//! all facts, in one JSON file.
//!
//! It proves that the owner of the key recorded exactly these facts at these positions, and that these are all it chose
//! to tell about the component: nothing can be changed, added or taken out without the key. It does not prove that the
//! facts are true, nor that the owner has not signed another history as well: compare its root with a witness for that.

mod about;

use std::collections::{BTreeMap, BTreeSet};

use razar_core::fact::Fact;
use razar_core::id::Digest;
use razar_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::error::LedgerError;
use crate::key::{LedgerKey, PublicKey, Signature};
use crate::merkle::{self, Hash, MAX_PROOF, Tree};
use crate::reader::LedgerReader;
use crate::replay::Links;

pub use about::About;
use about::Choice;

/// A bundle is read whole: this is a day of a very talkative component.
pub const MAX_BUNDLE: u64 = 64 << 20;

/// Facts in one bundle.
pub const MAX_FACTS: usize = 50_000;

const FORMAT: &str = "razar-host bundle v1";

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    format: String,
    /// What it is about.
    pub about: About,
    /// Where the ledger ended, with the root of all its facts.
    pub head: SignedCheckpoint,
    /// In order.
    pub facts: Vec<Proven>,
    /// Recordings of calls that facts of it name, by their digests: what they are is proven as the facts are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attached: BTreeMap<Digest, String>,
    /// Over the choice of facts: none can be left out.
    signature: Signature,
}

/// One fact and why it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    /// Its position.
    pub seq: u64,
    /// When the turn was that wrote it.
    pub at: Timestamp,
    /// The fact, exactly as recorded.
    pub body: String,
    /// The hashes beside the way to the root.
    proof: Vec<Digest>,
}

impl Bundle {
    /// Its facts, with their positions; without those of a version to come.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, Fact)> + '_ {
        self.facts.iter().filter_map(|proven| Some((proven.seq, serde_json::from_str(&proven.body).ok()?)))
    }
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Too much.
    #[error(
        "there are more than {MAX_FACTS} facts, or {MAX_BUNDLE} bytes of them: ask for fewer with `--from SEQ` and `--to SEQ`"
    )]
    TooLarge,
    /// No fact is about it.
    #[error("no fact is about `{0}`: `razar-host log tail` shows what there is")]
    Nothing(About),
    /// The key cannot sign for this ledger.
    #[error(
        "the ledger's own name is damaged, so nothing can be signed for it: `razar-host log repair` gives it one"
    )]
    Nameless,
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Why a bundle is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not JSON of this shape.
    #[error("it is no bundle: {0}")]
    Shape(String),
    /// Another version's.
    #[error("it has the format `{}`, and this host reads `{FORMAT}`", .0.escape_debug())]
    Format(String),
    /// Signed by somebody else, or changed.
    #[error("the key `{expected}` did not sign it; it names the key `{named}`")]
    Signature {
        /// The one that was to be.
        expected: Box<PublicKey>,
        /// The one it names.
        named: Box<PublicKey>,
    },
    /// The signed head has no root.
    #[error("its signed head has no root, so nothing is below it")]
    Rootless,
    /// A fact is not below the root.
    #[error("fact {0} is not below the signed root: it was changed, or it is of another ledger")]
    Unproven(u64),
    /// Something is attached that no fact of it names, or that is not what the fact names.
    #[error("what is attached as `{0}` is not what a fact of it names")]
    Attached(Digest),
    /// Facts out of order.
    #[error("fact {0} is out of order or beyond what was asked for")]
    Order(u64),
}

/// Proves the facts about something, signed with this key; with recordings of calls, if they are wanted and still kept.
pub fn export(
    reader: &LedgerReader,
    about: About,
    key: &LedgerKey,
    now: Timestamp,
    recordings: bool,
) -> Result<Bundle, ExportError> {
    let head = reader.head()?;
    let mut leaves = Vec::new();
    let mut chosen = Vec::new();
    let mut choice = Choice::new(&about);
    let mut bytes = 0;
    let mut attached = BTreeMap::new();
    for link in Links::new(reader.connection(), 1, head) {
        let link = link?;
        let seq = link.head.seq;
        leaves.push(merkle::leaf(seq, link.at, &link.body));
        // A fact of a version to come cannot be known to be about it.
        let Ok(recorded) = link.read() else { continue };
        if !choice.takes(&recorded) {
            continue;
        }
        if let (true, Fact::CallsRecorded { calls, .. }) = (recordings, &recorded.fact)
            && let Some(text) = reader.blob(calls)?.and_then(|bytes| String::from_utf8(bytes).ok())
        {
            bytes += text.len() as u64;
            attached.insert(*calls, text);
        }
        bytes += link.body.len() as u64 + 200 + 80 * MAX_PROOF as u64 / 2;
        if chosen.len() >= MAX_FACTS || bytes > MAX_BUNDLE {
            return Err(ExportError::TooLarge);
        }
        chosen.push((seq, link.at, String::from_utf8_lossy(&link.body).into_owned()));
    }
    if chosen.is_empty() {
        return Err(ExportError::Nothing(about));
    }
    let tree = Tree::new(leaves);
    let facts: Vec<Proven> = chosen
        .into_iter()
        .map(|(seq, at, body)| {
            let proof = tree.proof(seq.saturating_sub(1)).unwrap_or_default();
            Proven { seq, at, body, proof: proof.into_iter().map(Digest::from_bytes).collect() }
        })
        .collect();
    let root = Some(Digest::from_bytes(tree.root()));
    let checkpoint = Checkpoint { state: reader.state_id()?, head: head.anchor(), root, at: now };
    let head = checkpoint.sign(key).ok_or(ExportError::Nameless)?;
    let signature = key.sign(choice_text(&about, &head, &facts).as_bytes());
    Ok(Bundle { format: FORMAT.to_owned(), about, head, facts, attached, signature })
}

/// Reads a bundle and believes it, or says why not. Only the key given here is believed, whatever the file names.
pub fn check(bytes: &[u8], key: &PublicKey) -> Result<Bundle, Refused> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|error| Refused::Shape(error.to_string()))?;
    if bundle.format != FORMAT {
        return Err(Refused::Format(bundle.format.chars().take(80).collect()));
    }
    let Bundle { about, head, facts, signature, .. } = &bundle;
    let vouched =
        head.is_vouched_by(key) && key.vouches(choice_text(about, head, facts).as_bytes(), signature);
    let root = head.checkpoint.root.ok_or(Refused::Rootless)?;
    let size = head.checkpoint.head.seq;
    let mut before = 0;
    for Proven { seq, at, body, proof } in facts {
        if *seq <= before || !about.spans(*seq) {
            return Err(Refused::Order(*seq));
        }
        before = *seq;
        let leaf = merkle::leaf(*seq, *at, body.as_bytes());
        let proof: Vec<Hash> = proof.iter().take(MAX_PROOF + 1).map(|hash| *hash.as_bytes()).collect();
        if !merkle::proves(leaf, seq - 1, size, &proof, root.as_bytes()) {
            return Err(Refused::Unproven(*seq));
        }
    }
    let named: BTreeSet<Digest> = bundle
        .recorded()
        .filter_map(|(_, fact)| match fact {
            Fact::CallsRecorded { calls, .. } => Some(calls),
            _ => None,
        })
        .collect();
    for (digest, text) in &bundle.attached {
        if Digest::of(text.as_bytes()) != *digest || !named.contains(digest) {
            return Err(Refused::Attached(*digest));
        }
    }
    // Last, because a fact that was changed is better named than a signature that no longer fits.
    if !vouched {
        return Err(Refused::Signature { expected: Box::new(*key), named: Box::new(head.key) });
    }
    Ok(bundle)
}

/// What the second signature covers: what was asked, of which root, and every fact that was chosen.
fn choice_text(about: &About, head: &SignedCheckpoint, facts: &[Proven]) -> String {
    let mut chosen = Sha256::new();
    for fact in facts {
        chosen.update(merkle::leaf(fact.seq, fact.at, fact.body.as_bytes()));
    }
    let root = head.checkpoint.root.map(|root| root.to_string()).unwrap_or_default();
    let chosen = Digest::from_bytes(chosen.finalize().into());
    format!("{FORMAT}\n{about}\n{root}\n{}\n{chosen}\n", facts.len())
}

#[cfg(test)]
mod tests;
