//! Which crate may depend on which.
//!
//! ```text
//! core ◄── runtime ◄── conform    core ◄── ledger    all four ◄── app ◄── tests    sdk ◄── plugins
//!                                                                                  sdk ◄── agent-kit ◄── agents
//! ```

use std::collections::{BTreeMap, VecDeque};

use cargo_metadata::{DependencyKind, PackageId};

use crate::none;
use crate::workspace::{METADATA, directory, members, sources};

/// What would give core a way to act, to wait or to be surprised, however far down it is.
const NOT_IN_CORE: &[&str] = &[
    "async-std",
    "axum",
    "cap-std",
    "chrono",
    "futures-util",
    "getrandom",
    "hyper",
    "jiff",
    "libsqlite3-sys",
    "mio",
    "nix",
    "prometheus",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "socket2",
    "time",
    "tokio",
    "tracing",
];

/// The crates of the house that a crate may name; none means any.
fn allowed(room: &str) -> Option<&'static [&'static str]> {
    match room {
        "host/core" | "plugins/sdk" => Some(&[]),
        "host/runtime" | "host/ledger" => Some(&["razar-core"]),
        "host/conform" => Some(&["razar-core", "razar-runtime"]),
        "host/app" => Some(&["razar-conform", "razar-core", "razar-ledger", "razar-runtime"]),
        room if room.starts_with("tests/hostile/guests") => Some(&["razar-sdk"]),
        room if room.starts_with("plugins/agent-") && room != "plugins/agent-kit" => {
            Some(&["razar-agent-kit", "razar-sdk"])
        }
        room if room.starts_with("tests") => None,
        _ => Some(&["razar-sdk"]),
    }
}

#[test]
fn arrows_between_crates_point_one_way() {
    let ours: Vec<_> = members().into_iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members() {
        let room = directory(member);
        let Some(allowed) = allowed(&room.to_string_lossy()) else { continue };
        for dependency in member.dependencies.iter().map(|dependency| dependency.name.as_str()) {
            if ours.contains(&dependency) && !allowed.contains(&dependency) {
                findings.push(format!("{} → {dependency}, in {}/Cargo.toml", member.name, room.display()));
            }
        }
    }
    none(
        &findings,
        "move what is shared into razar-core (host) or razar-sdk (plugins); host/README.md has the map",
    );
}

#[test]
fn only_the_runtime_names_wasmtime() {
    let mut findings = Vec::new();
    for member in members().into_iter().filter(|member| member.name.as_str() != "razar-runtime") {
        for dependency in
            member.dependencies.iter().filter(|dependency| dependency.name.starts_with("wasmtime"))
        {
            findings.push(format!("{} → {}", member.name, dependency.name));
        }
        for source in sources(member) {
            let is_wasmtime = |segment: &str| segment == "wasmtime" || segment.starts_with("wasmtime_");
            let named = source.names.iter().filter(|name| name.segments().any(is_wasmtime));
            findings.extend(
                named.map(|name| format!("{}:{}: `{}`", source.file.display(), name.line, name.path)),
            );
        }
    }
    none(&findings, "give razar-runtime a function or type of its own for it");
}

/// The feature with which a guard can be switched off.
const MUTATE: &str = "mutate";

#[test]
fn no_guard_can_be_switched_off_in_what_ships() {
    let mut findings = Vec::new();
    for member in members() {
        let room = directory(member);
        if room.starts_with("tests") {
            continue;
        }
        for dependency in
            member.dependencies.iter().filter(|dependency| dependency.name.starts_with("razar-"))
        {
            if dependency.features.iter().any(|feature| feature == MUTATE) {
                findings.push(format!("{}/Cargo.toml: `{}`", room.display(), dependency.name));
            }
        }
        for (feature, enables) in &member.features {
            let names = |other: &String| other == MUTATE || other.ends_with(&format!("/{MUTATE}"));
            if feature != MUTATE && enables.iter().any(names) {
                findings.push(format!("{}/Cargo.toml: the feature `{feature}`", room.display()));
            }
        }
    }
    let runtime = members().into_iter().find(|member| member.name.as_str() == "razar-runtime");
    assert!(
        runtime.is_some_and(|runtime| runtime.features.contains_key(MUTATE)),
        "razar-runtime has no feature `{MUTATE}` any more: change this test"
    );
    none(&findings, "only mutation runs below `tests` enable `razar-runtime/mutate`");
}

#[test]
fn core_cannot_act_however_far_down() {
    let resolve = METADATA.resolve.as_ref().expect("metadata was asked for the graph");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let core =
        members().into_iter().find(|member| member.name.as_str() == "razar-core").expect("razar-core exists");
    let mut reached: BTreeMap<&PackageId, String> = [(&core.id, core.name.to_string())].into();
    let mut queue: VecDeque<_> = [&core.id].into();
    let mut findings = Vec::new();
    while let Some(id) = queue.pop_front() {
        let path = reached.get(id).cloned().unwrap_or_default();
        for dependency in &nodes[id].deps {
            let counts = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if !counts || reached.contains_key(&dependency.pkg) {
                continue;
            }
            let name = METADATA[&dependency.pkg].name.as_str();
            let path = format!("{path} → {name}");
            if NOT_IN_CORE.contains(&name) || name.starts_with("wasmtime") {
                findings.push(path.clone());
            }
            reached.insert(&dependency.pkg, path);
            queue.push_back(&dependency.pkg);
        }
    }
    assert!(reached.len() > 5, "the graph of razar-core was not followed: {reached:?}");
    none(&findings, "core decides and does nothing: let the caller do it and pass the result in");
}
