//! The state directory and its disk, or where it would be made.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::Look;

/// A day of a lively stack, with its database, views and captured output.
const ENOUGH: u64 = 256 << 20;

/// The directory, or the nearest one above it.
fn nearest(state: &Path) -> PathBuf {
    let absolute = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    absolute.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Whether it can be written, or made.
pub(super) fn usable(state: &Path) -> Look {
    let place = nearest(state);
    let shown = place.display();
    let remedy = "check its owner and mode, or name another one with `--state DIR`";
    if !place.is_dir() {
        return Err((format!("`{shown}` is no directory"), remedy));
    }
    if statvfs(&place).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Err((format!("`{shown}` is on a file system that is mounted read-only"), remedy));
    }
    match access(&place, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if state.is_dir() => Ok(format!("`{shown}`")),
        Ok(()) => Ok(format!("is made in `{shown}` at the first start")),
        Err(error) => Err((format!("`{shown}` cannot be used: {error}"), remedy)),
    }
}

/// Whether there is room for what a host writes.
pub(super) fn space(state: &Path) -> Look {
    let place = nearest(state);
    let remedy =
        "free some, or name another disk with `--state DIR`: on a full disk nothing is started or stopped";
    match statvfs(&place) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} MiB free", free >> 20);
            if free < ENOUGH { Err((detail, remedy)) } else { Ok(detail) }
        }
        Err(error) => Err((format!("nobody knows how much is free: {error}"), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_the_one_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = std::fs::canonicalize(dir.path()).unwrap();
        assert!(usable(&place).unwrap().starts_with('`'));
        assert!(usable(&place.join("a/b")).unwrap().contains("is made in"));
        std::fs::write(place.join("file"), "").unwrap();
        let (why, remedy) = usable(&place.join("file/state")).unwrap_err();
        assert!(why.contains("file` is no directory") && remedy.contains("--state"), "{why}");
        let free = match space(&place.join("a")) {
            Ok(detail) | Err((detail, _)) => detail,
        };
        assert!(free.ends_with("MiB free"), "{free}");
    }
}
