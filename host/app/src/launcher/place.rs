//! Where things lie in the state directory, and how a socket in it is addressed however long its path is.
//!
//! `launcher.lock`, `launcher.sock`, `launcher.id`, `logs/launcher.log`, `logs/services/<component>.log`, and in `run/`
//! one record and one pipe per instance. Nothing here is readable by other users.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use razar_core::id::{ComponentId, InstanceId};
use razar_ledger::failpoint;
use serde::{Deserialize, Serialize};

/// Longest path that is used as a socket address as it is: the kernel takes 107 bytes.
const MAX_ADDRESS: usize = 100;

/// The launcher's part of one state directory.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    state: PathBuf,
}

impl Place {
    /// The place in a state directory, which is made, private, when it is missing.
    pub(crate) fn new(state: &Path) -> io::Result<Self> {
        private_dir(state)?;
        Ok(Self { state: fs::canonicalize(state)? })
    }

    /// The directories below, made when missing.
    pub(crate) fn furnish(&self) -> io::Result<()> {
        private_dir(&self.run())?;
        private_dir(&self.state.join("logs/services"))
    }

    /// The state directory itself, absolute.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Held by the one launcher.
    pub(crate) fn lock(&self) -> PathBuf {
        self.state.join("launcher.lock")
    }

    /// The socket, as a directory entry.
    pub(crate) fn socket(&self) -> PathBuf {
        self.state.join("launcher.sock")
    }

    /// Records and pipes.
    pub(crate) fn run(&self) -> PathBuf {
        self.state.join("run")
    }

    /// What one instance is.
    pub(crate) fn record(&self, component: &ComponentId, instance: InstanceId) -> PathBuf {
        Self::record_in(&self.state, component, instance)
    }

    /// The same for whoever must not make anything.
    pub(crate) fn record_in(state: &Path, component: &ComponentId, instance: InstanceId) -> PathBuf {
        state.join("run").join(format!("{component}.{instance}.json"))
    }

    /// What one instance prints into.
    pub(crate) fn pipe(&self, component: &ComponentId, instance: InstanceId) -> PathBuf {
        self.run().join(format!("{component}.{instance}.out"))
    }

    /// What a component printed.
    pub(crate) fn service_log(&self, component: &ComponentId) -> PathBuf {
        self.state.join("logs/services").join(format!("{component}.log"))
    }

    /// What the launcher has to say about itself.
    pub(crate) fn own_log(&self) -> PathBuf {
        self.state.join("logs/launcher.log")
    }

    /// The socket's address, valid while the returned handle is kept.
    pub(crate) fn address(&self) -> io::Result<(PathBuf, Option<File>)> {
        let plain = self.socket();
        if plain.as_os_str().len() <= MAX_ADDRESS {
            return Ok((plain, None));
        }
        let dir = File::open(&self.state)?;
        Ok((PathBuf::from(format!("/proc/self/fd/{}/launcher.sock", dir.as_raw_fd())), Some(dir)))
    }

    /// The identity of this state directory, made once. A copy of the directory is another one, so that its launcher
    /// never takes over the services of the original.
    pub(crate) fn id(&self) -> io::Result<String> {
        let path = self.state.join("launcher.id");
        let meta = fs::metadata(&self.state)?;
        let known = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Identity>(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(known) = known.filter(|known| known.device == meta.dev() && known.inode == meta.ino()) {
            return Ok(known.id);
        }
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let identity = Identity { id, device: meta.dev(), inode: meta.ino() };
        replace(&path, &serde_json::to_vec(&identity)?)?;
        Ok(identity.id)
    }
}

#[derive(Serialize, Deserialize)]
struct Identity {
    id: String,
    device: u64,
    inode: u64,
}

/// Writes a small file so that readers see it whole or not at all. It waits for no disk: these files are about processes,
/// and a machine that loses power has none left.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    failpoint::pass("record.begun");
    let written = fs::write(&temporary, bytes)
        .inspect(|()| failpoint::pass("record.written"))
        .and_then(|()| fs::rename(&temporary, path));
    failpoint::pass("record.renamed");
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_state_directory_has_an_identity_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let original = Place::new(&dir.path().join("a")).unwrap();
        let id = original.id().unwrap();
        assert_eq!(original.id().unwrap(), id);
        let copy = Place::new(&dir.path().join("b")).unwrap();
        fs::copy(original.state().join("launcher.id"), copy.state().join("launcher.id")).unwrap();
        assert_ne!(copy.id().unwrap(), id);
        fs::rename(original.state(), dir.path().join("moved")).unwrap();
        assert_eq!(Place::new(&dir.path().join("moved")).unwrap().id().unwrap(), id);
    }

    #[test]
    fn an_address_fits_however_long_the_path_is() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(120)).join("y".repeat(120));
        let (address, handle) = Place::new(&long).unwrap().address().unwrap();
        assert!(address.as_os_str().len() < 107 && handle.is_some(), "{address:?}");
    }
}
