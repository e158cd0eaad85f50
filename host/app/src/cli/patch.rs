//! `patch`: what may be typed about changes to components.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use razar_core::id::Digest;
use razar_core::time::Millis;

use super::{One, Output, Plugins, State};

/// What to do about patches.
#[derive(Debug, Clone, Subcommand)]
#[command(defer = true)]
pub(crate) enum Patch {
    /// Would the gate take this diff, and with `--trial`: does it repair anything? Nothing of the component is changed
    ///
    /// Reads the component's files as they are now and judges the diff against them: its form to the byte, its paths, what is
    /// protected, that every hunk fits at exactly the line it names, and that no tests go or are skipped. Without `--trial`
    /// nothing is run, so whether it repairs anything is not known.
    ///
    /// With `--trial`, what the gate takes is tried in a sealed copy, in a sandbox with a network of its own (bubblewrap): the
    /// component's tests are run, and it is started as it is and as it would be, and asked by its own probes. Whoever refuses it
    /// is the last who is asked. Ends with 0 only if the verdict is `fixed`: the failure shows without the diff and is gone with
    /// it.
    ///
    /// Several diffs are judged one after the other, each for itself; what was seen of the files as they are is seen once. Ends
    /// with 0 only if every one of them is good.
    ///
    /// What may be patched is the component's `patch` in the boot configuration; without one, its `workdir`, if no other
    /// component has the same. Ends with 0 if the gate takes it, 1 if it refuses it (with a stable code, the file, the line of
    /// the diff and a remedy), 2 if there is nothing to judge: no such file or component, a configuration that does not hold.
    Check(PatchCheck),
    /// Try a diff beside the running component, and apply it if it is good
    ///
    /// The running host puts it through the gate and through a trial in a sealed copy. If it passes, the component is stopped,
    /// all files are changed or none, and it is started again; if it is not well for the whole canary period, the patch is
    /// taken back to the byte. `incident show` says how far it is.
    Apply(PatchApply),
    /// Take the newest patch of a component back; the component may be named by the incident that the patch is of
    Rollback(One),
    /// Patches that were tried, and what became of each
    List(IncidentList),
    /// One patch: who made it, what became of it, and which files it changes
    Show(PatchShow),
    /// One patch as a unified diff
    Diff(PatchShow),
}

/// What to do about incidents.
#[derive(Debug, Clone, Subcommand)]
#[command(defer = true)]
pub(crate) enum Incident {
    /// All of them, the newest first
    List(IncidentList),
    /// One of them, attempt by attempt
    Show(IncidentShow),
    /// Plays the recorded calls of one again, offline and at no cost, and says where an outcome differs
    ///
    /// Probes, agents and evaluators are asked what they were asked then, and get what came into their calls then: nothing is
    /// reached and nothing is paid for. Gate and verdict are worked out anew. With another version of a plugin it says what
    /// that one would have done.
    Replay(IncidentReplay),
    /// Its facts and the recordings of its calls in one signed file: `incident replay` and `log verify` read it
    ///
    /// Of recordings that are together more than a bundle may hold, the newest are in it; which are not is said.
    Export(IncidentExport),
}

// Arguments of `incident list` and `patch list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IncidentList {
    /// Only of this component
    pub(crate) component: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `incident show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IncidentShow {
    /// Its number, or a component: then its newest one
    pub(crate) incident: String,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `incident replay`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IncidentReplay {
    /// Its number, or a component: then its newest one; or a file that `incident export` wrote
    pub(crate) incident: String,
    /// The public key that must have signed such a file; without, the one that it names itself
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: State,
    /// A directory of plugin packages, or one package; may be given more than once. The code that was recorded comes first
    #[arg(long = "plugins", value_name = "DIR", required = true)]
    pub(crate) plugins: Vec<PathBuf>,
    /// Whose signatures are believed, as for `run`: whatever a `plugins.lock` says was signed is verified again with these keys,
    /// and what nobody signed is refused if the file says so
    #[arg(long, value_name = "FILE")]
    pub(crate) signers: Option<PathBuf>,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `incident export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IncidentExport {
    /// Its number, or a component: then its newest one
    pub(crate) incident: String,
    /// The file to write; it must not exist. `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The private key to sign with; without, that of the state directory, made now if there is none
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `patch show` and `patch diff`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PatchShow {
    /// The patch's digest or its beginning, the incident's number, or a component: then its newest one
    pub(crate) patch: String,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `patch apply`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PatchApply {
    /// A unified diff, paths relative to the component's directory; `-` for standard input
    pub(crate) file: PathBuf,
    /// The component it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) component: String,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `patch check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PatchCheck {
    /// Unified diffs, paths relative to the component's directory; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The component it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) component: String,
    /// The boot configuration
    #[arg(long, value_name = "FILE", default_value = "config/boot_config.json")]
    pub(crate) config: PathBuf,
    /// A file the diff was made from, and what it was then; may be given more than once. One that has changed since makes
    /// the diff stale
    #[arg(long, value_name = "PATH=sha256:…", value_parser = shown)]
    pub(crate) shown: Vec<(String, Digest)>,
    /// Try what the gate takes in a sealed copy
    #[arg(long)]
    pub(crate) trial: bool,
    /// How long the component must stay well there once it is ready; without it, as its `repair` says, or 5 s
    #[arg(long, value_name = "SPAN", requires = "trial")]
    pub(crate) hold: Option<Millis>,
    /// The component's own tests, run in the copy without a network: a program and its arguments, never a shell line. With the
    /// diff they must end with 0; of Python's `unittest`, each case is known. Without it, those of its `repair`, if it has any
    #[arg(long, value_name = "COMMAND", value_parser = words, requires = "trial")]
    pub(crate) tests: Option<Words>,
    /// How long one run of them may take
    #[arg(long, value_name = "SPAN", default_value = "60 s", requires = "tests")]
    pub(crate) tests_timeout: Millis,
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<String>);

/// Quoted as in a shell, and nothing else of one.
fn words(text: &str) -> Result<Words, String> {
    match shell_words::split(text) {
        Ok(words) if !words.is_empty() => Ok(Words(words)),
        Ok(_) => Err("name a program".to_owned()),
        Err(error) => Err(format!("{error}: close it")),
    }
}

fn shown(text: &str) -> Result<(String, Digest), String> {
    let (path, digest) = text.rsplit_once('=').ok_or("write `PATH=sha256:…`")?;
    let digest = digest.parse().map_err(|error: razar_core::id::NameError| error.to_string())?;
    Ok((path.to_owned(), digest))
}
