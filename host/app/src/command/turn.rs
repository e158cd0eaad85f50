//! Whose turn it is to change files: one process of a state directory at a time. Whoever was killed may be inside a call of the
//! system that is not over yet, and whoever comes next must not look at files that are still being renamed.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held by whoever changes files, below the state directory.
const LOCK: &str = "mend.lock";

/// Nobody is let change files for much longer: whoever still holds it then waits for a disk that does not answer.
const PATIENCE: Duration = Duration::from_secs(100);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Waits until nobody else changes files. It is this process's turn until what is returned is dropped, and at the latest until
/// the process is gone.
pub(super) fn wait(state: &Path) -> Result<File, String> {
    wait_for(&state.join(LOCK), PATIENCE)
}

/// The same for a directory that has no file for it: it is locked itself.
pub(super) fn wait_for_directory(dir: &Path) -> Result<File, String> {
    let open = File::open(dir).map_err(|error| format!("cannot open `{}`: {error}", dir.display()))?;
    hold(open, dir, PATIENCE)
}

fn wait_for(path: &Path, patience: Duration) -> Result<File, String> {
    let failed = |error| format!("cannot lock `{}`: {error}", path.display());
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    hold(file, path, patience)
}

fn hold(file: File, path: &Path, patience: Duration) -> Result<File, String> {
    let failed = |error| format!("cannot lock `{}`: {error}", path.display());
    let until = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK_AGAIN),
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "another process changes files, or cannot end: see who holds `{}`, and its state",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOCK);
        let first = wait(dir.path()).unwrap();
        let said = wait_for(&path, Duration::from_millis(20)).unwrap_err();
        assert!(said.contains("another process changes files"), "{said}");
        drop(first);
        assert!(wait_for(&path, Duration::ZERO).is_ok());
        assert!(
            wait_for(&dir.path().join("absent/lock"), Duration::ZERO).unwrap_err().contains("cannot lock")
        );
    }
}
