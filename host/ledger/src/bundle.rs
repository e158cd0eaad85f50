//! Facts for whoever has no ledger: those about one component, each with the proof that it is below the signed root of
//! all facts, in one JSON file.
//!
//! It proves that the owner of the key recorded exactly these facts at these positions, and that these are all it chose
//! to tell about the component: nothing can be changed, added or taken out without the key. It does not prove that the
//! facts are true, nor that the owner has not signed another history as well: compare its root with a witness for that.

mod about;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

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

const FORMAT: &str = "razar-host bundle v2";

/// How every version of it begins to call itself, and within how many bytes.
const NAME: &str = "razar-host bundle";
const BEGIN: usize = 200;

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
    /// Which recordings of calls, of those that facts of it name, are attached: none can be taken out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Digest>,
    /// These, by their digests: what they are is proven as the facts are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attached: BTreeMap<Digest, String>,
    /// Over the choice of facts and attachments: none can be left out.
    signature: Signature,
}

/// Of a file of another shape, only what it calls itself.
#[derive(Deserialize)]
struct Named {
    format: String,
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
    /// What a file's bytes say. Nobody believes it before it is [checked](Self::check).
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let bundle: Self = serde_json::from_slice(bytes).map_err(|error| {
            let begin = bytes.get(..BEGIN).unwrap_or(bytes);
            let ours = String::from_utf8_lossy(begin).contains(NAME);
            match (ours, error.is_eof(), serde_json::from_slice::<Named>(bytes)) {
                (false, ..) => Refused::Foreign,
                (true, true, _) => Refused::Torn(bytes.len()),
                (true, false, Ok(Named { format })) if format != FORMAT => Refused::of_format(&format),
                (true, false, _) => Refused::Shape(error.to_string()),
            }
        })?;
        if bundle.format == FORMAT { Ok(bundle) } else { Err(Refused::of_format(&bundle.format)) }
    }

    /// Believes it, or says why not. Only the key given here is believed, whatever the file names.
    pub fn check(&self, key: &PublicKey) -> Result<(), Refused> {
        let Self { about, head, facts, attachments, signature, .. } = self;
        let text = choice_text(about, head, facts, attachments);
        let vouched = head.is_vouched_by(key) && key.vouches(text.as_bytes(), signature);
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
        self.check_attached()?;
        // Last, because a fact that was changed is better named than a signature that no longer fits.
        if !vouched {
            return Err(Refused::Signature { expected: Box::new(*key), named: Box::new(head.key) });
        }
        Ok(())
    }

    /// Exactly what is listed is there, is what it was, and is named by a fact.
    fn check_attached(&self) -> Result<(), Refused> {
        let named: BTreeSet<Digest> = self.recorded().filter_map(|(_, fact)| calls_of(&fact)).collect();
        let listed: BTreeSet<Digest> = self.attachments.iter().copied().collect();
        for (digest, text) in &self.attached {
            if Digest::of(text.as_bytes()) != *digest || !named.contains(digest) || !listed.contains(digest) {
                return Err(Refused::Attached(*digest));
            }
        }
        match listed.into_iter().find(|digest| !self.attached.contains_key(digest)) {
            Some(missing) => Err(Refused::Missing(missing)),
            None => Ok(()),
        }
    }

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
    /// Something else.
    #[error(
        "it is no bundle of razar-host: `razar-host incident export` and `razar-host log export` make one"
    )]
    Foreign,
    /// The end is missing.
    #[error(
        "it ends early, after {0} bytes: it was cut off while it was written or copied; copy it, or export it, again"
    )]
    Torn(usize),
    /// It calls itself one, and is not of this shape.
    #[error("it was changed, or another version wrote it: {0}")]
    Shape(String),
    /// Another version's.
    #[error(
        "it has the format `{}`, and this host reads `{FORMAT}`: read it with the release that wrote it, or ask for the bundle \
         again", .0.escape_debug()
    )]
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
    /// Something was attached when it was signed.
    #[error(
        "what was attached as `{0}` is missing: it was taken out after the bundle was signed; ask for the bundle again"
    )]
    Missing(Digest),
    /// Facts out of order.
    #[error("fact {0} is out of order or beyond what was asked for")]
    Order(u64),
}

impl Refused {
    /// What it calls itself may be a stranger's.
    fn of_format(format: &str) -> Self {
        Self::Format(format.chars().take(80).collect())
    }
}

/// A bundle that was made, and what is not in it.
#[derive(Debug)]
pub struct Exported {
    /// To be written.
    pub bundle: Bundle,
    /// Recordings that facts of it name, newest first.
    pub left_out: Vec<LeftOut>,
}

/// A recording that is not in a bundle.
#[derive(Debug)]
pub struct LeftOut {
    /// Which.
    pub calls: Digest,
    /// Why.
    pub why: Why,
}

/// Why a recording is not in a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It is gone.
    #[error("it is no longer kept")]
    Gone,
    /// There are newer ones.
    #[error("there is no more room: a bundle has at most {} MiB, and newer recordings are in it", MAX_BUNDLE >> 20)]
    Full,
    /// It could not be read.
    #[error(transparent)]
    Unreadable(#[from] LedgerError),
}

/// Proves the facts about something, signed with this key; with recordings of calls, if they are wanted and still kept, newest
/// first and as many as there is room for.
pub fn export(
    reader: &LedgerReader,
    about: About,
    key: &LedgerKey,
    now: Timestamp,
    recordings: bool,
) -> Result<Exported, ExportError> {
    within(MAX_BUNDLE, reader, about, key, now, recordings)
}

/// The same, in so many bytes.
fn within(
    room: u64,
    reader: &LedgerReader,
    about: About,
    key: &LedgerKey,
    now: Timestamp,
    recordings: bool,
) -> Result<Exported, ExportError> {
    let head = reader.head()?;
    let mut leaves = Vec::new();
    let mut chosen = Vec::new();
    let mut choice = Choice::new(&about);
    let mut bytes = 0;
    let mut recorded_calls = Vec::new();
    for link in Links::new(reader.connection(), 1, head) {
        let link = link?;
        let seq = link.head.seq;
        leaves.push(merkle::leaf(seq, link.at, &link.body));
        // A fact of a version to come cannot be known to be about it.
        let Ok(recorded) = link.read() else { continue };
        if !choice.takes(&recorded) {
            continue;
        }
        recorded_calls.extend(calls_of(&recorded.fact).filter(|_| recordings));
        bytes += link.body.len() as u64 + 200 + 80 * MAX_PROOF as u64 / 2;
        if chosen.len() >= MAX_FACTS || bytes > room {
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
    let (attached, left_out) = attach(reader, &recorded_calls, room.saturating_sub(bytes));
    let attachments: Vec<Digest> = attached.keys().copied().collect();
    let signature = key.sign(choice_text(&about, &head, &facts, &attachments).as_bytes());
    let bundle = Bundle { format: FORMAT.to_owned(), about, head, facts, attachments, attached, signature };
    Ok(Exported { bundle, left_out })
}

/// As many recordings as there is room for, the newest first.
fn attach(
    reader: &LedgerReader,
    named: &[Digest],
    mut room: u64,
) -> (BTreeMap<Digest, String>, Vec<LeftOut>) {
    let (mut attached, mut left_out) = (BTreeMap::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for calls in named.iter().rev().copied().filter(|calls| seen.insert(*calls)) {
        let text = match reader.recording(&calls) {
            Ok(bytes) => bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Why::Gone),
            Err(error) => Err(error.into()),
        };
        let fits = |text: String| match room.checked_sub(length_in_json(&text) + 200) {
            Some(left) => {
                room = left;
                Ok(text)
            }
            None => Err(Why::Full),
        };
        match text.and_then(fits) {
            Ok(text) => drop(attached.insert(calls, text)),
            Err(why) => left_out.push(LeftOut { calls, why }),
        }
    }
    (attached, left_out)
}

/// Bytes of a text as a part of JSON.
fn length_in_json(text: &str) -> u64 {
    let more = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.len() as u64 + 2 + text.bytes().map(more).sum::<u64>()
}

/// The file of a bundle, which may be a stranger's: no more of it than the largest has.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn bytes_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = 2 * MAX_BUNDLE;
    File::open(file)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other("it is larger than any bundle of razar-host"));
    }
    Ok(bytes)
}

/// Reads a bundle and believes it, or says why not. Only the key given here is believed, whatever the file names.
pub fn check(bytes: &[u8], key: &PublicKey) -> Result<Bundle, Refused> {
    let bundle = Bundle::read(bytes)?;
    bundle.check(key)?;
    Ok(bundle)
}

/// The recording that a fact names.
fn calls_of(fact: &Fact) -> Option<Digest> {
    match fact {
        Fact::CallsRecorded { calls, .. } => Some(*calls),
        _ => None,
    }
}

/// What the second signature covers: what was asked, of which root, every fact that was chosen, and what is attached.
fn choice_text(about: &About, head: &SignedCheckpoint, facts: &[Proven], attachments: &[Digest]) -> String {
    let mut chosen = Sha256::new();
    for fact in facts {
        chosen.update(merkle::leaf(fact.seq, fact.at, fact.body.as_bytes()));
    }
    let root = head.checkpoint.root.map(|root| root.to_string()).unwrap_or_default();
    let chosen = Digest::from_bytes(chosen.finalize().into());
    let attached: String = attachments.iter().map(|digest| format!("{digest}\n")).collect();
    format!("{FORMAT}\n{about}\n{root}\n{}\n{chosen}\n{attached}", facts.len())
}

#[cfg(test)]
mod tests;
