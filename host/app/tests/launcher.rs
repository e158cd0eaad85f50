//! What the launcher promises, with the real binary, real processes and real deaths.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(
    dead_code,
    unused_imports,
    reason = "compiled into the test, whose business is its behavior, not its whole surface"
)]
#[path = "../src/launcher/mod.rs"]
mod launcher;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use launcher::client::CheckError;
use launcher::client::undecided;
use launcher::record;
use launcher::wire::{CheckReport, Ending, OutputCap};
use launcher::wire::{CheckSpec, Refusal, Run, StartSpec, StopSpec};
use launcher::{CheckEnd, Event, Launcher, LauncherError, Situation, StartError};
use razar_core::effect::{ExitStatus, Process};
use razar_core::grant::LogBegin;
use razar_core::id::InstanceId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::UnboundedReceiver;

/// Generous: the machine may be busy; nothing waits this long when it works.
const LIMIT: Duration = Duration::from_secs(40);

struct Stage {
    _dir: tempfile::TempDir,
    state: PathBuf,
}

struct Host {
    launcher: Launcher,
    events: UnboundedReceiver<Event>,
    found: Situation,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        Self { _dir: dir, state }
    }

    async fn host(&self) -> Host {
        let exe = Path::new(env!("CARGO_BIN_EXE_razar-host"));
        let (launcher, events, found) = Launcher::connect_or_spawn(&self.state, exe).await.unwrap();
        Host { launcher, events, found }
    }

    fn launcher_pid(&self) -> Option<i32> {
        processes().into_iter().find(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&str> = line.split('\0').collect();
            words.get(1) == Some(&"launcher")
                && words.get(3).is_some_and(|state| Path::new(state) == self.state)
        })
    }

    fn kill_launcher(&self) {
        let pid = self.launcher_pid().expect("a launcher runs");
        kill(pid);
        eventually("the launcher is gone", || gone(pid));
    }

    /// Everything that carries a marker of this stage.
    fn marked(&self) -> Vec<i32> {
        let Ok(id) = fs::read_to_string(self.state.join("launcher.id")) else { return Vec::new() };
        let id: serde_json::Value = serde_json::from_str(&id).unwrap();
        let prefix = format!("RAZAR_INSTANCE={}:", id["id"].as_str().unwrap());
        processes()
            .into_iter()
            .filter(|pid| !gone(*pid))
            .filter(|pid| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ.split(|byte| *byte == 0).any(|pair| pair.starts_with(prefix.as_bytes()))
            })
            .collect()
    }

    fn log(&self, component: &str) -> String {
        fs::read_to_string(self.state.join(format!("logs/services/{component}.log"))).unwrap_or_default()
    }

    fn run_dir(&self) -> Vec<String> {
        let all = fs::read_dir(self.state.join("run")).unwrap();
        all.map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(pid) = self.launcher_pid() {
            kill(pid);
        }
        self.marked().into_iter().for_each(kill);
    }
}

impl Host {
    async fn start(&self, component: &str, instance: u64, argv: &[&str]) -> Result<Process, StartError> {
        undecided::start(&self.launcher, spec(component, instance, argv)).await
    }

    async fn sh(&self, component: &str, instance: u64, script: &str) -> Process {
        self.start(component, instance, &["sh", "-c", script]).await.unwrap()
    }

    async fn stop(&self, instance: u64, grace_ms: u64) -> ExitStatus {
        let spec = StopSpec { instance: InstanceId(instance), signal: 15, grace_ms };
        undecided::stop(&self.launcher, spec).await.unwrap()
    }

    async fn check(&self, argv: &[&str], timeout_ms: u64, output_bytes: u64) -> CheckReport {
        undecided::check(
            &self.launcher,
            CheckSpec { component: None, run: run(argv), timeout_ms, output_bytes, trial: false },
        )
        .await
        .unwrap()
    }

    async fn event(&mut self) -> Event {
        tokio::time::timeout(LIMIT, self.events.recv()).await.expect("an event in time").expect("a launcher")
    }

    async fn ending(&mut self) -> Ending {
        match self.event().await {
            Event::Ended(ending) => ending,
            other => panic!("{other:?}"),
        }
    }

    async fn reconnected(&mut self) -> Situation {
        loop {
            if let Event::Reconnected(situation) = self.event().await {
                return situation;
            }
        }
    }

    async fn refused(&self, component: &str, instance: u64, argv: &[&str]) -> (Refusal, String) {
        refusal(self.start(component, instance, argv).await)
    }
}

fn refusal(result: Result<Process, StartError>) -> (Refusal, String) {
    match result {
        Err(StartError::Refused { why, message }) => (why, message),
        other => panic!("{other:?}"),
    }
}

fn run(argv: &[&str]) -> Run {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Run {
        argv,
        base_env: BTreeMap::new(),
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        no_new_privileges: false,
        limits: BTreeMap::new(),
    }
}

fn spec(component: &str, instance: u64, argv: &[&str]) -> StartSpec {
    let (component, instance) = (component.parse().unwrap(), InstanceId(instance));
    StartSpec { component, instance, run: run(argv), output: OutputCap::default() }
}

fn processes() -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap();
    all.filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn gone(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

fn pid(process: Process) -> i32 {
    i32::try_from(process.pid).unwrap()
}

fn kill(pid: i32) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same where the connection must go on meanwhile.
async fn eventually_while(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_service_runs_in_its_own_group_with_what_it_was_promised_and_its_end_is_told_at_once() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let mut spec =
        spec("web", 1, &["sh", "-c", "env; pwd; cat; ulimit -n; echo err >&2; read x; sleep 0.1; exit 7"]);
    spec.run.workdir = "/usr".to_owned();
    spec.run.env.insert("GREETING".to_owned(), "a=b c".to_owned());
    let process = undecided::start(&host.launcher, spec).await.unwrap();
    let ending = host.ending().await;
    assert_eq!(
        ending,
        Ending {
            component: "web".parse().unwrap(),
            instance: InstanceId(1),
            process,
            exit: ExitStatus::Code(7),
            asked: false,
            left: 0,
            forked_away: false,
            begin: ending.begin,
        }
    );
    assert_eq!(ending.begin.offset, 0, "it was the first");
    let log = stage.log("web");
    for line in ["GREETING=a=b c", "/usr", "err"] {
        assert!(log.lines().any(|found| found == line), "{line} in {log}");
    }
    assert!(!log.contains("CARGO"), "the host's own environment stays with the host: {log}");
    assert!(log.contains(":web:1\n"), "{log}");
    assert_eq!(stage.run_dir(), Vec::<String>::new(), "nothing is left of an instance that is over");
}

#[tokio::test]
async fn an_exit_is_told_within_milliseconds() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let mut best = Duration::MAX;
    for instance in 0..10 {
        let process = host.start("web", instance, &["sleep", "1000"]).await.unwrap();
        let began = Instant::now();
        kill(pid(process));
        assert_eq!(host.ending().await.exit, ExitStatus::Signal(9));
        best = best.min(began.elapsed());
    }
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[tokio::test]
async fn services_outlive_the_host_and_the_next_one_finds_them_and_what_ended_meanwhile() {
    let stage = Stage::new();
    let host = stage.host().await;
    assert_eq!(host.found, Situation::default());
    let stays = host.start("stays", 1, &["sleep", "1000"]).await.unwrap();
    let ends = host.start("ends", 2, &["sleep", "1000"]).await.unwrap();
    drop(host);
    kill(pid(ends));
    eventually("the end is seen", || gone(pid(ends)));
    let host = stage.host().await;
    let running: Vec<_> = host.found.running.iter().map(|found| (found.process, found.adopted)).collect();
    assert!(running.contains(&(stays, false)), "{:?}", host.found);
    let until = Instant::now() + LIMIT;
    loop {
        let now = host.launcher.list().await.unwrap();
        if let [ending] = now.ended.as_slice() {
            assert_eq!((ending.process, ending.exit, ending.asked), (ends, ExitStatus::Signal(9), false));
            break;
        }
        assert!(Instant::now() < until, "{now:?}");
    }
    assert!(!host.launcher.shutdown_when_idle().await.unwrap(), "it stays while a service runs");
    assert_eq!(host.stop(1, 5000).await, ExitStatus::Signal(15));
    assert!(host.launcher.shutdown_when_idle().await.unwrap());
    eventually("the launcher ended", || stage.launcher_pid().is_none());
    assert!(!stage.state.join("launcher.sock").exists());
}

#[tokio::test]
async fn an_instance_is_never_started_twice() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let first = host.start("web", 5, &["sleep", "1000"]).await.unwrap();
    let (a, b) =
        tokio::join!(host.start("web", 5, &["sleep", "1000"]), host.start("web", 5, &["sleep", "1000"]));
    assert_eq!((a.unwrap(), b.unwrap()), (first, first));
    let (why, message) = host.refused("web", 6, &["sleep", "1000"]).await;
    assert_eq!(why, Refusal::OtherAlive);
    assert!(
        message.contains("instance 5 of `web` is alive") && message.contains("stop it first"),
        "{message}"
    );
    eventually_while("one of them runs", || stage.marked().len() == 1).await;
    kill(pid(first));
    host.ending().await;
    let (why, message) = host.refused("web", 5, &["sleep", "1000"]).await;
    assert_eq!(why, Refusal::AlreadyEnded);
    assert!(message.contains("was ended by signal 9"), "{message}");
    host.start("web", 6, &["sleep", "1000"]).await.unwrap();
    eventually_while("one of them runs", || stage.marked().len() == 1).await;
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed_after_the_grace_and_who_needs_it_gets_it() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    host.sh("deaf", 1, "trap '' TERM; echo up; while :; do sleep 1; done").await;
    host.sh("slow", 2, "trap 'sleep 0.3; echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
        .await;
    eventually_while("both are up", || stage.log("deaf") == "up\n" && stage.log("slow") == "up\n").await;
    let began = Instant::now();
    let (deaf, slow) = tokio::join!(host.stop(1, 400), host.stop(2, 20_000));
    assert_eq!((deaf, slow), (ExitStatus::Signal(9), ExitStatus::Code(3)));
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert!(stage.log("slow").ends_with("bye\n"), "{}", stage.log("slow"));
    assert!(host.ending().await.asked && host.ending().await.asked);
    assert_eq!(stage.marked(), Vec::<i32>::new());
    assert_eq!(host.stop(1, 400).await, ExitStatus::Signal(9), "stopping again tells how it ended");
    assert_eq!(host.stop(99, 400).await, ExitStatus::Unknown, "what is not there is stopped");
}

#[tokio::test]
async fn stopping_reaches_children_that_left_the_group_or_dropped_the_marker() {
    let stage = Stage::new();
    let host = stage.host().await;
    let script =
        "setsid sleep 1001 & (setsid sleep 1002 &) ; env -i setsid sleep 1003 & sleep 1004 & echo up; wait";
    host.sh("family", 1, script).await;
    let sleeping = |seconds: &str| {
        processes().into_iter().any(|pid| {
            !gone(pid)
                && fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
                    == format!("sleep\0{seconds}\0").as_bytes()
        })
    };
    eventually_while("all are there", || {
        ["1001", "1002", "1003", "1004"].iter().all(|seconds| sleeping(seconds))
    })
    .await;
    host.stop(1, 5000).await;
    for seconds in ["1001", "1002", "1003", "1004"] {
        assert!(!sleeping(seconds), "{seconds}");
    }
}

#[tokio::test]
async fn who_forks_into_the_background_is_told_apart_and_leaves_nobody() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    host.sh("daemon", 1, "(setsid sleep 1000 >/dev/null 2>&1 &); exit 0").await;
    let ending = host.ending().await;
    assert_eq!((ending.exit, ending.left, ending.forked_away), (ExitStatus::Code(0), 1, true));
    for instance in 10..40 {
        // Caught at any moment of becoming another program.
        host.sh("quick", instance, "(exec setsid sh -c 'exec sleep 1000') & exit 0").await;
        assert!(host.ending().await.forked_away);
        assert_eq!(stage.marked(), Vec::<i32>::new());
    }
    for instance in 40..140 {
        // Twice, as daemons do: the one between is gone before anybody has looked.
        host.sh("twice", instance, "(setsid sleep 1000 &) & exit 0").await;
        assert!(host.ending().await.forked_away, "{instance}");
        assert_eq!(stage.marked(), Vec::<i32>::new());
    }
    host.sh("crash", 2, "(setsid sleep 1000 &); sleep 1000 & exit 4").await;
    let ending = host.ending().await;
    assert_eq!((ending.exit, ending.forked_away), (ExitStatus::Code(4), false));
    assert!(ending.left >= 1, "those seen at once; whoever was just changing is found a moment later");
    assert_eq!(stage.marked(), Vec::<i32>::new());
}

/// What of a log belongs to whoever began there.
fn own_part(log: &Path, begin: LogBegin) -> String {
    let meta = fs::metadata(log).unwrap();
    let from = usize::try_from(begin.within(meta.dev(), meta.ino(), meta.len())).unwrap();
    fs::read_to_string(log).unwrap().split_off(from)
}

#[tokio::test]
async fn each_instance_has_its_own_part_of_the_log_whoever_dies_and_whatever_is_rotated() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let log = stage.state.join("logs/services/web.log");
    let component = "web".parse().unwrap();
    host.sh("web", 1, "printf 'first ready'; exit 1").await;
    assert_eq!(own_part(&log, host.ending().await.begin), "first ready");

    host.sh("web", 2, "exit 1").await;
    assert_eq!(own_part(&log, host.ending().await.begin), "", "it has said nothing");
    // It outlives its launcher, and the next one knows where it began.
    let third = host.sh("web", 3, "echo third; exec sleep 1000").await;
    eventually_while("it has spoken", || stage.log("web").ends_with("third\n")).await;
    let begin = record::begin(&stage.state, &component, InstanceId(3)).await.unwrap();
    assert_eq!(own_part(&log, begin), "third\n");
    stage.kill_launcher();
    host.reconnected().await;
    assert_eq!(record::begin(&stage.state, &component, InstanceId(3)).await, Some(begin));
    kill(pid(third));
    assert_eq!(own_part(&log, host.ending().await.begin), "third\n");
    assert_eq!(record::begin(&stage.state, &component, InstanceId(3)).await, None, "it is over");

    // Rotated while it runs: all of the new file is its own.
    let mut chatty =
        spec("web", 4, &["sh", "-c", "echo fourth; seq 1 3000; echo fourth ends; exec sleep 1000"]);
    chatty.output = OutputCap { bytes: 4096, files: 3 };
    let fourth = undecided::start(&host.launcher, chatty).await.unwrap();
    eventually_while("it has spoken", || stage.log("web").ends_with("fourth ends\n")).await;
    let until = Instant::now() + LIMIT;
    while record::begin(&stage.state, &component, InstanceId(4)).await.unwrap().offset > 0 {
        assert!(Instant::now() < until, "the next launcher would not know");
    }
    kill(pid(fourth));
    assert_eq!(own_part(&log, host.ending().await.begin), stage.log("web"));
    let whole = stage.log("web");
    host.sh("web", 5, "echo fifth; exit 1").await;
    let ending = host.ending().await;
    assert_eq!(own_part(&log, ending.begin), "fifth\n");
    assert_eq!(stage.log("web"), format!("{whole}fifth\n"), "nothing is written between the lines");
}

#[tokio::test]
async fn a_deleted_log_gives_its_space_back_although_nobody_writes() {
    let stage = Stage::new();
    let host = stage.host().await;
    host.sh("quiet", 1, "echo one; exec sleep 1000").await;
    let log = stage.state.join("logs/services/quiet.log");
    let launcher = stage.launcher_pid().unwrap();
    let held = || {
        let files = fs::read_dir(format!("/proc/{launcher}/fd")).unwrap().flatten();
        let mut names = files.filter_map(|file| fs::read_link(file.path()).ok());
        names.any(|name| name.to_string_lossy().contains("quiet.log"))
    };
    eventually_while("it is written", || stage.log("quiet") == "one\n" && held()).await;
    fs::remove_file(&log).unwrap();
    eventually_while("the launcher lets go of it", || !held()).await;
}

#[tokio::test]
async fn a_flood_is_bounded_on_disk_and_stalls_nobody() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let mut flood =
        spec("flood", 1, &["sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last"]);
    flood.output = OutputCap { bytes: 1 << 20, files: 3 };
    undecided::start(&host.launcher, flood).await.unwrap();
    // Meanwhile the others are served.
    let began = Instant::now();
    assert_eq!(host.check(&["true"], 20_000, 100).await.end, CheckEnd::Exited(ExitStatus::Code(0)));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(host.ending().await.exit, ExitStatus::Code(0));
    let sizes: Vec<u64> = fs::read_dir(stage.state.join("logs/services"))
        .unwrap()
        .map(|item| item.unwrap().metadata().unwrap().len())
        .collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
    assert!(stage.log("flood").ends_with("last\n"));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stalls_nobody_and_is_reported_once() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    fs::create_dir_all(stage.state.join("logs/services")).unwrap();
    std::os::unix::fs::symlink("/dev/full", stage.state.join("logs/services/web.log")).unwrap();
    host.sh("web", 1, "for i in 1 2 3 4 5 6 7 8 9; do head -c 100000 /dev/zero; done; exit 0").await;
    assert_eq!(host.ending().await.exit, ExitStatus::Code(0));
    let own = fs::read_to_string(stage.state.join("logs/launcher.log")).unwrap();
    assert_eq!(own.matches("output is dropped until it works").count(), 1, "{own}");
}

#[tokio::test]
async fn when_the_launcher_dies_the_same_processes_are_found_and_nothing_they_print_is_lost() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let go = stage.state.join("go");
    let script = format!(
        "echo before; while ! [ -e {0} ]; do sleep 0.02; done; echo meanwhile; touch {0}.done; exec sleep 1000",
        go.display()
    );
    let process = host.sh("web", 3, &script).await;
    eventually_while("it prints", || stage.log("web") == "before\n").await;
    // No host either: nobody starts the next launcher before the service has printed.
    drop(host);
    stage.kill_launcher();
    fs::write(&go, "").unwrap();
    eventually("it printed into the pipe", || go.with_extension("done").exists());
    assert_eq!(stage.log("web"), "before\n");

    host = stage.host().await;
    let found: Vec<_> =
        host.found.running.iter().map(|found| (found.instance, found.process, found.adopted)).collect();
    assert_eq!(found, [(InstanceId(3), process, true)]);
    eventually_while("nothing is lost", || stage.log("web") == "before\nmeanwhile\n").await;
    assert_eq!(host.start("web", 3, &["sleep", "1"]).await.unwrap(), process, "it is not started twice");

    let began = Instant::now();
    kill(pid(process));
    let ending = host.ending().await;
    assert_eq!((ending.process, ending.exit, ending.asked), (process, ExitStatus::Unknown, false));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_host_whose_launcher_dies_gets_the_next_one_and_hears_what_it_found() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let process = host.start("web", 1, &["sleep", "1000"]).await.unwrap();
    let asked = host.launcher.clone();
    let pending = tokio::spawn(async move {
        let check = CheckSpec {
            component: None,
            run: run(&["sleep", "1000"]),
            timeout_ms: 100_000,
            output_bytes: 0,
            trial: false,
        };
        undecided::check(&asked, check).await
    });
    let checking = || {
        processes().into_iter().any(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .unwrap_or_default()
                .windows(12)
                .any(|part| part == b"RAZAR_CHECK=")
        })
    };
    eventually_while("the check runs", checking).await;
    stage.kill_launcher();
    let situation = host.reconnected().await;
    assert_eq!(situation.running.iter().map(|found| found.process).collect::<Vec<_>>(), [process]);
    let lost = tokio::time::timeout(LIMIT, pending).await.unwrap().unwrap();
    assert!(matches!(lost, Err(CheckError::Launcher(LauncherError::Lost))), "{lost:?}");
    assert_eq!(host.stop(1, 5000).await, ExitStatus::Unknown);
    assert!(gone(pid(process)));
}

#[tokio::test]
async fn a_process_that_only_has_the_number_is_not_ours_and_one_without_a_record_is() {
    let stage = Stage::new();
    let host = stage.host().await;
    let mine = host.start("mine", 1, &["sh", "-c", "sleep 1000 & setsid sleep 1000 & wait"]).await.unwrap();
    drop(host);
    stage.kill_launcher();
    // A stranger got the number of an instance that died; and the crash came before the record of `mine`.
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let record_path = stage.state.join("run/mine.1.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&record_path).unwrap()).unwrap();
    fs::remove_file(&record_path).unwrap();
    record["component"] = "other".into();
    record["instance"] = 2.into();
    record["process"]["pid"] = stranger.id().into();
    // Whoever has the number now was started later: a tick of the clock is enough to tell them apart.
    record["process"]["start_time"] = (mine.start_time - 1).into();
    fs::write(stage.state.join("run/other.2.json"), record.to_string()).unwrap();
    fs::write(stage.state.join("run/torn.3.json"), "{\"comp").unwrap();

    let host = stage.host().await;
    let until = Instant::now() + LIMIT;
    let now = loop {
        let now = host.launcher.list().await.unwrap();
        if !now.ended.is_empty() {
            break now;
        }
        assert!(Instant::now() < until, "{now:?}");
    };
    assert_eq!(
        now.running.iter().map(|found| (found.instance, found.process)).collect::<Vec<_>>(),
        [(InstanceId(1), mine)]
    );
    assert_eq!(
        (now.ended[0].instance, now.ended[0].exit, now.ended[0].left),
        (InstanceId(2), ExitStatus::Unknown, 0)
    );
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    host.stop(1, 5000).await;
    assert_eq!(stage.marked(), Vec::<i32>::new());
}

#[tokio::test]
async fn what_lost_its_main_process_while_nobody_watched_is_ended() {
    let stage = Stage::new();
    let host = stage.host().await;
    let process = host.start("web", 1, &["sh", "-c", "setsid sleep 1000 & wait"]).await.unwrap();
    eventually_while("both run", || stage.marked().len() == 2).await;
    drop(host);
    stage.kill_launcher();
    kill(pid(process));
    eventually("it is gone", || gone(pid(process)));
    let host = stage.host().await;
    eventually_while("its child is gone too", || stage.marked().is_empty()).await;
    let until = Instant::now() + LIMIT;
    while host.launcher.list().await.unwrap().ended.iter().all(|ending| ending.left != 1) {
        assert!(Instant::now() < until);
    }
    host.start("web", 2, &["sleep", "1000"]).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_started_is_named_with_a_remedy() {
    let stage = Stage::new();
    let host = stage.host().await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", "#!/bin/sh\n", 0o644);
    let orphan = file("orphan", "#!/no/such/interpreter\n", 0o755);
    let garbage = file("garbage", "\u{1}\u{2}\u{3}", 0o755);
    let long = "x".repeat(200_000);
    let huge = "x".repeat(3 << 20);
    let cases: [(&[&str], &str); 11] = [
        (&[], "the command is empty"),
        (&[""], "the command is empty"),
        (&["no-such-command-here"], "`no-such-command-here` was not found in PATH"),
        (&["/no/such/file"], "`/no/such/file` does not exist"),
        (&["/usr"], "`/usr` is a directory"),
        (&[&plain], "chmod +x"),
        (&[&orphan], "interpreter that does not exist"),
        (&[&garbage], "begin it with a `#!` line"),
        (&["sleep", &long], "larger than the kernel takes"),
        (&["sleep", &huge], "pass the long ones in a file"),
        (&["sleep", "a\0b"], "NUL"),
    ];
    for (argv, wanted) in cases {
        let (why, message) = host.refused("web", 1, argv).await;
        assert_eq!(why, Refusal::Impossible, "{message}");
        assert!(message.contains(wanted) && !message.contains("/usr/bin:"), "{message}");
    }
    for (workdir, wanted) in [("/no/dir", "`/no/dir` does not exist"), (plain.as_str(), "is not a directory")]
    {
        let mut spec = spec("web", 1, &["sleep", "1"]);
        spec.run.workdir = workdir.to_owned();
        let (why, message) = refusal(undecided::start(&host.launcher, spec).await);
        assert!(why == Refusal::Impossible && message.contains(wanted), "{message}");
    }
    let mut spec = spec("web", 1, &["sleep", "1"]);
    spec.run.user = Some("no-such-user".to_owned());
    let (why, message) = refusal(undecided::start(&host.launcher, spec).await);
    assert!(why == Refusal::Impossible && message.contains("`no-such-user`"), "{message}");
    assert_eq!(stage.run_dir(), Vec::<String>::new());
    host.start("web", 1, &["sleep", "1000"]).await.unwrap();
}

#[tokio::test]
async fn a_service_of_another_user_has_that_users_rights_and_errors_are_as_precise() {
    if !rustix::process::geteuid().is_root() {
        return; // then `user` is refused, which the unit tests show
    }
    let stage = Stage::new();
    let mut host = stage.host().await;
    let mut who = spec(
        "who",
        1,
        &["sh", "-c", "id -u; id -G; echo $HOME; echo reopened >/dev/stdout; wc -c </dev/stdin; exit 5"],
    );
    who.run.user = Some("nobody".to_owned());
    undecided::start(&host.launcher, who).await.unwrap();
    assert_eq!(host.ending().await.exit, ExitStatus::Code(5));
    let log = stage.log("who");
    assert!(log.starts_with("65534\n65534\n") && log.ends_with("reopened\n0\n"), "{log}");

    let private = tempfile::tempdir().unwrap();
    fs::set_permissions(private.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let program = private.path().join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut denied = spec("denied", 2, &[program.to_str().unwrap()]);
    denied.run.user = Some("nobody".to_owned());
    let (_, message) = refusal(undecided::start(&host.launcher, denied).await);
    assert!(message.contains("may not be executed by this user"), "{message}");
}

#[tokio::test]
async fn a_check_answers_with_its_code_and_bounded_output_and_its_time_limit_kills_its_group() {
    let stage = Stage::new();
    let host = stage.host().await;
    let report = host.check(&["sh", "-c", "echo fine; echo 12345678; exit 2"], 20_000, 8).await;
    assert_eq!(report.end, CheckEnd::Exited(ExitStatus::Code(2)));
    assert_eq!((report.output.as_str(), report.truncated), ("fine\n123", true));
    let report = host.check(&["sh", "-c", "echo stuck; sleep 1011 & sleep 1012"], 300, 100).await;
    assert_eq!((report.end, report.output.as_str()), (CheckEnd::TimedOut, "stuck\n"));
    assert!((300..20_000).contains(&report.took_ms), "{}", report.took_ms);
    let report = host.check(&["sh", "-c", "sleep 1013 & echo left one"], 20_000, 100).await;
    assert_eq!((report.end, report.output.as_str()), (CheckEnd::Exited(ExitStatus::Code(0)), "left one\n"));
    for seconds in ["1011", "1012", "1013"] {
        eventually("the group is gone", || {
            processes().into_iter().filter(|pid| !gone(*pid)).all(|pid| {
                fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
                    != format!("sleep\0{seconds}\0").as_bytes()
            })
        });
    }
    let missing = CheckSpec {
        component: None,
        run: run(&["no-such-check"]),
        timeout_ms: 1000,
        output_bytes: 10,
        trial: false,
    };
    let error = undecided::check(&host.launcher, missing).await.unwrap_err().to_string();
    assert!(error.contains("`no-such-check` was not found"), "{error}");
}

#[tokio::test]
async fn a_long_state_path_works_and_everything_in_it_is_private() {
    let mut stage = Stage::new();
    stage.state = stage.state.join("d".repeat(150)).join("e".repeat(150));
    let host = stage.host().await;
    host.start("web", 1, &["sleep", "1000"]).await.unwrap();
    let socket = fs::metadata(stage.state.join("launcher.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    for path in ["", "run", "logs", "logs/services"] {
        assert_eq!(
            fs::metadata(stage.state.join(path)).unwrap().permissions().mode() & 0o777,
            0o700,
            "{path}"
        );
    }
    drop(host);
    assert_eq!(stage.host().await.found.running.len(), 1);
}

#[tokio::test]
async fn a_client_that_never_reads_or_talks_nonsense_harms_nobody() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let socket = stage.state.join("launcher.sock");
    let mut silent = UnixStream::connect(&socket).unwrap();
    silent.set_nonblocking(true).unwrap();
    let lists = b"{\"id\":1,\"ask\":\"list\"}\n".repeat(1000);
    let mut dropped = false;
    let until = Instant::now() + LIMIT;
    host.start("web", 1, &["sleep", "1000"]).await.unwrap();
    while !dropped && Instant::now() < until {
        dropped =
            matches!(silent.write(&lists), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock);
        assert_eq!(host.launcher.list().await.unwrap().running.len(), 1);
    }
    assert!(dropped, "unread answers pile up only so far");
    for nonsense in [b"hello\n".as_slice(), &[b'x'; (1 << 20) + 70_000], b"{\"id\":1,\"ask\":\"dance\"}\n"] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let _ = stream.write_all(nonsense);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(said.starts_with(b"{\"hello\":{\"protocol\":1"));
    }
    host.stop(1, 5000).await;
    assert!(host.ending().await.asked);
    let own = fs::read_to_string(stage.state.join("logs/launcher.log")).unwrap();
    assert_eq!(own.matches("dropped a connection").count(), 4, "{own}");
}

#[tokio::test]
async fn two_hundred_services_start_together_and_all_are_reaped() {
    let stage = Stage::new();
    let mut host = stage.host().await;
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..200 {
        let launcher = host.launcher.clone();
        starts.spawn(async move {
            undecided::start(&launcher, spec(&format!("s{number}"), number, &["sleep", "1000"]))
                .await
                .unwrap()
        });
    }
    let all: Vec<Process> = starts.join_all().await;
    assert_eq!(host.launcher.list().await.unwrap().running.len(), 200);
    let limit = fs::read_to_string(format!("/proc/{}/limits", all[0].pid)).unwrap();
    let own = fs::read_to_string("/proc/self/limits").unwrap();
    let files = |text: &str| text.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    assert_eq!(files(&limit), files(&own), "services inherit the host's limits, not the launcher's");
    all.iter().for_each(|process| kill(pid(*process)));
    for _ in 0..200 {
        assert_eq!(host.ending().await.exit, ExitStatus::Signal(9));
    }
    let launcher = stage.launcher_pid().unwrap();
    assert!(
        !processes().into_iter().any(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&launcher.to_string()))
        }),
        "no zombie is left"
    );
    assert_eq!(stage.run_dir(), Vec::<String>::new());
}

#[tokio::test]
async fn the_launcher_leaves_the_terminal_and_ends_by_itself() {
    let stage = Stage::new();
    let host = stage.host().await;
    let launcher = stage.launcher_pid().unwrap();
    let stat = fs::read_to_string(format!("/proc/{launcher}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(
        (fields[2], fields[3]),
        (launcher.to_string().as_str(), launcher.to_string().as_str()),
        "own group and session"
    );
    assert_eq!(fs::read_dir(format!("/proc/{launcher}/task")).unwrap().count(), 1, "one thread");
    drop(host);
    eventually_while("it ends without services and hosts", || stage.launcher_pid().is_none()).await;
}

#[tokio::test]
async fn ten_hosts_at_once_share_one_launcher() {
    let stage = Stage::new();
    let hosts = many_hosts(10, &stage).await;
    let process = hosts[0].start("web", 1, &["sleep", "1000"]).await.unwrap();
    for host in &hosts {
        assert_eq!(host.launcher.list().await.unwrap().running[0].process, process);
    }
}

async fn many_hosts(count: usize, stage: &Stage) -> Vec<Host> {
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..count {
        let state = stage.state.clone();
        opening.spawn(async move {
            let exe = Path::new(env!("CARGO_BIN_EXE_razar-host"));
            let (launcher, events, found) = Launcher::connect_or_spawn(&state, exe).await.unwrap();
            Host { launcher, events, found }
        });
    }
    opening.join_all().await
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::write(&state, "a file").unwrap();
    let exe = Path::new(env!("CARGO_BIN_EXE_razar-host"));
    let error = Launcher::connect_or_spawn(&state, exe).await.unwrap_err().to_string();
    assert!(error.contains("cannot be used"), "{error}");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    fs::write(state.join("run"), "a file").unwrap();
    let error = Launcher::connect_or_spawn(&state, exe).await.unwrap_err().to_string();
    assert!(error.contains("cannot use the state directory"), "{error}");
}

#[tokio::test]
async fn what_a_process_is_held_to_is_taken_before_it_begins_and_of_its_checks_too() {
    let stage = Stage::new();
    let host = stage.host().await;
    let script = "ulimit -n; ulimit -c; grep NoNewPrivs /proc/self/status; exec sleep 600";
    let mut held = spec("held", 1, &["sh", "-c", script]);
    held.run.no_new_privileges = true;
    held.run.limits = BTreeMap::from([("open_files".to_owned(), 64), ("core_dump".to_owned(), 0)]);
    let check = CheckSpec {
        component: None,
        run: held.run.clone(),
        timeout_ms: 40_000,
        output_bytes: 1_000,
        trial: false,
    };
    let process = undecided::start(&host.launcher, held.clone()).await.unwrap();
    eventually("all is said", || stage.log("held").lines().count() == 3);
    assert_eq!(stage.log("held"), "64\n0\nNoNewPrivs:\t1\n");
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.pid)).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let files: Vec<&str> = files.split_ascii_whitespace().collect();
    assert_eq!(files[3..5], ["64", "64"], "soft and hard, so that it cannot be raised again");

    let check = CheckSpec {
        run: Run { argv: vec!["sh".into(), "-c".into(), "ulimit -n".into()], ..check.run },
        ..check
    };
    assert_eq!(undecided::check(&host.launcher, check).await.unwrap().output, "64\n");

    // What this launcher does not know is no reason to go without.
    let mut strange = spec("strange", 2, &["sleep", "600"]);
    strange.run.limits = BTreeMap::from([("patience".to_owned(), 1)]);
    let (why, message) = refusal(undecided::start(&host.launcher, strange).await);
    assert!(why == Refusal::Impossible && message.contains("no limit `patience`"), "{message}");
    assert_eq!(host.stop(1, 1_000).await, ExitStatus::Signal(15));
}
