//! Readers on a real port, and a service manager on a real datagram socket.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use razar_core::effect::{Effect, Start};
use razar_core::fact::{Fact, Phase, Recorded};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::id::{Digest, EffectId, InstanceId};
use razar_core::plan::BootPlan;
use razar_core::supervisor::{Stage, Status};
use razar_core::time::{Millis, Timestamp};

use super::http::{DEFAULT_PORT, Http, HttpError, Limits, port};
use super::metrics::Metrics;
use super::notify::Notifier;
use super::testing::{component, fake, hanging, id, snapshot};
use crate::drive::{Handle, Snapshot};

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&BootPlan::default()).unwrap())
}

async fn serve(handle: &Handle, limits: Limits) -> Http {
    Http::serve("127.0.0.1:0".parse().unwrap(), handle.clone(), metrics(), limits).await.unwrap()
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_readiness_and_metrics_are_served_and_nothing_else() {
    let booted = fake(snapshot(Stage::Up));
    let http = serve(&booted.handle, Limits::default()).await;
    let at = http.address();
    assert!(get(at, "/healthz").starts_with("HTTP/1.1 200"));
    let ready = get(at, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("\"component\":\"web\""), "{ready}");
    assert!(get(at, "/metrics").contains("razar_component_quarantined{component=\"web\"} 1"));
    assert!(get(at, "/").starts_with("HTTP/1.1 404"));
    let post = "POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(exchange(at, post).starts_with("HTTP/1.1 405"));
    let taken = Http::serve(at, booted.handle.clone(), metrics(), Limits::default()).await;
    let Err(error) = taken else { panic!("two servers on one port") };
    assert!(matches!(error, HttpError::InUse(_)) && error.to_string().contains("RAZAR_METRICS_PORT"));

    let lost = serve(&fake(Snapshot { lost: true, ..snapshot(Stage::Up) }).handle, Limits::default()).await;
    let said = get(lost.address(), "/healthz");
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("`razar.db` was removed"), "{said}");

    let well = Snapshot { components: vec![component("store", Status::Ready, None)], ..snapshot(Stage::Up) };
    let http = serve(&fake(well).handle, Limits::default()).await;
    assert!(get(http.address(), "/readyz").starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_hangs_is_unhealthy_and_a_reader_that_dawdles_is_sent_away() {
    let (handle, _messages) = hanging();
    let short = Duration::from_millis(200);
    let http = serve(&handle, Limits { look: short, head: short, ..Limits::default() }).await;
    assert!(get(http.address(), "/healthz").starts_with("HTTP/1.1 503"));
    assert!(get(http.address(), "/readyz").contains("not answering"));
    assert!(get(http.address(), "/metrics").contains("razar_driver_answering 0"));
    assert!(
        !exchange(http.address(), "GET /metr").contains("200 OK"),
        "half a request is never answered well"
    );
    let long = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert!(!exchange(http.address(), &long).contains("200 OK"));
}

#[test]
fn a_port_that_is_none_is_named_and_replaced() {
    for (value, expected, warns) in [
        (None, DEFAULT_PORT, false),
        (Some(""), DEFAULT_PORT, false),
        (Some("9361"), 9361, false),
        (Some("nine"), DEFAULT_PORT, true),
        (Some("70000"), DEFAULT_PORT, true),
    ] {
        let (port, warning) = port(value.map(str::as_ref));
        assert_eq!((port, warning.is_some()), (expected, warns), "{value:?}");
        if let Some(warning) = warning {
            let value = value.unwrap();
            assert_eq!(warning, format!("Invalid RAZAR_METRICS_PORT={value}; using default 9360"));
        }
    }
}

#[test]
fn counters_follow_facts_and_every_family_has_its_help() {
    let metrics = metrics();
    let take = |fact| metrics.take(&Recorded { seq: 1, at: Timestamp(1), fact });
    let start = Start { component: id("web"), instance: InstanceId(1), spec: Digest::of(b""), attempt: 1 };
    take(Fact::EffectDecided { id: EffectId(1), effect: Effect::Start(start) });
    let failure =
        Failure { kind: FailureKind::Exited, class: FailureClass::Logic, error: "KeyError".to_owned() };
    take(Fact::Failed { component: id("web"), instance: None, attempt: 1, failure });
    let boot = razar_core::id::BootId(1);
    take(Fact::BootCompleted { boot, took: Millis(2_500), ready: vec![], absent: vec![] });
    metrics.observe_probe(&id("web"), Phase::Liveness, "reply", Duration::from_millis(2));
    metrics.observe_probe(&id("web"), Phase::Liveness, "trap", Duration::from_millis(2));
    metrics.observe_call(&"probe-http".parse().unwrap(), "reply");
    let text = String::from_utf8(metrics.render(Some(&snapshot(Stage::Up))).unwrap()).unwrap();
    for line in [
        "razar_component_launches_total{component=\"web\"} 1",
        "razar_component_failures_total{class=\"logic\",component=\"web\"} 1",
        "razar_boot_duration_seconds 2.5",
        "razar_facts_recorded_total 3",
        "razar_probe_checks_total{component=\"web\",outcome=\"trap\",phase=\"liveness\"} 1",
        "razar_probe_duration_seconds_count{component=\"web\",phase=\"liveness\"} 2",
        "razar_plugin_calls_total{outcome=\"reply\",plugin=\"probe-http\"} 1",
        "razar_component_up{component=\"store\"} 1",
        "razar_component_state{component=\"web\",state=\"quarantined\"} 1",
        "razar_plugin_quarantined{plugin=\"probe-a\"} 1",
        "razar_ledger_stuck 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(series.starts_with("razar_") && value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(text.contains(&format!("# HELP {family} ")), "{family}");
    }
}

fn manager(dir: &std::path::Path, watchdog: Option<&'static str>) -> (UnixDatagram, Notifier) {
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let variable = move |name: &str| match name {
        "NOTIFY_SOCKET" => Some(path.clone().into_os_string()),
        "WATCHDOG_USEC" => watchdog.map(OsString::from),
        _ => None,
    };
    let notifier = Notifier::from_environment(variable, 7).unwrap().unwrap();
    (socket, notifier)
}

fn heard(socket: &UnixDatagram, wanted: &str) {
    let mut bytes = [0; 4096];
    loop {
        let read = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("waiting for {wanted}: {error}"));
        if std::str::from_utf8(&bytes[..read]).unwrap().lines().any(|line| line == wanted) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_hears_of_the_boot_of_the_end_and_of_life_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let fake = fake(snapshot(Stage::Booting));
    let (socket, notifier) = manager(dir.path(), Some("100000"));
    tokio::spawn(notifier.run(fake.handle.clone()));
    heard(&socket, "STATUS=booting: 1 of 2 components ready, 1 quarantined");
    fake.stage.send_replace(Some(Stage::Up));
    heard(&socket, "READY=1");
    heard(&socket, "WATCHDOG=1");
    heard(&socket, "WATCHDOG=1");
    fake.stage.send_replace(Some(Stage::Stopping));
    heard(&socket, "STOPPING=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_hangs_gives_no_sign_of_life() {
    let dir = tempfile::tempdir().unwrap();
    let (messages, _received) = std::sync::mpsc::channel();
    let (_stage, seen) = tokio::sync::watch::channel(Some(Stage::Up));
    let (_held, held) = tokio::sync::watch::channel(None);
    let handle = Handle::new(messages, tokio::sync::broadcast::channel(1).0, seen, held);
    let (socket, notifier) = manager(dir.path(), Some("100000"));
    tokio::spawn(notifier.run(handle));
    heard(&socket, "READY=1");
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(socket.recv(&mut [0; 64]).is_err());
}

#[test]
fn without_a_service_manager_nothing_is_said() {
    assert!(Notifier::from_environment(|_| None, 7).unwrap().is_none());
}
