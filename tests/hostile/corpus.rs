//! The corpus as `razar-conform` reads it: the cases of this directory beside the guests they name. Guests are made once
//! per build of this program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use razar_conform::{Case, Corpus};
use razar_tests::{artifact, repository};

use crate::made;

/// Set for a process that this one starts: everything is there already.
pub(crate) const READY: &str = "RAZAR_HOSTILE_CORPUS";

/// The cases, which need no guests to be listed.
pub(crate) fn cases() -> &'static [Case] {
    static CASES: OnceLock<Corpus> = OnceLock::new();
    let read = || Corpus::read(&repository().join("tests/hostile")).unwrap_or_else(|error| panic!("{error}"));
    CASES.get_or_init(read).cases()
}

/// The directory of everything.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os(READY) {
        Some(ready) => ready.into(),
        None => prepare(),
    })
}

/// The corpus with its guests.
pub(crate) fn corpus() -> &'static Corpus {
    static CORPUS: OnceLock<Corpus> = OnceLock::new();
    CORPUS.get_or_init(|| Corpus::read(folder()).unwrap_or_else(|error| panic!("{error}")))
}

fn prepare() -> PathBuf {
    let packages = artifact::hostile();
    let folder = packages.parent().expect("a folder around it").to_owned();
    let (cases, guests) = (folder.join("cases"), folder.join("guests"));
    fs::create_dir_all(&guests).expect("a folder");
    // What was removed from the sources must not stay.
    drop(fs::remove_dir_all(&cases));
    fs::create_dir_all(&cases).expect("a folder");
    for entry in fs::read_dir(repository().join("tests/hostile/cases")).expect("cases").flatten() {
        fs::copy(entry.path(), cases.join(entry.file_name())).expect("a copy");
    }
    for name in ["evaluator-hostile", "probe-hostile", "probe-hostile-net"] {
        let built = packages.join(name).join(format!("{}.wasm", name.replace('-', "_")));
        fs::copy(built, guests.join(format!("{name}.wasm"))).expect("the guest was built");
    }
    let (stamp, made) = (stamp(), guests.join("made"));
    if fs::read_to_string(&made).ok().as_ref() != Some(&stamp) {
        made::write_all(&guests);
        fs::write(made, stamp).expect("a stamp");
    }
    folder
}

/// Writes cases and guests where somebody else runs them; says where that is, because `cargo` runs this elsewhere than it
/// was told to.
pub(crate) fn copy(to: &Path) -> io::Result<PathBuf> {
    for (room, kind) in [("cases", "toml"), ("guests", "wasm")] {
        fs::create_dir_all(to.join(room))?;
        for entry in fs::read_dir(folder().join(room))? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            if path.extension().is_some_and(|extension| extension == kind) {
                fs::copy(path, to.join(room).join(name))?;
            }
        }
    }
    fs::canonicalize(to)
}

/// What changes when this program is built anew.
fn stamp() -> String {
    let meta = std::env::current_exe().and_then(fs::metadata).expect("this program");
    format!("{} {:?}", meta.len(), meta.modified().ok())
}
