//! What no single call of a guest can show: memory and logs over many of them, how neighbours are served, code at rest, a
//! plugin that is replaced, and a host that is told to end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use razar_conform::Case;
use razar_conform::case::{PLUGIN, Ready};
use razar_conform::run::call;
use razar_conform::world::World;
use razar_core::grant::{Grant, LimitField, Request};
use razar_core::id::{Digest, PluginId};
use razar_runtime::Runtime;
use razar_runtime::guard::{self, Guard};
use razar_runtime::load::Source;
use razar_runtime::package::Package;
use razar_runtime::plugin::{CodeSource, LoadedPlugin, Warning};
use razar_tests::artifact;
use razar_tests::scene::Scene;
use serde_json::json;
use tokio::task::JoinSet;

use crate::filter::{self, RACES};
use crate::stage::{GENEROUS, Stage, healthy, options, resident};
use crate::{corpus, long, rounds, trial};

/// Cases whose calls are short, of every kind of end.
const MIXED: &[&str] = &[
    "A4_trap_at_start",
    "A5_endless_memory",
    "A6_refused_growth",
    "A10_endless_recursion",
    "A11_stack_in_memory",
    "A25_exit",
    "B1b_slightly_large_reply",
    "B5_use_after_drop",
    "B6_not_utf8",
    "B11_random",
    "C3_forged_line",
    "D1_out_by_dots",
    "D9_handles",
    "D11_fifo",
    "E4_other_host",
    "E28_quota",
    "E31_not_http",
    "J13_panic_in_the_host",
];

/// Beyond a tenth: what an allocator keeps for next time.
const SLACK_KIB: u64 = 16 << 10;

pub(crate) fn trials() -> Vec<Trial> {
    let own = |name: &str, run: fn(&Arc<Stage>)| {
        trial(format!("hostile::{name}"), move |stage| -> Result<(), Failed> {
            run(stage);
            Ok(())
        })
    };
    vec![
        own("every_limit_has_a_case", |_| every_limit_has_a_case()),
        own("A1c_near_the_deadline", near_the_deadline),
        own("A1d_runaway_beside_probes", runaway_beside_probes),
        own("A14b_neighbours_are_served", neighbours_are_served),
        own("A26_memory_returns", memory_returns),
        own("C9_flood_over_many_calls", flood_over_many_calls),
        own("C9b_flood_on_disk", flood_on_disk),
        own(RACES, many_raced_opens),
        trial(format!("hostile::without_openat2::{RACES}"), |_| filter::outside(RACES)),
        own("F2b_cut_anywhere", cut_anywhere),
        own("F4_mutants", mutants),
        own("F16_swapped_while_read", swapped),
        own("F22_changed_code", |_| {
            let (source, warnings) = changed_code();
            assert_eq!((source, warnings), (CodeSource::Compiled, vec![Warning::ForeignCode]));
        }),
        own("mutation::F22_changed_code", |_| {
            guard::off(Some(Guard::Mac));
            let (source, warnings) = changed_code();
            guard::off(None);
            assert_eq!((source, warnings), (CodeSource::Cached, vec![]), "the MAC is not what refuses it");
        }),
        own("F24_replaced_while_running", replaced),
        own("J14_told_to_end", told_to_end),
    ]
}

/// What an operator may write is what is tried.
fn every_limit_has_a_case() {
    for field in LimitField::ALL {
        let cases = corpus::cases().iter().filter(|case| case.limit() == Some(*field)).count();
        assert_eq!(cases, 1, "cases about `{field}`");
    }
}

/// A case of the corpus, loaded; the world lies in `home`.
fn loaded(stage: &Stage, case: &Case, home: &Path) -> (Arc<LoadedPlugin>, Ready, World) {
    let world = World::make(home, &case.world().unwrap()).unwrap();
    let ready = stage.ready(case, &world);
    let wasm = corpus::corpus().guest(&ready.guest).unwrap().into();
    let source = Source { id: ready.plugin.clone(), request: ready.request.clone(), wasm };
    let plugin = stage.tokio.block_on(stage.runtime.load(source, &ready.grant)).unwrap();
    (Arc::new(plugin), ready, world)
}

fn case(name: &str) -> &'static Case {
    corpus::corpus().case(name).unwrap_or_else(|| panic!("there is no case {name}"))
}

/// A guest that never returns is ended soon after its deadline. The best of many counts: a machine may be busy, but it is
/// not busy all the time.
fn near_the_deadline(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let (plugin, ready, _world) = loaded(stage, case("A1_infinite_loop"), home.path());
    let mut late: Vec<Duration> = (0..10)
        .map(|_| {
            let seen = stage.tokio.block_on(call(&plugin, &ready));
            assert_eq!(seen[0].end, "deadline");
            assert!(seen[0].wall >= ready.deadline, "ended early, after {:?}", seen[0].wall);
            seen[0].wall - ready.deadline
        })
        .collect();
    late.sort();
    println!(
        "a runaway guest ends {:?} after its deadline at best, {:?} at the median",
        late[0],
        late[late.len() / 2]
    );
    assert!(late[0] < ready.deadline, "ended {:?} late at best", late[0]);
}

/// A hundred well-behaved calls a second, and what the last of a hundred of them takes; and a guest that never returns,
/// again and again, beside them. Figures are promises only where there is time, and on top of what the machine itself is
/// late: a thread of no sandbox that does nothing but look at the clock knows.
fn runaway_beside_probes(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let (plugin, ready, _world) = loaded(stage, case("A1_infinite_loop"), home.path());
    let all = rounds(5, 200);
    let span = ready.deadline * u32::try_from(all).unwrap();
    let alone = stage.tokio.block_on(a_hundred_a_second(stage, async { tokio::time::sleep(span).await }));
    let (plugin, mut late) = (&plugin, Vec::new());
    let beside = stage.tokio.block_on(a_hundred_a_second(stage, async {
        for _ in 0..all {
            let seen = call(plugin, &ready).await.remove(0);
            assert_eq!(seen.end, "deadline");
            late.push(seen.wall.saturating_sub(ready.deadline));
        }
    }));
    let (late, alone, beside) = (p99(late), p99(alone), p99(beside));
    let noise = p99(native_runaways(all, ready.deadline));
    println!(
        "p99: a runaway ends {late:?} late; a probe takes {alone:?} alone and {beside:?} beside it; \
         a thread of the system's own ends {noise:?} late"
    );
    assert!(late < GENEROUS && beside < GENEROUS, "{late:?} late, {beside:?} beside");
    if long() {
        assert!(late <= Duration::from_millis(20) + noise, "a runaway ends {late:?} late");
        assert!(beside <= alone * 2 + noise, "{beside:?} beside a runaway, {alone:?} alone");
    }
}

/// What each of a hundred well-behaved calls a second takes until something else is done.
async fn a_hundred_a_second(stage: &Stage, done: impl Future<Output = ()>) -> Vec<Duration> {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    tokio::pin!(done);
    loop {
        tokio::select! {
            () = &mut done => break,
            _ = ticks.tick() => {
                let good = Arc::clone(&stage.good);
                calls.spawn(async move {
                    let begun = Instant::now();
                    healthy(&good).await.unwrap();
                    begun.elapsed()
                });
            }
        }
    }
    calls.join_all().await
}

/// How late a thread that is busy sees by the clock that its time is up: what the machine keeps from it for others.
fn native_runaways(all: usize, time: Duration) -> Vec<Duration> {
    let run = |_| {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
        begun.elapsed() - time
    };
    (0..all).map(run).collect()
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[(took.len() - 1) * 99 / 100]
}

/// How long calls of the well-behaved plugin take beside eight that spin, against how long they take alone.
fn neighbours_are_served(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let mut spin = case("A14_many_spinners").ready(&stage.places(home.path())).unwrap();
    (spin.at_once, spin.deadline) = (8, Duration::from_secs(2));
    let source = Source {
        id: spin.plugin.clone(),
        request: spin.request.clone(),
        wasm: corpus::corpus().guest(&spin.guest).unwrap().into(),
    };
    let plugin = Arc::new(stage.tokio.block_on(stage.runtime.load(source, &spin.grant)).unwrap());
    let typical = |until: &dyn Fn(usize) -> bool| {
        let mut took = Vec::new();
        while !until(took.len()) {
            let begun = Instant::now();
            stage.tokio.block_on(healthy(&stage.good)).unwrap();
            took.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        took.sort();
        (took[took.len() / 2], took.len())
    };
    let (alone, _) = typical(&|asked| asked == 200);
    let spinning = stage.tokio.spawn(async move { call(&plugin, &spin).await });
    let (beside, asked) = typical(&|asked| spinning.is_finished() && asked > 0);
    assert!(stage.tokio.block_on(spinning).unwrap().iter().all(|seen| seen.end == "deadline"));
    println!("a call takes {alone:?} alone and {beside:?} beside spinners, typically ({asked} calls)");
    // With turns of one tick each for all who spin, nobody waits for more than all of them; without, for two seconds.
    let fair = (alone * 50).max(Duration::from_millis(200));
    assert!(beside < fair, "{beside:?} beside spinners, {alone:?} alone ({asked} calls)");
}

/// However much a plugin prints over however many calls: a minute keeps half a mebibyte of it.
fn flood_over_many_calls(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let mut wide = case("C1_flood").ready(&stage.places(home.path())).unwrap();
    wide.grant.limits.set(LimitField::Stdout, 16 << 20);
    let source = Source {
        id: wide.plugin.clone(),
        request: wide.request.clone(),
        wasm: corpus::corpus().guest(&wide.guest).unwrap().into(),
    };
    let plugin = Arc::new(stage.tokio.block_on(stage.runtime.load(source, &wide.grant)).unwrap());
    let begun = Instant::now();
    let (calls, mut kept) = (rounds(4, 54), 0);
    for _ in 0..calls {
        for seen in stage.tokio.block_on(call(&plugin, &wide)) {
            assert_eq!(seen.end, "reply", "{seen:?}");
            kept += seen.log.lines.iter().map(|line| line.text.len()).sum::<usize>();
        }
    }
    println!("of {} MB printed in {calls} calls {kept} bytes are kept", calls * 20);
    // A quarter of a mebibyte at once, and a quarter in every minute.
    let most = (1 << 18) + (1 << 18) * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 1) / 60;
    assert!(kept <= most, "{kept} bytes are kept, {most} may be");
    assert!(kept > 0, "nothing is kept");
}

/// The same flood through the real host, which writes everything a guest says where it logs: what is on the disk then, the
/// state directory and all it has rotated away included.
fn flood_on_disk(_: &Arc<Stage>) {
    const EACH: u64 = 20_000_000;
    let scene = Scene::new();
    let grants = scene.write(
        "grants.toml",
        "[probe-hostile]\nlimits = { deadline = \"1 min\", stdout = \"16 MiB\", log = \"16 MiB\" }\n",
    );
    let health = json!({
        "probe": "probe-hostile", "settings": { "do": "print", "bytes": EACH }, "address": "127.0.0.1:1",
        "deadline": "1 h", "timeout": "1 min", "interval": "10 ms",
    });
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": ["sleep", "600"], "health": health })]);
    let (plugins, grants) = (artifact::hostile().display().to_string(), grants.display().to_string());
    let logged = ["--log", "info", "--log-format", "json"];
    let run = scene.run_with(&[&["--plugins", &plugins, "--grants", &grants], &logged[..]].concat());
    let calls = || {
        let metrics = scene.get(scene.port("metrics"), "/metrics").unwrap_or_default();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("razar_plugin_calls_total") && line.contains("reply"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    scene.until("the first call", || calls() > 0);
    let begun = Instant::now();
    let all = u64::try_from(rounds(3, 54)).unwrap();
    while calls() < all {
        assert!(begun.elapsed() < GENEROUS * 60, "{} of {all} calls{}", calls(), scene.story());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (took, flood) = (begun.elapsed(), calls() * EACH);
    let state = scene.state();
    let kept: Vec<_> = [scene.path("0.err"), scene.path("0.out")]
        .into_iter()
        .map(|path| (path.clone(), fs::metadata(path).map_or(0, |meta| meta.len())))
        .chain(files(&state).into_iter().filter(|(path, _)| !path.starts_with(state.join("cache"))))
        .collect();
    let sum: u64 = kept.iter().map(|(_, length)| length).sum();
    println!("{flood} bytes of flood in {took:?} leave {sum} bytes on the disk");
    // A flood that takes more than two minutes leaves a quarter more for each.
    let most = (1 << 20) + (1 << 18) * (took.as_secs() / 60).saturating_sub(2);
    assert!(sum <= most, "{sum} bytes, {most} may be: {kept:?}");
    // A call is counted a moment before its words are written.
    scene.until("what was kept and that more was dropped is told", || {
        let said = run.complaints();
        said.contains("stdout: aaaa") && said.contains("bytes dropped")
    });
    run.terminate();
}

/// All files below a directory and their lengths.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => found.extend(files(&entry.path())),
            Ok(meta) if meta.is_file() => found.push((entry.path(), meta.len())),
            _ => {}
        }
    }
    found
}

/// Opens that race with a directory becoming a link to outside: none ever leads there.
pub(crate) fn many_raced_opens(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let (plugin, ready, _world) = loaded(stage, case("D7_race"), home.path());
    let (mut both, mut raced, mut refused) = (false, 0, 0);
    while raced < rounds(4, 200) {
        let seen = stage.tokio.block_on(call(&plugin, &ready));
        // Between two renames there is no directory to grant.
        if seen[0].message.contains("is not a directory that can be granted") {
            refused += 1;
            assert!(refused < 100 * (raced + 10), "it is hardly ever there: {seen:?}");
            continue;
        }
        raced += 1;
        assert!(seen[0].message.contains(" 0 outside,"), "{seen:?}");
        both |= seen[0].message.contains("both seen");
    }
    assert!(both, "the directory never was a link when it was opened: nothing raced");
}

/// A component that ends too early is refused wherever it ends, unless all it has lost are names at its end.
fn cut_anywhere(stage: &Arc<Stage>) {
    let whole = corpus::corpus().guest("grow").unwrap();
    let mut taken = 0;
    for at in 0..whole.len() {
        match refused(stage, whole[..at].to_vec()) {
            None => taken += 1,
            Some(error) => {
                assert!(error.len() <= 1_024 && !error.chars().any(char::is_control), "cut at {at}: {error}");
            }
        }
    }
    assert!(taken <= 4, "{taken} of {} beginnings of a component were taken for one", whole.len());
}

/// One bit is another: it is refused, or it is a plugin like any other, and the host is never at fault.
fn mutants(stage: &Arc<Stage>) {
    let whole = corpus::corpus().guest("grow").unwrap();
    let home = tempfile::tempdir().unwrap();
    let ready = case("A6_refused_growth").ready(&stage.places(home.path())).unwrap();
    // Without a cache: nobody meets any of them again.
    let runtime = Runtime::new(options(None, None)).unwrap();
    let many = rounds(100, 10_000);
    let (mut bits, mut ran) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    for _ in 0..many {
        // A generator of its own, so that every run has the same mutants.
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut wasm = whole.clone();
        let at = usize::try_from(bits >> 20).unwrap() % wasm.len();
        wasm[at] ^= 1 << (bits >> 61);
        let source = Source { wasm: wasm.into(), ..source("grow") };
        let Ok(plugin) = stage.tokio.block_on(runtime.load(source, &Grant::default())) else { continue };
        if plugin.probe().is_some() {
            let seen = stage.tokio.block_on(call(&Arc::new(plugin), &ready));
            assert_ne!(seen[0].end, "host-bug", "byte {at}: {seen:?}");
            ran += 1;
        }
    }
    println!("{ran} of {many} mutants ran");
    assert!(ran > 0, "none of {many} mutants ran");
}

fn refused(stage: &Stage, wasm: Vec<u8>) -> Option<String> {
    let source = Source { wasm: wasm.into(), ..source("grow") };
    stage.tokio.block_on(stage.runtime.load(source, &Grant::default())).err().map(|error| error.to_string())
}

/// Hundreds of calls that go wrong in every way leave the process as large as it was.
fn memory_returns(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let mut calls = Vec::new();
    for name in MIXED {
        let dir = home.path().join(name);
        fs::create_dir(&dir).unwrap();
        calls.push(loaded(stage, case(name), &dir));
    }
    let round = || {
        for (plugin, ready, _) in &calls {
            let seen = stage.tokio.block_on(call(plugin, ready));
            assert_eq!(seen[0].end, ready.expect.end, "{seen:?}");
        }
    };
    let all = rounds(300, 10_000);
    for _ in 0..3 {
        round();
    }
    let before = resident();
    for _ in 0..all.div_ceil(calls.len()) {
        round();
    }
    let after = resident();
    println!("{before} KiB before {all} hostile calls, {after} KiB after");
    let slack = if long() { 0 } else { SLACK_KIB };
    assert!(after <= before + before / 10 + slack, "{before} KiB before {all} calls, {after} KiB after");
}

fn source(guest: &str) -> Source {
    let id: PluginId = PLUGIN.parse().unwrap();
    Source { id, request: Request::default(), wasm: corpus::corpus().guest(guest).unwrap().into() }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

/// One plugin's code lies under another plugin's name: where the other's code comes from, and what is said of it.
fn changed_code() -> (CodeSource, Vec<Warning>) {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("code");
    let tokio = &Stage::shared().tokio;
    let load = |guest: &str| -> LoadedPlugin {
        let runtime = Runtime::new(options(Some(&cache), None)).unwrap();
        tokio.block_on(runtime.load(source(guest), &Grant::default())).unwrap()
    };
    load("healthy");
    let own = entries(&cache).remove(0);
    load("grow");
    let other = entries(&cache).into_iter().find(|path| *path != own).unwrap();
    fs::copy(&other, &own).unwrap();
    let loaded = load("healthy");
    tokio.block_on(healthy_or_not(&loaded));
    (loaded.inspection().code, loaded.inspection().warnings.clone())
}

/// A package's file is another one again and again while it is loaded: what was hashed is what runs.
fn swapped(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let manifest =
        "name = \"hostile\"\nversion = \"0.1.0\"\nwasm = \"p.wasm\"\ndescription = \"two in one\"\n";
    fs::write(home.path().join("plugin.toml"), manifest).unwrap();
    let guests = ["healthy", "grow"].map(|name| corpus::corpus().guest(name).unwrap());
    let digests = guests.each_ref().map(|wasm| Digest::of(wasm));
    let file = home.path().join("p.wasm");
    fs::write(&file, &guests[0]).unwrap();
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let swapping = std::thread::spawn({
        let (stop, next, file) = (Arc::clone(&stop), home.path().join("next"), file.clone());
        move || {
            for wasm in guests.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                fs::write(&next, wasm).unwrap();
                fs::rename(&next, &file).unwrap();
            }
        }
    });
    let ready = case("A6_refused_growth").ready(&stage.places(home.path())).unwrap();
    let (mut seen, mut loads) = ([0, 0], 0);
    while loads < rounds(20, 1_000) || (seen.contains(&0) && begun.elapsed() < GENEROUS) {
        let source = Package::read(home.path()).unwrap().source();
        let plugin = stage.tokio.block_on(stage.runtime.load(source, &Grant::default())).unwrap();
        let which = digests.iter().position(|digest| *digest == plugin.inspection().digest);
        let which = which.expect("half of one file and half of another");
        let end = stage.tokio.block_on(call(&Arc::new(plugin), &ready)).remove(0);
        // The second one asks for memory and tells that it was refused.
        let told = ["healthy", "degraded"][which];
        assert!(end.message.starts_with(told), "load {loads}: {end:?}");
        seen[which] += 1;
        loads += 1;
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(!seen.contains(&0), "the file was always the same one: {seen:?}");
}

/// Whatever code it is, the host goes on.
async fn healthy_or_not(plugin: &LoadedPlugin) {
    drop(healthy(plugin).await);
}

/// A plugin is loaded anew while the one it replaces still answers: each call is one plugin's, from beginning to end.
fn replaced(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let (old, ready, _world) = loaded(stage, &case("A22_sleep").without_guard(), home.path());
    let digest = old.inspection().digest;
    let running = stage.tokio.spawn({
        let old = Arc::clone(&old);
        async move { call(&old, &ready).await }
    });
    let new = stage.tokio.block_on(stage.runtime.load(source("healthy"), &Grant::default())).unwrap();
    drop(old);
    assert_ne!(new.inspection().digest, digest);
    stage.tokio.block_on(healthy(&new)).unwrap();
    let seen = stage.tokio.block_on(running).unwrap();
    assert_eq!((seen[0].end.as_str(), seen[0].message.as_str()), ("reply", "healthy: slept"));
}

/// The real host ends although a plugin never does.
fn told_to_end(_: &Arc<Stage>) {
    let scene = Scene::new();
    let grants = scene.write("grants.toml", "[probe-hostile]\nlimits = { deadline = \"1 h\" }\n");
    scene.stack(
        &["all"],
        &[json!({
            "id": "one",
            "entrypoint": ["sleep", "600"],
            "health": {
                "probe": "probe-hostile", "settings": { "do": "spin" }, "address": "127.0.0.1:1",
                "deadline": "1 h", "timeout": "1 h",
            },
        })],
    );
    let (plugins, grants) = (artifact::hostile().display().to_string(), grants.display().to_string());
    let run = scene.run_with(&["--plugins", &plugins, "--grants", &grants]);
    scene.until("the service runs and is asked about", || !scene.running().is_empty());
    let begun = Instant::now();
    let ended = run.terminate();
    assert!(ended.code.is_some(), "{ended:?}");
    let took = begun.elapsed();
    println!("told to end, the host took {took:?}");
    let most = if long() { Duration::from_secs(5) } else { GENEROUS };
    assert!(took <= most, "it took {took:?} to end");
    assert!(scene.running().is_empty(), "services are left behind");
}
