//! Commands that write a ledger themselves, killed in the middle: the same command, said again, does what it would have
//! done.

use std::fs;
use std::path::{Path, PathBuf};

use razar_tests::scene::{Ended, Scene};

/// Where an import is killed, in a directory in which there is nothing yet.
const IMPORT: &[&str] = &[
    "ledger.held",
    "ledger.made",
    "tables.committing",
    "tables.committed",
    "facts.committing",
    "facts.committed",
];

/// Where a repair is killed.
const REPAIR: &[&str] = &[
    "repair.begun",
    "repair.aside",
    "repair.filling",
    "tables.committing",
    "tables.committed",
    "repair.written",
    "repair.renaming",
    "repair.renamed",
];

/// Where a restore is killed.
const RESTORE: &[&str] = &["restore.begun", "restore.unpacked", "restore.placed"];

/// Where a backup is killed.
const BACKUP: &[&str] = &["backup.begun", "backup.copied", "backup.named"];

/// Records of an old system: several transactions.
const RECORDS: u64 = 1_200;

struct Stage {
    scene: Scene,
    old: String,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::bare();
        let line = |number: u64| format!("{{\"event\": \"info\", \"details\": \"record {number}\"}}\n");
        let log = scene.write("old/logs/razar.log", &(0..RECORDS).map(line).collect::<String>());
        let old = log.parent().unwrap().parent().unwrap().display().to_string();
        Self { scene, old }
    }

    fn say(&self, words: &[&str], state: &Path) -> Ended {
        self.scene.host(&[words, &["--state", &state.display().to_string()]].concat())
    }

    /// The command dies at this place.
    fn killed(&self, place: &str, words: &[&str], state: &Path) {
        let places = self.scene.path("places");
        fs::create_dir_all(&places).unwrap();
        fs::write(places.join(place), "0").unwrap();
        let state = state.display().to_string();
        let words = [words, &["--state", &state]].concat();
        let ended = self.scene.begin(self.scene.command(&words).env("RAZAR_FAILPOINTS", &places)).end();
        assert_eq!(ended.code, None, "nobody died at {place}: {}", ended.err);
        fs::remove_file(places.join("fired")).unwrap();
    }

    fn facts(&self, state: &Path, code: i32) -> u64 {
        let ended = self.say(&["log", "verify", "--output", "json"], state);
        assert_eq!(ended.code, Some(code), "{}{}", ended.out, ended.err);
        ended.json()[0]["facts"].as_u64().unwrap()
    }
}

#[test]
fn an_import_that_was_killed_is_completed_by_the_next() {
    let stage = Stage::new();
    for place in IMPORT {
        let state = stage.scene.path(place);
        let words = ["import", stage.old.as_str()];
        stage.killed(place, &words, &state);
        let again = stage.say(&words, &state);
        assert_eq!(again.code, Some(0), "{place}: {}", again.err);
        assert_eq!(stage.facts(&state, 0), RECORDS, "{place}: each record once");
    }
}

#[test]
fn a_repair_that_was_killed_is_repeated_from_the_evidence() {
    let stage = Stage::new();
    let whole = stage.scene.path("whole");
    assert_eq!(stage.say(&["import", &stage.old], &whole).code, Some(0));
    let mut bytes = fs::read(whole.join("razar.db")).unwrap();
    let text = b"record 800";
    let at = bytes.windows(text.len()).rposition(|found| found == text).expect("it is in the file");
    bytes[at] ^= 1;
    for place in REPAIR {
        let state = stage.scene.path(place);
        fs::create_dir(&state).unwrap();
        fs::write(state.join("razar.db"), &bytes).unwrap();
        stage.killed(place, &["log", "repair"], &state);
        // Done already, when it died after its last step.
        let again = stage.say(&["log", "repair"], &state);
        assert!(matches!(again.code, Some(0 | 1)), "{place}: {}{}", again.out, again.err);
        assert_eq!(stage.facts(&state, 0), 800, "{place}");
        let evidence = named(&state, "razar.db.damaged-");
        assert_eq!(evidence.len(), 1, "{place}: {evidence:?}");
        assert_eq!(fs::read(&evidence[0]).unwrap(), bytes, "{place}: byte for byte");
        assert!(!state.join("razar.db.repairing").exists(), "{place}");
    }
}

#[test]
fn a_restore_that_was_killed_is_nobodys_state_until_it_is_repeated() {
    let stage = Stage::new();
    let whole = stage.scene.path("whole");
    assert_eq!(stage.say(&["import", &stage.old], &whole).code, Some(0));
    let archive = stage.scene.path("backup.tar").display().to_string();
    assert_eq!(stage.say(&["backup", &archive], &whole).code, Some(0));
    for place in RESTORE {
        let state = stage.scene.path(place);
        stage.killed(place, &["restore", &archive], &state);
        stage.say(&["import", &stage.old], &state).complains(1, &["the restore", "restore again"]);
        fs::remove_dir_all(&state).unwrap();
        assert_eq!(stage.say(&["restore", &archive], &state).code, Some(0), "{place}");
        assert_eq!(stage.facts(&state, 0), RECORDS, "{place}");
    }
}

#[test]
fn a_backup_that_was_killed_leaves_nothing_for_the_next() {
    let stage = Stage::new();
    let whole = stage.scene.path("whole");
    assert_eq!(stage.say(&["import", &stage.old], &whole).code, Some(0));
    for place in BACKUP {
        let dir = stage.scene.path(place);
        fs::create_dir(&dir).unwrap();
        let archive = dir.join("backup.tar").display().to_string();
        stage.killed(place, &["backup", &archive], &whole);
        let left = named(&dir, "backup.tar.");
        assert!(!left.is_empty(), "{place}: it died with nothing half done");
        let again = stage.say(&["backup", &archive], &whole);
        if *place == "backup.named" {
            // It had its name when it died: it is whole, and nothing replaces it.
            again.complains(2, &["exists already"]);
        } else {
            assert_eq!((again.code, again.err.as_str()), (Some(0), ""), "{place}");
        }
        let state = dir.join("state");
        assert_eq!(stage.say(&["restore", &archive], &state).code, Some(0), "{place}");
        assert_eq!(stage.facts(&state, 0), RECORDS, "{place}");
        let left = named(&dir, "backup.tar.");
        assert!(left.is_empty(), "{place}: {left:?}");
    }
}

fn named(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let ours = |name: &str| name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-shm");
    entries.filter(|entry| ours(entry.file_name().to_str().unwrap())).map(|entry| entry.path()).collect()
}
