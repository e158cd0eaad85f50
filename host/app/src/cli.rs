//! What may be typed. The help texts are the manual: they say what happens, where it is written, and how it ends.

mod archive;
mod diagnose;
mod log;
mod patch;
mod plugin;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use archive::{Backup, Import, Restore};
pub(crate) use diagnose::Diagnose;
pub(crate) use log::{Log, LogExport, LogTail, LogVerify};
pub(crate) use patch::{
    Incident, IncidentExport, IncidentList, IncidentReplay, Patch, PatchApply, PatchCheck, PatchShow,
};
pub(crate) use plugin::{PluginAdd, PluginRemove};

use crate::packages::Sources;
use crate::witness::Place;

/// Boots services in order, watches them with sandboxed WebAssembly probes, isolates what fails.
#[derive(Debug, Parser)]
#[command(
    name = "razar-host",
    version,
    after_help = "Exit codes: 0 done; 1 it ran and failed, or was refused; 2 what was typed or configured is wrong, or names \
                  something that is not there (a file, a directory without a ledger, a component, an incident, a patch); \
                  3 an internal error.\n\
                  Everything is kept below `--state DIR` (default `./razar-state`): the facts in `razar.db`, and the \
                  files operators know, written from them."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) logging: Logging,
}

// How the host logs what it does itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct Logging {
    /// What is logged on standard error, for instance `warn`, `info` or `razar_host=debug`
    #[arg(
        long,
        global = true,
        env = "RAZAR_LOG",
        default_value = "warn",
        value_name = "FILTER",
        help_heading = "Logging"
    )]
    pub(crate) log: String,
    /// Shape of log lines
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Logging")]
    pub(crate) log_format: LogFormat,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Shape of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people; a live view on a terminal, plain lines otherwise.
    #[default]
    Human,
    /// For people, line by line, even on a terminal.
    Plain,
    /// For programs: one JSON object a line.
    Json,
}

/// The state directory of whoever names none.
pub(crate) const STATE: &str = "razar-state";

// Which state directory.
#[derive(Debug, Clone, Args)]
pub(crate) struct State {
    /// Where facts, logs and sockets live; one host at a time
    #[arg(long, value_name = "DIR", default_value = STATE, env = "RAZAR_STATE")]
    pub(crate) state: PathBuf,
}

// Which plugins, and what they may do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Plugins {
    /// A directory of plugin packages, one directory each with a `plugin.toml`; may be given more than once
    #[arg(id = "plugins_dirs", long = "plugins", value_name = "DIR")]
    pub(crate) plugins: Vec<PathBuf>,
    /// What each plugin is granted beyond what its role always has; nothing without
    #[arg(long, value_name = "FILE")]
    pub(crate) grants: Option<PathBuf>,
    /// Whose signatures are believed, as `config/signers.toml` has an example; whatever a `plugins.lock` says was signed is
    /// verified again with these keys, and what nobody signed is refused if the file says so
    #[arg(long, value_name = "FILE")]
    pub(crate) signers: Option<PathBuf>,
}

impl Plugins {
    /// The same, as it is read.
    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources { dirs: &self.plugins, grants: self.grants.as_deref(), signers: self.signers.as_deref() }
    }
}

// The stack.
#[derive(Debug, Clone, Args)]
pub(crate) struct Stack {
    /// The boot configuration: services, layers, probes
    #[arg(long, value_name = "FILE", default_value = "config/boot_config.json")]
    pub(crate) config: PathBuf,
    /// Relaunches before a component is quarantined, for every component
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// Who repairs components whose `repair` names nobody; without it `razar_ai_agents.json` beside the boot configuration,
    /// when it is there
    #[arg(long, value_name = "FILE")]
    pub(crate) roster: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Boot the stack and watch it until stopped
    ///
    /// Starts every component of the configuration, layer by layer; takes over what an earlier host left running.
    /// Ctrl-C and SIGTERM stop everything in reverse order; while plugins are still prepared they end the host with nothing started
    /// (0, as after any other stop); while nothing can be recorded (a full disk) they wait for that,
    /// and a second one ends the host at once and leaves the services running. If the host itself is killed, or its terminal closed, the
    /// services go on, and the next `run` with the same `--state` adopts them. Ends with 1 if a vital component failed while booting.
    ///
    /// What somebody must know at once (a boot that halted, a quarantine, an escalation that goes on) is written below
    /// `monitoring/alerts`, and sent with POST to `RAZAR_ALERT_WEBHOOK` and by mail to `RAZAR_ALERT_EMAIL`, if these are set; mail goes
    /// from `RAZAR_ALERT_EMAIL_SENDER` (default `razar@localhost`) through `RAZAR_ALERT_EMAIL_SMTP` (`localhost`), port
    /// `RAZAR_ALERT_EMAIL_PORT` (25). What cannot be delivered is tried again, also after a restart.
    Run(Run),
    /// Check configuration, grants and plugins; start nothing, write nothing
    Check(Check),
    /// What the sandbox withstands with these plugins, grants and limits
    ///
    /// Lists every line of the grants that no call needed, and every attempt that was denied with the line that would allow
    /// it (`--config`). Tries every limit of every plugin, at the number in force, with a guest that goes beyond it, and
    /// runs every hostile case; what does not end as it must is a hole (`--corpus`). Starts no service, writes nothing, and
    /// hostile guests reach nothing but this machine's loopback.
    ///
    /// Ends with 0 when there is no hole, 1 when there is one, and 2 when a plugin or its grants cannot be used: a limit that
    /// this host cannot enforce is refused there.
    Conform(Conform),
    /// What every component is doing
    ///
    /// Without a host it shows what was recorded last, open incidents among it. Ends with 1 while the host holds its decisions
    /// back because nothing can be recorded (a full disk).
    Status(Status),
    /// Stop one component, or the whole stack in reverse order
    Stop(OneOrAll),
    /// Start a component that was stopped
    Start(One),
    /// Give a component a fresh process
    Restart(One),
    /// What is quarantined, and letting it out
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// What happened, one line an event
    Timeline(Timeline),
    /// What this machine lacks for a host, and what to do about it
    ///
    /// Looks at the layers of the host's wall, at the kernel and its tools, at the state directory and its disk, and at
    /// versions known to be bad. Ends with 1 if something that is needed is missing.
    Doctor(Doctor),
    /// What sort of failure a log tells of: a dependency, its own logic, or the world outside
    ///
    /// Sorts it as the host sorts the failures of components, by its words: whatever names a missing dependency wins over what
    /// names a fault of the program, and that over everything else. Says which line decided, and what usually helps. Of a long
    /// log the last 64 MiB are read. Needs no configuration and no state directory.
    ///
    /// Ends with 0 whatever the class is, and with 2 if the log cannot be read.
    Diagnose(Diagnose),
    /// Hand a failed component over to the agents that may repair it
    ///
    /// Lets it out of quarantine, on probation, and opens an incident: the agents of its `repair` are asked in order, what
    /// they propose is tried in a sealed copy, and what passes is applied and watched.
    Handover(HandOver),
    /// Who repairs: available, tried, left alone and until when, and how well each has done
    ///
    /// Reads the ledger beside a running host, or without one. Whether an agent is there and has its credential is known only with
    /// `--plugins` and `--grants`.
    Roster(Roster),
    /// Have this agent asked next about a component's failure
    ///
    /// In the incident that is open, or in a new one as `handover` opens it. Nobody below the agent is asked any more.
    Escalate(Escalate),
    /// Failures that agents were asked about, and what came of each attempt
    #[command(subcommand)]
    Incident(Incident),
    /// Judge changes to a component's files, apply them and take them back
    #[command(subcommand)]
    Patch(Patch),
    /// Look at plugins, or run one once
    #[command(subcommand)]
    Plugin(Plugin),
    /// The ledger: is it what it was, what is in it, and what it can prove to others
    #[command(subcommand)]
    Log(Log),
    /// Take over what the original system left behind
    Import(Import),
    /// Put everything that is remembered into one file
    Backup(Backup),
    /// Make a state directory of a backup
    Restore(Restore),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Owns the services; started by `run`
    #[command(hide = true)]
    Launcher {
        /// Whose.
        #[arg(long)]
        state: PathBuf,
    },
    /// Does what the host may not do behind its wall; started by `run`
    #[command(hide = true)]
    Porter {
        /// Whose.
        #[arg(long)]
        state: PathBuf,
        /// Taken away at the end if nothing is in it.
        #[arg(long)]
        made: Vec<PathBuf>,
        /// Around the compilers it starts.
        #[arg(long, value_enum, default_value_t)]
        wall: Wall,
    },
    /// Judges one patch inside of a sandbox; started by whoever holds the trial
    #[command(hide = true)]
    Trial {
        /// What to judge.
        request: PathBuf,
    },
    /// Holds the trial that a directory asks for; started by the launcher
    #[command(hide = true)]
    HoldTrial {
        /// The trial's own.
        dir: PathBuf,
    },
    /// Makes the changes of a patch that the ledger has, or takes them back; started by the launcher
    #[command(hide = true)]
    Mend {
        /// Whose ledger.
        #[arg(long)]
        state: PathBuf,
        /// Which patch.
        #[arg(long)]
        manifest: razar_core::id::Digest,
        /// The component's.
        #[arg(long)]
        directory: PathBuf,
        /// Takes it back.
        #[arg(long)]
        back: bool,
    },
    /// Changes who is active in a roster file, or keeps or puts back a copy of it; started by the launcher
    #[command(hide = true)]
    SetRoster {
        /// The roster.
        #[arg(long)]
        file: PathBuf,
        /// Keeps a copy of it, and says which.
        #[arg(long, conflicts_with_all = ["activate", "restore"])]
        save: bool,
        /// Names this one as active.
        #[arg(long, conflicts_with = "restore")]
        activate: Option<String>,
        /// Puts this copy back.
        #[arg(long)]
        restore: Option<razar_core::id::Digest>,
    },
    /// Compiles one plugin under limits; started by the porter, or by whoever runs one plugin
    #[command(hide = true)]
    CompilePlugin {
        /// Whether it sees nothing but what it is given.
        #[arg(long, value_enum, default_value_t)]
        wall: Wall,
    },
}

// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    #[command(flatten)]
    pub(crate) stack: Stack,
    #[command(flatten)]
    pub(crate) state: State,
    /// What this boot is for; goes into every record of it
    #[arg(long, value_name = "NAME")]
    pub(crate) mission: Option<String>,
    /// The mission brief, a JSON file; archived under `logs/mission_briefs/`
    #[arg(long, value_name = "FILE")]
    pub(crate) brief: Option<PathBuf>,
    /// Quarantines over all boots after which a component is not even tried
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) failure_limit: u32,
    /// Attempts at a repair in one incident, over all agents; without it, each agent has its own attempts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) remote_attempts: Option<u32>,
    /// Climb the ladder again and again, with growing pauses, until a repair holds or somebody stops it
    #[arg(long)]
    pub(crate) long_task: bool,
    /// Ask all agents that can be asked side by side, rStar excepted, and take the smallest patch that passes everything
    #[arg(long)]
    pub(crate) tournament: bool,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Where metrics and health are served, port from `RAZAR_METRICS_PORT` (default 9360)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) metrics_address: std::net::IpAddr,
    /// Where to leave a signed note of the ledger's newest fact, every ten seconds in which there was one: a file that
    /// is only appended to, or a URL that takes it with POST; `log verify --witness` asks it
    #[arg(long, value_name = "FILE|URL", env = "RAZAR_WITNESS")]
    pub(crate) witness: Option<Place>,
    /// Whether the host's own process is walled in (Landlock and seccomp): it then writes to nothing but the state
    /// directory and what plugins are granted, and starts nothing; the plugin compiler sees no file at all. Services are
    /// never behind this wall. `off` is for
    /// machines on which something else does that, or on which it is in the way
    #[arg(long, value_enum, default_value_t, env = "RAZAR_WALL")]
    pub(crate) wall: Wall,
    /// Start nothing if a layer of that wall is missing on this machine
    #[arg(long)]
    pub(crate) require_sandbox: bool,
}

/// Whether a process of the host's is walled in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wall {
    /// As far as this machine can; what is missing is said.
    #[default]
    On,
    /// Not at all, which is said.
    Off,
}

impl Wall {
    /// As it is typed.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    #[command(flatten)]
    pub(crate) stack: Stack,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `conform`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Conform {
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    /// A hostile corpus, `cases/*.toml` and `guests/*.wasm`; without it no limit is tried and no case is run. The host's
    /// own is written by `cargo test -p razar-tests --test hostile -- write-corpus DIR`
    #[arg(long, value_name = "DIR")]
    pub(crate) corpus: Option<PathBuf>,
    /// A boot configuration whose probes are asked, each once and as a host would ask it; without it nothing is known of
    /// what plugins use. Services that run make the answers real; directories, configuration and environment are handed
    /// over whole, so whether they are used is never known
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `status`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Only this one
    pub(crate) component: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// One component.
#[derive(Debug, Clone, Args)]
pub(crate) struct One {
    /// Which
    pub(crate) component: String,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `handover`.
#[derive(Debug, Clone, Args)]
pub(crate) struct HandOver {
    #[command(flatten)]
    pub(crate) one: One,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

// Arguments of `roster`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Roster {
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    #[command(flatten)]
    pub(crate) stack: Stack,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `escalate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Escalate {
    #[command(flatten)]
    pub(crate) one: One,
    /// Who: the roster's name for it, or the plugin's
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

// One component, or the whole stack.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneOrAll {
    /// Which; everything without
    pub(crate) component: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// What to do about quarantine.
#[derive(Debug, Clone, Subcommand)]
#[command(defer = true)]
pub(crate) enum Quarantine {
    /// Who is quarantined, since when and why
    List {
        #[command(flatten)]
        state: State,
        /// Shape of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Let a component or a plugin out on probation: one failure puts it back
    Release {
        #[command(flatten)]
        one: One,
        /// It is a plugin
        #[arg(long)]
        plugin: bool,
        /// Why
        #[arg(long)]
        note: Option<String>,
    },
    /// Stop a component and keep it out, or call a plugin no more
    Add {
        #[command(flatten)]
        one: One,
        /// It is a plugin
        #[arg(long)]
        plugin: bool,
        /// Why
        #[arg(long)]
        note: Option<String>,
    },
}

// Arguments of `timeline`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Timeline {
    #[command(flatten)]
    pub(crate) state: State,
    /// Go on with what happens from now
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Shape of the lines
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// What to do about plugins.
#[derive(Debug, Clone, Subcommand)]
#[command(defer = true)]
pub(crate) enum Plugin {
    /// All plugins: role, version, digest, and what is wrong with those that do not load
    List {
        #[command(flatten)]
        plugins: Plugins,
        /// Shape of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// One plugin: what it is, asks for, is granted and may use
    Inspect {
        /// Which
        name: String,
        #[command(flatten)]
        plugins: Plugins,
        /// Shape of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Pin a package: copy it into a directory of plugins, and write its digest and its signer into `plugins.lock` there
    ///
    /// A package is a directory, or a tar archive of what is in one. From a directory with a lock nothing is loaded but what
    /// the lock names, and that only as long as its bytes are those. A signature is minisign's, `FILE.minisig` beside the
    /// package or where `--signature` says. What is refused, and why, is said, and the lock and the packages are as before: a
    /// package that does not load, a signature that is not believed, a version that is older than the one that is pinned.
    Add(Box<PluginAdd>),
    /// Take a pinned package away: its line in `plugins.lock` first, then its archive
    ///
    /// A host that runs goes on with what it has loaded. Nothing is known of the package afterwards: an older version can be added.
    /// Ends with 2 if nothing of that name is pinned.
    Remove(PluginRemove),
    /// Ask one plugin once; print its answer, what it used and what it was denied
    ///
    /// A probe is asked about `--address` or `--log-file`; ends with 0 if the answer is healthy or degraded, 1 otherwise. An
    /// agent is asked about `--failure`, as a host would ask it: redacted, with tools that list, read and search
    /// `--sources`; ends with 0 if it proposes something, 1 otherwise. Nothing is applied. An evaluator is shown `--tree`,
    /// read-only; ends with 0 if it says `pass`, 1 otherwise.
    Run(Box<PluginRun>),
}

// Arguments of `plugin run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PluginRun {
    /// Which; with `--dev` the only one of that directory may be left out
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    /// A package being written: its `plugin.toml` and its component
    #[arg(long, value_name = "DIR", conflicts_with = "plugins_dirs")]
    pub(crate) dev: Option<PathBuf>,
    /// Where the component listens: a URL or `host:port`
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// A log file whose tail the probe may read, or the agent is told
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// What failed, for an agent: a JSON object with `component` and `error`, and if known `incident`, `layer`, `class`
    /// (`dependency`, `logic`, `external`), `log`, `history` (`agent`, `outcome`, `error`), `versions` (`id`, `summary`)
    #[arg(long, value_name = "FILE")]
    pub(crate) failure: Option<PathBuf>,
    /// The component's files, as an agent may see them: text only, no links, without files and values that are secret
    #[arg(long, value_name = "DIR", requires = "failure")]
    pub(crate) sources: Option<PathBuf>,
    /// The files that an evaluator judges
    #[arg(long, value_name = "DIR", conflicts_with_all = ["failure", "address"])]
    pub(crate) tree: Option<PathBuf>,
    /// A file that a patch would change, by its path in the tree; may be repeated. Without any, every file counts
    #[arg(long, value_name = "PATH", requires = "tree")]
    pub(crate) changed: Vec<String>,
    /// Settings, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) settings: String,
    /// Which question
    #[arg(long, value_enum, default_value_t)]
    pub(crate) phase: PhaseName,
    /// The component's name, as the probe or the evaluator is told it
    #[arg(long, default_value = "trial")]
    pub(crate) component: String,
    /// Milliseconds for everything; without it 5000 for a probe, 300000 for an agent or an evaluator
    #[arg(long, value_name = "MS")]
    pub(crate) timeout: Option<u64>,
    /// A state directory whose compiled plugins are used and added to; without it they are kept below
    /// `$XDG_CACHE_HOME/razar-host` (`~/.cache/razar-host`), never in the working directory
    #[arg(long, value_name = "DIR", env = "RAZAR_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Which question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseName {
    /// Has it come up?
    Startup,
    /// May others use it?
    Readiness,
    /// Must it be restarted?
    #[default]
    Liveness,
}
