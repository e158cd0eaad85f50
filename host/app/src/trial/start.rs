//! The outer half of a trial: writes down what is to be judged, has the judge started in his sandbox under limits and a time
//! limit, and reads what he left without following a link. It never runs anything of the component itself, and a trial
//! without its sandbox is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptionsExt as _};
use razar_core::grant::LogBegin;
use razar_core::id::{ComponentId, IncidentId, PluginId};
use razar_core::patch::{ChangeSet, Evidence, Ruling, Verdict, judge};
use razar_core::plan::{ComponentPlan, Limit};
use razar_core::time::Millis;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, waitpid};
use serde::{Deserialize, Serialize};

use super::bubblewrap::{Bubblewrap, REMEDY, Trial};
use super::wire::{Around, Asked, Base, Bounds, Change, MAX_REPORT, Report, Request, Tests};
use crate::evidence;
use crate::launcher::client::run_of;
use crate::launcher::group::{Groups, Part};
use crate::launcher::left;
use crate::launcher::process::{self, CHECK_MARKER};
use crate::launcher::spawn::{FileLimit, spawn};
use crate::launcher::wire::Run;
use crate::record::calls::{Call, Calls, MAX_DOCUMENT};

/// The hidden command that judges.
pub(crate) const SUBCOMMAND: &str = "trial";
/// Between two looks whether anybody still wants to know.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// For the end of processes that are killed already.
const EMPTYING: Duration = Duration::from_secs(10);
/// More sockets of other programs than are worth hiding one by one.
const MAX_SOCKETS: usize = 1_024;

/// The directory of one trial.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Where the sized scratch is mounted, for the judge alone.
    pub(crate) scratch: PathBuf,
    report: PathBuf,
}

impl Folder {
    /// Of a directory that is there.
    pub(crate) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), scratch: dir.join("scratch"), report: dir.join("report") }
    }

    /// Of a request that lies in one.
    pub(crate) fn around(request: &Path) -> Self {
        Self::of(request.parent().unwrap_or(Path::new("/")))
    }

    fn request(&self) -> PathBuf {
        self.dir.join("request.json")
    }

    /// Leaves the calls of evaluators beside the report.
    pub(crate) fn note(&self, component: &ComponentId, calls: Vec<Call>) {
        if calls.is_empty() {
            return;
        }
        let mut document = Calls::new(component.clone(), IncidentId(0), None);
        document.calls = calls;
        // What was sent is known by its digest from here on.
        for call in &mut document.calls {
            call.recording.redact(&mut |_, text| text.to_owned());
        }
        let written = document.write().map_err(std::io::Error::from);
        let written = written.and_then(|text| {
            let file = OpenOptions::new().write(true).create_new(true).open(self.report.join(CALLS));
            file.and_then(|mut file| file.write_all(&text))
        });
        if let Err(error) = written {
            tracing::warn!("the calls of evaluators are not recorded: {error}");
        }
    }

    /// What was left there, if anything was.
    pub(crate) fn noted(&self) -> Vec<Call> {
        let bytes = read_file(&self.report, CALLS, MAX_DOCUMENT as u64);
        bytes
            .ok()
            .and_then(|bytes| Calls::read(&bytes).ok())
            .map(|document| document.calls)
            .unwrap_or_default()
    }

    /// What the judge writes.
    pub(crate) fn report_file(&self) -> PathBuf {
        self.report.join(REPORT)
    }
}

const REPORT: &str = "report.json";

/// The calls of evaluators, as a document of recorded calls.
const CALLS: &str = "calls.json";

/// What a host knows of its own that a judge must know.
#[derive(Debug, Clone)]
pub(crate) struct Setting<'a> {
    /// The state directory.
    pub(crate) state: &'a Path,
    /// Plugin packages.
    pub(crate) plugins: &'a [PathBuf],
    /// What they are granted.
    pub(crate) grants: Option<&'a Path>,
    /// Where their compiled code is.
    pub(crate) cache: Option<&'a Path>,
    /// Where the boot configuration lies.
    pub(crate) stack: &'a Path,
}

/// How a patch is judged beside its start.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    /// The started service must stay well for so long.
    pub(crate) hold: Millis,
    /// The component's own tests.
    pub(crate) tests: Option<Tests>,
    /// Evaluator plugins.
    pub(crate) evaluators: Vec<PluginId>,
}

impl Setting<'_> {
    /// What a judge is told about a patch of this component. `dir` is where the trial will be.
    pub(crate) fn request(
        &self,
        plan: &ComponentPlan,
        changes: &ChangeSet,
        judged: Judged,
        dir: &Path,
    ) -> Result<Request, String> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|error| format!("cannot locate `{}`: {error}", path.display()))
        };
        let plugins = self.plugins.iter().map(|dir| absolute(dir)).collect::<Result<Vec<_>, _>>()?;
        let grants = self.grants.map(absolute).transpose()?;
        let own = [absolute(self.state)?, dir.to_owned()];
        // What is not there need not be hidden.
        let hidden =
            own.iter().chain(&plugins).chain(&grants).filter_map(|path| std::fs::canonicalize(path).ok());
        let stack = absolute(self.stack)?;
        let stack = std::fs::canonicalize(&stack).unwrap_or(stack);
        Ok(Request {
            component: plan.id.clone(),
            run: run_of(plan, plan.command.clone()),
            probes: Asked::all(plan),
            changes: Change::all(changes),
            around: Around { hidden: hidden.collect(), sockets: sockets()?, stack },
            plugins,
            grants,
            cache: self.cache.map(absolute).transpose()?,
            hold_ms: judged.hold.0,
            tests: judged.tests,
            evaluators: judged.evaluators,
            bounds: Bounds::DEFAULT,
            base: None,
            groups: Vec::new(),
        })
    }
}

/// How a trial ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The verdict, and why.
    pub(crate) ruling: Ruling,
    /// What to do, where it is the machine that lacks something.
    pub(crate) remedy: Option<&'static str>,
    /// What the judge wrote down.
    pub(crate) report: Option<Report>,
    /// Limits that could not be put on the trial as a whole, and why.
    pub(crate) lacking: Vec<String>,
    /// From start to end.
    pub(crate) took: Duration,
}

/// The same, for a host that may start nothing and has somebody else hold the trial.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Why, with a remedy where it is the machine that lacks something.
    pub(crate) reason: String,
    /// What was seen of the files without the patch.
    pub(crate) base: Option<Base>,
    /// What the verdict was made of.
    #[serde(default)]
    pub(crate) evidence: Option<Evidence>,
}

impl Held {
    /// Where it is written, and where what is asked lies before.
    pub(crate) const FILES: (&'static str, &'static str) = ("ask.json", "held.json");

    /// Holds the trial that a directory asks for, and leaves there what came of it.
    pub(crate) fn in_directory(dir: &Path) -> Result<(), String> {
        let (ask, held) = Self::FILES;
        let request = super::judge::read(&dir.join(ask))?;
        // Whoever wants it to end kills it.
        let Outcome { ruling, remedy, report, .. } = hold(dir, &request, &|| false);
        let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
        let reason = format!("{}{remedy}", ruling.reason);
        let (base, evidence) = report.map(|report| (report.base, report.evidence)).unzip();
        let outcome = Self { verdict: ruling.verdict, reason, base, evidence };
        let text = serde_json::to_vec(&outcome).map_err(|error| error.to_string())?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(held));
        file.and_then(|mut file| file.write_all(&text)).map_err(|error| error.to_string())
    }
}

/// Holds a trial in this directory, which is empty and this user's alone, and waits for its end, or until it is to be over.
pub(crate) fn hold(dir: &Path, request: &Request, is_over: &dyn Fn() -> bool) -> Outcome {
    let began = Instant::now();
    let mut lacking = Vec::new();
    let (report, remedy) = match Bubblewrap::find() {
        Ok(bubblewrap) => {
            // A link in its name is none inside of the sandbox.
            let folder = std::fs::canonicalize(dir).map(|dir| Folder::of(&dir));
            let folder = folder.map_err(|error| format!("cannot locate `{}`: {error}", dir.display()));
            let report = folder.and_then(|folder| {
                let said = started(&folder, request, &bubblewrap, &mut lacking, is_over)?;
                read(&folder).map_err(|why| if said.is_empty() { why } else { said })
            });
            let sandbox = report.as_ref().is_err_and(|why| why.starts_with("bwrap: "));
            (report, sandbox.then_some(REMEDY))
        }
        Err(why) => (Err(why), Some(REMEDY)),
    };
    let (ruling, report) = match report {
        Ok(report) => (judge(&report.evidence), Some(report)),
        Err(why) => {
            (Ruling { verdict: Verdict::Infra, reason: format!("the trial was not held: {why}") }, None)
        }
    };
    Outcome { ruling, remedy, report, lacking, took: began.elapsed() }
}

/// What the trial as a whole is held to: control groups by whoever holds it, the rest by the judge for himself and for whoever
/// he starts.
pub(super) fn limits(request: &Request) -> BTreeMap<String, u64> {
    let own = |limit: Limit| request.run.limits.get(limit.as_str()).copied();
    let limits = [
        (Limit::Memory, request.bounds.memory.max(own(Limit::Memory).unwrap_or(0))),
        (Limit::Tasks, request.bounds.tasks.max(own(Limit::Tasks).unwrap_or(0))),
        (Limit::FileSize, request.bounds.scratch),
        (Limit::CoreDump, 0),
    ];
    limits.map(|(limit, most)| (limit.as_str().to_owned(), most)).into()
}

/// Writes the request, and says how the judge is started.
fn prepare(folder: &Folder, request: &Request, bubblewrap: &Bubblewrap) -> Result<Run, String> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| format!("cannot write `{}`: {error}", path.display())
    };
    for dir in [&folder.scratch, &folder.report] {
        DirBuilder::new().mode(0o700).create(dir).map_err(failed(dir))?;
    }
    let path = folder.request();
    let text = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(&text)).map_err(failed(&path))?;
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let trial = Trial {
        scratch: folder.scratch.clone(),
        scratch_bytes: request.bounds.scratch,
        report: folder.report.clone(),
        groups: request.groups.clone(),
    };
    let words = bubblewrap.outer(&trial, &[&own, Path::new(SUBCOMMAND), &path]);
    let text = |word: PathBuf| word.into_os_string().into_string();
    let argv: Result<Vec<String>, _> = words.into_iter().map(text).collect();
    let argv = argv.map_err(|word| format!("`{}` is no text: use paths that are", word.display()))?;
    Ok(Run {
        argv,
        // The judge is the host: probes' secrets come from it. What is judged gets the component's own.
        base_env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        no_new_privileges: false,
        limits: BTreeMap::new(),
    })
}

/// Starts the judge as a child of this process and waits for him. What he said last, if it was anything.
fn started(
    folder: &Folder,
    request: &Request,
    bubblewrap: &Bubblewrap,
    lacking: &mut Vec<String>,
    is_over: &dyn Fn() -> bool,
) -> Result<String, String> {
    let log = folder.dir.join("judge.log");
    let output = File::create(&log).map_err(|error| format!("cannot write `{}`: {error}", log.display()))?;
    left::sweep();
    let id = left::held_by_me();
    let groups = Groups::find(&id);
    let (control, missing) = grouped(&groups, &request.component, &limits(request));
    let mut request = request.clone();
    request.bounds.memory_is_watched |= missing.iter().any(|(limit, _)| *limit == Limit::Memory);
    lacking.extend(missing.into_iter().map(|(_, why)| why));
    // The kernel takes its time to let somebody in: the judge copies files meanwhile.
    request.groups.clone_from(&control);
    let run = prepare(folder, &request, bubblewrap);
    let pid = run.and_then(|run| {
        spawn(&run, None, &[], (CHECK_MARKER, &id), output, FileLimit::raise())
            .map_err(|error| error.to_string())
    });
    let ended = pid.and_then(|pid| wait(pid, request.patience(), is_over));
    emptied(&control);
    let words = evidence::tail(&log, LogBegin::default()).unwrap_or_default();
    match ended? {
        End::Own => Ok(words),
        End::Late => Err(format!("it did not end within {} s", request.patience().as_secs())),
        End::Wanted => Err("it was to end before it was over".to_owned()),
    }
}

/// The groups that hold all of it together, and the limits for which there are none.
fn grouped(
    groups: &Groups,
    component: &ComponentId,
    limits: &BTreeMap<String, u64>,
) -> (Vec<PathBuf>, Vec<(Limit, String)>) {
    let (mut control, mut missing) = (BTreeSet::new(), Vec::new());
    for limit in Limit::ALL.into_iter().filter(|limit| limit.is_shared()) {
        let one = limits.iter().filter(|(name, _)| *name == limit.as_str());
        let one: BTreeMap<String, u64> = one.map(|(name, most)| (name.clone(), *most)).collect();
        match groups.make(component, Part::Trial, &one) {
            Ok(dirs) => control.extend(dirs),
            Err(error) => missing.push((limit, error.to_string())),
        }
    }
    (control.into_iter().collect(), missing)
}

/// Removes the groups as soon as nobody is in them: who was killed with his sandbox may still be ending.
fn emptied(control: &[PathBuf]) {
    let until = Instant::now() + EMPTYING;
    for dir in control {
        while let Err(error) = std::fs::remove_dir(dir)
            && error.kind() == std::io::ErrorKind::ResourceBusy
            && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How the judge came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By himself.
    Own,
    /// His time was over.
    Late,
    /// Nobody wants to know any more.
    Wanted,
}

/// Waits for a child, and kills its group when the time is over, or when it is to be.
fn wait(pid: u32, limit: Duration, is_over: &dyn Fn() -> bool) -> Result<End, String> {
    let failed = |error: rustix::io::Errno| format!("cannot wait for the judge: {error}");
    let raw = process::raw(pid).ok_or("the judge has no number")?;
    let handle = pidfd_open(raw, PidfdFlags::empty()).map_err(failed)?;
    let until = Instant::now() + limit;
    let end = loop {
        let left = until.saturating_duration_since(Instant::now()).min(LOOK_AGAIN);
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if is_over() => break End::Wanted,
            Ok(0) if Instant::now() >= until => break End::Late,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break End::Own,
            Err(error) => return Err(failed(error)),
        }
    };
    if end != End::Own {
        // Its sandbox ends with it.
        let _ = kill_process_group(raw, Signal::KILL);
    }
    waitpid(Some(raw), WaitOptions::empty()).map_err(failed)?;
    Ok(end)
}

/// What the judge left.
fn read(folder: &Folder) -> Result<Report, String> {
    let bytes = read_file(&folder.report, REPORT, MAX_REPORT)
        .map_err(|error| format!("the judge left no report: {error}"))?;
    if bytes.len() as u64 > MAX_REPORT {
        return Err(format!("the report has more than {MAX_REPORT} bytes"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("the report cannot be read: {error}"))
}

/// A regular file and no link; one byte more than may be of what is too long.
fn read_file(dir: &Path, name: &str, most: u64) -> std::io::Result<Vec<u8>> {
    let mut options = cap_std::fs::OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let file = Dir::open_ambient_dir(dir, ambient_authority())?.open_with(name, &options)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Sockets of programs that run on this machine, by their paths.
fn sockets() -> Result<Vec<PathBuf>, String> {
    let table =
        std::fs::read("/proc/net/unix").map_err(|error| format!("cannot read `/proc/net/unix`: {error}"))?;
    let found = parse_sockets(&String::from_utf8_lossy(&table));
    if found.len() > MAX_SOCKETS {
        return Err(format!("more than {MAX_SOCKETS} sockets would have to be hidden from what is judged"));
    }
    Ok(found.into_iter().collect())
}

/// One line a socket; the path is what comes after seven fields, and may have spaces. What every trial has of its own is
/// left out.
fn parse_sockets(table: &str) -> BTreeSet<PathBuf> {
    let path = |line: &str| {
        let after = |rest: String| rest.trim_start().split_once(' ').map(|(_, rest)| rest.to_owned());
        let path = (0..7).try_fold(line.to_owned(), |rest, _| after(rest))?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    let own = |path: &PathBuf| ["/run", "/var/run", "/dev"].iter().any(|dir| path.starts_with(dir));
    table.lines().skip(1).filter_map(path).filter(|path| !own(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_paths() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 4001 /run/x.sock
0000: 00000002 00000000 00010000 0001 01 4002 /srv/db/my db.sock
0000: 00000003 00000000 00000000 0001 03 4003 /srv/db/my db.sock
0000: 00000002 00000000 00010000 0001 01 4004 @abstract /no
0000: 00000003 00000000 00000000 0001 03 4005
";
        let found: Vec<PathBuf> = parse_sockets(table).into_iter().collect();
        assert_eq!(found, [Path::new("/srv/db/my db.sock")]);
        assert!(sockets().is_ok());
    }

    #[test]
    fn only_a_small_regular_report_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(dir.path());
        std::fs::create_dir(&folder.report).unwrap();
        assert!(read(&folder).unwrap_err().contains("left no report"));
        let elsewhere = dir.path().join("elsewhere.json");
        std::fs::write(&elsewhere, "{}").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.report_file()).unwrap();
        assert!(read(&folder).unwrap_err().contains("left no report"));
        std::fs::remove_file(folder.report_file()).unwrap();
        std::fs::create_dir(folder.report_file()).unwrap();
        assert!(read(&folder).unwrap_err().contains("no file"));
        std::fs::remove_dir(folder.report_file()).unwrap();
        std::fs::write(folder.report_file(), vec![b' '; usize::try_from(MAX_REPORT).unwrap() + 2]).unwrap();
        assert!(read(&folder).unwrap_err().contains("more than"));
        std::fs::write(folder.report_file(), "{\"verdict\":\"fixed\"}").unwrap();
        assert!(read(&folder).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn who_does_not_end_is_ended() {
        let mut command = std::process::Command::new("sleep");
        use std::os::unix::process::CommandExt as _;
        let pid = command.arg("600").process_group(0).spawn().unwrap().id();
        assert_eq!(wait(pid, Duration::from_millis(20), &|| false), Ok(End::Late));
        let pid = std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap().id();
        assert_eq!(wait(pid, Duration::from_secs(600), &|| true), Ok(End::Wanted));
        let pid = std::process::Command::new("true").spawn().unwrap().id();
        assert_eq!(wait(pid, Duration::from_secs(600), &|| false), Ok(End::Own));
    }
}
