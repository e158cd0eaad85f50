//! `plugin list`, `inspect` and `run`: what a plugin's author and an operator ask for by hand.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

fn plugin(scene: &Scene, words: &[&str]) -> Ended {
    let plugins = artifact::plugins().display().to_string();
    let state = scene.state().display().to_string();
    let mut all = vec!["plugin"];
    all.extend(words);
    all.extend(["--plugins", &plugins]);
    if words[0] == "run" {
        all.extend(["--state", &state]);
    }
    scene.host(&all)
}

/// Answers every connection with this, until the test ends.
fn answering(scene: &Scene, answer: &'static str) -> String {
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

const WELL: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 19\r\nconnection: close\r\n\r\n{\"status\": \"ready\"}";

#[test]
fn list_and_inspect_say_what_each_is_and_may() {
    let scene = Scene::new();
    let listed = plugin(&scene, &["list"]);
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    for (name, role) in [
        ("probe-http", "probe "),
        ("probe-log", "probe "),
        ("probe-tcp", "probe "),
        ("probe-tls", "probe "),
        ("agent-openai", "agent "),
        ("evaluator-syntax", "evaluator "),
    ] {
        let line = listed.out.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {}", listed.out));
        assert!(line.contains(role) && line.ends_with("(not granted)") == (role == "agent "), "{line}");
    }
    let json = plugin(&scene, &["list", "--output", "json"]).json();
    assert_eq!(json.len(), 6);
    assert!(json.iter().all(|line| (line["role"] != "agent") == (line["granted"] == true)), "{json:?}");

    let inspected = plugin(&scene, &["inspect", "probe-http"]);
    assert_eq!(inspected.code, Some(0));
    for text in ["{target}", "digest: sha256:", "imports", "limited to", "memory"] {
        assert!(inspected.out.contains(text), "`{text}` is not in:\n{}", inspected.out);
    }
    let json = plugin(&scene, &["inspect", "probe-http", "--output", "json"]).json();
    assert_eq!(json[0]["name"], "probe-http");
    let role = &json[0]["roles"][0];
    assert_eq!((&role["role"], role["limits"]["memory_bytes"].is_u64()), (&json!("probe"), true), "{role}");
    keys_are_identifiers(&json[0]);
    plugin(&scene, &["inspect", "probe-htpp"])
        .complains(2, &["there is no plugin `probe-htpp`", "probe-http"]);
}

/// What programs read does not change with a word.
fn keys_are_identifiers(value: &Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(key.chars().all(plain), "`{key}` in {map:?}");
                keys_are_identifiers(value);
            }
        }
        Value::Array(items) => items.iter().for_each(keys_are_identifiers),
        _ => {}
    }
}

#[test]
fn run_leaves_nothing_where_somebody_stands() {
    let scene = Scene::bare();
    let address = format!("{}:{}", scene.address(), scene.port("nobody"));
    let plugins = artifact::plugins().display().to_string();
    let cache = scene.path("home/cache");
    let here = scene.path("here");
    std::fs::create_dir_all(&here).unwrap();
    let words = ["plugin", "run", "probe-tcp", "--address", &address, "--plugins", &plugins];
    let mut command = scene.command(&words);
    command.current_dir(&here).env("XDG_CACHE_HOME", &cache);
    assert_eq!(scene.begin(&mut command).end().code, Some(1));
    assert_eq!(std::fs::read_dir(&here).unwrap().count(), 0, "nothing in the working directory");
    let kept = std::fs::read_dir(cache.join("razar-host/plugins")).unwrap().flatten();
    let compiled = kept.filter(|entry| entry.path().extension().is_some_and(|ext| ext == "cwasm"));
    assert_eq!(compiled.count(), 1, "and the next run is quick");
}

#[test]
fn run_asks_once_and_its_exit_code_is_the_verdict() {
    let scene = Scene::new();
    let address = answering(&scene, WELL);
    let url = format!("http://{address}/");
    let run = |settings: &str| {
        plugin(&scene, &["run", "probe-http", "--address", &url, "--settings", settings, "--output", "json"])
    };
    for (settings, health) in [
        ("{}", "healthy"),
        (r#"{ "status": [200], "contains": "ready" }"#, "healthy"),
        (r#"{ "json": { "pointer": "/status", "equals": "ready" } }"#, "healthy"),
        (r#"{ "json": { "pointer": "/status", "equals": "other" } }"#, "unhealthy"),
        (r#"{ "status": [204] }"#, "unhealthy"),
        (r#"{ "contains": "absent" }"#, "unhealthy"),
    ] {
        let ended = run(settings);
        let report = ended.json().remove(0);
        assert_eq!(report["outcome"], health, "{settings}: {report}");
        assert_eq!(ended.code, Some(i32::from(health != "healthy")), "{settings}");
        keys_are_identifiers(&report);
        let used = &report["used"];
        assert!(used["memory_bytes"].as_u64().unwrap() > 0 && used["requests"] == 1, "{used}");
    }
    for (settings, text) in [(r#"{ "stauts": [200] }"#, "stauts"), ("{", "`--settings` is not JSON")] {
        let ended = run(settings);
        let error = ended.json().remove(0);
        assert_eq!((ended.code, &error["level"]), (Some(2), &json!("error")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
    }
    plugin(&scene, &["run", "probe-http", "--address", "nonsense"]).complains(2, &["`--address`"]);
}

#[test]
fn a_refused_connection_is_unhealthy_for_every_probe() {
    let scene = Scene::new();
    let free = format!("{}:{}", scene.address(), scene.port("nobody"));
    for (name, address) in [("probe-tcp", free.clone()), ("probe-http", format!("http://{free}/"))] {
        let ended = plugin(&scene, &["run", name, "--address", &address, "--output", "json"]);
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.out);
        let report = ended.json().remove(0);
        assert_eq!(
            (&report["outcome"], &report["summary"]),
            (&json!("unhealthy"), &json!("connection refused"))
        );
    }
}

#[test]
fn a_connection_that_breaks_was_closed_by_the_other_side() {
    let scene = Scene::new();
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What was sent is there and never read, so closing breaks the connection.
            let _ = stream.peek(&mut [0]);
        }
    });
    let settings = r#"{ "send": "PING\n", "expect": "PONG" }"#;
    let words = ["run", "probe-tcp", "--address", &address, "--settings", settings, "--output", "json"];
    let report = plugin(&scene, &words).json().remove(0);
    let expected = (&json!("unhealthy"), &json!("closed without sending `PONG`"));
    assert_eq!((&report["outcome"], &report["summary"]), expected, "{report}");
}

/// Shakes hands with a certificate for `web.example` that holds for ninety days; and the authority behind it.
fn shaking(scene: &Scene) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
    params.not_after = (SystemTime::now() + Duration::from_secs(90 * 86_400 + 43_200)).into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key.serialize_der().try_into().unwrap()).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let _ = rustls::Stream::new(&mut tls, &mut stream).read(&mut [0; 16]);
        }
    });
    (address, ca)
}

#[test]
fn certificates_are_judged_inside_the_sandbox() {
    let scene = Scene::new();
    let (address, ca) = shaking(&scene);
    for (settings, outcome, summary) in [
        (json!({ "ca": ca, "name": "web.example" }), "healthy", "the certificate is valid for 90 more days"),
        (
            json!({ "ca": ca, "name": "web.example", "warn_days": 100 }),
            "degraded",
            "the certificate is valid for 90 more days, fewer than 100",
        ),
        (json!({ "ca": ca }), "unhealthy", "the certificate is for another name"),
        (
            json!({ "name": "web.example" }),
            "unhealthy",
            "the certificate's issuer is not trusted, or its chain is not complete",
        ),
    ] {
        let settings = settings.to_string();
        let ended = plugin(
            &scene,
            &["run", "probe-tls", "--address", &address, "--settings", &settings, "--output", "json"],
        );
        let report = ended.json().remove(0);
        assert_eq!((&report["outcome"], &report["summary"]), (&json!(outcome), &json!(summary)), "{report}");
    }
}

#[test]
fn one_that_never_answers_costs_its_time_limit() {
    let scene = Scene::new();
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let ended =
        plugin(&scene, &["run", "probe-http", "--address", &address, "--timeout", "300", "--output", "json"]);
    let report = ended.json().remove(0);
    assert_eq!(ended.code, Some(1), "{report}");
    let elapsed = report["used"]["elapsed_ms"].as_f64().unwrap();
    assert!((200.0..30_000.0).contains(&elapsed), "{report}");
}

#[test]
fn a_log_is_read_for_this_call_only() {
    let scene = Scene::new();
    let log = scene.write("service.log", "one\nservice started\n").display().to_string();
    let run = |settings: &str| {
        let ended = plugin(
            &scene,
            &["run", "probe-log", "--log-file", &log, "--settings", settings, "--output", "json"],
        );
        (ended.code, ended.json().remove(0))
    };
    assert_eq!(run(r#"{ "contains": "started" }"#).0, Some(0));
    let (code, report) = run(r#"{ "absent": "started" }"#);
    assert_eq!((code, &report["outcome"]), (Some(1), &json!("unhealthy")), "{report}");
}

/// What an author has on the desk: a copy of a package, outside every plugin directory.
fn desk(scene: &Scene, manifest: impl Fn(String) -> String) -> String {
    let from = artifact::plugins().join("probe-http");
    for entry in std::fs::read_dir(&from).unwrap().flatten() {
        let target = scene.path("desk").join(entry.file_name());
        std::fs::create_dir_all(scene.path("desk")).unwrap();
        std::fs::copy(entry.path(), target).unwrap();
    }
    let file = scene.path("desk/plugin.toml");
    std::fs::write(&file, manifest(std::fs::read_to_string(&file).unwrap())).unwrap();
    scene.path("desk").display().to_string()
}

#[test]
fn an_author_runs_the_own_build_without_naming_it() {
    let scene = Scene::new();
    let desk = desk(&scene, |text| text.replace("probe-http", "my-probe"));
    let state = scene.state().display().to_string();
    let url = format!("http://{}/", answering(&scene, WELL));
    let words = ["plugin", "run", "--dev", &desk, "--address", &url, "--state", &state, "--output", "json"];
    let ended = scene.host(&words);
    let report = ended.json().remove(0);
    assert_eq!((ended.code, &report["plugin"]), (Some(0), &json!("my-probe")), "{report}{}", ended.err);
}

#[test]
fn what_is_not_granted_is_shown_with_the_line_that_would_allow_it() {
    let scene = Scene::new();
    // The probe's settings send it where the call is not about.
    let elsewhere = answering(&scene, WELL);
    let url = format!("http://{elsewhere}/");
    let desk = desk(&scene, |text| {
        format!(
            "{}\n[request]\nhttp = [{{ url = \"https://example.org/\", methods = [\"GET\"] }}]\n",
            without_request(&text)
        )
    });
    let state = scene.state().display().to_string();
    let ended = scene.host(&[
        "plugin",
        "run",
        "--dev",
        &desk,
        "--address",
        &url,
        "--state",
        &state,
        "--output",
        "plain",
    ]);
    assert_ne!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.err.contains("`--grants FILE`"), "{}", ended.err);
    scene.write("mine.toml", "");
    let words =
        ["plugin", "run", "--dev", &desk, "--address", &url, "--grants", "mine.toml", "--state", &state];
    scene.host(&words).complains(2, &["in `mine.toml`: http = "]);
    assert!(
        ended.err.contains("https://example.org/") && ended.err.contains("[my-probe]")
            || ended.err.contains("[probe-http]"),
        "{}{}",
        ended.out,
        ended.err
    );
}

fn without_request(text: &str) -> &str {
    text.split("[request]").next().unwrap_or_default()
}
