//! Compiled plugins of a host that has no state directory yet. They are needed to judge its configuration, and nothing
//! is made in the state directory before that is accepted; so they lie elsewhere and move in afterwards.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::code_cache;

/// Where compiled plugins are until it is known that there will be a state directory.
pub(super) enum CodeCache {
    /// In the state directory: a host has run there before.
    Home(PathBuf),
    /// Elsewhere; gone with this value.
    Away(TempDir),
    /// Nowhere: there is no temporary directory either.
    Nowhere,
}

impl CodeCache {
    /// For this state directory; makes nothing in it.
    pub(super) fn of(state: &Path) -> Self {
        let home = code_cache(state);
        if home.exists() {
            return Self::Home(home);
        }
        let private = Permissions::from_mode(0o700);
        let away = tempfile::Builder::new().prefix("razar-host-").permissions(private).tempdir();
        away.map_or(Self::Nowhere, Self::Away)
    }

    /// The directory, if there is one.
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Home(dir) => Some(dir),
            Self::Away(dir) => Some(dir.path()),
            Self::Nowhere => None,
        }
    }

    /// Plugins of these directories that were never compiled before, as far as their number tells.
    pub(super) fn missing(&self, packages: &[PathBuf]) -> usize {
        let count = |dir: &Path, fits: fn(&Path) -> bool| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            entries.filter(|entry| fits(&entry.path())).count()
        };
        let is_package = |path: &Path| {
            path.join("plugin.toml").is_file()
                || path.file_name().and_then(|name| razar_runtime::locked::owner_of(name.to_str()?)).is_some()
        };
        let wanted: usize = packages.iter().map(|dir| count(dir, is_package)).sum();
        let compiled = self.dir().map_or(0, |dir| {
            count(dir, |file| file.extension().is_some_and(|extension| extension == "cwasm"))
        });
        wanted.saturating_sub(compiled)
    }

    /// Moves into the state directory, which is there now. What cannot be moved is compiled again by the next start.
    pub(super) fn settle(self, state: &Path) {
        let Self::Away(away) = self else { return };
        if let Err(error) = settle(away.path(), &code_cache(state)) {
            tracing::warn!(%error, "the compiled plugins cannot be kept; the next start compiles them again");
        }
    }
}

/// The key goes first: without it nothing of the rest is believed. What another host put there meanwhile stays.
fn settle(away: &Path, home: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    if home.join("key").exists() {
        return Ok(());
    }
    move_file(&away.join("key"), &home.join("key"))?;
    for entry in std::fs::read_dir(away)? {
        let entry = entry?;
        move_file(&entry.path(), &home.join(entry.file_name()))?;
    }
    Ok(())
}

/// Also from one file system to another; a copy keeps the private mode.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to).or_else(|_| std::fs::copy(from, to).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_in_a_state_directory_before_it_settles() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let package = dir.path().join("plugins/one");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("plugin.toml"), "").unwrap();
        let plugins = [dir.path().join("plugins")];
        let cache = CodeCache::of(&state);
        assert_eq!(cache.missing(&plugins), 1);
        let away = cache.dir().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&away).unwrap().permissions().mode() & 0o777, 0o700, "native code");
        std::fs::write(away.join("key"), "key").unwrap();
        std::fs::write(away.join("one.cwasm"), "code").unwrap();
        assert_eq!(cache.missing(&plugins), 0);
        assert!(!state.exists());
        cache.settle(&state);
        assert!(!away.exists());
        let home = CodeCache::of(&state);
        assert!(matches!(home, CodeCache::Home(_)));
        assert_eq!(home.missing(&plugins), 0);
        assert_eq!(std::fs::read_to_string(code_cache(&state).join("key")).unwrap(), "key");
    }
}
