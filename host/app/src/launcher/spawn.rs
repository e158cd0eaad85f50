//! Starting one process, and saying precisely why it could not be started, with a remedy.
//!
//! Who runs as another user, or is held to limits, begins in the step that `exec` owns.
//!
//! Every child gets its own process group, no standard input, exactly the environment it was promised, default signal
//! dispositions, and the soft limit of open files that the launcher itself was born with.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use razar_core::plan::Limit;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

use super::exec;
use super::group::GroupError;
use super::process;
use super::user::{Account, UserError};
use super::wire::Run;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// No program at all.
    #[error("the command is empty: name a program")]
    Empty,
    /// A bare name nobody knows.
    #[error(
        "command `{command}` was not found in PATH ({directories} directories were searched): install it or write its full path"
    )]
    NotInPath {
        /// As written.
        command: String,
        /// How many directories PATH names; which ones would fill a screen.
        directories: usize,
    },
    /// A path where nothing is.
    #[error("command `{0}` does not exist: correct the path or install it")]
    Missing(String),
    /// A directory.
    #[error("command `{0}` is a directory: name the program inside it")]
    Directory(String),
    /// No execute permission.
    #[error("command `{0}` is not executable: `chmod +x {0}`")]
    NotExecutable(String),
    /// The kernel denied it although the mode allows it.
    #[error(
        "command `{0}` may not be executed by this user: check the directories above it, `user`, and `noexec` mounts"
    )]
    Denied(String),
    /// A script whose first line names nothing that exists.
    #[error(
        "command `{0}` needs an interpreter that does not exist: correct its first line or install the interpreter"
    )]
    Interpreter(String),
    /// Neither binary nor script.
    #[error(
        "command `{0}` is no program for this machine: begin it with a `#!` line, or build it for this processor"
    )]
    NotAProgram(String),
    /// It is being written.
    #[error("command `{0}` is still open for writing by another process: wait until that is done")]
    BeingWritten(String),
    /// The directory to run in.
    #[error("working directory `{path}` {problem}: correct `workdir` or create it")]
    Workdir {
        /// As configured.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A limit of a newer release.
    #[error(
        "the running launcher knows no limit `{0}`: stop everything with `razar-host stop`, then start the host again"
    )]
    Limit(String),
    /// The user to run as.
    #[error(transparent)]
    User(#[from] UserError),
    /// What all its processes together may use.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The kernel's limit on arguments and environment.
    #[error(
        "arguments and environment of `{0}` are larger than the kernel takes: pass the long ones in a file"
    )]
    TooBig(String),
    /// The machine is full.
    #[error(
        "the machine has no room for another process ({0}): free memory, or raise `ulimit -u` and `pids.max`"
    )]
    NoRoom(io::Error),
    /// The launcher holds too many files.
    #[error("no more files can be opened ({0}): raise `ulimit -n` of the host, then restart it")]
    NoFiles(io::Error),
    /// Text that cannot be an argument or a variable.
    #[error(
        "`{0}` cannot be passed to a program: it contains a NUL byte, or a variable's name is empty or contains `=`"
    )]
    Unspeakable(String),
    /// What it prints has nowhere to go.
    #[error(
        "the pipe `{path}` for its output cannot be made: {error}; check that the state directory is still there, its owner and its free space"
    )]
    Pipe {
        /// Below the state directory.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// Anything else.
    #[error("`{command}` could not be started: {error}")]
    Other {
        /// As written.
        command: String,
        /// What the system said.
        error: io::Error,
    },
}

impl SpawnError {
    /// Trying again changes nothing: somebody has to correct the configuration or the machine first.
    pub(crate) const fn is_permanent(&self) -> bool {
        match self {
            Self::Empty
            | Self::NotInPath { .. }
            | Self::Missing(_)
            | Self::Directory(_)
            | Self::NotExecutable(_)
            | Self::Denied(_)
            | Self::Interpreter(_)
            | Self::NotAProgram(_)
            | Self::Workdir { .. }
            | Self::Limit(_)
            | Self::User(UserError::Unknown(_) | UserError::NotRoot(_))
            | Self::Group(GroupError::None { .. })
            | Self::TooBig(_)
            | Self::Unspeakable(_) => true,
            Self::BeingWritten(_)
            | Self::User(UserError::Lookup { .. })
            | Self::Group(GroupError::Refused { .. })
            | Self::NoRoom(_)
            | Self::NoFiles(_)
            | Self::Pipe { .. }
            | Self::Other { .. } => false,
        }
    }
}

/// The soft limit on open files that services inherit; the launcher's own is raised to the hard one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileLimit {
    own: Option<Rlimit>,
}

impl FileLimit {
    /// Raises the launcher's own limit: it holds two files per service.
    pub(crate) fn raise() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        Self { own: raised.is_ok().then_some(limit) }
    }

    fn restore(self, pid: u32) {
        if let (Some(limit), Some(pid)) = (self.own, process::raw(pid)) {
            // It may have ended already.
            let _ = prlimit(Some(pid), Resource::Nofile, limit);
        }
    }
}

/// Starts a process with both output streams going to `output`. The caller reaps it.
pub(crate) fn spawn(
    run: &Run,
    account: Option<&Account>,
    control: &[PathBuf],
    marker: (&str, &str),
    output: File,
    limit: FileLimit,
) -> Result<u32, SpawnError> {
    let name = run.argv.first().filter(|name| !name.is_empty()).ok_or(SpawnError::Empty)?;
    let mut env = run.base_env.clone();
    if let Some(account) = account {
        env.extend(account.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    env.extend(run.env.clone());
    env.insert(marker.0.to_owned(), marker.1.to_owned());
    if let Some(bad) = run.argv.iter().find(|text| text.contains('\0')) {
        return Err(SpawnError::Unspeakable(bad.replace('\0', "\\0")));
    }
    let unspeakable = |(name, value): &(&String, &String)| {
        name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
    };
    if let Some((bad, _)) = env.iter().find(unspeakable) {
        return Err(SpawnError::Unspeakable(bad.replace('\0', "\\0")));
    }
    let known = |name: &str| Limit::ALL.into_iter().any(|limit| limit.as_str() == name);
    if let Some(unknown) = run.limits.keys().find(|name| !known(name)) {
        return Err(SpawnError::Limit(unknown.clone()));
    }
    check_workdir(&run.workdir)?;
    let program = resolve(name, env.get("PATH").map_or("", String::as_str), &run.workdir)?;

    let mut ear = None;
    let mut command = match account {
        None if !run.is_confined() => {
            let mut command = Command::new(&program);
            command.arg0(name).args(run.argv.get(1..).unwrap_or_default()).stdin(Stdio::null());
            command
        }
        _ => {
            let (reader, writer) = io::pipe().map_err(|error| explain(name, &program, error))?;
            let mut command = Command::new("/proc/self/exe");
            command.args(exec::arguments(account, run, control, &program.to_string_lossy())).stdin(writer);
            ear = Some(reader);
            command
        }
    };
    command.env_clear().envs(&env).current_dir(&run.workdir).process_group(0);
    let copy = output.try_clone().map_err(|error| explain(name, &program, error))?;
    command.stdout(copy).stderr(output);
    let child = command.spawn().map_err(|error| explain(name, &program, error))?;
    drop(command); // our copy of the ear's other end
    if !run.limits.contains_key(Limit::OpenFiles.as_str()) {
        limit.restore(child.id());
    }
    if let Some(mut ear) = ear {
        let mut said = String::new();
        // Ends when the step has become the service, or has failed and said so.
        let _ = ear.read_to_string(&mut said);
        if !said.is_empty() {
            let error = said.parse().map_or_else(|_| io::Error::other(said), io::Error::from_raw_os_error);
            if let Some(pid) = process::raw(child.id()) {
                // Only to reap it; its exit code says nothing more.
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            }
            return Err(explain(name, &program, error));
        }
    }
    Ok(child.id())
}

/// A directory somebody can be in.
pub(crate) fn check_workdir(path: &str) -> Result<(), SpawnError> {
    let problem = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => "is not a directory",
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => "may not be entered",
        Err(_) => "does not exist",
    };
    Err(SpawnError::Workdir { path: path.to_owned(), problem })
}

/// The file a command names, as a shell in that directory would find it.
pub(crate) fn resolve(name: &str, path: &str, workdir: &str) -> Result<PathBuf, SpawnError> {
    if name.contains('/') {
        let file = Path::new(workdir).join(name);
        return match fs::metadata(&file) {
            Ok(meta) if meta.is_dir() => Err(SpawnError::Directory(name.to_owned())),
            Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
                Err(SpawnError::NotExecutable(name.to_owned()))
            }
            Ok(_) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(SpawnError::Denied(name.to_owned()))
            }
            Err(_) => Err(SpawnError::Missing(name.to_owned())),
        };
    }
    let mut near_miss = None;
    let mut directories = 0;
    for dir in path.split(':').filter(|dir| !dir.is_empty()) {
        directories += 1;
        let file = Path::new(workdir).join(dir).join(name);
        match fs::metadata(&file) {
            Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o111 != 0 => return Ok(file),
            Ok(meta) if meta.is_file() => near_miss = near_miss.or(Some(file)),
            _ => {}
        }
    }
    Err(match near_miss {
        Some(file) => SpawnError::NotExecutable(file.display().to_string()),
        None => SpawnError::NotInPath { command: name.to_owned(), directories },
    })
}

fn explain(name: &str, program: &Path, error: io::Error) -> SpawnError {
    let command = name.to_owned();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) if program.exists() => SpawnError::Interpreter(command),
        Some(Errno::NOENT) => SpawnError::Missing(command),
        Some(Errno::ACCESS | Errno::PERM) => SpawnError::Denied(command),
        Some(Errno::NOEXEC) => SpawnError::NotAProgram(command),
        Some(Errno::TXTBSY) => SpawnError::BeingWritten(command),
        Some(Errno::TOOBIG) => SpawnError::TooBig(command),
        Some(Errno::NOMEM | Errno::AGAIN) => SpawnError::NoRoom(error),
        Some(Errno::MFILE | Errno::NFILE) => SpawnError::NoFiles(error),
        _ => SpawnError::Other { command, error },
    }
}
