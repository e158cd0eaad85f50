//! There and back, and archives that somebody made to do harm.

use std::os::unix::fs::MetadataExt as _;

use razar_core::fact::{Fact, QuarantineReason, Recorded};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::time::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::Views;
use crate::backup::{BackupError, backup};
use crate::key::LedgerKey;
use crate::ledger::Ledger;
use crate::reader::LedgerReader;
use crate::recordings::{Bounds, Recordings};

struct House {
    dir: TempDir,
    ledger: Ledger,
    views: Views,
}

impl House {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let state = dir.path().join("state");
        let ledger = Ledger::open(&state).unwrap();
        let views = Views::open(&ledger, &state).unwrap();
        let mut house = Self { dir, ledger, views };
        house.record(20);
        LedgerKey::open_or_create(&house.state()).unwrap();
        fs::create_dir_all(house.state().join("logs/services")).unwrap();
        fs::create_dir_all(house.state().join("cache/plugins")).unwrap();
        fs::write(house.state().join("logs/services/web.log"), "secret words of a service").unwrap();
        fs::write(house.state().join("cache/plugins/key"), "key").unwrap();
        house
    }

    fn record(&mut self, facts: u64) {
        for number in 0..facts {
            let component: razar_core::id::ComponentId = format!("c{}", number % 3).parse().unwrap();
            let error = format!("error {number}");
            let failure = Failure { kind: FailureKind::Exited, class: FailureClass::of(&error), error };
            let reason = QuarantineReason::Operator;
            let fact = Fact::Quarantined { component, reason, failure, attempts: 1 };
            let recorded = self.ledger.append(Timestamp(number), &[fact]).unwrap();
            assert!(self.views.project(&recorded).unwrap().is_empty());
        }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn facts(dir: &Path) -> Vec<Recorded> {
    LedgerReader::open(dir).unwrap().replay(1).unwrap().map(Result::unwrap).collect()
}

fn files(dir: &Path, below: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir.join(below)).unwrap().flatten() {
        let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(dir, &name));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn a_running_host_is_backed_up_and_comes_back_as_it_was() {
    let mut house = House::new();
    let archive = house.path("backup.tar");
    let made = backup(&house.state(), &archive, false).unwrap();
    let before = facts(&house.state());
    assert_eq!((made.manifest.head.seq, made.left_out.len()), (20, 0), "{:?}", made.left_out);
    assert_eq!(fs::metadata(&archive).unwrap().mode() & 0o777, 0o600);
    let names: Vec<_> = made.manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert!(names.contains(&"logs/razar.log") && names.contains(&"quarantine/c0.json"), "{names:?}");
    for private in ["keys", "cache", "services", "lock"] {
        assert!(!names.iter().any(|name| name.contains(private)), "{names:?}");
    }
    house.record(5);

    let restored = restore(&archive, &house.path("new")).unwrap();
    assert!(restored.report.intact, "{restored:?}");
    assert_eq!(facts(&house.path("new")), before);
    let ledger = Ledger::open(&house.path("new")).unwrap();
    assert_eq!(ledger.state_id(), house.ledger.state_id());
    let fresh = files(&house.path("new"), "logs");
    // A host that starts there finds nothing to repair.
    assert!(Views::open(&ledger, &house.path("new")).unwrap().behind().is_empty());
    assert_eq!(files(&house.path("new"), "logs"), fresh);
    let left: Vec<_> =
        fs::read_dir(house.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "no unfinished file stays: {left:?}");
}

#[test]
fn recordings_of_calls_come_back_and_are_nobody_elses() {
    let house = House::new();
    let recordings = Recordings::within(&house.state(), Bounds { budget: 1 << 20, floor: 0 });
    let (kept, forgotten) = (recordings.keep(b"a call").unwrap(), recordings.keep(b"another").unwrap());
    std::fs::remove_file(crate::recordings::place(&house.state(), &forgotten)).unwrap();
    let archive = house.path("backup.tar");
    assert_eq!(backup(&house.state(), &archive, false).unwrap().left_out, Vec::<String>::new());
    let new = house.path("new");
    assert!(restore(&archive, &new).unwrap().report.intact);
    let reader = LedgerReader::open(&new).unwrap();
    assert_eq!(reader.recording(&kept).unwrap().unwrap(), b"a call");
    assert_eq!(reader.recording(&forgotten).unwrap(), None);
    assert_eq!(fs::metadata(new.join("recordings")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_backup_taken_while_facts_are_recorded_is_one_moment_of_them() {
    let mut house = House::new();
    let (state, archive) = (house.state(), house.path("backup.tar"));
    let taking = std::thread::spawn(move || backup(&state, &archive, false).map(|_| archive));
    house.record(300);
    let archive = taking.join().unwrap().unwrap();
    let restored = restore(&archive, &house.path("new")).unwrap();
    assert!(restored.report.intact, "{restored:?}");
    let (there, all) = (facts(&house.path("new")), facts(&house.state()));
    assert!(there.len() >= 20);
    assert_eq!(there, all[..there.len()]);
    assert!(
        Views::open(&Ledger::open(&house.path("new")).unwrap(), &house.path("new"))
            .unwrap()
            .behind()
            .is_empty()
    );
}

#[test]
fn the_key_comes_along_only_when_asked_for_and_stays_private() {
    let house = House::new();
    let archive = house.path("keys.tar");
    backup(&house.state(), &archive, true).unwrap();
    restore(&archive, &house.path("new")).unwrap();
    let key = |dir: PathBuf| LedgerKey::open(&dir).unwrap().unwrap().public();
    assert_eq!(key(house.path("new")), key(house.state()));
    assert_eq!(fs::metadata(house.path("new/keys")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(house.path("new/keys/ledger.key")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn nothing_is_replaced_and_nothing_damaged_is_backed_up() {
    let house = House::new();
    let archive = house.path("backup.tar");
    fs::write(&archive, "precious").unwrap();
    assert!(matches!(backup(&house.state(), &archive, false), Err(BackupError::Exists(_))));
    assert_eq!(fs::read(&archive).unwrap(), b"precious");
    let connection = Connection::open(house.state().join(DATABASE)).unwrap();
    connection.execute("UPDATE facts SET at = 99 WHERE seq = 7", []).unwrap();
    drop(connection);
    let other = house.path("other.tar");
    assert!(matches!(backup(&house.state(), &other, false), Err(BackupError::Damaged(_))));
    assert!(!other.exists());
    assert!(matches!(backup(&house.path("nowhere"), &other, false), Err(BackupError::Ledger(_))));
}

#[test]
fn a_directory_that_is_used_is_refused() {
    let house = House::new();
    let archive = house.path("backup.tar");
    backup(&house.state(), &archive, false).unwrap();
    assert!(matches!(restore(&archive, &house.state()), Err(RestoreError::NotEmpty(_))));
    let empty = house.path("empty");
    fs::create_dir(&empty).unwrap();
    let held = directory::hold(&empty).unwrap();
    assert!(matches!(restore(&archive, &empty), Err(RestoreError::Ledger(LedgerError::Held { .. }))));
    drop(held);
    restore(&archive, &empty).unwrap();
    fs::create_dir(house.path("half")).unwrap();
    fs::create_dir(house.path("half").join(RESTORING)).unwrap();
    let said = Ledger::open(&house.path("half")).unwrap_err().to_string();
    assert!(said.contains("restore again"), "{said}");
}

#[test]
fn an_archive_with_any_byte_changed_is_refused_or_restores_the_same() {
    let mut small = House::new();
    small.record(1);
    let archive = small.path("backup.tar");
    backup(&small.state(), &archive, false).unwrap();
    let good = fs::read(&archive).unwrap();
    let expected = facts(&small.state());
    let mut refused = 0;
    for at in (0..good.len()).step_by(997) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        let changed = small.path("changed.tar");
        fs::write(&changed, &bytes).unwrap();
        let target = small.path("target");
        match restore(&changed, &target) {
            Ok(restored) => {
                assert!(restored.report.intact, "byte {at}");
                assert_eq!(facts(&target), expected, "byte {at}");
            }
            Err(_) => {
                refused += 1;
                let left = fs::read_dir(&target)
                    .map_or(0, |entries| entries.flatten().filter(|e| e.file_name() != LOCK).count());
                assert_eq!(left, 0, "byte {at}: nothing of it stays");
            }
        }
        let _ = fs::remove_dir_all(target);
    }
    assert!(refused > 20, "{refused}");
    for length in [0, 1, 511, 512, 1024, good.len() / 2, good.len() - 2000] {
        let cut = small.path("cut.tar");
        fs::write(&cut, &good[..length]).unwrap();
        assert!(restore(&cut, &small.path("target")).is_err(), "{length} bytes");
    }
}

/// An archive with one more file in it, which its list of contents names as well.
fn with(house: &House, name: &str, change: impl FnOnce(&mut tar::Header), bytes: &[u8]) -> PathBuf {
    let archive = house.path("good.tar");
    let made = backup(&house.state(), &archive, false).unwrap();
    let mut manifest = made.manifest;
    let digest = Digest::of(bytes);
    manifest.files.push(Listed { path: name.to_owned(), size: bytes.len() as u64, digest });
    let evil = house.path("evil.tar");
    let mut builder = tar::Builder::new(File::create(&evil).unwrap());
    let header = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        // As it is: the crate itself would refuse to write some of these.
        header.as_old_mut().name.fill(0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header
    };
    let mut original = tar::Archive::new(File::open(&archive).unwrap());
    for entry in original.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if path != MANIFEST {
            let mut header = header(&path, &content);
            header.set_cksum();
            builder.append(&header, content.as_slice()).unwrap();
        }
    }
    let list = serde_json::to_vec(&manifest).unwrap();
    let mut entry = header(MANIFEST, &list);
    entry.set_cksum();
    builder.append(&entry, list.as_slice()).unwrap();
    let mut entry = header(name, bytes);
    change(&mut entry);
    entry.set_cksum();
    builder.append(&entry, bytes).unwrap();
    builder.finish().unwrap();
    evil
}

#[test]
fn no_path_leaves_the_directory_or_names_what_no_backup_holds() {
    for name in [
        "../escaped",
        "logs/../../escaped",
        "/tmp/escaped",
        "logs/./x",
        "logs//x",
        "logs",
        "logs/",
        "host.lock",
        "control.sock",
        "razar.db-wal",
        "cache/plugins/key",
        "etc/passwd",
        "logs\\..\\x",
        ".restoring/x",
        "",
    ] {
        let house = House::new();
        let evil = with(&house, name, |_| {}, b"evil");
        let refused = restore(&evil, &house.path("deep/target")).unwrap_err();
        assert!(matches!(refused, RestoreError::Path(_) | RestoreError::Shape(_)), "{name}: {refused}");
        assert!(!house.path("deep").exists(), "{name}: nothing is made before everything is known");
        assert!(!house.path("escaped").exists() && !Path::new("/tmp/escaped").exists(), "{name}");
    }
}

#[test]
fn links_directories_devices_and_sparse_files_are_refused() {
    use tar::EntryType;
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
        EntryType::Continuous,
        EntryType::GNUSparse,
    ] {
        let house = House::new();
        let change = |header: &mut tar::Header| {
            header.set_entry_type(kind);
            header.set_link_name("/etc/passwd").unwrap();
        };
        let evil = with(&house, "logs/evil", change, b"");
        let refused = restore(&evil, &house.path("target")).unwrap_err();
        let expected = matches!(refused, RestoreError::Kind(_) | RestoreError::Shape(_));
        assert!(expected, "{kind:?}: {refused}");
        assert!(!house.path("target").exists(), "{kind:?}");
    }
}

#[test]
fn a_file_that_says_it_is_larger_than_the_archive_is_refused_before_a_byte_is_written() {
    let house = House::new();
    let evil = with(&house, "logs/evil", |header| header.set_size(1 << 40), b"small");
    let refused = restore(&evil, &house.path("target")).unwrap_err();
    assert!(matches!(refused, RestoreError::Oversize { size: 1_099_511_627_776, .. }), "{refused}");
    assert!(!house.path("target").exists());
}

#[test]
fn a_file_twice_or_not_in_the_list_is_refused() {
    let house = House::new();
    let twice = with(&house, "logs/razar.log", |_| {}, b"other");
    assert!(matches!(restore(&twice, &house.path("target")), Err(RestoreError::Path(_))));
    let house = House::new();
    let harmless = with(&house, "logs/more.json", |_| {}, b"{}");
    restore(&harmless, &house.path("target")).unwrap();
    assert_eq!(fs::read(house.path("target/logs/more.json")).unwrap(), b"{}");
    // The same archive with a list that does not know the file.
    let good = backup(&house.state(), &house.path("second.tar"), false).unwrap().manifest;
    let mut bytes = fs::read(&harmless).unwrap();
    let at = bytes.windows(9).rposition(|window| window == b"more.json").unwrap();
    bytes[at..at + 9].copy_from_slice(b"less.json");
    let mut header = tar::Header::from_byte_slice(&bytes[at - 5..at - 5 + 512]).clone();
    header.set_cksum();
    bytes[at - 5..at - 5 + 512].copy_from_slice(header.as_bytes());
    fs::write(&harmless, bytes).unwrap();
    let refused = restore(&harmless, &house.path("other")).unwrap_err();
    assert!(matches!(refused, RestoreError::Digest(_)), "{refused}");
    assert!(good.files.len() > 3);
}
