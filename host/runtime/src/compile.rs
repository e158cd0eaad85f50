//! Owns the step from wasm to native code, which happens in a process of its own under limits of its own, because
//! its cost is chosen by whoever wrote the wasm. The host says which command to start; it must end in
//! [`compile_main`]. Nothing is compiled in the host's own process, ever.
//!
//! The conversation: one byte for the flavor and the wasm on the child's stdin; `+` and the code, or `-` and a
//! message, on its stdout. A host that may start no process has somebody else start it, and talks to it over a socket,
//! where a note of how it ended comes last ([`last_note`]).

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cwasm::{MAX_CWASM, Verified};
use crate::engine::{self, Flavor};
use crate::incident::words;
use crate::prescan::ScanLimits;

/// CPU seconds of one compile: CPython (25 MiB) needs twelve, bombs want minutes.
const CPU_SECONDS: u64 = 30;
/// Heap of one compile. A bomb of 4 MiB wanted 673 MiB.
const HEAP: u64 = 1 << 30;
/// Address space of one compile: heap, arenas and the binary itself. No linear memory is reserved there.
const ADDRESS_SPACE: u64 = 8 << 30;
/// Time on the wall: a compile that is not scheduled must not keep a boot waiting for ever.
const WALL: Duration = Duration::from_secs(120);
/// Longest message taken from the child.
const MESSAGE: u64 = 8 << 10;

/// The command that ends in [`compile_main`]: for the shipped binary, itself with its hidden subcommand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileCommand {
    /// What to start.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
}

/// Who starts the compiler.
#[derive(Clone)]
pub enum Compiler {
    /// This process.
    Own(CompileCommand),
    /// Somebody else.
    Elsewhere(Arc<dyn StartsCompiler>),
}

/// Somebody who starts the compiler for a process that may start nothing.
pub trait StartsCompiler: Send + Sync {
    /// Starts it: one end of the socket is its standard input and output. Behind what it answers comes
    /// [`last_note`]; it is killed when the other end is closed.
    fn start(&self) -> std::io::Result<UnixStream>;
}

impl From<CompileCommand> for Compiler {
    fn from(command: CompileCommand) -> Self {
        Self::Own(command)
    }
}

/// Bytes of a note of how a process ended.
pub const NOTE: usize = 4;

/// How a process ended, for whoever cannot wait for it.
pub fn last_note(status: ExitStatus) -> [u8; NOTE] {
    status.into_raw().to_le_bytes()
}

/// What was said before the note, and the note; none when there is no note.
pub fn split_note(mut said: Vec<u8>) -> Option<(Vec<u8>, ExitStatus)> {
    let note = said.split_off(said.len().checked_sub(NOTE)?);
    let raw = i32::from_le_bytes(note.try_into().ok()?);
    Some((said, ExitStatus::from_raw(raw)))
}

/// Why a plugin was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The command could not be started or talked to.
    #[error("cannot run the plugin compiler `{}`: {source}", program.display())]
    Start {
        /// The command.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The compiler says the wasm is wrong.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It went beyond a limit and was killed.
    #[error("compiling was stopped: {0}; the plugin is too expensive to compile")]
    Limit(String),
    /// It ended without an answer.
    #[error("the plugin compiler failed ({0})")]
    Failed(String),
}

/// Compiles in a process of its own. Dropping the future kills it.
pub(crate) async fn compile(
    compiler: &Compiler,
    flavor: Flavor,
    wasm: &[u8],
) -> Result<Verified, CompileError> {
    match compiler {
        Compiler::Own(command) => compile_in_child(command, flavor, wasm).await,
        Compiler::Elsewhere(starter) => compile_elsewhere(starter.as_ref(), flavor, wasm).await,
    }
}

async fn compile_elsewhere(
    starter: &dyn StartsCompiler,
    flavor: Flavor,
    wasm: &[u8],
) -> Result<Verified, CompileError> {
    let failed = |source| CompileError::Start { program: PathBuf::from("compile-plugin"), source };
    let stream = starter.start().and_then(|stream| {
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    });
    let (read, write) = stream.map_err(failed)?.into_split();
    let Some((answer, status)) = split_note(converse(read, write, flavor, wasm).await?) else {
        return Err(CompileError::Failed("nobody says how it ended".to_owned()));
    };
    judge(answer, status)
}

/// Says what to compile and hears the answer, in bounded time.
async fn converse(
    read: impl AsyncReadExt + Unpin,
    mut write: impl AsyncWriteExt + Unpin,
    flavor: Flavor,
    wasm: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let say = async {
        // A child that refuses early stops reading: its answer says why, the broken pipe does not.
        let header = [match flavor {
            Flavor::Plain => b'p',
            Flavor::Fuel => b'f',
        }];
        if write.write_all(&header).await.is_ok() && write.write_all(wasm).await.is_ok() {
            let _ = write.shutdown().await;
        }
        drop(write);
    };
    let hear = async {
        let mut answer = Vec::new();
        let most = u64::try_from(MAX_CWASM + NOTE).unwrap_or(u64::MAX).saturating_add(2);
        read.take(most).read_to_end(&mut answer).await.map(|_| answer)
    };
    match tokio::time::timeout(WALL, async { tokio::join!(say, hear) }).await {
        Ok(((), Ok(answer))) => Ok(answer),
        Ok(((), Err(error))) => Err(CompileError::Failed(error.to_string())),
        // Whoever drops the other end, or the child, ends it.
        Err(_) => Err(CompileError::Limit(format!("it took longer than {} s", WALL.as_secs()))),
    }
}

async fn compile_in_child(
    command: &CompileCommand,
    flavor: Flavor,
    wasm: &[u8],
) -> Result<Verified, CompileError> {
    let failed = |source| CompileError::Start { program: command.program.clone(), source };
    let mut child = tokio::process::Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(CompileError::Failed("no pipes".into()));
    };
    let answer = converse(stdout, stdin, flavor, wasm).await?;
    match tokio::time::timeout(WALL, child.wait()).await {
        Ok(Ok(status)) => judge(answer, status),
        Ok(Err(error)) => Err(failed(error)),
        // `kill_on_drop` ends it.
        Err(_) => Err(CompileError::Limit(format!("it took longer than {} s", WALL.as_secs()))),
    }
}

fn judge(answer: Vec<u8>, status: ExitStatus) -> Result<Verified, CompileError> {
    if let Some(signal) = status.signal() {
        return Err(match Signal::from_named_raw(signal) {
            Some(Signal::XCPU | Signal::KILL) => {
                CompileError::Limit(format!("it used more than {CPU_SECONDS} s of CPU"))
            }
            Some(Signal::ABORT | Signal::SEGV) => {
                CompileError::Limit(format!("it needed more than {} MiB of memory", HEAP >> 20))
            }
            _ => CompileError::Failed(format!("signal {signal}")),
        });
    }
    match answer.first() {
        Some(b'+') if status.success() && answer.len() <= MAX_CWASM => {
            let code = answer.get(1..).unwrap_or_default();
            Verified::compiled(code)
                .map_err(|error| CompileError::Failed(format!("no room for its code: {error}")))
        }
        Some(b'+') if answer.len() > MAX_CWASM => {
            Err(CompileError::Limit(format!("the code is larger than {} MiB", MAX_CWASM >> 20)))
        }
        Some(b'-') => {
            let text = answer.get(1..).unwrap_or_default();
            Err(CompileError::Invalid(words(String::from_utf8_lossy(text).trim())))
        }
        _ => Err(CompileError::Failed(status.to_string())),
    }
}

/// What the child process does: lowers its own limits, compiles what it reads, answers, returns the exit code.
///
/// Call it before the process starts threads or opens files: the limits are the process's.
pub fn compile_main(stdin: impl Read, stdout: impl Write) -> u8 {
    compile_confined(stdin, stdout, || {})
}

/// The same, with one more thing done behind the limits and before anything is read.
pub fn compile_confined(stdin: impl Read, mut stdout: impl Write, confine: impl FnOnce()) -> u8 {
    let answer = lower_limits().map_err(|error| error.to_string()).and_then(|()| {
        confine();
        compile_stdin(stdin)
    });
    let written = match &answer {
        Ok(code) => stdout.write_all(b"+").and_then(|()| stdout.write_all(code)),
        Err(message) => {
            let end = message.len().min(usize::try_from(MESSAGE).unwrap_or(usize::MAX));
            stdout
                .write_all(b"-")
                .and_then(|()| stdout.write_all(message.as_bytes().get(..end).unwrap_or_default()))
        }
    };
    u8::from(answer.is_err() || written.and_then(|()| stdout.flush()).is_err())
}

fn compile_stdin(mut stdin: impl Read) -> Result<Vec<u8>, String> {
    let mut flavor = [0];
    stdin.read_exact(&mut flavor).map_err(|error| format!("cannot read: {error}"))?;
    let flavor = match flavor {
        [b'p'] => Flavor::Plain,
        [b'f'] => Flavor::Fuel,
        [other] => {
            return Err(format!("unknown flavor {other}: host and compiler are of different versions"));
        }
    };
    let mut wasm = Vec::new();
    let most = u64::try_from(ScanLimits::DEFAULT.bytes).unwrap_or(u64::MAX).saturating_add(1);
    stdin.take(most).read_to_end(&mut wasm).map_err(|error| format!("cannot read: {error}"))?;
    let engine = wasmtime::Engine::new(&engine::config(flavor)).map_err(|error| format!("{error:#}"))?;
    // What the scan and the validator let pass may still be more than the compiler expects.
    std::panic::catch_unwind(AssertUnwindSafe(|| engine.precompile_component(&wasm))).map_or_else(
        |panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(format!("the compiler gave up: {said}"))
        },
        |compiled| compiled.map_err(|error| format!("{error:#}")),
    )
}

fn lower_limits() -> rustix::io::Result<()> {
    for (resource, limit) in [
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Data, HEAP),
        (Resource::As, ADDRESS_SPACE),
        // It writes to pipes only.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, 32),
    ] {
        // The host may live under a lower limit already; it cannot be raised from here.
        let limit = getrlimit(resource).maximum.map_or(limit, |maximum| maximum.min(limit));
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_is_told_to_whoever_cannot_wait_for_it() {
        for raw in [0, 1 << 8, 9, 24, 6 | 0x80] {
            let status = ExitStatus::from_raw(raw);
            let said = [b"+code".as_slice(), &last_note(status)].concat();
            assert_eq!(split_note(said), Some((b"+code".to_vec(), status)));
        }
        assert_eq!(split_note(vec![0; NOTE - 1]), None, "it was cut off");
    }
}
