//! What an outside witness is worth: which of its lines were signed by this ledger's key, and whether the ledger bears
//! them out. A line that nobody vouches for proves nothing in either direction.

use razar_core::fact::Anchor;

use super::{Held, Told, Verdict, WITNESS, Witness, Worth};
use crate::checkpoint::{MAX_LINE, SignedCheckpoint};
use crate::key::PublicKey;

/// What can be used of a witness.
#[derive(Debug)]
pub(super) struct Judged {
    name: String,
    key: Option<PublicKey>,
    /// Vouched for: the ledger each names, and where that ended.
    claims: Vec<(String, Anchor)>,
    /// Checkpoints of this ledger, by their own account, that the key did not sign.
    unsigned: Vec<(String, Anchor)>,
    /// Lines that are no checkpoints.
    noise: usize,
}

impl Judged {
    pub(super) fn new(witness: &Witness, key: Option<PublicKey>) -> Self {
        let (mut claims, mut unsigned, mut noise) = (Vec::new(), Vec::new(), 0);
        for line in witness.lines.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let read = (line.len() <= MAX_LINE).then(|| serde_json::from_slice::<SignedCheckpoint>(line));
            match read {
                Some(Ok(signed)) => {
                    let vouched = key.is_some_and(|key| signed.is_vouched_by(&key));
                    let claim = (signed.checkpoint.state, signed.checkpoint.head);
                    if vouched { claims.push(claim) } else { unsigned.push(claim) }
                }
                _ => noise += 1,
            }
        }
        Self { name: witness.name.clone(), key, claims, unsigned, noise }
    }

    /// The facts somebody claims something about.
    pub(super) fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        self.claims.iter().map(|(_, claim)| claim.seq)
    }

    pub(super) fn told(&self, held: &Held, state: Option<&str>) -> Told {
        let (verdict, seq, mut says) = self.judge(held, state);
        let strange = self.unsigned.iter().filter(|(name, _)| state == Some(name.as_str())).count();
        if strange > 0 && verdict == Verdict::Agrees {
            says.push_str(&format!(
                "; {strange} of its checkpoints of this ledger are not signed with this key"
            ));
        }
        if self.noise > 0 {
            says.push_str(&format!("; {} of its lines are no checkpoints", self.noise));
        }
        Told::new(WITNESS, verdict, seq, format!("`{}`: {says}", self.name))
    }

    fn judge(&self, held: &Held, state: Option<&str>) -> (Verdict, Option<u64>, String) {
        if self.key.is_none() {
            let says = "this directory has no key by which its checkpoints could be known: name the public key with \
                        `--key FILE`";
            return (Verdict::Silent, None, says.to_owned());
        }
        // One key signs for one ledger: the name is not what an intruder may choose.
        if let Some((name, claim)) = self.claims.iter().find(|(name, _)| state != Some(name.as_str())) {
            let says =
                format!("the same key signed fact {} of ledger `{name}`, which is not this one", claim.seq);
            return (Verdict::Contradicts, Some(claim.seq), says);
        }
        let worths = || self.claims.iter().map(|(_, claim)| (held.weigh(*claim), claim.seq));
        if let Some(seq) = worths().filter(|(worth, _)| *worth == Worth::False).map(|(_, seq)| seq).min() {
            let says = if held.hashes.contains_key(&seq) {
                format!("it saw another fact {seq}: the facts up to there were replaced")
            } else {
                format!("it saw fact {seq}, and the ledger ends with fact {}: facts were cut off", held.last)
            };
            return (Verdict::Contradicts, Some(seq), says);
        }
        if let Some(seq) = worths().filter(|(worth, _)| *worth == Worth::True).map(|(_, seq)| seq).max() {
            let says = format!(
                "{} checkpoints agree, the newest is of fact {seq}; facts after it have no witness",
                self.claims.len()
            );
            return (Verdict::Agrees, Some(seq), says);
        }
        if self.unsigned.iter().any(|(name, _)| state == Some(name.as_str())) {
            let says = "its checkpoints of this ledger are signed with another key than this directory's: the key was \
                        replaced, or they are forged";
            return (Verdict::Contradicts, None, says.to_owned());
        }
        (Verdict::Silent, None, "it has no checkpoint of this ledger that can be compared".to_owned())
    }
}
