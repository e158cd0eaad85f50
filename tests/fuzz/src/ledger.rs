//! Files that somebody else had in his hands: a bundle, a database, the logs of the original system.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use razar_core::time::Timestamp;
use razar_ledger::checkpoint::SignedCheckpoint;
use razar_ledger::key::{LedgerKey, PublicKey};
use razar_ledger::{Ledger, bundle as bundles, import as imports, repair, verify};
use tempfile::TempDir;

/// What `log verify BUNDLE --key FILE` reads, and a line of a witness. Nobody here has signed anything.
pub fn bundle(data: &[u8]) {
    let key = stranger();
    assert!(bundles::check(data, &key).is_err(), "believed without a signature");
    if let Ok(checkpoint) = serde_json::from_slice::<SignedCheckpoint>(data) {
        assert!(!checkpoint.is_vouched_by(&key), "believed without a signature");
        let line = checkpoint.line().unwrap();
        assert_eq!(serde_json::from_str::<SignedCheckpoint>(&line).unwrap(), checkpoint);
    }
}

fn stranger() -> PublicKey {
    static KEY: OnceLock<PublicKey> = OnceLock::new();
    *KEY.get_or_init(|| LedgerKey::open_or_create(TempDir::new().unwrap().path()).unwrap().public())
}

/// A database in place of the ledger: verified without a panic, and good after a repair, if repair takes it.
pub fn ledger_file(data: &[u8]) {
    let state = TempDir::new().unwrap();
    fs::write(state.path().join("razar.db"), data).unwrap();
    let _ = verify::verify(state.path(), None);
    if let Ok(Some(_)) = repair::repair(state.path()) {
        let report = verify::verify(state.path(), None).unwrap();
        assert!(report.first_bad.is_none(), "{:?}", report.first_bad);
    }
}

/// A file of the original system, its name chosen by the first byte: taken over, mended or set aside, never lost.
pub fn import(data: &[u8]) {
    const NAMES: [&str; 6] = [
        "logs/razar_boot_history.json",
        "logs/razar_ai_invocations.json",
        "logs/razar.log",
        "docs/quarantine_log.md",
        "quarantine/web.json",
        "patch_history.jsonl",
    ];
    let Some((choice, data)) = data.split_first() else { return };
    let home = TempDir::new().unwrap();
    let name = NAMES.get(usize::from(*choice) % NAMES.len()).copied().unwrap_or_default();
    let file = home.path().join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, data).unwrap();
    let first = take_over(home.path());
    let second = take_over(home.path());
    assert_eq!(second, 0, "imported {first} records, and {second} of them again");
}

/// How many records were new.
fn take_over(home: &Path) -> u64 {
    let state = home.join("state");
    let mut ledger = Ledger::open(&state).unwrap();
    let Ok(found) = imports::find(home, &state) else { return 0 };
    imports::import(found, &mut ledger, &state, Timestamp(1)).unwrap().imported()
}
