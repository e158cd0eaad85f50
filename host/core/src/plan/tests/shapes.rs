//! What documents without mistakes mean.

use serde_json::json;

use super::*;
use crate::plan::{Check, Listener, LogSource, RestartPolicy, Schedule, StopPolicy};
use crate::time::Millis;

#[test]
fn who_may_answer_is_the_component_itself_unless_the_document_says_otherwise() {
    for (written, listener) in
        [(json!(null), Listener::Own), (json!("own"), Listener::Own), (json!("any"), Listener::Any)]
    {
        let mut health = json!({ "address": "127.0.0.1:80" });
        if !written.is_null() {
            health["listener"] = written;
        }
        let plan = plan(&json!({ "components": [{ "id": "a", "entrypoint": "x", "health": health }] }));
        let check = &plan.components[0].probes.startup.check;
        assert!(matches!(check, Check::Plugin { listener: found, .. } if *found == listener), "{check:?}");
        assert_eq!(check.authority(), Some("127.0.0.1:80"));
    }
}

#[test]
fn both_shapes_mean_the_same_and_may_be_mixed() {
    let plan = plan(&json!({ "components": [
        { "name": "old", "command": ["python3", "-m", "old"], "health_check": ["true"] },
        { "name": "line", "command": "python3 -m 'new one'", "health_check": ["true"] },
        { "id": "new", "entrypoint": "python3 -m 'new one'", "health": "process" },
        { "id": "listed", "entrypoint": ["x"], "health": { "command": ["check", "-w"] } },
    ]}));
    let commands: Vec<&[String]> =
        plan.components.iter().map(|component| component.command.as_slice()).collect();
    assert_eq!(
        commands,
        [&["python3", "-m", "old"][..], &["python3", "-m", "new one"], &["python3", "-m", "new one"], &["x"]]
    );
    let checks: Vec<&Check> =
        plan.components.iter().map(|component| &component.probes.startup.check).collect();
    let command = |words: &[&str]| Check::Command(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(
        checks,
        [&command(&["true"]), &command(&["true"]), &Check::Process, &command(&["check", "-w"])]
    );
    assert!(plan.layers.is_empty());
}

#[test]
fn short_forms_of_health_mean_shipped_probes() {
    let plugin = |plugin: &str, address: Option<&str>, log: Option<&str>, settings: &str| Check::Plugin {
        plugin: plugin.parse().unwrap(),
        address: address.map(str::to_owned),
        log: log.map(|log| LogSource::File(log.to_owned())),
        settings: settings.to_owned(),
        listener: Listener::Own,
    };
    let started = r#"{"contains":"started"}"#;
    for (health, check) in [
        (
            json!("http://localhost:8000/healthz"),
            plugin("probe-http", Some("http://localhost:8000/healthz"), None, "{}"),
        ),
        (json!("HTTPS://Example.org"), plugin("probe-http", Some("https://example.org/"), None, "{}")),
        (json!("tcp://db.local:5432"), plugin("probe-tcp", Some("db.local:5432"), None, "{}")),
        (json!("tcp://[::1]:80"), plugin("probe-tcp", Some("[::1]:80"), None, "{}")),
        (
            json!("/var/log/complex_service.log"),
            plugin("probe-log", None, Some("/var/log/complex_service.log"), started),
        ),
        (json!("logs/a.log"), plugin("probe-log", None, Some("/srv/stack/logs/a.log"), started)),
        (json!({ "address": "http://h/" }), plugin("probe-http", Some("http://h/"), None, "{}")),
        (json!({ "address": "h:1" }), plugin("probe-tcp", Some("h:1"), None, "{}")),
        (json!({ "log": "/l" }), plugin("probe-log", None, Some("/l"), started)),
        (json!({ "log": "/l", "settings": {} }), plugin("probe-log", None, Some("/l"), "{}")),
    ] {
        let plan = plan(&json!({ "components": [{ "id": "a", "entrypoint": "a", "health": health }] }));
        assert_eq!(plan.components[0].probes.startup.check, check, "{health}");
    }
}

#[test]
fn one_health_is_used_for_startup_and_liveness_and_asked_often_while_starting() {
    let plan = plan(&json!({ "components": [{ "id": "a", "entrypoint": "a", "health": {
        "address": "tcp://h:1", "interval": "30 s", "timeout": 2, "failures": 5 } }] }));
    let probes = &plan.components[0].probes;
    let liveness = probes.liveness.as_ref().unwrap();
    assert_eq!(probes.startup.schedule, Schedule { interval: Millis(250), ..liveness.schedule });
    assert_eq!(liveness.schedule.interval, Millis::seconds(30));
    assert_eq!(liveness.schedule.timeout, Millis::seconds(2));
    assert_eq!((liveness.schedule.failures, liveness.schedule.window), (5, 5));
    assert_eq!(probes.readiness, None);
}

#[test]
fn phases_have_probes_of_their_own() {
    let plan = plan(&json!({ "components": [
        { "id": "a", "entrypoint": "a", "health": "tcp://h:1", "probes": { "readiness": "http://h/" } },
        { "id": "b", "entrypoint": "b", "probes": { "liveness": { "log": "output", "settings": {}, "interval": "1 min" } } },
        { "id": "c", "entrypoint": "c", "probes": { "startup": { "address": "h:1", "interval": "9 s" } } },
    ]}));
    let [a, b, c] = &plan.components[..] else { panic!("three components") };
    assert!(a.probes.readiness.is_some());
    assert_eq!(a.probes.startup.check, a.probes.liveness.as_ref().unwrap().check);
    let liveness = b.probes.liveness.as_ref().unwrap();
    assert_eq!(b.probes.startup.check, liveness.check);
    assert!(matches!(&liveness.check, Check::Plugin { log: Some(LogSource::Output), .. }));
    assert_eq!(c.probes.startup.schedule.interval, Millis::seconds(9), "what is written for startup is kept");
    assert_eq!(c.probes.liveness, None);
}

#[test]
fn layers_are_numbered_as_listed_or_as_first_named() {
    let component = |id: &str, layer: Option<&str>| json!({ "id": id, "layer": layer, "entrypoint": "x", "health": "process" });
    let components = json!([component("a", Some("two")), component("b", Some("one")), component("c", None)]);
    let numbers =
        |plan: &BootPlan| plan.components.iter().map(|component| component.layer).collect::<Vec<_>>();
    let listed = plan(&json!({ "layers": ["one", "two"], "components": components }));
    assert_eq!((numbers(&listed), listed.layers), (vec![1, 0, 0], vec!["one".to_owned(), "two".to_owned()]));
    let named = plan(&json!({ "components": components }));
    assert_eq!((numbers(&named), named.layers), (vec![0, 1, 0], vec!["two".to_owned(), "one".to_owned()]));
}

#[test]
fn everything_else_has_a_default_and_can_be_said() {
    let plain = json!({ "id": "a", "entrypoint": "x", "health": "process" });
    let full = json!({ "id": "b", "entrypoint": "x", "health": "process", "depends_on": ["a"], "vital": true,
        "restart": { "retries": 7, "backoff": "2 s", "backoff_max": "8 s", "forgive_after": "1 h" },
        "env": { "A": "1" }, "workdir": "sub", "user": "nobody", "stop": { "signal": "INT", "grace": "1 s" } });
    let document = json!({ "mission": "written", "components": [plain, full] });
    let written = plan(&document);
    let [a, b] = &written.components[..] else { panic!("two components") };
    assert_eq!((a.restart, a.stop, a.vital), (RestartPolicy::default(), StopPolicy::default(), false));
    assert_eq!((a.workdir.as_str(), &a.user, a.env.len()), ("/srv/stack", &None, 0));
    assert_eq!((b.restart.retries, b.restart.backoff_max), (7, Millis::seconds(8)));
    assert_eq!(b.stop, StopPolicy { signal: 2, grace: Millis::seconds(1) });
    assert_eq!((b.workdir.as_str(), b.user.as_deref()), ("/srv/stack/sub", Some("nobody")));
    assert_eq!((b.depends_on[0].as_str(), b.vital), ("a", true));

    let overrides = Overrides {
        mission: Some("told".to_owned()),
        retries: Some(0),
        interval: Some(Millis(7_000)),
        ..Overrides::default()
    };
    let told = build(document.to_string().as_bytes(), &context(&overrides)).unwrap();
    assert_eq!(told.mission.as_deref(), Some("told"));
    assert!(told.components.iter().all(|component| component.restart.retries == 0));
}

#[test]
fn an_interval_from_outside_holds_where_the_document_says_none() {
    let overrides = Overrides { interval: Some(Millis(7_000)), ..Overrides::default() };
    let document = json!({ "components": [
        { "id": "a", "entrypoint": "x", "health": "http://127.0.0.1:1/" },
        { "id": "b", "entrypoint": "x", "health": { "address": "http://127.0.0.1:1/", "interval": "3 s" } }] });
    let plan = build(document.to_string().as_bytes(), &context(&overrides)).unwrap();
    let intervals = plan.components.iter().map(|c| c.probes.liveness.as_ref().unwrap().schedule.interval);
    assert_eq!(intervals.collect::<Vec<_>>(), [Millis(7_000), Millis(3_000)]);
}

#[test]
fn the_digest_names_the_process_and_nothing_else() {
    let spec = |extra: Value| {
        let mut component = json!({ "id": "a", "entrypoint": "x y", "health": "process" });
        component.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        plan(&json!({ "components": [component] })).components[0].spec
    };
    let plain = spec(json!({}));
    for same in
        [json!({ "vital": true }), json!({ "entrypoint": ["x", "y"] }), json!({ "health": "tcp://h:1" })]
    {
        assert_eq!(spec(same.clone()), plain, "{same}");
    }
    for other in [
        json!({ "entrypoint": ["x y"] }),
        json!({ "env": { "A": "1" } }),
        json!({ "workdir": "w" }),
        json!({ "user": "nobody" }),
    ] {
        assert_ne!(spec(other.clone()), plain, "{other}");
    }
}

#[test]
fn what_a_component_is_held_to_is_part_of_what_it_is() {
    let written = |more: Value| {
        let mut component = json!({ "id": "a", "entrypoint": "x", "health": "process" });
        component.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        plan(&json!({ "components": [component] })).components.remove(0)
    };
    let free = written(json!({}));
    assert!(free.confine.is_none());
    assert_eq!(written(json!({ "limits": {}, "no_new_privileges": false })).spec, free.spec);
    let held = written(json!({ "no_new_privileges": true, "limits": {
        "open_files": 64, "processes": 8, "address_space": "1 GiB", "file_size": "2 MiB", "core_dump": "0 B",
        "locked_memory": "64 KiB", "cpu_time": "1500 ms", "memory": "1 GiB", "tasks": 9,
    } }));
    assert!(held.confine.no_new_privileges);
    let limits: Vec<(&str, u64)> =
        held.confine.limits.iter().map(|(limit, most)| (limit.as_str(), *most)).collect();
    let expected = [
        ("open_files", 64),
        ("processes", 8),
        ("address_space", 1 << 30),
        ("file_size", 2 << 20),
        ("core_dump", 0),
        ("locked_memory", 64 << 10),
        ("cpu_time", 2),
        ("memory", 1 << 30),
        ("tasks", 9),
    ];
    assert_eq!(limits, expected);
    let other = written(json!({ "no_new_privileges": true }));
    assert!(held.spec != free.spec && other.spec != free.spec && other.spec != held.spec);
}
