//! What verification finds, told by tampering with real ledgers as somebody who knows how they are made would.

use std::fs;
use std::path::PathBuf;

use razar_core::id::{BootId, ComponentId};
use razar_core::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::key::LedgerKey;
use crate::ledger::Ledger;
use crate::views::Views;

fn alpha() -> ComponentId {
    "alpha".parse().unwrap()
}

fn released(note: &str) -> Fact {
    Fact::Released { component: alpha(), note: Some(note.to_owned()) }
}

/// One boot of a host: what it records, and its files.
fn boot(dir: &Path, number: u64, notes: &[&str]) {
    let mut ledger = Ledger::open(dir).unwrap();
    let opened = ledger.opened(dir).unwrap();
    let mut views = Views::open(&ledger, dir).unwrap();
    let begin = Fact::BootStarted {
        boot: BootId(number),
        mission: None,
        brief: None,
        config: Digest::of(b"config"),
        components: vec![alpha()],
        host: "0".to_owned(),
        ledger: Some(opened),
        long_task: false,
    };
    let mut facts = vec![begin];
    facts.extend(notes.iter().map(|note| released(note)));
    facts.push(Fact::BootEnded { boot: BootId(number) });
    let recorded = ledger.append(Timestamp(number * 1000), &facts).unwrap();
    assert!(views.project(&recorded).unwrap().is_empty());
}

/// Two boots of four facts each.
fn house() -> TempDir {
    let dir = TempDir::new().unwrap();
    boot(dir.path(), 1, &["one", "two"]);
    boot(dir.path(), 2, &["three", "four"]);
    dir
}

fn told(report: &Report, anchor: &str) -> Told {
    report.anchors.iter().find(|told| told.anchor == anchor).unwrap().clone()
}

fn checkpoint(dir: &Path) -> SignedCheckpoint {
    let reader = LedgerReader::open(dir).unwrap();
    let head = reader.head().unwrap().anchor();
    let checkpoint = Checkpoint { state: reader.state_id().unwrap(), head, root: None, at: Timestamp(1) };
    checkpoint.sign(&LedgerKey::open_or_create(dir).unwrap()).unwrap()
}

fn witness(lines: &[&str]) -> Witness {
    Witness { name: "witness.jsonl".to_owned(), lines: lines.join("\n").into_bytes(), key: None }
}

/// What somebody does who may write everything in the directory: every link computed anew.
fn rewrite(dir: &Path, change: impl Fn(u64, String) -> String, keep: u64) {
    let connection = Connection::open(dir.join("razar.db")).unwrap();
    let mut rows: Vec<(u64, u64, String)> = Vec::new();
    {
        let mut statement = connection.prepare("SELECT seq, at, body FROM facts ORDER BY seq").unwrap();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let number = |at| row.get::<_, i64>(at).unwrap().cast_unsigned();
            rows.push((number(0), number(1), row.get(2).unwrap()));
        }
    }
    let mut head = Head::GENESIS;
    for (seq, at, body) in rows.into_iter().take(usize::try_from(keep).unwrap()) {
        let body = change(seq, body);
        head = head.next(Timestamp(at), body.as_bytes());
        connection
            .execute(
                "UPDATE facts SET body = ?1, hash = ?2 WHERE seq = ?3",
                (body, head.hash, seq.cast_signed()),
            )
            .unwrap();
    }
    connection.execute("DELETE FROM facts WHERE seq > ?1", [keep.cast_signed()]).unwrap();
    meta::set_head(&connection, head).unwrap();
}

#[test]
fn an_untouched_ledger_is_intact_with_and_without_a_host() {
    let dir = house();
    let report = verify(dir.path(), None).unwrap();
    assert!(report.intact, "{report:?}");
    assert_eq!((report.facts, report.head.unwrap().seq), (8, 8));
    assert_eq!(told(&report, BOOTS).verdict, Verdict::Agrees);
    assert_eq!(told(&report, STATE).seq, Some(8));
    assert_eq!(told(&report, WITNESS).verdict, Verdict::Absent);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.append(Timestamp(9000), &[released("five")]).unwrap();
    let report = verify(dir.path(), None).unwrap();
    assert!(report.intact, "a state file that is behind is no contradiction: {report:?}");
    assert_eq!(report.facts, 9);
}

#[test]
fn what_is_not_there_is_an_error_and_an_empty_ledger_is_intact() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(verify(dir.path(), None), Err(LedgerError::Absent(_))));
    drop(Ledger::open(dir.path()).unwrap());
    let report = verify(dir.path(), None).unwrap();
    assert!(report.intact && report.facts == 0, "{report:?}");
}

#[test]
fn the_first_bad_fact_is_named() {
    for (sql, seq) in [
        ("UPDATE facts SET body = replace(body, 'three', 'drei') WHERE seq = 6", 6),
        ("UPDATE facts SET at = 1 WHERE seq = 3", 3),
        ("DELETE FROM facts WHERE seq = 5", 5),
        ("DELETE FROM facts WHERE seq = 8", 8),
        ("INSERT INTO facts SELECT 9, at, body, hash FROM facts WHERE seq = 8", 9),
    ] {
        let dir = house();
        let connection = Connection::open(dir.path().join("razar.db")).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
        drop(connection);
        let report = verify(dir.path(), None).unwrap();
        assert!(!report.intact, "{sql}");
        assert_eq!(report.first_bad.as_ref().map(|bad| bad.seq), Some(seq), "{sql}: {report:?}");
    }
}

#[test]
fn a_chain_computed_anew_is_contradicted_by_every_anchor_that_was_left_alone() {
    let forge = |_: u64, body: String| body.replace("two", "2");
    let dir = house();
    let signed = checkpoint(dir.path()).line().unwrap();
    rewrite(dir.path(), forge, 8);
    let report = verify(dir.path(), Some(&witness(&[&signed]))).unwrap();
    assert_eq!((report.first_bad.as_ref(), report.database.len()), (None, 0), "{report:?}");
    assert!(!report.intact);
    for anchor in [BOOTS, STATE, WITNESS] {
        assert_eq!(told(&report, anchor).verdict, Verdict::Contradicts, "{report:?}");
    }
    assert!(told(&report, STATE).says.contains("another fact 8"), "{report:?}");
}

#[test]
fn facts_cut_off_the_end_are_contradicted_by_the_state_file_and_the_witness_alone() {
    let dir = house();
    let signed = checkpoint(dir.path()).line().unwrap();
    rewrite(dir.path(), |_, body| body, 6);
    let report = verify(dir.path(), Some(&witness(&[&signed]))).unwrap();
    assert_eq!(told(&report, BOOTS).verdict, Verdict::Agrees);
    assert!(told(&report, STATE).says.contains("facts were cut off"), "{report:?}");
    assert!(told(&report, WITNESS).says.contains("facts were cut off"), "{report:?}");
    assert!(!report.intact);
}

#[test]
fn whoever_rewrites_the_whole_directory_is_contradicted_by_the_witness() {
    let dir = house();
    let signed = checkpoint(dir.path()).line().unwrap();
    let key = fs::read(dir.path().join("keys/ledger.key")).unwrap();
    // A new history from nothing, the same name and even the same key.
    let name = LedgerReader::open(dir.path()).unwrap().state_id().unwrap();
    let forged = TempDir::new().unwrap();
    boot(forged.path(), 1, &["forged", "two"]);
    boot(forged.path(), 2, &["three", "four", "five"]);
    let connection = Connection::open(forged.path().join("razar.db")).unwrap();
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'state_id'", [name.as_bytes()]).unwrap();
    drop(connection);
    let public = LedgerKey::open_or_create(forged.path()).unwrap().public();
    let alone = verify(forged.path(), None).unwrap();
    assert!(alone.intact, "nothing inside can tell: {alone:?}");

    // With a key of its own the old checkpoints are not its checkpoints.
    let report = verify(forged.path(), Some(&witness(&[&signed]))).unwrap();
    assert!(told(&report, WITNESS).says.contains("another key"), "{report:?}");
    assert!(!report.intact);
    // Who pins the key does not depend on what lies in the directory.
    let pinned = Witness { key: Some(checkpoint(dir.path()).key), ..witness(&[&signed]) };
    assert_ne!(pinned.key, Some(public));
    let report = verify(forged.path(), Some(&pinned)).unwrap();
    assert!(told(&report, WITNESS).says.contains("another fact 8"), "{report:?}");
    // The stolen key signs new checkpoints, but does not take the old ones back.
    fs::write(forged.path().join("keys/ledger.key"), key).unwrap();
    let fresh = checkpoint(forged.path()).line().unwrap();
    let both = Witness { key: pinned.key, ..witness(&[&signed, &fresh]) };
    let report = verify(forged.path(), Some(&both)).unwrap();
    assert_eq!((told(&report, WITNESS).verdict, told(&report, WITNESS).seq), (Verdict::Contradicts, Some(8)));
    // Another name does not help either.
    let connection = Connection::open(forged.path().join("razar.db")).unwrap();
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'state_id'", [b"0000000000000000"]).unwrap();
    drop(connection);
    let report = verify(forged.path(), Some(&pinned)).unwrap();
    assert!(told(&report, WITNESS).says.contains("not this one"), "{report:?}");
    assert!(!report.intact);
}

#[test]
fn a_witness_that_agrees_and_one_that_knows_nothing() {
    let dir = house();
    let first = checkpoint(dir.path()).line().unwrap();
    boot(dir.path(), 3, &["five"]);
    let second = checkpoint(dir.path()).line().unwrap();
    let report = verify(dir.path(), Some(&witness(&[&first, "{\"torn", "", &second]))).unwrap();
    let answer = told(&report, WITNESS);
    assert_eq!((answer.verdict, answer.seq), (Verdict::Agrees, Some(11)), "{report:?}");
    assert!(answer.says.contains("1 of its lines are no checkpoints"), "{answer:?}");
    assert!(report.intact);
    // A forged line without a signature changes nothing.
    let forged = second.replace("\"seq\":11", "\"seq\":3");
    let report = verify(dir.path(), Some(&witness(&[&first, &forged]))).unwrap();
    assert_eq!(told(&report, WITNESS).verdict, Verdict::Agrees, "{report:?}");
    assert!(
        told(&report, WITNESS).says.contains("1 of its checkpoints of this ledger are not signed"),
        "{report:?}"
    );
    let report = verify(dir.path(), Some(&witness(&[]))).unwrap();
    assert_eq!(told(&report, WITNESS).verdict, Verdict::Silent);
    assert!(!report.intact, "a witness that was asked for and is silent proves nothing");
}

#[test]
fn what_was_lost_while_no_host_was_there_stays_on_record() {
    let dir = house();
    let state_file = fs::read(dir.path().join(STATE_FILE)).unwrap();
    rewrite(dir.path(), |_, body| body, 6);
    boot(dir.path(), 3, &["five"]);
    let report = verify(dir.path(), None).unwrap();
    assert_eq!(told(&report, STATE).verdict, Verdict::Agrees, "written anew: {report:?}");
    assert!(told(&report, BOOTS).says.contains("named fact 8 of a ledger that is gone"), "{report:?}");
    assert!(!report.intact);
    let aside: Vec<PathBuf> = fs::read_dir(dir.path().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".contradicts-"))
        .collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(&aside[0]).unwrap(), state_file);
    let log = fs::read_to_string(dir.path().join("logs/boot_orchestrator.log")).unwrap();
    assert!(log.contains("Ledger does not have fact 8, sha256:"), "{log}");
}

#[test]
fn a_damaged_state_file_is_no_contradiction() {
    let dir = house();
    for text in ["", "{\"ledger\": {\"seq\": 8, \"ha", "{}", "{\"ledger\": {\"seq\": 8, \"hash\": \"xyz\"}}"]
    {
        fs::write(dir.path().join(STATE_FILE), text).unwrap();
        let report = verify(dir.path(), None).unwrap();
        assert_eq!(told(&report, STATE).verdict, Verdict::Silent, "{text}");
        assert!(report.intact, "{text}");
    }
    fs::remove_file(dir.path().join(STATE_FILE)).unwrap();
    let report = verify(dir.path(), None).unwrap();
    assert_eq!((told(&report, STATE).verdict, report.intact), (Verdict::Absent, true));
}

#[test]
fn stored_bytes_and_pages_are_looked_at_too() {
    let dir = house();
    Ledger::open(dir.path()).unwrap().put_blob(b"brief").unwrap();
    let connection = Connection::open(dir.path().join("razar.db")).unwrap();
    connection.execute("UPDATE blobs SET bytes = x'00'", []).unwrap();
    drop(connection);
    let report = verify(dir.path(), None).unwrap();
    assert!(!report.intact && report.database[0].contains("do not match the digest"), "{report:?}");
    fs::write(dir.path().join("razar.db"), "no database").unwrap();
    let report = verify(dir.path(), None).unwrap();
    assert!(!report.intact && report.facts == 0 && report.database.len() == 1, "{report:?}");
}
