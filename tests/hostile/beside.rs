//! What no single call of a guest can show: memory over many of them, code at rest, a plugin that is replaced, and a host
//! that is told to end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use razar_conform::case::PLUGIN;
use razar_conform::run::call;
use razar_conform::world::World;
use razar_core::grant::{Grant, Request};
use razar_core::id::PluginId;
use razar_runtime::Runtime;
use razar_runtime::guard::{self, Guard};
use razar_runtime::load::Source;
use razar_runtime::plugin::{CodeSource, LoadedPlugin, Warning};
use razar_tests::artifact;
use razar_tests::scene::Scene;
use serde_json::json;

use crate::stage::{GENEROUS, Stage, healthy, options, resident};
use crate::{corpus, rounds, trial};

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
        own("A26_memory_returns", memory_returns),
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

/// Hundreds of calls that go wrong in every way leave the process as large as it was.
fn memory_returns(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let mut calls = Vec::new();
    for name in MIXED {
        let case = corpus::corpus().case(name).unwrap_or_else(|| panic!("there is no case {name}"));
        let dir = home.path().join(name);
        fs::create_dir(&dir).unwrap();
        let world = World::make(&dir, &case.world().unwrap()).unwrap();
        let ready = stage.ready(case, &world);
        let wasm = corpus::corpus().guest(&ready.guest).unwrap().into();
        let source = Source { id: ready.plugin.clone(), request: ready.request.clone(), wasm };
        let plugin = stage.tokio.block_on(stage.runtime.load(source, &ready.grant)).unwrap();
        calls.push((Arc::new(plugin), ready, world));
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
    assert!(after <= before + before / 10 + SLACK_KIB, "{before} KiB before {all} calls, {after} KiB after");
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

/// Whatever code it is, the host goes on.
async fn healthy_or_not(plugin: &LoadedPlugin) {
    drop(healthy(plugin).await);
}

/// A plugin is loaded anew while the one it replaces still answers: each call is one plugin's, from beginning to end.
fn replaced(stage: &Arc<Stage>) {
    let home = tempfile::tempdir().unwrap();
    let case = corpus::corpus().case("A22_sleep").unwrap().without_guard();
    let world = World::make(home.path(), &case.world().unwrap()).unwrap();
    let ready = stage.ready(&case, &world);
    let old = stage.tokio.block_on(stage.runtime.load(source("probe-hostile"), &ready.grant)).unwrap();
    let old = Arc::new(old);
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
    assert!(begun.elapsed() < GENEROUS, "it took {:?} to end", begun.elapsed());
    assert!(scene.running().is_empty(), "services are left behind");
}
