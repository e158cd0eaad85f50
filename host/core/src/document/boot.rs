//! The boot configuration as written, in both shapes operators have (`name`/`command`/`health_check` and
//! `id`/`layer`/`entrypoint`/`health`), which one file may mix. What it means is [`crate::plan`]'s business; the JSON
//! Schema comes from these types, and a test keeps the reader's keys in step with them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::units::Bytes;
use crate::time::Millis;

/// The services of one machine, and how they are started, watched and stopped.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(title = "razar-host boot configuration", deny_unknown_fields)]
pub struct BootConfig {
    /// Address of this schema, for editors.
    #[schemars(rename = "$schema")]
    pub schema: Option<String>,
    /// What the stack is for; `--mission` overrides it.
    pub mission: Option<String>,
    /// The layers in boot order; without it, the order in which components first name them.
    pub layers: Option<Vec<String>>,
    /// The services.
    #[schemars(length(min = 1, max = 10000))]
    pub components: Vec<Component>,
}

/// One service. It needs `id` or `name`, `entrypoint` or `command`, and a probe: `health`, `health_check` or `probes`.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, extend("allOf" = [
    { "oneOf": [{ "required": ["id"] }, { "required": ["name"] }] },
    { "oneOf": [{ "required": ["entrypoint"] }, { "required": ["command"] }] },
    { "anyOf": [{ "required": ["health"] }, { "required": ["health_check"] }, { "required": ["probes"] }] },
    { "not": { "required": ["health", "health_check"] } },
]))]
pub struct Component {
    /// Its name: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 64))]
    pub id: Option<String>,
    /// The same as `id`, in the other shape.
    #[schemars(length(min = 1, max = 64))]
    pub name: Option<String>,
    /// The layer it boots in; without it, the first one.
    #[schemars(length(min = 1, max = 64))]
    pub layer: Option<String>,
    /// What to run: an argument list, or a line that is split into words. Never given to a shell.
    pub entrypoint: Option<Entrypoint>,
    /// The same as `entrypoint`, in the other shape.
    pub command: Option<Entrypoint>,
    /// How its health is asked for; used for startup and liveness unless `probes` says otherwise. While it starts it is
    /// asked at least four times a second.
    pub health: Option<Health>,
    /// A command whose exit code 0 means healthy, in the other shape: an argument list.
    #[schemars(length(min = 1))]
    pub health_check: Option<Vec<String>>,
    /// A probe of its own for each phase.
    pub probes: Option<PhaseProbes>,
    /// Components that are ready before this one starts.
    pub depends_on: Option<Vec<String>>,
    /// The mission has failed without it: if it fails for good while booting, the boot halts. Default: false.
    pub vital: Option<bool>,
    /// What happens when it fails.
    pub restart: Option<Restart>,
    /// Environment variables added to the host's own, reduced environment.
    pub env: Option<BTreeMap<String, String>>,
    /// Where it runs; relative to the directory of this file, which is also the default.
    #[schemars(length(min = 1))]
    pub workdir: Option<String>,
    /// The user it runs as; the host's own unless said otherwise.
    #[schemars(length(min = 1, max = 32))]
    pub user: Option<String>,
    /// How it is asked to end.
    pub stop: Option<Stop>,
    /// Its processes can never gain rights, not by set-user-ID programs such as `sudo` either. Default: false.
    pub no_new_privileges: Option<bool>,
    /// Of what each of its processes may have no more than so much; the kernel sees to it.
    pub limits: Option<Limits>,
    /// What repairs may change of it; without it, everything below `workdir` that no other component's is, if `workdir` is
    /// this component's alone. Tests, CI, policy, grants and the host's own files are never changed.
    pub patch: Option<Patch>,
    /// Who repairs it when local restarts have not helped, and how a repair is judged. Without it nobody does, and its files
    /// are never changed; with it, the host may write below the `patch` roots.
    pub repair: Option<Repair>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Entrypoint {
    /// A line, split into words as a shell would, without one: no variables, no pipes.
    Line(#[schemars(length(min = 1))] String),
    /// The arguments themselves.
    Words(#[schemars(length(min = 1))] Vec<String>),
}

/// How health is asked for.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Health {
    /// `http://…` or `https://…` (2xx is healthy), `tcp://host:port` (accepts a connection is healthy), the path of a
    /// log file (contains `started` is healthy), or `process` (a process that lives is healthy).
    Short(#[schemars(length(min = 1))] String),
    /// A probe with settings, or a command.
    Probe(Box<Probe>),
}

/// A probe plugin with its settings, or a command, and when its answers count.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Probe {
    /// The probe plugin; without it, the one that fits `address` or `log`.
    pub probe: Option<String>,
    /// Where the probe may connect: a URL or `host:port`.
    pub address: Option<String>,
    /// The log whose tail the probe may read: a path, relative to `workdir`, or `output` for what the component prints.
    pub log: Option<String>,
    /// What the plugin is told; each plugin has a schema of its own.
    pub settings: Option<BTreeMap<String, Value>>,
    /// An argument list with Nagios exit codes, run by the launcher instead of a plugin. Not sandboxed.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// Who may answer at an `address` of this machine while the component starts: `own` (the default) takes no answer
    /// from a port that another process holds; `any` is for services whose socket somebody else holds, such as a
    /// container's proxy.
    #[schemars(extend("enum" = ["own", "any", null]))]
    pub listener: Option<String>,
    /// Between the end of one answer and the next question. Default: `10 s`, for startup `250 ms`.
    pub interval: Option<Span>,
    /// How long one question may take. Default: `5 s`.
    pub timeout: Option<Span>,
    /// Startup only: from launch to the first success. Default: `60 s`.
    pub deadline: Option<Span>,
    /// So many failures within the window make it fail. Default: 3.
    #[schemars(range(min = 1, max = 32))]
    pub failures: Option<u32>,
    /// How many of the last answers count. Default: the same as `failures`.
    #[schemars(range(min = 1, max = 32))]
    pub window: Option<u32>,
    /// So many successes in a row make it well again. Default: 1.
    #[schemars(range(min = 1, max = 32))]
    pub successes: Option<u32>,
}

/// A probe for each phase; one that is absent falls back to `health`.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PhaseProbes {
    /// Asked until it first succeeds; without it and without `health`, the liveness or the readiness probe is.
    pub startup: Option<Health>,
    /// Decides whether others may depend on it; failing it restarts nothing.
    pub readiness: Option<Health>,
    /// Decides whether it must be restarted.
    pub liveness: Option<Health>,
}

/// What happens when a component fails.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Restart {
    /// Launches after the first before it is quarantined; `--retries` overrides it. Default: 3.
    #[schemars(range(max = 1000))]
    pub retries: Option<u32>,
    /// Before the second launch; doubles with each further one. Default: `1 s`.
    pub backoff: Option<Span>,
    /// Where doubling ends. Default: `60 s`.
    pub backoff_max: Option<Span>,
    /// Healthy for so long forgives one failure. Default: `10 min`.
    pub forgive_after: Option<Span>,
}

/// How a component is asked to end.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Stop {
    /// The first signal, such as `SIGTERM` (the default) or `SIGINT`.
    pub signal: Option<String>,
    /// How long it may take before SIGKILL. Default: `10 s`.
    pub grace: Option<Span>,
}

/// Of what each process of a component may have no more than so much. Its native checks are held to the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Limits {
    /// Files, sockets and pipes open at once.
    #[schemars(range(min = 16))]
    pub open_files: Option<u32>,
    /// Processes and threads of its user at once, those of other components with the same user included; root is not held
    /// to it: see `tasks`.
    #[schemars(range(min = 1))]
    pub processes: Option<u32>,
    /// Address space, at least `64 MiB`; what is reserved counts, also where it is never used.
    pub address_space: Option<Size>,
    /// A file it writes; longer ones end it with a signal.
    pub file_size: Option<Size>,
    /// A core dump: `0 B` for none.
    pub core_dump: Option<Size>,
    /// Memory that is never swapped.
    pub locked_memory: Option<Size>,
    /// Time on a processor, in whole seconds; then a signal ends it.
    pub cpu_time: Option<Span>,
    /// Memory of all its processes together, at least `4 MiB`; beyond it the kernel kills. Needs control groups.
    pub memory: Option<Size>,
    /// Processes and threads of the component together, whoever they run as. Needs control groups.
    #[schemars(range(min = 1))]
    pub tasks: Option<u32>,
}

/// What repairs may change of a component. What is protected wins over the roots.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Patch {
    /// Directories and files that may be changed, relative to `workdir`; `["."]` is all of it, an empty list nothing.
    pub roots: Option<Vec<String>>,
    /// What may not, below the roots: names, at every depth, or paths relative to `workdir`; `*` stands for any letters of
    /// one part, and a slash at the beginning ties a single name to `workdir`.
    pub protect: Option<Vec<String>>,
    /// Whether files may be deleted or emptied. Default: false.
    pub deletions: Option<bool>,
}

/// Who repairs a component, and how a repair is judged: always by the gate and by a start in a sealed copy, where the probes
/// that opened the incident must be satisfied.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Repair {
    /// The agent plugins that are asked, in this order.
    pub agents: Option<Vec<String>>,
    /// How often each is asked in one incident. Default: 3.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: Option<u32>,
    /// Whether all agents that can be asked are asked side by side; the smallest patch that passes everything is applied. rStar never
    /// takes part and is asked alone afterwards. Default: `false`; `--tournament` is for all components.
    pub tournament: Option<bool>,
    /// The evaluator plugins that judge a patch besides. Default: every one there is.
    pub evaluators: Option<Vec<String>>,
    /// Its own tests, run natively in the sealed copy, without a network: they must fail before the patch and pass with it.
    pub tests: Option<Tests>,
    /// How long the patched service must stay well in the sealed copy after it is ready. Default: `5 s`.
    pub hold: Option<Span>,
    /// How long it must stay well for real before the incident is closed; otherwise the patch is taken back. Default: `60 s`.
    pub canary: Option<Span>,
    /// When nobody is left to ask, whether the files of the last time it was well are tried. Default: `true`; `false` where older
    /// code must not meet newer data.
    pub last_good: Option<bool>,
}

/// A test command.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tests {
    /// An argument list, run in `workdir`; exit code 0 means that all tests pass.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// How long one run may take. Default: `60 s`.
    pub timeout: Option<Span>,
}

/// A size: a text such as `64 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub Bytes);

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: a text such as `64 MiB` (units B, KiB, MiB, GiB).",
            "type": "string",
            "pattern": r"^\d+ ?(B|KiB|MiB|GiB)$"
        })
    }
}

/// A span of time: a text such as `500 ms`, `2 s` or `1 min 30 s`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Millis);

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A span of time: a text such as `500 ms`, `2 s` or `1 min 30 s` (units ms, s, min, h, d), \
                or a number of seconds.",
            "anyOf": [
                {
                    "type": "string",
                    "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|min|h|d)(\s*\d+(\.\d+)?\s*(ms|s|min|h|d))*\s*$"
                },
                { "type": "number", "minimum": 0 }
            ]
        })
    }
}

/// The JSON Schema (draft 2020-12) of a boot configuration, for editors and CI.
pub fn schema() -> Value {
    schemars::schema_for!(BootConfig).to_value()
}
