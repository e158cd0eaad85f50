//! The unfinished files beside a backup that is being made: whose they are, and that none stays. Whoever makes a backup
//! holds the lock of its unfinished archive; what nobody holds was left by one that was killed, and goes when the
//! next to the same place begins. Must never remove what another backup under way still needs.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The end of an unfinished archive's name.
const ARCHIVE: &str = "part";

/// The end of an unfinished copy of the ledger.
const DATABASE: &str = "part-db";

/// What SQLite may put beside it.
const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Unfinished files beside the one to be made; gone when this is.
pub(super) struct Parts {
    pub(super) archive: PathBuf,
    pub(super) database: PathBuf,
}

impl Parts {
    /// Those of this process. What killed ones have left at the same place is cleared away first.
    pub(super) fn beside(file: &Path) -> Self {
        for left in abandoned(file) {
            drop(Self::of(file, &left));
        }
        Self::of(file, &std::process::id().to_string())
    }

    fn of(file: &Path, process: &str) -> Self {
        let part = |end: &str| {
            let mut name = file.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{process}.{end}"));
            file.with_file_name(name)
        };
        Self { archive: part(ARCHIVE), database: part(DATABASE) }
    }

    /// The archive, held until it is closed.
    pub(super) fn create(&self) -> io::Result<File> {
        loop {
            let file = create(&self.archive)?;
            file.lock()?;
            // Before it was held somebody may have taken it for one that nobody holds.
            if file.metadata()?.nlink() > 0 {
                return Ok(file);
            }
        }
    }
}

impl Drop for Parts {
    /// The archive goes last: what lies beside it is known by it.
    fn drop(&mut self) {
        for end in BESIDE {
            let mut name = self.database.clone().into_os_string();
            name.push(end);
            // What cannot be removed is only in the way of this process' number.
            let _ = fs::remove_file(name);
        }
        let _ = fs::remove_file(&self.archive);
    }
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Processes that have left an unfinished archive here and do not hold it any more.
fn abandoned(file: &Path) -> Vec<String> {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What cannot be looked at is left alone: it is in nobody's way.
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let process = |found: &str| -> Option<String> {
        let number = found.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(ARCHIVE)?.strip_suffix('.')?;
        (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.to_owned())
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), process(entry.file_name().to_str()?)?)))
        .filter(|(path, _)| is_abandoned(path).unwrap_or(false))
        .map(|(_, process)| process)
        .collect()
}

fn is_abandoned(path: &Path) -> io::Result<bool> {
    let careful = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
    let flags = i32::try_from(careful.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    Ok(file.metadata()?.is_file() && file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_one_left_goes_and_everything_else_stays() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("b.tar");
        for left in ["b.tar.1.part", "b.tar.1.part-db", "b.tar.1.part-db-journal", "b.tar.2.part"] {
            fs::write(home.path().join(left), "half").unwrap();
        }
        let others = ["b.tar.x.part", "b.tar.old", "c.tar.1.part", "b.tar..part"];
        for other in others {
            fs::write(home.path().join(other), "somebody's").unwrap();
        }
        std::os::unix::fs::symlink("b.tar.old", home.path().join("b.tar.3.part")).unwrap();
        let running = Parts::of(&file, "4");
        let held = running.create().unwrap();
        fs::write(&running.database, "half").unwrap();

        let own = Parts::beside(&file);
        let archive = own.create().unwrap();
        let mut expected: Vec<String> = others.map(str::to_owned).into();
        expected.extend(["b.tar.3.part", "b.tar.4.part", "b.tar.4.part-db"].map(str::to_owned));
        expected.push(format!("b.tar.{}.part", std::process::id()));
        expected.sort();
        assert_eq!(names(home.path()), expected);
        drop((held, running, archive, own));
        assert_eq!(names(home.path()).len(), others.len() + 1);
    }

    #[test]
    fn what_a_killed_one_of_the_same_number_left_is_in_nobodys_way() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("b.tar");
        let number = std::process::id();
        for end in [ARCHIVE, DATABASE] {
            fs::write(home.path().join(format!("b.tar.{number}.{end}")), "half").unwrap();
        }
        let own = Parts::beside(&file);
        own.create().unwrap();
        assert!(!own.database.exists());
    }
}
