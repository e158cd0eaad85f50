//! Where copies for guests live: a private directory in memory where there is one, one subdirectory per process.
//!
//! ```text
//! /dev/shm/razar-0/          mode 0700, ours
//!   h1234-…/                 one process; it holds `lock` for as long as it lives
//!     lock
//!     7/tail  7/meta.json    one call; gone when the call is
//! ```
//!
//! A directory whose lock can be taken belongs to a process that died: it is removed at the next start.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, MetadataExt as _};
use razar_core::grant::LogBegin;
use rustix::fs::{Mode, OFlags};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::{FilesError, tail};

/// Memory-backed on every Linux that has not been told otherwise.
const MEMORY: &str = "/dev/shm";

/// `TMPFS_MAGIC`.
const TMPFS: u64 = 0x0102_1994;

/// The file whose lock says that a process lives.
const LOCK: &str = "lock";

/// A private place for copies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scratch(Arc<Own>);

#[derive(Debug)]
struct Own {
    parent: Dir,
    name: String,
    dir: Dir,
    path: PathBuf,
    next: AtomicU64,
    _lock: File,
}

impl Scratch {
    /// In memory when there is a place, else below `fallback`, the state directory.
    pub fn open(fallback: &Path) -> Result<Self, FilesError> {
        let memory = Path::new(MEMORY);
        if is_memory(memory)
            && let Ok(scratch) = Self::below(memory, &own_name())
        {
            return Ok(scratch);
        }
        Self::below(fallback, "scratch")
            .map_err(|error| FilesError::Scratch { path: fallback.join("scratch"), error })
    }

    fn below(place: &Path, name: &str) -> io::Result<Self> {
        let place_dir = Dir::open_ambient_dir(place, ambient_authority())?;
        let parent = private(&place_dir, name)?;
        sweep(&parent);
        let own = format!("h{}-{:016x}", std::process::id(), fresh()?);
        let dir = private(&parent, &own)?;
        let lock = dir.create(LOCK)?.into_std();
        lock.try_lock()?;
        let path = place.join(name).join(&own);
        Ok(Self(Arc::new(Own { parent, name: own, dir, path, next: AtomicU64::new(0), _lock: lock })))
    }

    /// Copies the last `limit` bytes of a log, from `begin` on, for one call. Off the caller's thread: a slow disk delays nobody else.
    pub async fn tail(
        &self,
        log: PathBuf,
        limit: u64,
        begin: Option<LogBegin>,
    ) -> Result<TailDir, FilesError> {
        let scratch = self.clone();
        let place = self.0.path.clone();
        tokio::task::spawn_blocking(move || scratch.copy(&log, limit, begin)).await.unwrap_or_else(
            |stopped| Err(FilesError::Scratch { path: place, error: io::Error::other(stopped) }),
        )
    }

    fn copy(&self, log: &Path, limit: u64, begin: Option<LogBegin>) -> Result<TailDir, FilesError> {
        let tail = tail::read(log, limit, begin)?;
        let name = self.0.next.fetch_add(1, Ordering::Relaxed).to_string();
        let made = TailDir { scratch: Arc::clone(&self.0), name };
        let write = || {
            let dir = private(&self.0.dir, &made.name)?;
            let (size, modified, from) = (tail.size, tail.modified, tail.from);
            dir.write("tail", &tail.bytes)?;
            dir.write(
                "meta.json",
                format!("{{\"size\":{size},\"modified_unix_ms\":{modified},\"from\":{from}}}\n"),
            )
        };
        write().map_err(|error| FilesError::Scratch { path: made.path(), error })?;
        Ok(made)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.parent.remove_dir_all(&self.name);
    }
}

/// The copy for one call; removed when dropped.
#[derive(Debug)]
#[must_use = "the copy is removed when this is dropped"]
pub struct TailDir {
    scratch: Arc<Own>,
    name: String,
}

impl TailDir {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.scratch.path.join(&self.name)
    }

    /// Lets the guest read it as `/log`. The guest reads it on its own thread: it is in memory and cannot block.
    pub fn mount(&self, wasi: &mut WasiCtxBuilder) -> Result<(), FilesError> {
        wasi.allow_blocking_current_thread(true);
        let opened = wasi.preopened_dir(self.path(), "/log", FsPerms::ReadOnly).map(|_| ());
        wasi.allow_blocking_current_thread(false);
        opened.map_err(|error| FilesError::Preopen { path: self.path(), error: error.to_string() })
    }
}

impl Drop for TailDir {
    fn drop(&mut self) {
        let _ = self.scratch.dir.remove_dir_all(&self.name);
    }
}

/// The directory in memory that copies will lie below, made if it was not there: for whoever must name everything he
/// will write to before he writes. None when there is no such place.
pub fn memory_place() -> Option<PathBuf> {
    let memory = Path::new(MEMORY);
    let dir = Dir::open_ambient_dir(memory, ambient_authority()).ok().filter(|_| is_memory(memory))?;
    private(&dir, &own_name()).ok()?;
    Some(memory.join(own_name()))
}

fn own_name() -> String {
    format!("razar-{}", rustix::process::geteuid().as_raw())
}

fn is_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == TMPFS))
}

fn fresh() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(bytes))
}

/// A directory only this user can enter; one that somebody else has put there is refused.
fn private(parent: &Dir, name: &str) -> io::Result<Dir> {
    match parent.create_dir_with(name, DirBuilder::new().mode(0o700)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let dir = enter(parent, name.as_ref())?;
    let found = dir.dir_metadata()?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "somebody else can write there"));
    }
    Ok(dir)
}

/// Opens a directory, never through a link.
fn enter(parent: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    Ok(Dir::from_std_file(File::from(dir)))
}

/// Removes what dead processes left. What cannot be looked at is left alone.
fn sweep(parent: &Dir) {
    let Ok(entries) = parent.entries() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let abandoned = || -> io::Result<bool> {
            let dir = enter(parent, &name)?;
            match dir.open(LOCK) {
                Ok(lock) => Ok(lock.into_std().try_lock().is_ok()),
                // Between its making and its lock a directory is empty and very young.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let age = dir.dir_metadata()?.modified()?.into_std().elapsed().unwrap_or_default();
                    Ok(age.as_secs() > 60)
                }
                Err(error) => Err(error),
            }
        };
        if abandoned().unwrap_or(false) {
            let _ = parent.remove_dir_all(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("service.log");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[tokio::test]
    async fn a_call_sees_its_copy_and_the_copy_ends_with_the_call() {
        let home = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(home.path()).unwrap();
        let tail = scratch.tail(log(home.path(), "one\ntwo\n"), 4, None).await.unwrap();
        let place = tail.path();
        assert_eq!(std::fs::read_to_string(place.join("tail")).unwrap(), "two\n");
        let meta = std::fs::read_to_string(place.join("meta.json")).unwrap();
        assert!(
            meta.starts_with("{\"size\":8,\"modified_unix_ms\":1") && meta.ends_with(",\"from\":4}\n"),
            "{meta}"
        );
        tail.mount(&mut WasiCtxBuilder::new()).unwrap();
        drop(tail);
        assert!(!place.exists());
        let whole = place.parent().unwrap().to_owned();
        drop(scratch);
        assert!(!whole.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_read_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let scratch = Scratch::below(home.path(), "scratch").unwrap();
        scratch.tail(home.path().join("missing"), 10, None).await.unwrap_err();
        let left = std::fs::read_dir(&scratch.0.path).unwrap().count();
        assert_eq!(left, 1, "only the lock");
    }

    #[test]
    fn leftovers_of_dead_processes_go_and_the_living_stay() {
        let home = tempfile::tempdir().unwrap();
        let living = Scratch::below(home.path(), "scratch").unwrap();
        let dead = home.path().join("scratch/h1-00");
        std::fs::create_dir_all(dead.join("0")).unwrap();
        std::fs::write(dead.join(LOCK), "").unwrap();
        std::fs::write(dead.join("0/tail"), "left").unwrap();
        let second = Scratch::below(home.path(), "scratch").unwrap();
        assert!(!dead.exists());
        assert!(living.0.path.exists() && second.0.path.exists());
    }

    #[test]
    fn a_place_others_can_enter_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("scratch")).unwrap();
        std::fs::set_permissions(home.path().join("scratch"), std::fs::Permissions::from_mode(0o777))
            .unwrap();
        assert!(Scratch::below(home.path(), "scratch").is_err());
        std::os::unix::fs::symlink(home.path(), home.path().join("linked")).unwrap();
        assert!(Scratch::below(home.path(), "linked").is_err());
        let error = Scratch::open(&home.path().join("nowhere")).map(|_| ());
        assert!(error.is_ok() || error.unwrap_err().to_string().contains("make it writable"));
    }
}
