//! What `conform` says, line by line as it finds out: for people, or one JSON object a line. It counts, and judges nothing.

use std::path::Path;

use razar_conform::Case;
use razar_core::count::counted;
use razar_core::fact::Phase;
use razar_core::grant::{Capability, LimitField, Role};
use razar_core::id::{ComponentId, PluginId};
use razar_runtime::contract::Report;
use razar_runtime::outcome::CallReport;
use serde_json::{Value, json};

use super::super::say;
use crate::cli::Output;

/// See the module.
pub(super) struct Tell {
    output: Output,
    grants: Option<String>,
    limits: usize,
    cases: usize,
    asked: usize,
    denied: usize,
    idle: usize,
    holes: usize,
}

/// One limit of one plugin, and how it was when it was tried.
pub(super) struct Limit<'a> {
    pub(super) plugin: &'a PluginId,
    pub(super) role: Role,
    pub(super) field: LimitField,
    pub(super) in_force: u64,
    pub(super) tried: u64,
    pub(super) wrong: &'a [String],
}

impl Tell {
    pub(super) fn new(output: Output, grants: Option<&Path>) -> Self {
        let grants = grants.map(|file| file.display().to_string());
        Self { output, grants, limits: 0, cases: 0, asked: 0, denied: 0, idle: 0, holes: 0 }
    }

    fn say(&self, json: impl FnOnce() -> Value, human: impl FnOnce() -> Option<String>) {
        match self.output {
            Output::Json => say(&json().to_string()),
            Output::Human | Output::Plain => human().iter().for_each(|line| say(line)),
        }
    }

    /// What is tried takes its time, and people like to know.
    pub(super) fn begin(&self, plugins: usize, cases: usize) {
        if self.output != Output::Json {
            let (plugins, cases) = (counted(plugins, "plugin"), counted(cases, "hostile case"));
            say(&format!("trying the limits of {plugins} and {cases}; a minute, or more on a busy machine"));
        }
    }

    /// A limit was tried.
    pub(super) fn limit(&mut self, limit: &Limit<'_>) {
        let Limit { plugin, role, field, in_force, tried, wrong } = limit;
        self.limits += 1;
        self.holes += usize::from(!wrong.is_empty());
        let json = || {
            json!({
                "kind": "limit", "plugin": plugin, "role": role.as_str(), "limit": field.as_str(),
                "in_force": in_force, "tried": tried, "enforced": wrong.is_empty(), "wrong": wrong,
            })
        };
        self.say(json, || {
            let why = wrong.join("; ");
            (!wrong.is_empty()).then(|| {
                format!("hole: `{field}` of {plugin} is {in_force} and does not hold at {tried}: {why}")
            })
        });
    }

    /// A case was run.
    pub(super) fn case(&mut self, case: &Case, wrong: &[String]) {
        self.cases += 1;
        self.holes += usize::from(!wrong.is_empty());
        let json = || {
            json!({
                "kind": "case", "case": case.name(), "about": case.about(), "guard": case.guard(),
                "held": wrong.is_empty(), "wrong": wrong,
            })
        };
        self.say(json, || {
            let (name, about, why) = (case.name(), case.about(), wrong.join("; "));
            (!wrong.is_empty()).then(|| format!("hole: {name} ({about}): {why}"))
        });
    }

    /// A probe was asked.
    pub(super) fn asked(
        &mut self,
        plugin: &PluginId,
        about: &ComponentId,
        phase: Phase,
        report: &CallReport<Report>,
    ) {
        self.asked += 1;
        let outcome = report.outcome.as_str();
        let json = || {
            json!({
                "kind": "asked", "plugin": plugin, "component": about, "phase": phase.as_str(), "outcome": outcome,
            })
        };
        self.say(json, || Some(format!("asked: {plugin} about {about} ({}): {outcome}", phase.as_str())));
        for denied in report.record.denied() {
            self.denied += 1;
            let remedy = denied.remedy(plugin, self.grants.as_deref());
            let json = || {
                json!({
                    "kind": "denied", "plugin": plugin, "component": about,
                    "capability": denied.capability().to_string(), "reason": denied.reason().as_str(),
                    "subject": denied.subject(), "line": denied.line(), "remedy": remedy,
                })
            };
            self.say(json, || Some(format!("denied: {plugin} about {about}: {denied}: {remedy}")));
        }
    }

    /// A line of the grants was needed by no call.
    pub(super) fn idle(&mut self, plugin: &PluginId, capability: Capability, line: &str) {
        self.idle += 1;
        let json = || json!({ "kind": "unused", "plugin": plugin, "capability": capability.to_string(), "rule": line });
        self.say(json, || {
            Some(format!(
                "unused: {capability} `{line}` of {plugin}: take it away unless another call needs it"
            ))
        });
    }

    /// The end; how many holes there are.
    pub(super) fn sum(&self, plugins: usize, problems: usize) -> usize {
        let Self { limits, cases, asked, denied, idle, holes, .. } = *self;
        let json = || {
            json!({
                "kind": "sum", "plugins": plugins, "problems": problems, "limits": limits, "cases": cases,
                "asked": asked, "denied": denied, "unused": idle, "holes": holes,
            })
        };
        self.say(json, || {
            let tried = match (limits, cases) {
                (0, 0) => "no limit was tried and no case run: name a corpus with `--corpus DIR`".to_owned(),
                (limits, cases) => {
                    format!("{} and {} tried", counted(limits, "limit"), counted(cases, "case"))
                }
            };
            let asked = match asked {
                0 => "no probe was asked: name a boot configuration with `--config FILE`".to_owned(),
                asked => format!(
                    "{} asked, {} denied, {} unused",
                    counted(asked, "probe"),
                    counted(denied, "attempt"),
                    counted(idle, "grant")
                ),
            };
            Some(format!("{}: {tried}; {asked}; {}", counted(plugins, "plugin"), counted(holes, "hole")))
        });
        holes
    }
}
