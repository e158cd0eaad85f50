//! Native code at rest: used when it is ours, compiled again when it is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use razar_runtime::cwasm::CacheError;
use razar_runtime::plugin::{CodeSource, Warning};
use razar_runtime::runtime::RuntimeError;
use razar_runtime::{Runtime, RuntimeOptions};

use crate::setup::{expect_healthy, load, options, run};
use crate::{guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("cache: what was compiled once is not compiled again", hit),
        trial("cache: changed code is reported and compiled again", tampered),
        trial("cache: code under another key is foreign", other_key),
        trial("cache: an exposed directory is refused", exposed),
        trial("cache: an exposed key is replaced", exposed_key),
    ]
}

fn cached(dir: &Path) -> Result<Runtime, RuntimeError> {
    Runtime::new(RuntimeOptions { cache: Some(dir.to_owned()), ..options(1) })
}

/// Loads the good guest with a new runtime: where its code came from, and what there is to warn about.
fn loaded(dir: &Path) -> (CodeSource, Vec<Warning>) {
    run(async {
        let plugin = load(&cached(dir).unwrap(), guests::healthy()).await.unwrap();
        expect_healthy(&plugin).await;
        (plugin.inspection().code, plugin.inspection().warnings.clone())
    })
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("deep").join("cache");
    (temp, dir)
}

fn hit() {
    let (_temp, dir) = place();
    assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![]));
    assert_eq!(loaded(&dir), (CodeSource::Cached, vec![]));
    let entries = entries(&dir);
    assert_eq!(entries.len(), 1);
    assert_eq!((mode(&dir), mode(&dir.join("key")), mode(&entries[0])), (0o700, 0o600, 0o600));
    // Nothing is left over but the entry and the key.
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
}

fn tampered() {
    let (_temp, dir) = place();
    loaded(&dir);
    let entry = entries(&dir).remove(0);
    let good = fs::read(&entry).unwrap();
    let flip = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    let changed = [
        flip(0),
        flip(20),
        flip(good.len() / 2),
        flip(good.len() - 1),
        good[..good.len() - 1].to_vec(),
        good[..40].to_vec(),
        Vec::new(),
        [good.as_slice(), b"x"].concat(),
    ];
    for bytes in changed {
        fs::write(&entry, &bytes).unwrap();
        assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![Warning::ForeignCode]));
        assert_eq!(loaded(&dir), (CodeSource::Cached, vec![]));
    }
    // Another plugin's entry under this name.
    let other = dir.join("other");
    run(async {
        let grown = guests::component("probe", &guests::module_with_pages("(i32.const 64)", "", 2));
        load(&cached(&dir).unwrap(), grown).await.unwrap();
    });
    let stranger = entries(&dir).into_iter().find(|path| *path != entry).unwrap();
    fs::copy(&stranger, &entry).unwrap();
    assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![Warning::ForeignCode]));
    // A link in its place, even to the right bytes.
    fs::rename(&entry, &other).unwrap();
    std::os::unix::fs::symlink(&other, &entry).unwrap();
    assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![Warning::ForeignCode]));
    assert!(!fs::symlink_metadata(&entry).unwrap().is_symlink());
}

fn other_key() {
    let (_temp, dir) = place();
    loaded(&dir);
    fs::write(dir.join("key"), [7; 32]).unwrap();
    assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![Warning::ForeignCode]));
    assert_eq!(loaded(&dir), (CodeSource::Cached, vec![]));
}

fn exposed() {
    let (_temp, dir) = place();
    loaded(&dir);
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    match cached(&dir) {
        Err(RuntimeError::Cache(error @ CacheError::Exposed(_))) => {
            assert!(error.to_string().contains("chmod 700"))
        }
        other => panic!("{other:?}"),
    }
}

fn exposed_key() {
    let (_temp, dir) = place();
    loaded(&dir);
    let key = dir.join("key");
    let before = fs::read(&key).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![Warning::ForeignCode]));
    assert_ne!(fs::read(&key).unwrap(), before);
    assert_eq!(mode(&key), 0o600);
    fs::write(&key, b"short").unwrap();
    assert_eq!(loaded(&dir), (CodeSource::Compiled, vec![Warning::ForeignCode]));
}
