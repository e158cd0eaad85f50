//! Recordings of calls: whatever a stranger's holds, its files are laid out in the directory that is meant for them, or refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use razar_runtime::tape::recording::Recording;
use tempfile::TempDir;

/// What is kept of one call, as `incident replay` reads it in a bundle.
pub fn recording(data: &[u8]) {
    let Ok(recording) = serde_json::from_slice::<Recording>(data) else { return };
    let written = serde_json::to_vec(&recording).unwrap();
    assert_eq!(serde_json::from_slice::<Recording>(&written).unwrap(), recording);
    let home = TempDir::new().unwrap();
    let inside = home.path().join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(home.path().join("a"), "somebody's").unwrap();
    let laid_out = recording.lay_out(&inside);
    if let Ok(places) = laid_out {
        assert_eq!(recording.check(), Ok(()), "more than a call may have");
        assert!(places.iter().all(|(_, place)| place.starts_with(&inside)));
    }
    let expected = [("a".to_owned(), Some("somebody's".to_owned())), ("inside".to_owned(), None)];
    assert_eq!(found(home.path()), expected.into(), "it leads out of its directory");
    let (before, mut clean) = (recording.clone(), recording);
    clean.redact(&mut |_, text| text.to_owned());
    assert_eq!(clean.exchanges.len(), before.exchanges.len());
}

/// What lies in a directory, and what is in it if it is a file.
fn found(dir: &Path) -> BTreeMap<String, Option<String>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).ok())
        })
        .collect()
}
