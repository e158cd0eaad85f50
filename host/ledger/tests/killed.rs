//! A process that records and projects is killed at moments nobody chose, again and again. What it said it had recorded
//! is there, the chain holds, and the files are those of a host that was never killed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this file is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use razar_core::fact::{Fact, QuarantineReason, Recorded};
use razar_core::failure::{Failure, FailureClass, FailureKind};
#[cfg(debug_assertions)]
use razar_core::id::Digest;
#[cfg(debug_assertions)]
use razar_core::patch::{Change, Patch, Proposal, Rules, Tree, gate};
use razar_core::time::Timestamp;
use razar_ledger::{Ledger, Views};
use tempfile::TempDir;

/// Set in the process that will be killed.
const CHILD: &str = "RAZAR_LEDGER_KILLED_DIR";
/// Where it is killed.
#[cfg(debug_assertions)]
const PLACES: &str = "RAZAR_FAILPOINTS";
const KILLS: u64 = 12;

#[test]
fn a_host_killed_at_any_moment_loses_nothing_it_had_recorded() {
    if let Ok(dir) = std::env::var(CHILD) {
        return record_until_killed(Path::new(&dir), 1);
    }
    let dir = TempDir::new().unwrap();
    let mut recorded = 0;
    for kill in 0..KILLS {
        recorded = killed_after(dir.path(), 1 + kill * 3).max(recorded);
        let ledger = Ledger::open(&dir.path().join("state")).unwrap();
        assert!(ledger.head().seq >= recorded, "fact {recorded} was acknowledged and is gone");
        let facts: Result<Vec<Recorded>, _> = ledger.replay(1).collect();
        assert_eq!(facts.unwrap().len() as u64, ledger.head().seq);
    }
    let ledger = Ledger::open(&dir.path().join("state")).unwrap();
    let resumed = Views::open(&ledger, &dir.path().join("files")).unwrap();
    assert!(resumed.behind().is_empty(), "{:?}", resumed.behind());
    let unharmed = Views::open(&ledger, &dir.path().join("unharmed")).unwrap();
    assert!(unharmed.behind().is_empty(), "{:?}", unharmed.behind());
    let files = read(&dir.path().join("files"));
    assert!(!files.is_empty());
    assert_eq!(files, read(&dir.path().join("unharmed")));
}

#[test]
#[cfg(debug_assertions)]
fn a_host_killed_while_it_rotates_a_log_completes_it() {
    if let Ok(dir) = std::env::var(CHILD) {
        return record_until_killed(Path::new(&dir), 100);
    }
    for place in ["rotate.renaming", "rotate.renamed", "cursor.storing", "cursor.stored", "log.synced"] {
        let dir = TempDir::new().unwrap();
        // The first rotation, or in the middle of the second segment.
        let passed = if place.starts_with("rotate") { "0" } else { "110" };
        fs::write(dir.path().join(place), passed).unwrap();
        let test = "a_host_killed_while_it_rotates_a_log_completes_it";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .envs([(CHILD, dir.path()), (PLACES, dir.path())])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), None, "it is killed at {place}");
        assert!(dir.path().join("fired").exists(), "{place}");
        let ledger = Ledger::open(&dir.path().join("state")).unwrap();
        for files in ["files", "unharmed"] {
            let views = Views::open(&ledger, &dir.path().join(files)).unwrap();
            assert!(views.behind().is_empty(), "{place}: {:?}", views.behind());
        }
        let files = read(&dir.path().join("files"));
        assert!(files.keys().any(|name| name.ends_with(".1")), "{place}: a full segment");
        let segments = files.iter().filter(|(name, _)| name.starts_with("logs/razar.log"));
        let seen: usize =
            segments.map(|(_, bytes)| bytes.iter().filter(|byte| **byte == b'\n').count()).sum();
        assert!(
            files.iter().all(|(name, bytes)| !name.contains(".log") || bytes.ends_with(b"\n")),
            "{place}"
        );
        let facts: Result<Vec<Recorded>, _> = ledger.replay(1).collect();
        assert_eq!(seen, facts.unwrap().len(), "{place}: one line a fact, none twice");
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_host_killed_while_it_keeps_a_patch_has_all_of_it_or_nothing() {
    let (manifest, patch) = patch();
    if let Ok(dir) = std::env::var(CHILD) {
        let mut ledger = Ledger::open(&Path::new(&dir).join("state")).unwrap();
        ledger.keep_patch(&patch).unwrap();
        return;
    }
    for (place, passed) in [("blob.putting", 0), ("blob.put", 1), ("blobs.keeping", 0), ("blobs.kept", 0)] {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(place), passed.to_string()).unwrap();
        let test = "a_host_killed_while_it_keeps_a_patch_has_all_of_it_or_nothing";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .envs([(CHILD, dir.path()), (PLACES, dir.path())])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), None, "it is killed at {place}");
        let mut ledger = Ledger::open(&dir.path().join("state")).unwrap();
        if place == "blobs.kept" {
            assert_eq!(ledger.patch(&manifest).unwrap(), patch);
        } else {
            let left = patch.blobs().filter(|bytes| ledger.blob(&Digest::of(bytes)).unwrap().is_some());
            assert_eq!(left.count(), 0, "{place}");
        }
        assert_eq!(ledger.keep_patch(&patch).unwrap(), manifest, "{place}");
        assert_eq!(ledger.patch(&manifest).unwrap(), patch, "{place}");
    }
}

/// A patch that makes one file.
#[cfg(debug_assertions)]
fn patch() -> (Digest, Patch) {
    let base = Tree::default();
    let write = Change::Write { path: "app.py".to_owned(), content: b"value = 1\n".to_vec() };
    let proposal = Proposal { changes: vec![write], ..Proposal::default() };
    let changes = gate(&proposal, &base, &Rules::default()).unwrap();
    let patch = Patch::of("web".parse().unwrap(), &changes, &base).unwrap();
    (patch.manifest().digest(), patch)
}

/// Lets a child record so many turns, kills it, and returns the last fact it acknowledged.
fn killed_after(dir: &Path, turns: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_host_killed_at_any_moment_loses_nothing_it_had_recorded", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = lines.by_ref().map_while(Result::ok).filter_map(|line| number(&line));
    let mut last =
        acknowledged.nth(usize::try_from(turns).unwrap()).expect("the child records until it is killed");
    child.kill().unwrap();
    // What it still managed to say before it died counts too.
    last = acknowledged.last().unwrap_or(last);
    child.wait().unwrap();
    last
}

fn number(line: &str) -> Option<u64> {
    line.rsplit("recorded=").next()?.parse().ok().filter(|_| line.contains("recorded="))
}

fn record_until_killed(dir: &Path, bulk: usize) {
    let mut ledger = Ledger::open(&dir.join("state")).unwrap();
    let mut views = Views::open(&ledger, &dir.join("files")).unwrap();
    let component = "service".parse::<razar_core::id::ComponentId>().unwrap();
    let error = "no module named x".repeat(bulk);
    let failure = Failure { kind: FailureKind::Exited, class: FailureClass::of(&error), error };
    let reason = QuarantineReason::Operator;
    let mut out = std::io::stdout();
    loop {
        let at = Timestamp(ledger.head().seq * 1000);
        let turn = [
            Fact::Failed {
                component: component.clone(),
                instance: None,
                attempt: 1,
                failure: failure.clone(),
            },
            Fact::Quarantined { component: component.clone(), reason, failure: failure.clone(), attempts: 1 },
            Fact::Released { component: component.clone(), note: Some("again".to_owned()) },
        ];
        let recorded = ledger.append(at, &vec![turn; bulk].concat()).unwrap();
        writeln!(out, "recorded={}", ledger.head().seq).unwrap();
        out.flush().unwrap();
        assert!(views.project(&recorded).unwrap().is_empty());
    }
}

fn read(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(
                read(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)),
            );
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}
