//! The plugin's logic against a real server on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use razar_sdk::{Health, PluginErrorKind};

use super::*;

/// Serves `answer` once and returns the URL to ask.
fn serve(answer: impl Into<String>) -> String {
    let answer = answer.into();
    serve_with(move |mut stream| {
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn serve_with(answer: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health?full=1", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        answer(stream);
    });
    url
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn check(url: String, settings: &str) -> Report {
    ProbeHttp::check(Target::new("web").at(url).within_ms(10_000).with_settings(settings)).unwrap()
}

fn refusal(target: Target) -> PluginError {
    ProbeHttp::check(target).unwrap_err()
}

#[test]
fn every_setting_decides() {
    let ready = r#"{"status":"ready","n":1,"deep":{"a/b":[true]}}"#;
    for (status, body, settings, health, summary) in [
        (200, "", "{}", Health::Healthy, "status 200 in"),
        (204, "", "{}", Health::Healthy, "status 204 in"),
        (301, "", "{}", Health::Unhealthy, "status 301, expected 2xx"),
        (503, "busy", "{}", Health::Unhealthy, "status 503, expected 2xx"),
        (503, "", r#"{"status":[200,503]}"#, Health::Healthy, "status 503"),
        (201, "", r#"{"status":[200,204]}"#, Health::Unhealthy, "status 201, expected 200 or 204"),
        (200, "all is well", r#"{"contains":"is well"}"#, Health::Healthy, "status 200"),
        (200, "all is well", r#"{"contains":"ill"}"#, Health::Unhealthy, "body does not contain `ill`"),
        (200, "no", r#"{"contains":"yes"}"#, Health::Unhealthy, "body does not contain `yes`"),
        (200, ready, r#"{"json":{"pointer":"/status","equals":"ready"}}"#, Health::Healthy, "status 200"),
        (200, ready, r#"{"json":{"pointer":"/n","equals":1.0}}"#, Health::Healthy, "status 200"),
        (200, ready, r#"{"json":{"pointer":"/deep/a~1b/0","equals":true}}"#, Health::Healthy, "status 200"),
        (
            200,
            ready,
            r#"{"json":{"pointer":"/status","equals":"up"}}"#,
            Health::Unhealthy,
            "JSON `/status` is not \"up\"",
        ),
        (200, ready, r#"{"json":{"pointer":"/x","equals":null}}"#, Health::Unhealthy, "JSON has no `/x`"),
        (200, "<p>", r#"{"json":{"pointer":"/x","equals":1}}"#, Health::Unhealthy, "body is not JSON"),
        (200, "", r#"{"method":"HEAD"}"#, Health::Healthy, "status 200"),
    ] {
        let report = check(serve(answer(status, body)), settings);
        assert_eq!(report.health, health, "{status} {body} {settings}: {}", report.summary);
        assert!(report.summary.contains(summary), "{settings}: {}", report.summary);
        assert_eq!(report.measurements[0].name, "latency");
        assert!(report.measurements[0].value >= 0.0);
    }
}

#[test]
fn a_slow_success_is_a_failure() {
    let response = Response { status: 200, ..Response::default() };
    let settings = Settings { max_latency_ms: Some(500), ..Settings::default() };
    let verdict = |milliseconds| judge(&settings, &response, Duration::from_millis(milliseconds));
    assert_eq!(verdict(500).health, Health::Healthy);
    assert_eq!(verdict(501).health, Health::Unhealthy);
    assert_eq!(verdict(900).summary, "took 900 ms, at most 500 ms allowed");
}

#[test]
fn nobody_listening_is_unhealthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let report = check(url, "{}");
    assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, "connection refused"));
}

#[test]
fn a_server_that_never_answers_is_unhealthy_in_time() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let url = serve_with(move |_stream| {
        let _ = wait.recv();
    });
    let report = ProbeHttp::check(Target::new("web").at(url).within_ms(200)).unwrap();
    drop(done);
    assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, "no answer in time"));
}

#[test]
fn what_is_not_http_is_unhealthy() {
    for (bytes, summary) in [
        ("SSH-2.0-x\r\n\r\n", "answer is not HTTP"),
        ("", "connection closed before the answer was complete"),
    ] {
        let report = check(serve(bytes), "{}");
        assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, summary));
    }
}

#[test]
fn an_endless_body_is_read_only_so_far() {
    let url = serve_with(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let report = check(url, r#"{"contains":"y"}"#);
    assert_eq!(report.summary, "body does not contain `y`, looking at its first 64 KiB");
}

#[test]
fn a_summary_shows_no_control_characters() {
    let report = check(serve(answer(200, "no")), r#"{"contains":"\u001b[2J\nx"}"#);
    assert_eq!(report.summary, "body does not contain ` [2J x`");
}

#[test]
fn wrong_settings_and_addresses_are_refused_by_name() {
    for (settings, part) in [
        (r#"{"statuss":[200]}"#, "unknown field `statuss`"),
        (r#"{"status":[]}"#, "at least one"),
        (r#"{"status":200}"#, "expected a sequence"),
        (r#"{"method":"POST"}"#, "unknown variant `POST`"),
        (r#"{"method":"HEAD","contains":"x"}"#, "use `method` GET"),
        (r#"{"json":{"pointer":"status","equals":1}}"#, "begin with `/`"),
        (r#"{"json":{"pointer":"/status"}}"#, "missing field `equals`"),
        (r#"{"max_latency_ms":-1}"#, "invalid value"),
    ] {
        let error = refusal(Target::new("web").at("http://127.0.0.1:1/").with_settings(settings));
        assert_eq!(error.kind, PluginErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{settings}: {}", error.message);
    }
    for target in
        [Target::new("web"), Target::new("web").at("127.0.0.1:80"), Target::new("web").at("http://u:p@a/")]
    {
        assert_eq!(refusal(target).kind, PluginErrorKind::InvalidInput);
    }
}
