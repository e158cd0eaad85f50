//! What the host itself proposes, without asking anybody: changes that have repaired such a failure before, changes that passed a
//! trial in this incident and were not taken, and the files as they were while the component was well. It trusts none of them: they
//! go through the gate, a trial and the canary.

use std::collections::BTreeMap;
use std::sync::Arc;

use razar_core::id::Digest;
use razar_core::incident::{End, Incident};
use razar_core::patch::{Change, Manifest, Proposal, Side, Tree, Version};
use razar_core::plan::ComponentPlan;

use super::{Workshop, failed, words};

/// Changes that were made or tried before, if the files are what they were then.
pub(super) async fn remembered(
    workshop: &Workshop,
    manifest: Digest,
    now: &Tree,
    then: &str,
) -> Result<Proposal, End> {
    let kept = workshop.driver.bytes(manifest).await.map_err(failed)?;
    let manifest = Manifest::read(&kept).map_err(|error| failed(error.to_string()))?;
    let mut proposal = Proposal::default();
    for file in manifest.files() {
        let path = file.path().to_string();
        let before = file.at(Side::Before);
        if now.digest(&path) != before || before.is_none() && now.get(&path).is_some() {
            let why = format!("`{path}` is not what it was {then}");
            return Err(End::Refused { code: "stale".to_owned(), why: words(&why) });
        }
        proposal.shown.extend(before.map(|digest| (path.clone(), digest)));
        proposal.changes.push(match file.at(Side::After) {
            Some(after) => {
                let content = workshop.driver.bytes(after).await.map_err(failed)?;
                Change::Write { path, content }
            }
            None => Change::Delete { path },
        });
    }
    Ok(proposal)
}

/// The files of an earlier time.
pub(super) async fn version(
    workshop: &Workshop,
    version: Digest,
    plan: &Arc<ComponentPlan>,
    now: &Tree,
) -> Result<Proposal, End> {
    let kept = workshop.driver.bytes(version).await.map_err(failed)?;
    let version = Version::read(&kept).map_err(|error| failed(error.to_string()))?;
    let mut bytes = BTreeMap::new();
    for digest in version.needed(now) {
        bytes.insert(digest, workshop.driver.bytes(digest).await.map_err(failed)?);
    }
    let proposal = version.proposal(now, &workshop.rules(plan), &bytes);
    if proposal.changes.is_empty() {
        return Err(End::Declined { why: "its files are those of the last time it was well".to_owned() });
    }
    Ok(proposal)
}

/// How each version that is offered stands: whether it is what is there, or was tried in this incident.
pub(super) async fn standing(
    workshop: &Workshop,
    incident: &Incident,
    now: &Tree,
) -> Result<BTreeMap<Digest, &'static str>, String> {
    let mut tried = Vec::new();
    for manifest in incident.over.iter().filter_map(|attempt| attempt.end.as_ref()?.manifest()) {
        tried.extend(Manifest::read(&workshop.driver.bytes(manifest).await?).ok());
    }
    let mut standing = BTreeMap::new();
    for (_, digest) in &incident.versions {
        let Ok(version) = Version::read(&workshop.driver.bytes(*digest).await?) else { continue };
        if version.needed(now).is_empty() {
            standing.insert(*digest, "current");
        } else if tried.iter().any(|changes| version.holds(changes)) {
            standing.insert(*digest, "tried");
        }
    }
    Ok(standing)
}
