//! Notes that are left and read back, in a file and over the network.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use razar_core::fact::Fact;
use razar_core::time::Timestamp;
use razar_ledger::Ledger;
use razar_ledger::verify::{Verdict, Witness, verify};

use super::*;

fn released(note: &str) -> Fact {
    Fact::Released { component: "web".parse().unwrap(), note: Some(note.to_owned()) }
}

/// What verification says with the notes at a place.
fn verdict(state: &Path, place: &Place) -> (Verdict, Option<u64>) {
    let witness = Witness { name: place.to_string(), lines: place.notes().unwrap(), key: None };
    let report = verify(state, Some(&witness)).unwrap();
    let told = report.anchors.iter().find(|told| told.anchor == "witness").unwrap();
    (told.verdict, told.seq)
}

/// A server that takes notes, and gives them back: a file behind HTTP.
fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/notes", listener.local_addr().unwrap());
    let notes: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&notes);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let body = if first.starts_with("POST /notes ") {
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                kept.lock().unwrap().push(String::from_utf8(body).unwrap());
                String::new()
            } else {
                kept.lock().unwrap().join("\n")
            };
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    (url, notes)
}

#[tokio::test]
async fn a_file_witnesses_every_end_and_is_only_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let place: Place = dir.path().join("witness.jsonl").to_str().unwrap().parse().unwrap();
    let Place::File(file) = &place else { panic!("{place:?}") };
    fs::write(file, "{\"torn").unwrap();
    let mut ledger = Ledger::open(&state).unwrap();
    ledger.append(Timestamp(1), &[released("one")]).unwrap();
    let witnessing = Witnessing::start(&place, &state).unwrap();
    ledger.append(Timestamp(2), &[released("two"), released("three")]).unwrap();
    witnessing.finish().await;
    assert_eq!(verdict(&state, &place), (Verdict::Agrees, Some(3)));
    let notes = fs::read_to_string(file).unwrap();
    assert!(notes.starts_with("{\"torn\n{") && notes.ends_with("}\n"), "{notes}");

    let before = notes.lines().count();
    Witnessing::start(&place, &state).unwrap().finish().await;
    let notes = fs::read_to_string(file).unwrap();
    assert_eq!(notes.lines().count(), before + 1, "one note at a start, none without news: {notes}");
}

#[tokio::test]
async fn a_server_witnesses_too_and_one_that_is_away_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.append(Timestamp(1), &[released("one")]).unwrap();
    let (url, notes) = server();
    let place: Place = url.parse().unwrap();
    assert!(matches!(place, Place::Http(_)));
    Witnessing::start(&place, dir.path()).unwrap().finish().await;
    assert_eq!(notes.lock().unwrap().len(), 1);
    assert_eq!(verdict(dir.path(), &place), (Verdict::Agrees, Some(1)));

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place: Place = format!("http://{gone}/notes").parse().unwrap();
    Witnessing::start(&place, dir.path()).unwrap().finish().await;
    let said = place.notes().unwrap_err();
    assert!(said.contains("cannot ask the witness"), "{said}");
}
