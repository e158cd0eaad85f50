//! One program in the inner sandbox: started, watched against what no limit of the kernel holds, and ended with everything it
//! left behind. The judge has a process namespace of his own, so what is left in it is his to end; outside of one, nothing
//! here kills anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use razar_core::grant::LogBegin;
use razar_core::plan::Limit;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, statvfs};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, getppid};

use super::bubblewrap::{Bubblewrap, Inside};
use super::calls;
use super::stage::Places;
use super::wire::Request;
use crate::evidence;
use crate::launcher::exec::{self, BEGINS, IN_TRIAL};
use crate::launcher::spawn::resolve;
use crate::launcher::wire::Run;
use crate::launcher::{process, user};

/// Between two looks at a program that runs.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// For the end of what was killed; a process that the kernel holds longer makes the trial worthless.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of what it printed, from the end.
const OUTPUT: usize = 8 << 10;

/// Everything that runs in one trial has in common.
pub(super) struct Nest<'a> {
    bubblewrap: Bubblewrap,
    own: PathBuf,
    pub(super) request: &'a Request,
    /// The component's real directory.
    pub(super) workdir: PathBuf,
    pub(super) bound: &'a [String],
    /// The scratch, to see how many files there are.
    scratch: &'a Path,
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) argv: &'a [String],
    pub(super) places: &'a Places,
    /// What it prints is appended there.
    pub(super) output: &'a Path,
    pub(super) logs: &'a [(PathBuf, PathBuf)],
    /// It shares the judge's network.
    pub(super) network: bool,
    /// Tests that are run by a runner of ours.
    pub(super) runner: Option<Runner<'a>>,
}

/// A runner of tests that is ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner<'a> {
    /// The program, as the judge sees it.
    pub(super) program: &'a Path,
    /// Its line to the judge, which it inherits.
    pub(super) line: &'a OwnedFd,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begun {
    /// The sandbox is still being made.
    Not,
    /// The program runs, or ran.
    Yes,
    /// It could not be run.
    Failed(String),
}

/// Why a program was not started.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// It is not there, or its user is not: it would not start live either.
    Own(String),
    /// The machine's doing.
    Machine(String),
}

/// A program under way. Dropping it kills the sandbox; [`Running::end`] also waits until nobody is left.
pub(super) struct Running {
    child: Child,
    ear: File,
    heard: String,
    output: PathBuf,
}

/// Refuses to be judge where there is no sandbox around him: what he ends would be everybody.
pub(super) fn inside(scratch: &Path) -> Result<(), String> {
    let comm = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    let parent = getppid().is_some_and(rustix::process::Pid::is_init);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let sized = mounts.lines().any(|line| {
        let mut fields = line.split(' ');
        fields.nth(4).is_some_and(|point| Path::new(point) == scratch) && line.contains(" - tmpfs ")
    });
    if comm.trim_end() == "bwrap" && parent && sized {
        return Ok(());
    }
    Err("this command judges inside of a sandbox that the host makes: use `razar-host patch check --trial`"
        .to_owned())
}

impl<'a> Nest<'a> {
    pub(super) fn new(
        request: &'a Request,
        scratch: &'a Path,
        workdir: PathBuf,
        bound: &'a [String],
    ) -> Result<Self, String> {
        let bubblewrap = Bubblewrap::find()?;
        let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        Ok(Self { bubblewrap, own, request, workdir, bound, scratch })
    }

    /// Starts it. What ends the thread that calls this ends the program.
    pub(super) fn start(&self, program: &Program<'_>) -> Result<Running, NotStarted> {
        let run = self.run(program.argv);
        let own = |error: &dyn std::fmt::Display| NotStarted::Own(error.to_string());
        let account = run.user.as_deref().map(user::find).transpose().map_err(|error| own(&error))?.flatten();
        let mut env = run.base_env.clone();
        if let Some(account) = &account {
            env.extend(account.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        // The only place where programs that know nothing else may write.
        env.insert("TMPDIR".to_owned(), "/tmp".to_owned());
        env.extend(run.env.clone());
        let name = run.argv.first().ok_or_else(|| own(&"the command is empty"))?;
        let found = resolve(name, env.get("PATH").map_or("", String::as_str), &run.workdir);
        let found = found.map_err(|error| own(&error))?;
        let arguments = exec::arguments(account.as_ref(), &run, &[], &found.to_string_lossy());
        let arguments: Vec<String> =
            std::iter::once(IN_TRIAL.to_owned()).chain(arguments.into_iter().skip(1)).collect();
        let inside = Inside {
            places: program.places,
            around: &self.request.around,
            workdir: &self.workdir,
            bound: self.bound,
            logs: program.logs,
            runner: program.runner.map(|runner| runner.program),
            network: program.network,
            other_user: account.is_some(),
        };
        let machine =
            |error: io::Error| NotStarted::Machine(format!("the sandbox cannot be started: {error}"));
        // Read by whoever is started, and gone here.
        let calls = calls::filter().map_err(machine)?;
        let words = self.bubblewrap.inner(&inside, &calls, &self.own, &arguments);
        if let Some(runner) = program.runner {
            fcntl_setfd(runner.line, FdFlags::empty()).map_err(|error| machine(error.into()))?;
        }
        start(&words, &env, program.output).map_err(machine)
    }

    /// The program with the component's surroundings, and with limits of its own.
    fn run(&self, argv: &[String]) -> Run {
        let mut run = self.request.run.clone();
        run.argv = argv.to_vec();
        // A link in its name may lie where the program cannot look.
        run.workdir = self.workdir.display().to_string();
        run.no_new_privileges = true;
        let bounds = &self.request.bounds;
        for (limit, most) in
            [(Limit::FileSize, bounds.scratch), (Limit::Processes, bounds.tasks), (Limit::CoreDump, 0)]
        {
            let least = run.limits.get(limit.as_str()).map_or(most, |own| most.min(*own));
            run.limits.insert(limit.as_str().to_owned(), least);
        }
        run
    }

    /// Ends with why it may not go on.
    pub(super) async fn watch(&self, running: &mut Running) -> String {
        let begun = Instant::now();
        loop {
            if let Some(status) = running.ended() {
                let words = running.last_words();
                let said = if words.is_empty() { String::new() } else { format!("; it said: {words}") };
                return format!(
                    "it ended with {} after {} ms{said}",
                    how(status),
                    begun.elapsed().as_millis()
                );
            }
            if let Some(why) = self.beyond() {
                return why;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What no limit of the kernel holds everywhere: processes of root, files, and all memory together.
    pub(super) fn beyond(&self) -> Option<String> {
        let bounds = &self.request.bounds;
        let table = process::table();
        if table.len() as u64 > bounds.tasks {
            return Some(format!("it started more than {} processes", bounds.tasks));
        }
        let room = statvfs(self.scratch).ok()?;
        let files = room.f_files.saturating_sub(room.f_ffree);
        // Two copies are there already.
        if files > bounds.entries.saturating_mul(3) {
            return Some(format!("it made more than {} files", bounds.entries));
        }
        let written = room.f_blocks.saturating_sub(room.f_bfree).saturating_mul(room.f_frsize);
        let used = || written.saturating_add(table.keys().map(|pid| resident(*pid)).sum());
        (bounds.memory_is_watched && used() > bounds.memory)
            .then(|| format!("it used more than {} bytes of memory", bounds.memory))
    }
}

/// Bytes of memory that a process has now.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.unwrap_or(0_u64).saturating_mul(1 << 10)
}

fn start(
    words: &[PathBuf],
    env: &std::collections::BTreeMap<String, String>,
    output: &Path,
) -> io::Result<Running> {
    let [program, arguments @ ..] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
    let (reader, writer) = io::pipe()?;
    let ear = File::from(OwnedFd::from(reader));
    fcntl_setfl(&ear, fcntl_getfl(&ear)? | OFlags::NONBLOCK)?;
    let file = OpenOptions::new().create(true).append(true).open(output)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(env).stdin(writer).process_group(0);
    command.stdout(file.try_clone()?).stderr(file).current_dir("/");
    // Where memory ends, it is not the judge who goes.
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let raised = std::fs::write("/proc/self/oom_score_adj", "1000");
    let child = command.spawn();
    if raised.is_ok() {
        std::fs::write("/proc/self/oom_score_adj", own.trim())?;
    }
    Ok(Running { child: child?, ear, heard: String::new(), output: output.to_owned() })
}

impl Running {
    /// How far it came.
    pub(super) fn begun(&mut self) -> Begun {
        let mut bytes = [0; 64];
        if let Ok(count) = self.ear.read(&mut bytes) {
            self.heard.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()));
        }
        let (ran, number) = match self.heard.strip_prefix(BEGINS) {
            Some(rest) => (true, rest),
            None => (false, self.heard.as_str()),
        };
        match number.parse() {
            Ok(number) => Begun::Failed(io::Error::from_raw_os_error(number).to_string()),
            Err(_) if ran => Begun::Yes,
            Err(_) => Begun::Not,
        }
    }

    /// Waits until the program runs; an error is the sandbox's.
    pub(super) async fn begins(&mut self) -> Result<Begun, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            // Asked before, so that what is said last is heard.
            let ended = self.ended().is_some();
            match self.begun() {
                Begun::Not if ended => {
                    return Err(format!("the sandbox cannot be made: {}", self.last_words()));
                }
                Begun::Not if Instant::now() > until => {
                    return Err("the sandbox is not made in time".to_owned());
                }
                Begun::Not => tokio::time::sleep(Duration::from_millis(1)).await,
                begun => return Ok(begun),
            }
        }
    }

    /// Its end, if it has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines it printed.
    pub(super) fn last_words(&self) -> String {
        evidence::tail(&self.output, LogBegin::default()).unwrap_or_default()
    }

    /// Kills it and everything it left, and returns when nobody is there any more, with what it printed last.
    pub(super) fn end(mut self) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        let me = getpid().as_raw_nonzero().get().unsigned_abs();
        loop {
            // Reaps our own; the others are the reaper's.
            let gone = self.ended().is_some();
            let left = process::table();
            let mut left = left.values().filter(|entry| entry.process.pid != me && entry.process.pid != 1);
            if gone && left.clone().all(|entry| entry.zombie) {
                return Ok(printed(&self.output));
            }
            left.by_ref().filter(|entry| !entry.zombie).for_each(|entry| {
                process::send(entry.process, Signal::KILL);
            });
            if Instant::now() > until {
                return Err("what was judged does not end".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; its namespace ends with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An exit status in words; bubblewrap says signals as a shell does.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code @ 129..=192), _) => format!("signal {}", code - 128),
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// The end of what was printed.
fn printed(output: &Path) -> String {
    let read = || -> io::Result<String> {
        use std::io::{Seek as _, SeekFrom};
        let mut file = File::open(output)?;
        let begin = file.metadata()?.len().saturating_sub(OUTPUT as u64);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(OUTPUT as u64).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_judges_outside_of_a_sandbox() {
        let dir = tempfile::tempdir().unwrap();
        assert!(inside(dir.path()).unwrap_err().contains("patch check --trial"));
    }

    #[test]
    fn an_end_is_told_as_a_shell_tells_it() {
        for (raw, said) in
            [(0, "exit code 0"), (3 << 8, "exit code 3"), (9, "signal 9"), (137 << 8, "signal 9")]
        {
            assert_eq!(how(ExitStatus::from_raw(raw)), said);
        }
    }
}
