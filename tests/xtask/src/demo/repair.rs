//! Two bad releases and what becomes of them. It plays the operator: it deploys, looks, and types commands; whatever is refused,
//! applied or taken back in between, the host does by itself.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::chapter;
use super::stage::{CONFIG, GRANTS, SOURCE, STACK, Stage, is_in};
use crate::say;

/// What an operator has written for `checkout`.
const DIFF: &str = "examples/demo/checkout.diff";

/// All of it, or as much as can be shown on this machine.
pub(super) fn chapters(stage: &Stage) -> Result<()> {
    if let Some(why) = no_trials(stage)? {
        chapter("no repairs: patches cannot be tried on this machine, so none is applied");
        say(why);
        return gate(stage);
    }
    if !stage.root.join("target/plugins/evaluator-python/plugin.toml").exists() {
        say("evaluator-python was not built, as said above: the services' own tests are run natively alone");
    }
    four_patches(stage)?;
    fading_patch(stage)?;
    look_back(stage)?;
    operators_patch(stage)
}

/// Why no trial can be held here, with what to do about it.
fn no_trials(stage: &Stage) -> Result<Option<String>> {
    let found = stage.ask(&["doctor"])?;
    let trials = found
        .iter()
        .find(|found| text(found, "check") == "trials")
        .context("`doctor` says nothing of trials")?;
    let lacking = trials.get("ok").is_none_or(|ok| ok != true);
    Ok(lacking.then(|| format!("{}; {}", text(trials, "detail"), text(trials, "remedy"))))
}

/// What needs no trial: whether a patch might be applied at all.
fn gate(stage: &Stage) -> Result<()> {
    deploy(stage, "checkout", "pricing.py")?;
    stage.tell(&["patch", "check", DIFF, "--component", "checkout", "--config", CONFIG])?;
    stage.show(&["cp", "examples/demo/checkout/pricing.py", "target/demo/stack/checkout/pricing.py"])
}

fn four_patches(stage: &Stage) -> Result<()> {
    chapter("deploy a bad release of checkout: restarts do not help, so an agent is asked");
    deploy(stage, "checkout", "pricing.py")?;
    stage.tell(&["restart", "checkout"])?;
    let incident = stage.wait_for_incident("checkout", "to end", |incident| !is_in(incident, "open"))?;
    stage.tell(&["incident", "show", "checkout"])?;
    ensure!(outcomes(&incident) == ["not-fixed", "refused", "not-fixed", "fixed"], "{incident}");
    ensure!(is_in(&incident, "repaired"), "{incident}");
    stage.tell(&["patch", "diff", "checkout"])
}

fn fading_patch(stage: &Stage) -> Result<()> {
    chapter(
        "a bad release of desk, which is all asyncio and sockets: a patch that passes its trial, and fades",
    );
    let (bad, file) = deploy(stage, "desk", "desk.py")?;
    let (bad, file) = (bad.as_str(), file.as_str());
    stage.show(&["sha256sum", file])?;
    stage.tell(&["restart", "desk"])?;
    stage.wait_for_incident("desk", "to have a patch applied", is_applied)?;
    stage.show(&["sha256sum", file])?;
    stage.wait_for_incident("desk", "to have it taken back", |incident| {
        fate(incident).contains(&"reverted")
    })?;
    stage.show(&["sha256sum", file])?;
    stage.show(&["cmp", file, bad])?;
    say("taken back to the byte");
    stage.wait_for("desk", "to be quarantined", |desk| is_in(desk, "quarantined"))?;
    stage.tell(&["incident", "show", "desk"])?;

    chapter("an operator hands desk over once more");
    stage.tell(&["handover", "desk", "--note", "it has to do with the await"])?;
    stage.wait_for_incident("desk", "to have a better patch", is_applied).map(drop)
}

/// While the patch of `desk` is watched.
fn look_back(stage: &Stage) -> Result<()> {
    chapter("meanwhile: what was tried, by whom, and what became of it");
    stage.tell(&["incident", "list"])?;
    stage.tell(&["patch", "list"])?;
    stage.tell(&["patch", "show", "desk"])?;
    stage.wait_for_incident("desk", "to be repaired", |incident| is_in(incident, "repaired")).map(drop)
}

fn operators_patch(stage: &Stage) -> Result<()> {
    chapter("an operator's turn: take the patch of checkout back, try one of his own, apply it");
    let file = &format!("{STACK}/checkout/pricing.py");
    stage.tell(&["patch", "rollback", "checkout"])?;
    stage.wait_for("checkout", "to be out", |checkout| is_in(checkout, "quarantined"))?;
    stage.show(&["cmp", file, &format!("{SOURCE}/bad/checkout/pricing.py")])?;
    let check = [
        "patch",
        "check",
        DIFF,
        "--component",
        "checkout",
        "--config",
        CONFIG,
        "--plugins",
        "target/plugins",
    ];
    stage.tell(&[&check[..], &["--grants", GRANTS, "--trial", "--hold", "1s"]].concat())?;
    stage.tell(&["patch", "apply", DIFF, "--component", "checkout"])?;
    stage.wait_for_incident("checkout", "to be repaired", |incident| is_in(incident, "repaired"))?;
    stage.show(&["cmp", file, &format!("{SOURCE}/checkout/pricing.py")])?;
    stage.tell(&["incident", "list"])
}

/// Puts a file of a bad release in place of the good one; returns both places.
fn deploy(stage: &Stage, component: &str, file: &str) -> Result<(String, String)> {
    let (from, to) = (format!("{SOURCE}/bad/{component}/{file}"), format!("{STACK}/{component}/{file}"));
    stage.show(&["cp", &from, &to])?;
    Ok((from, to))
}

fn attempts(incident: &Value) -> impl Iterator<Item = &Value> {
    incident.get("attempts").and_then(Value::as_array).into_iter().flatten()
}

/// How each attempt ended.
fn outcomes(incident: &Value) -> Vec<&str> {
    attempts(incident).map(|attempt| text(attempt, "outcome")).collect()
}

fn is_applied(incident: &Value) -> bool {
    fate(incident).contains(&"applied")
}

/// What was done with the patch of its first attempt.
fn fate(incident: &Value) -> Vec<&str> {
    let done = attempts(incident).next().and_then(|attempt| attempt.get("done")).and_then(Value::as_array);
    done.into_iter().flatten().map(|done| text(done, "what")).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
