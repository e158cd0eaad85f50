//! What the ledger promises, on real directories.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::reader::LedgerReader;
use crate::store::FactStore as _;

fn released(component: &str, note: Option<&str>) -> Fact {
    Fact::Released { component: component.parse().unwrap(), note: note.map(str::to_owned) }
}

fn fill(ledger: &mut Ledger, facts: u64) {
    for n in 0..facts {
        let note = format!("note {n}");
        ledger.append(Timestamp(1000 + n), &[released("alpha", Some(&note))]).unwrap();
    }
}

fn read(ledger: &Ledger, from: u64) -> Result<Vec<Recorded>, LedgerError> {
    ledger.replay(from).collect()
}

/// Changes the database behind the ledger's back.
fn tamper(dir: &TempDir, sql: &str) {
    let connection = Connection::open(directory::database(dir.path())).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
}

#[test]
fn a_database_that_is_taken_away_or_replaced_is_noticed_and_goes_on_for_whoever_holds_it() {
    type Take = fn(&std::path::Path, &std::path::Path);
    let ways: [Take; 4] = [
        |dir, _| fs::remove_dir_all(dir).unwrap(),
        |dir, _| fs::remove_file(directory::database(dir)).unwrap(),
        |dir, away| fs::rename(dir, away).unwrap(),
        |dir, _| {
            let file = directory::database(dir);
            fs::copy(&file, dir.join("copy")).unwrap();
            fs::rename(dir.join("copy"), file).unwrap();
        },
    ];
    for take in ways {
        let home = TempDir::new().unwrap();
        let (dir, away) = (home.path().join("state"), home.path().join("away"));
        let mut ledger = Ledger::open(&dir).unwrap();
        fill(&mut ledger, 3);
        assert!(!ledger.is_displaced());
        take(&dir, &away);
        assert!(ledger.is_displaced());
        fill(&mut ledger, 2);
        assert_eq!(read(&ledger, 1).unwrap().len(), 5);
        if away.exists() {
            fs::rename(&away, &dir).unwrap();
            assert!(!ledger.is_displaced(), "it was put back, and nothing is missing in it");
            assert_eq!(LedgerReader::open(&dir).unwrap().replay(1).unwrap().count(), 5);
        } else {
            assert!(ledger.is_displaced());
        }
    }
}

#[test]
fn a_turn_comes_back_as_it_was_recorded_also_after_reopening() {
    let dir = TempDir::new().unwrap();
    let turn = [released("alpha", None), released("beta", Some("café \u{1b}[31m |\n"))];
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let recorded = ledger.append(Timestamp(7), &turn).unwrap();
    assert_eq!(recorded.iter().map(|fact| fact.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(ledger.append(Timestamp(8), &[]).unwrap(), []);
    let (head, id) = (ledger.head(), ledger.state_id().to_owned());
    assert_eq!(id.len(), 16);
    drop(ledger);

    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(read(&ledger, 0).unwrap(), recorded);
    assert_eq!(read(&ledger, 2).unwrap(), recorded[1..]);
    assert_eq!(read(&ledger, 3).unwrap(), []);
    assert_eq!((ledger.head(), ledger.state_id()), (head, id.as_str()));
}

#[test]
fn replay_crosses_pages_and_ends_at_the_head_it_began_with() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let facts: Vec<_> = (0..1500).map(|n| released("alpha", Some(&n.to_string()))).collect();
    ledger.append(Timestamp(1), &facts).unwrap();
    assert_eq!(read(&ledger, 1).unwrap().len(), 1500);
    assert_eq!(ledger.read_from(1490).count(), 11);

    let reader = LedgerReader::open(dir.path()).unwrap();
    let mut replay = reader.replay(1).unwrap();
    assert!(replay.next().is_some());
    ledger.append(Timestamp(2), &facts).unwrap();
    assert_eq!(replay.count(), 1499, "what was recorded meanwhile belongs to the next reading");
}

#[test]
fn every_changed_byte_of_a_fact_is_found_and_named() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    fill(&mut ledger, 5);
    let body: String =
        ledger.connection.query_row("SELECT body FROM facts WHERE seq = 3", [], |row| row.get(0)).unwrap();
    for at in 0..body.len() {
        let mut changed = body.clone().into_bytes();
        changed[at] ^= 1;
        ledger
            .connection
            .execute("UPDATE facts SET body = CAST(?1 AS TEXT) WHERE seq = 3", [changed.as_slice()])
            .unwrap();
        let mut replay = ledger.replay(1);
        assert!(replay.next().unwrap().is_ok());
        assert!(replay.next().unwrap().is_ok());
        assert!(matches!(replay.next(), Some(Err(LedgerError::Chain { seq: 3 }))), "byte {at}");
        assert!(replay.next().is_none(), "nothing after a broken link is believed");
    }
}

#[test]
fn changed_removed_and_cut_facts_are_named() {
    type Check = fn(&LedgerError) -> bool;
    let cases: [(&str, Check); 6] = [
        ("UPDATE facts SET at = at + 1 WHERE seq = 4", |e| matches!(e, LedgerError::Chain { seq: 4 })),
        ("UPDATE facts SET hash = zeroblob(32) WHERE seq = 2", |e| {
            matches!(e, LedgerError::Chain { seq: 2 })
        }),
        ("UPDATE facts SET hash = x'00' WHERE seq = 2", |e| matches!(e, LedgerError::Chain { seq: 2 })),
        ("DELETE FROM facts WHERE seq = 3", |e| matches!(e, LedgerError::Missing { seq: 3 })),
        ("DELETE FROM facts WHERE seq >= 4", |e| matches!(e, LedgerError::Missing { seq: 4 })),
        ("INSERT INTO facts SELECT 6, at, body, hash FROM facts WHERE seq = 5", |e| {
            matches!(e, LedgerError::Chain { seq: 6 })
        }),
    ];
    for (sql, expected) in cases {
        let dir = TempDir::new().unwrap();
        fill(&mut Ledger::open(dir.path()).unwrap(), 5);
        tamper(&dir, sql);
        let error = match Ledger::open(dir.path()) {
            Err(error) => error,
            Ok(ledger) => read(&ledger, 1).expect_err(sql),
        };
        assert!(expected(&error), "{sql}: {error}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_an_error_or_changes_no_fact() {
    // All bytes take half a minute; a step that is prime to the page visits every kind of place.
    const STEP: usize = 11;
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    fill(&mut ledger, 30);
    let expected = read(&ledger, 1).unwrap();
    drop(ledger);
    let path = directory::database(dir.path());
    let good = fs::read(&path).unwrap();
    let (mut refused, mut unharmed) = (0, 0);
    for at in (0..good.len()).step_by(STEP) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let reader = LedgerReader::open(dir.path());
        match reader.and_then(|reader| reader.replay(1)?.collect::<Result<Vec<_>, _>>()) {
            Ok(facts) => {
                assert_eq!(facts, expected, "byte {at}");
                unharmed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100 && unharmed > 100, "{refused} refused, {unharmed} in unused space");
}

#[test]
fn one_directory_has_one_host() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("deep/state");
    let first = Ledger::open(&state).unwrap();
    let error = Ledger::open(&state).unwrap_err();
    assert!(
        matches!(error, LedgerError::Held { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&state.display().to_string()) && text.contains("--state DIR"), "{text}");
    drop(first);
    Ledger::open(&state).unwrap();
    for (path, mode) in [("", 0o700), ("razar.db", 0o600), ("host.lock", 0o600)] {
        let found = fs::metadata(state.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}

#[test]
fn what_is_damaged_foreign_or_newer_is_refused_and_not_touched() {
    let written = |make: &dyn Fn(&Path)| {
        let dir = TempDir::new().unwrap();
        let path = directory::database(dir.path());
        make(&path);
        let before = fs::read(&path).unwrap();
        let error = Ledger::open(dir.path()).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), before, "{error}");
        let reader = LedgerReader::open(dir.path());
        assert!(reader.and_then(|reader| reader.replay(1)?.collect::<Result<Vec<_>, _>>()).is_err());
        error
    };
    let database = |sql: &'static str| {
        move |path: &Path| {
            drop(Ledger::open(path.parent().unwrap()).unwrap());
            Connection::open(path).unwrap().execute_batch(sql).unwrap();
        }
    };

    let error = written(&|path| fs::write(path, "hello").unwrap());
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore the file from a backup"), "{error}");
    let error = written(&|path| fs::write(path, [0; 4096]).unwrap());
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
    let error = written(&|path| Connection::open(path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap());
    assert!(matches!(error, LedgerError::Foreign(_)), "{error}");
    let error = written(&database("PRAGMA application_id = 7"));
    assert!(matches!(error, LedgerError::Foreign(_)), "{error}");
    let error = written(&database("PRAGMA user_version = 2"));
    assert!(matches!(error, LedgerError::Newer { found: 2, known: 1, .. }), "{error}");
    let error = written(&|path| {
        let dir = path.parent().unwrap();
        fill(&mut Ledger::open(dir).unwrap(), 200);
        let mut bytes = fs::read(path).unwrap();
        let pages = bytes.len() / 4096;
        bytes[4096..pages * 4096].fill(0xaa);
        fs::write(path, bytes).unwrap();
    });
    assert!(matches!(error, LedgerError::Corrupt { .. }), "{error}");
}

#[test]
fn a_directory_whose_creation_was_interrupted_is_a_new_one() {
    let dir = TempDir::new().unwrap();
    fs::write(directory::database(dir.path()), "").unwrap();
    assert!(matches!(LedgerReader::open(dir.path()), Err(LedgerError::Absent(_))));
    let mut ledger = Ledger::open(dir.path()).unwrap();
    fill(&mut ledger, 1);
    assert_eq!(read(&ledger, 1).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_looked_at_is_not_called_absent() {
    let dir = TempDir::new().unwrap();
    let (file, ring) = (dir.path().join("file"), dir.path().join("ring"));
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&ring, &ring).unwrap();
    for (wrong, why) in [(&file, "Not a directory"), (&ring, "Too many levels of symbolic links")] {
        let said = LedgerReader::open(wrong).unwrap_err().to_string();
        assert!(said.contains("razar.db`: ") && said.contains(why), "{said}");
        assert!(!said.contains("no ledger"), "{said}");
        assert!(LedgerReader::open(wrong).unwrap_err().is_misnamed(), "{said}");
        assert_eq!(crate::repair::repair(wrong).unwrap_err().to_string(), said);
    }
    let denied = LedgerError::io("look at", "s/razar.db")(std::io::ErrorKind::PermissionDenied.into());
    let said = denied.to_string();
    assert!(
        denied.is_misnamed() && said.ends_with("run this as the user to whom the state directory belongs"),
        "{said}"
    );
}

#[test]
fn a_disk_that_fails_is_no_wrong_name_and_has_a_remedy_of_its_own() {
    for (number, remedy) in [
        (rustix::io::Errno::IO, "check the disk that it lies on"),
        (rustix::io::Errno::ROFS, "check the disk that it lies on"),
        (rustix::io::Errno::NOSPC, "free space on the disk"),
        (rustix::io::Errno::DQUOT, "free space on the disk"),
    ] {
        let failed = LedgerError::io("read the key", "s/keys/ledger.key")(number.into());
        let said = failed.to_string();
        assert!(
            said.contains("cannot read the key `s/keys/ledger.key`: ") && said.contains(remedy),
            "{said}"
        );
        assert!(!failed.is_misnamed(), "{said}");
    }
}

#[test]
fn a_reader_needs_no_host_and_disturbs_none() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(LedgerReader::open(dir.path()), Err(LedgerError::Absent(_))));
    let mut ledger = Ledger::open(dir.path()).unwrap();
    fill(&mut ledger, 2);
    let reader = LedgerReader::open(dir.path()).unwrap();
    assert_eq!(reader.replay(1).unwrap().count(), 2);
    fill(&mut ledger, 1);
    assert_eq!(reader.head().unwrap(), ledger.head());
    let digest = ledger.put_blob(b"brief").unwrap();
    drop(ledger);

    let reader = LedgerReader::open(dir.path()).unwrap();
    assert_eq!(reader.replay(1).unwrap().filter(Result::is_ok).count(), 3);
    assert_eq!(reader.blob(&digest).unwrap().unwrap(), b"brief");
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.state_id(), reader.state_id().unwrap());
}

#[test]
fn blobs_are_kept_by_digest_and_verified() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let digest = ledger.put_blob(b"one").unwrap();
    assert_eq!(ledger.put_blob(b"one").unwrap(), digest);
    assert_eq!(ledger.blob(&digest).unwrap().unwrap(), b"one");
    assert_eq!(ledger.blob(&Digest::of(b"two")).unwrap(), None);
    drop(ledger);
    tamper(&dir, "UPDATE blobs SET bytes = x'00'");
    let ledger = Ledger::open(dir.path()).unwrap();
    assert!(matches!(ledger.blob(&digest), Err(LedgerError::Blob(found)) if found == digest));
}

#[test]
fn a_full_disk_loses_nothing_and_the_turn_may_be_repeated() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    fill(&mut ledger, 3);
    let pages: i64 = ledger.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    ledger.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let turn: Vec<_> = (0..400).map(|n| released("alpha", Some(&"x".repeat(n)))).collect();
    let head = ledger.head();
    for _ in 0..3 {
        let error = ledger.append(Timestamp(9), &turn).unwrap_err();
        assert!(matches!(error, AppendError::Full(_)) && error.is_retriable(), "{error}");
        assert_eq!((ledger.head(), read(&ledger, 1).unwrap().len()), (head, 3));
    }
    ledger.connection.pragma_update(None, "max_page_count", 1 << 20).unwrap();
    assert_eq!(ledger.append(Timestamp(9), &turn).unwrap().len(), 400);
    drop(ledger);
    assert_eq!(read(&Ledger::open(dir.path()).unwrap(), 1).unwrap().len(), 403);
}

/// The part of [`a_file_that_may_not_grow_loses_nothing`] that runs in a child of its own.
const CHILD: &str = "RAZAR_LEDGER_TEST_DIR";

#[test]
fn a_file_that_may_not_grow_loses_nothing() {
    if let Ok(dir) = std::env::var(CHILD) {
        return append_until_refused(Path::new(&dir));
    }
    let dir = TempDir::new().unwrap();
    fill(&mut Ledger::open(dir.path()).unwrap(), 1);
    let test = "ledger::tests::a_file_that_may_not_grow_loses_nothing";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 300; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(CHILD, dir.path())
        .process_group(0)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let kept: usize =
        text.lines().find_map(|line| line.split("kept=").nth(1)).expect(&text).trim().parse().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(read(&ledger, 1).unwrap().len(), kept);
}

fn append_until_refused(dir: &Path) {
    let mut ledger = Ledger::open(dir).unwrap();
    let turn: Vec<_> = (0..20).map(|_| released("alpha", Some(&"x".repeat(500)))).collect();
    let mut kept = 1;
    let error = loop {
        match ledger.append(Timestamp(1), &turn) {
            Ok(recorded) => kept += recorded.len(),
            Err(error) => break error,
        }
    };
    assert!(error.is_retriable(), "{error}");
    assert_eq!(read(&ledger, 1).unwrap().len(), kept);
    println!("kept={kept}");
}

#[test]
fn a_foreign_writer_makes_a_turn_wait_and_then_retriable() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.connection.busy_timeout(std::time::Duration::from_millis(20)).unwrap();
    let other = Connection::open(directory::database(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = ledger.append(Timestamp(1), &[released("alpha", None)]).unwrap_err();
    assert!(matches!(error, AppendError::Locked(_)) && error.is_retriable(), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(ledger.append(Timestamp(1), &[released("alpha", None)]).unwrap()[0].seq, 1);
}

#[test]
fn a_time_beyond_sqlite_is_refused_whole() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let error = ledger.append(Timestamp(u64::MAX), &[released("alpha", None)]).unwrap_err();
    assert!(matches!(error, AppendError::Range { .. }) && !error.is_retriable(), "{error}");
    assert_eq!(ledger.head(), Head::GENESIS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn any_turns_survive_a_round_trip(turns in prop::collection::vec((0..u64::MAX / 2, crate::arbitrary::turn()), 0..8)) {
        let dir = TempDir::new().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        let mut recorded = Vec::new();
        for (at, facts) in &turns {
            recorded.extend(ledger.append(Timestamp(*at), facts).unwrap());
        }
        prop_assert_eq!(&read(&ledger, 1).unwrap(), &recorded);
        drop(ledger);
        let reader = LedgerReader::open(dir.path()).unwrap();
        let read: Vec<_> = reader.replay(1).unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, recorded);
    }
}
