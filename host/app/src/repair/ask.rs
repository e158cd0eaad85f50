//! Where a proposal comes from: an agent that is told about the failure, the host's memory, or the operator's own diff. What an agent says is an
//! opinion: nothing of it is believed here, and no secret goes to it or comes back from it where it does not belong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use razar_core::effect::Attempt;
use razar_core::grant::Role;
use razar_core::id::{Digest, PluginId};
use razar_core::incident::{End, Incident, Spent, Trouble, Who};
use razar_core::patch::{Change as Asked, Proposal, Tree};
use razar_core::plan::ComponentPlan;
use razar_core::redact::Redactor;
use razar_runtime::contract::agent::{Change, Remedy};

use super::keep::Noted;
use super::{Workshop, blocking, failed, recall, trouble, words};
use crate::agent::consult::{self, Consulted, consult, restored};
use crate::agent::context::Context;
use crate::agent::workspace::{Unfit, Workspace};
use crate::agent::{secrets, tree};
use crate::evidence;
use crate::record::take::RecordedAgent;

/// Where agents that edit files find their copies, below the state directory.
pub(super) const WORKSPACES: &str = "workspaces";

/// One conversation: some turns of a slow model.
const TIME: Duration = Duration::from_secs(300);

/// What is proposed, or how it ended without a proposal.
pub(super) async fn proposal(
    workshop: &Arc<Workshop>,
    attempt: &Attempt,
    plan: &Arc<ComponentPlan>,
    incident: &Incident,
    files: &Tree,
    spent: &mut Spent,
    noted: &mut Noted,
) -> Result<Proposal, End> {
    match &attempt.who {
        Who::Operator(diff) => Ok(Proposal::diff(workshop.driver.bytes(*diff).await.map_err(failed)?)),
        Who::Memory(manifest) => {
            recall::remembered(workshop, *manifest, files, "when this repaired it").await
        }
        Who::RunnerUp(manifest) => {
            recall::remembered(workshop, *manifest, files, "when this passed its trial").await
        }
        Who::Version(version) => recall::version(workshop, *version, plan, files).await,
        Who::Agent(agent) => {
            let copied = format!("{}-{}-{}", plan.id, incident.id, attempt.number);
            of_agent(workshop, (agent, copied), plan, incident, files, spent, noted).await
        }
    }
}

async fn of_agent(
    workshop: &Arc<Workshop>,
    (name, copied): (&PluginId, String),
    plan: &Arc<ComponentPlan>,
    incident: &Incident,
    files: &Tree,
    spent: &mut Spent,
    noted: &mut Noted,
) -> Result<Proposal, End> {
    let entry = workshop.packages.iter().find(|(known, _)| *known == name).map(|(_, entry)| entry);
    let found = entry.and_then(|entry| Some((entry.plugin.agent()?, entry.plugin.as_ref())));
    let Some((agent, plugin)) = found else {
        let why = format!("no agent plugin `{name}` is loaded");
        return Err(End::Unavailable { why, trouble: Trouble::NotLoaded, retry_after: None });
    };
    let (shop, component) = (Arc::clone(workshop), Arc::clone(plan));
    let editor = entry.and_then(|entry| entry.plugin.grant(Role::Agent)?.permit_workspace());
    let standing = recall::standing(workshop, incident, files).await.map_err(failed)?;
    let context = Context::of(plan, incident, &standing);
    let told = blocking(move || {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .chain(component.env.clone());
        let redactor = Redactor::new(secrets::known(environment, shop.packages.grants()));
        let mut tree = tree::Tree::read(&PathBuf::from(&component.workdir), redactor)
            .map_err(|error| format!("cannot read `{}`: {error}", component.workdir))?;
        // A component that has never printed anything has no log.
        let log = evidence::output_file(&shop.state, &component.id);
        let context = context.with_past(&shop.state);
        let context = context.clone().with_log(&log).unwrap_or(context);
        let mut brief = context.brief(&mut tree);
        let below = shop.state.join(WORKSPACES);
        let copy = editor.map(|permit| Workspace::make(&permit, &below, &copied, &tree)).transpose();
        let copy = copy.map_err(|error| format!("cannot copy the files for the agent: {error}"))?;
        copy.iter().for_each(|copy| copy.offer(&mut brief));
        Ok((tree, brief, copy))
    });
    let (tree, brief, copy) = told.await.map_err(failed)?;
    let bounds = consult::Bounds::within(TIME);
    let asked = RecordedAgent { agent, plugin, notes: noted.notes.clone() };
    let over = consult(&asked, &brief, &tree, "{}", bounds).await;
    *spent = trouble::spent(&over);
    let Consulted { end, .. } = over;
    let said = match &end {
        consult::End::Proposed(proposal) => Some(proposal),
        _ => None,
    };
    noted.asked(workshop, plan, brief, &tree, files, said).await;
    let proposal = match end {
        consult::End::Proposed(proposal) => {
            let proposal = match &copy {
                Some(copy) => copy.told(&tree, proposal).map_err(unfit)?,
                None => proposal,
            };
            restored(&tree, &proposal).map_err(|stray| End::Refused {
                code: "stray-secret".to_owned(),
                why: words(&format!("{stray}: a secret stays in its file")),
            })?
        }
        consult::End::Refused(error) => return Err(trouble::refused(&error)),
        consult::End::Failed(failure) => return Err(trouble::without_answer(&failure)),
        consult::End::Stopped(stop) => {
            return Err(End::failed(Trouble::Endless, words(&stop.to_string())));
        }
    };
    let changes = match proposal.remedy {
        Remedy::Patch(changes) => changes,
        Remedy::Decline(why) => return Err(End::Declined { why: words(&why) }),
        Remedy::Restore(id) => {
            let offered = incident.versions.iter().find(|(_, version)| version.to_string() == id);
            let Some((_, version)) = offered else {
                return Err(End::Refused {
                    code: "unknown-version".to_owned(),
                    why: words(&format!("no version `{id}` was offered")),
                });
            };
            return recall::version(workshop, *version, plan, files).await;
        }
        Remedy::Act(_) => {
            return Err(End::Refused {
                code: "unknown-action".to_owned(),
                why: "no action was offered".to_owned(),
            });
        }
    };
    let seen = tree.files().filter_map(|(path, _)| Some((path.to_owned(), files.digest(path)?)));
    let shown: BTreeMap<String, Digest> = seen.collect();
    let change = |change: Change| match change {
        Change::Write(file) => Asked::Write { path: file.path, content: file.content },
        Change::Delete(path) => Asked::Delete { path },
        Change::UnifiedDiff(diff) => Asked::Diff(diff.into_bytes()),
    };
    Ok(Proposal { changes: changes.into_iter().map(change).collect(), shown })
}

/// What an agent did in its copy cannot be taken over.
fn unfit(unfit: Unfit) -> End {
    let why = words(&unfit.to_string());
    match unfit {
        Unfit::Read(_) => End::failed(Trouble::Nonsense, why),
        Unfit::Strange(..) => End::Refused { code: "strange-file".to_owned(), why },
        Unfit::Unchanged => End::Declined { why },
    }
}
