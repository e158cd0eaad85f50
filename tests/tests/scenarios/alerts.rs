//! Alerts of a running host, behind its wall: written, sent, and after a kill sent by the next one.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use razar_tests::scene::Scene;
use serde_json::{Value, json};

/// A web server that takes every alert.
fn hook(listener: TcpListener) -> Receiver<Value> {
    let (took, taken) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            // A test that has seen enough does not listen.
            let _ = took.send(serde_json::from_slice(&body).unwrap());
        }
    });
    taken
}

/// Alerts that were written, by message.
fn written(scene: &Scene) -> Vec<Value> {
    let entries = fs::read_dir(scene.state().join("monitoring/alerts")).into_iter().flatten().flatten();
    let files =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    files.map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
}

const HALTED: &str = "Boot sequence halted; configuration rolled back to safe defaults";

#[test]
fn a_boot_that_halts_is_told_in_the_words_that_monitors_know() {
    let scene = Scene::new();
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let taken = hook(listener);
    scene.stack(
        &["all"],
        &[json!({
            "id": "store", "entrypoint": ["sh", "-c", "echo password=c4nary-1; exit 1"], "health": "process",
            "vital": true, "restart": { "retries": 0 },
        })],
    );
    let ended = scene.begin(scene.run_command(&[]).env("RAZAR_ALERT_WEBHOOK", &url)).end();
    assert_eq!(ended.code, Some(1), "{}", scene.story());
    let sent: Vec<Value> = (0..2).map(|_| taken.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
    for alerts in [sent, written(&scene)] {
        let halted = alerts.iter().find(|alert| alert["message"] == HALTED).unwrap();
        assert_eq!(halted["severity"], "critical");
        assert!(halted["context"]["error"].is_string() && halted["timestamp"].is_f64(), "{halted}");
        assert!(
            alerts.iter().any(|alert| alert["message"] == "Component store quarantined: all launches failed")
        );
        assert!(!format!("{alerts:?}").contains("c4nary"), "{alerts:?}");
    }
}

#[test]
fn what_a_killed_host_could_not_send_the_next_one_sends() {
    let scene = Scene::new();
    // Nobody listens there yet.
    let place = TcpListener::bind((scene.address(), 0)).unwrap().local_addr().unwrap();
    let url = format!("http://{place}/hook");
    let steady = scene.web("steady", json!({}));
    let broken = json!({
        "id": "broken", "entrypoint": ["sh", "-c", "exit 1"], "health": "process", "restart": { "retries": 0 },
    });
    scene.stack(&["all"], &[steady, broken]);
    let host = scene.begin(scene.run_command(&[]).env("RAZAR_ALERT_WEBHOOK", &url));
    scene.until_logged("quarantine", "broken", "quarantined", 1);
    scene.until("the alert is written", || written(&scene).len() == 1);
    host.kill();
    let taken = hook(TcpListener::bind(place).unwrap());
    let host = scene.begin(scene.run_command(&[]).env("RAZAR_ALERT_WEBHOOK", &url));
    let alert = taken.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(alert["context"]["component"], "broken", "{alert}");
    assert_eq!(host.interrupt().code, Some(0));
    assert!(taken.try_recv().is_err(), "once is enough");
    assert_eq!(written(&scene).len(), 1);
}
