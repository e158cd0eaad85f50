//! The plugin's logic against real sockets on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use razar_sdk::{Health, PluginErrorKind};

use super::*;

fn serve(talk: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || talk(listener.accept().unwrap().0));
    address
}

fn check(address: &str, settings: &str, timeout_ms: u32) -> Report {
    ProbeTcp::check(Target::new("db").at(address).within_ms(timeout_ms).with_settings(settings)).unwrap()
}

#[test]
fn an_open_port_is_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for address in [address.to_string(), format!("tcp://{address}"), format!("localhost:{}", address.port())]
    {
        let report = check(&address, "{}", 10_000);
        assert_eq!(report.health, Health::Healthy, "{address}: {}", report.summary);
        assert_eq!(report.measurements[0].name, "latency");
    }
}

#[test]
fn a_closed_port_is_unhealthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let report = check(&address, "{}", 10_000);
    assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, "connection refused"));
}

#[test]
fn a_banner_may_come_in_pieces() {
    let address = serve(|mut stream| {
        for piece in ["22", "0 rea", "dy\r\n"] {
            stream.write_all(piece.as_bytes()).unwrap();
            stream.flush().unwrap();
        }
    });
    assert_eq!(check(&address, r#"{"expect":"220 ready"}"#, 10_000).health, Health::Healthy);
}

#[test]
fn a_question_gets_its_answer() {
    let address = serve(|mut stream| {
        let mut asked = [0; 6];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(if &asked == b"PING\r\n" { b"+PONG\r\n" } else { b"-ERR\r\n" }).unwrap();
    });
    let report = check(&address, r#"{"send":"PING\r\n","expect":"+PONG"}"#, 10_000);
    assert_eq!(report.health, Health::Healthy, "{}", report.summary);
}

#[test]
fn a_missing_banner_is_unhealthy_and_says_how() {
    let (done, wait) = mpsc::channel::<()>();
    let silent = serve(move |_stream| {
        let _ = wait.recv();
    });
    let wrong = serve(|mut stream| stream.write_all(b"hello").unwrap());
    let empty = serve(drop);
    let flood = serve(|mut stream| while stream.write_all(&[b'x'; 1000]).is_ok() {});
    for (address, timeout, summary) in [
        (silent, 200, "did not send `220` in time"),
        (wrong, 10_000, "sent 5 bytes without `220`"),
        (empty, 10_000, "closed without sending `220`"),
        (flood, 10_000, "sent 8192 bytes without `220`"),
    ] {
        let report = check(&address, r#"{"expect":"220"}"#, timeout);
        assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, summary));
    }
    drop(done);
}

#[test]
fn wrong_settings_and_addresses_are_refused_by_name() {
    let refusal = |target: Target| ProbeTcp::check(target).unwrap_err();
    for (settings, part) in [(r#"{"sned":"x"}"#, "unknown field `sned`"), (r#"{"expect":1}"#, "invalid type")]
    {
        let error = refusal(Target::new("db").at("127.0.0.1:1").with_settings(settings));
        assert_eq!(error.kind, PluginErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{}", error.message);
    }
    for target in
        [Target::new("db"), Target::new("db").at("localhost"), Target::new("db").at("http://localhost/")]
    {
        assert_eq!(refusal(target).kind, PluginErrorKind::InvalidInput);
    }
}
