//! Repair on real databases: whatever byte is wrong, what is kept is a prefix of what there was, and nothing is gone.

use std::fs;
use std::path::Path;

use razar_core::fact::{Fact, Recorded};
use razar_core::grant::Quota;
use razar_core::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::ledger::Ledger;

fn note(number: u64, length: usize) -> Fact {
    Fact::Released {
        component: "alpha".parse().unwrap(),
        note: Some(format!("{number} {}", "x".repeat(length))),
    }
}

/// A ledger with small and large facts, so that its tree has inner pages and rows have pages of their own.
fn fill(dir: &Path) -> Vec<Recorded> {
    let mut ledger = Ledger::open(dir).unwrap();
    for number in 0..150 {
        let length = if number % 40 == 7 { 9_000 } else { 120 };
        ledger.append(Timestamp(1000 + number), &[note(number, length)]).unwrap();
    }
    ledger.put_blob(b"a brief").unwrap();
    let plugin = "probe-http".parse().unwrap();
    let value = [("key".to_owned(), b"value".to_vec())];
    ledger.values().unwrap().set(&plugin, "a", &Quota::DEFAULT, &value).unwrap();
    let _ = ledger.use_once("spent", Timestamp(1), Timestamp(u64::MAX >> 1)).unwrap();
    ledger.replay(1).map(Result::unwrap).collect()
}

fn read(dir: &Path) -> Vec<Recorded> {
    Ledger::open(dir).unwrap().replay(1).map(Result::unwrap).collect()
}

/// In memory where the machine offers it.
fn dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

fn database(dir: &TempDir) -> PathBuf {
    dir.path().join(DATABASE)
}

#[test]
fn a_whole_ledger_is_left_alone_and_one_in_use_is_refused() {
    let dir = dir();
    assert!(matches!(repair(dir.path()), Err(LedgerError::Absent(_))));
    let facts = fill(dir.path());
    let before = fs::read(database(&dir)).unwrap();
    assert!(repair(dir.path()).unwrap().is_none());
    assert_eq!(fs::read(database(&dir)).unwrap(), before);
    let ledger = Ledger::open(dir.path()).unwrap();
    assert!(matches!(repair(dir.path()), Err(LedgerError::Held { .. })));
    drop(ledger);
    assert_eq!(read(dir.path()), facts);
}

#[test]
fn a_flipped_byte_in_any_page_is_harmless_or_named_and_repaired_to_a_prefix() {
    let original = dir();
    let facts = fill(original.path());
    let good = fs::read(database(&original)).unwrap();
    let pages = good.len() / USUAL;
    assert!(pages > 15, "{pages} pages");
    let (mut harmless, mut repaired, mut whole) = (0, 0, 0);
    // In each page: its kind, its counters, its pointers, its middle and its end.
    let places = [0_usize, 3, 9, 100, 101, 1500, 2048, 3000, 4000, 4090];
    for at in (0..pages).flat_map(|page| places.iter().map(move |place| page * USUAL + place)) {
        let dir = dir();
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        fs::write(database(&dir), &bytes).unwrap();
        let report = match verify(dir.path(), None) {
            Ok(report) => report,
            // In the header: another program's, or a newer version's, as far as anybody can tell.
            Err(LedgerError::Foreign(_) | LedgerError::Newer { .. }) => continue,
            Err(error) => panic!("byte {at}: {error}"),
        };
        if report.intact {
            assert_eq!(read(dir.path()), facts, "byte {at}");
            harmless += 1;
            continue;
        }
        let done = repair(dir.path()).unwrap().unwrap_or_else(|| panic!("byte {at}: {report:?}"));
        assert!(!done.damage.is_empty(), "byte {at}");
        assert_eq!(fs::read(&done.aside).unwrap(), bytes, "byte {at}: the evidence is what was there");
        let kept = read(dir.path());
        assert_eq!(kept, facts[..kept.len()], "byte {at}");
        assert_eq!(done.kept.seq, kept.len() as u64);
        assert!(verify(dir.path(), None).unwrap().intact, "byte {at}");
        repaired += 1;
        whole += usize::from(kept.len() == facts.len());
    }
    assert!(harmless > 20 && repaired > 50, "{harmless} harmless, {repaired} repaired");
    // Most of what can break is not a fact: then nothing is lost.
    assert!(whole > 10, "{whole} of {repaired} lost nothing");
}

const USUAL: usize = 4096;

#[test]
fn a_database_cut_off_anywhere_is_repaired_to_a_prefix() {
    let original = dir();
    let facts = fill(original.path());
    let good = fs::read(database(&original)).unwrap();
    let mut longest = 0;
    for length in (USUAL..good.len()).step_by(USUAL * 2 + 1000) {
        let dir = dir();
        fs::write(database(&dir), &good[..length]).unwrap();
        assert!(!verify(dir.path(), None).unwrap().intact, "{length} bytes");
        let done = repair(dir.path()).unwrap().unwrap();
        let kept = read(dir.path());
        assert_eq!(kept, facts[..kept.len()], "{length} bytes");
        assert_eq!(fs::metadata(done.aside).unwrap().len(), length as u64);
        longest = longest.max(kept.len());
    }
    assert!(longest > 50, "{longest}");
}

#[test]
fn an_inner_page_is_not_needed_and_what_is_beside_the_facts_comes_along() {
    let dir = dir();
    let facts = fill(dir.path());
    let name = Ledger::open(dir.path()).unwrap().state_id().to_owned();
    let mut bytes = fs::read(database(&dir)).unwrap();
    let inner =
        (1..bytes.len() / USUAL).find(|page| bytes[page * USUAL] == 5).expect("an inner page of a table");
    bytes[inner * USUAL..(inner + 1) * USUAL].fill(0xa5);
    fs::write(database(&dir), &bytes).unwrap();
    let said = Ledger::open(dir.path()).unwrap_err().to_string();
    assert!(said.contains("log verify") && said.contains("log repair"), "{said}");
    let done = repair(dir.path()).unwrap().unwrap();
    assert_eq!((done.lost(), done.rest.state_id), (0, true));
    assert_eq!((done.rest.blobs, done.rest.plugin_values, done.rest.used_ids), (1, 1, 1));
    assert_eq!(read(dir.path()), facts);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.state_id(), name);
    let again = ledger.use_once("spent", Timestamp(2), Timestamp(9)).unwrap();
    assert_eq!(again, crate::once::Use::Again);
}

#[test]
fn the_first_page_is_not_needed_either() {
    let dir = dir();
    let facts = fill(dir.path());
    let name = Ledger::open(dir.path()).unwrap().state_id().to_owned();
    let mut bytes = fs::read(database(&dir)).unwrap();
    bytes[..USUAL].fill(0);
    fs::write(database(&dir), &bytes).unwrap();
    let done = repair(dir.path()).unwrap().unwrap();
    assert_eq!(done.kept.seq, facts.len() as u64);
    assert_eq!(done.rest.incomplete, ["blobs", "used_ids", "plugin_values"]);
    assert_eq!(read(dir.path()), facts);
    assert_eq!(Ledger::open(dir.path()).unwrap().state_id(), name);
}

#[test]
fn what_is_only_in_the_write_ahead_log_is_found_and_set_aside_with_it() {
    let live = dir();
    let facts = fill(live.path());
    let mut ledger = Ledger::open(live.path()).unwrap();
    ledger.append(Timestamp(5000), &[note(1000, 10), note(1001, 20_000)]).unwrap();
    let all: Vec<_> = ledger.replay(1).map(Result::unwrap).collect();
    assert_eq!(all.len(), facts.len() + 2);
    // A copy of both files is what a crash of the machine leaves.
    let dir = dir();
    let log = |dir: &TempDir| dir.path().join("razar.db-wal");
    fs::copy(database(&live), database(&dir)).unwrap();
    fs::copy(log(&live), log(&dir)).unwrap();
    let logged = fs::read(log(&dir)).unwrap();
    assert!(!logged.is_empty());
    let mut bytes = fs::read(database(&dir)).unwrap();
    bytes[..USUAL].fill(0);
    fs::write(database(&dir), &bytes).unwrap();
    let done = repair(dir.path()).unwrap().unwrap();
    assert_eq!(read(dir.path()), all);
    assert_eq!(fs::read(with_suffix(&done.aside, "-wal")).unwrap(), logged);
}

#[test]
fn an_interrupted_repair_is_refused_by_everybody_and_completed_by_the_next() {
    let dir = dir();
    let facts = fill(dir.path());
    let mut bytes = fs::read(database(&dir)).unwrap();
    let inner = (1..bytes.len() / USUAL).find(|page| bytes[page * USUAL] == 5).unwrap();
    bytes[inner * USUAL] = 0;
    fs::write(database(&dir), &bytes).unwrap();
    // Between the evidence and the last rename.
    let aside = set_aside(dir.path(), &database(&dir)).unwrap();
    fs::write(dir.path().join(REPAIRING), "half").unwrap();
    for error in
        [Ledger::open(dir.path()).unwrap_err(), crate::reader::LedgerReader::open(dir.path()).unwrap_err()]
    {
        assert!(error.to_string().contains("log repair"), "{error}");
    }
    let done = repair(dir.path()).unwrap().unwrap();
    assert_eq!(done.aside, aside, "the evidence is kept once");
    assert_eq!(read(dir.path()), facts);
    assert!(!dir.path().join(REPAIRING).exists());
}

#[test]
fn facts_behind_a_changed_one_are_said_to_be_lost() {
    let dir = dir();
    let facts = fill(dir.path());
    let connection = Connection::open(database(&dir)).unwrap();
    connection.execute("UPDATE facts SET body = '{}' WHERE seq = 100", []).unwrap();
    drop(connection);
    let done = repair(dir.path()).unwrap().unwrap();
    assert_eq!((done.kept.seq, done.expected, done.lost()), (99, Some(150), 51));
    assert_eq!(read(dir.path()), facts[..99]);
}

#[test]
fn a_file_without_a_single_fact_that_is_no_database_is_left_alone() {
    let dir = dir();
    let text = "notes of the operator\n".repeat(1000);
    fs::write(database(&dir), &text).unwrap();
    assert!(matches!(repair(dir.path()), Err(LedgerError::Corrupt { .. })));
    assert_eq!(fs::read_to_string(database(&dir)).unwrap(), text);
}
