//! Where the control socket lies and who may have it: private to its owner, replaced when its host is dead, left alone
//! when it is alive. A path longer than an address may be is reached through the directory's own handle.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use razar_ledger::failpoint;

/// Below the state directory.
const NAME: &str = "control.sock";
/// Longest path that is used as a socket address as it is: the kernel takes 107 bytes.
const MAX_ADDRESS: usize = 100;
/// Only the owner commands the host.
const PRIVATE: u32 = 0o600;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Another host answers there.
    #[error("another host answers on `{0}`: stop it with `razar-host stop`, or use another `--state`")]
    Alive(PathBuf),
    /// There is something that nobody who made a socket left behind.
    #[error("`{0}` is not a socket: move it away, the host listens there")]
    Foreign(PathBuf),
    /// The system says no.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The socket of this host; taken away when dropped, unless another host has put its own there meanwhile.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
    inode: u64,
}

/// Where the socket of a state directory lies.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join(NAME)
}

/// Listens on the socket of a state directory that this process is the host of.
pub(crate) fn listen(state: &Path) -> Result<(UnixListener, Bound), SocketError> {
    let path = path(state);
    let io = |action| {
        let path = path.clone();
        move |source| SocketError::Io { action, path, source }
    };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("look at")(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(SocketError::Foreign(path)),
        Ok(_) => match connect(state) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(&path).map_err(io("replace"))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Whoever does not accept in time is alive all the same.
            Ok(_) | Err(_) => return Err(SocketError::Alive(path)),
        },
    }
    let (address, _directory) = address(state).map_err(io("reach"))?;
    let listener = UnixListener::bind(address).map_err(io("listen on"))?;
    failpoint::pass("socket.bound");
    // Until here the private directory has kept others away.
    fs::set_permissions(&path, Permissions::from_mode(PRIVATE)).map_err(io("protect"))?;
    let inode = fs::symlink_metadata(&path).map_err(io("look at"))?.ino();
    listener.set_nonblocking(true).map_err(io("listen on"))?;
    Ok((listener, Bound { path, inode }))
}

/// Connects to the host of a state directory.
pub(crate) fn connect(state: &Path) -> io::Result<UnixStream> {
    let (address, _directory) = address(state)?;
    UnixStream::connect(address)
}

/// The address, valid while the returned handle is kept.
fn address(state: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let plain = path(state);
    if plain.as_os_str().len() <= MAX_ADDRESS {
        return Ok((plain, None));
    }
    let directory = File::open(state)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd())), Some(directory)))
}

impl Drop for Bound {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // What is left behind is replaced by the next host.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_hosts_socket_is_replaced_and_a_live_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (listener, bound) = listen(dir.path()).unwrap();
        assert_eq!(fs::metadata(path(dir.path())).unwrap().mode() & 0o777, PRIVATE);
        assert!(matches!(listen(dir.path()), Err(SocketError::Alive(_))));
        std::mem::forget(bound);
        // A child of another test, not yet its program, would still listen.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        drop(listener);
        assert!(path(dir.path()).exists(), "a killed host leaves its socket behind");
        let (_listener, bound) = listen(dir.path()).unwrap();
        drop(bound);
        assert!(!path(dir.path()).exists());
    }

    #[test]
    fn whatever_else_lies_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path()), "mine").unwrap();
        assert!(matches!(listen(dir.path()), Err(SocketError::Foreign(_))));
        assert_eq!(fs::read(path(dir.path())).unwrap(), b"mine");
    }

    #[test]
    fn a_path_may_be_longer_than_an_address() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("x".repeat(120)).join("y".repeat(120));
        fs::create_dir_all(&state).unwrap();
        let (listener, _bound) = listen(&state).unwrap();
        connect(&state).unwrap();
        assert!(listener.accept().is_ok());
        assert!(path(&state).exists());
    }
}
