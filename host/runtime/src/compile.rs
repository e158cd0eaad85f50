//! Owns the step from wasm to native code, which happens in a process of its own under limits of its own, because
//! its cost is chosen by whoever wrote the wasm. The host says which command to start; it must end in
//! [`compile_main`]. Nothing is compiled in the host's own process, ever.
//!
//! The conversation: one byte for the flavor and the wasm on the child's stdin; `+` and the code, or `-` and a
//! message, on its stdout.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
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

/// Compiles in a child process. Dropping the future kills the child.
pub(crate) async fn compile(
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
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(CompileError::Failed("no pipes".into()));
    };
    let talk = async {
        let write = async {
            // A child that refuses early stops reading: its answer says why, the broken pipe does not.
            let header = [match flavor {
                Flavor::Plain => b'p',
                Flavor::Fuel => b'f',
            }];
            if stdin.write_all(&header).await.is_ok() {
                let _ = stdin.write_all(wasm).await;
            }
            drop(stdin);
        };
        let read = async {
            let mut answer = Vec::new();
            let most = u64::try_from(MAX_CWASM).unwrap_or(u64::MAX).saturating_add(2);
            stdout.take(most).read_to_end(&mut answer).await.map(|_| answer)
        };
        let ((), answer) = tokio::join!(write, read);
        Ok::<_, std::io::Error>((answer?, child.wait().await?))
    };
    match tokio::time::timeout(WALL, talk).await {
        Ok(Ok((answer, status))) => judge(answer, status),
        Ok(Err(error)) => Err(failed(error)),
        // `kill_on_drop` ends it.
        Err(_) => Err(CompileError::Limit(format!("it took longer than {} s", WALL.as_secs()))),
    }
}

fn judge(mut answer: Vec<u8>, status: ExitStatus) -> Result<Verified, CompileError> {
    use std::os::unix::process::ExitStatusExt;
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
            answer.remove(0);
            Ok(Verified::compiled(answer))
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
pub fn compile_main(stdin: impl Read, mut stdout: impl Write) -> u8 {
    let answer = lower_limits().map_err(|error| error.to_string()).and_then(|()| compile_stdin(stdin));
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
    engine.precompile_component(&wasm).map_err(|error| format!("{error:#}"))
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
