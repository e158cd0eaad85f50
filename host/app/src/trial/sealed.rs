//! The sealed copy: a component's files as they are, copied once into the sized scratch by a few threads. It follows no link, opens nothing
//! but regular files, keeps links that stay inside, and says what it has left out. What a patch can never change and is large
//! (installed packages, version control) is not copied but named, to be seen read-only where it lies.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use razar_core::patch::{Protected, Rules};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fchown, fstat, mkdirat, openat, readlinkat,
    statat, symlinkat,
};

/// Directories in directories: deeper than any source, and fewer than the handles a process has.
const MAX_DEPTH: usize = 64;
/// More copy no faster: what takes time is the kernel's work on the scratch.
const MAX_THREADS: usize = 4;
/// Directories that are not copied but bound.
const MAX_BOUND: usize = 256;
/// Names of what was left out; there may be more.
const MAX_TOLD: usize = 20;
/// Caches of Python: a stale one would speak for a file that is no longer there.
const CACHE: &str = "__pycache__";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// The system refuses.
    #[error("cannot copy `{}`: {source}", path.display())]
    Copy {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too many files.
    #[error(
        "the component's directory has more than {0} files and directories: give it a directory with its own files only"
    )]
    Many(u64),
    /// Too much in them.
    #[error("the component's files have more than {0} bytes: keep data outside of its directory")]
    Large(u64),
    /// Too deep.
    #[error("`{}` has more than {MAX_DEPTH} directories inside each other", .0.display())]
    Deep(PathBuf),
    /// Too many that would have to be bound.
    #[error("the component's directory has more than {MAX_BOUND} directories of installed packages")]
    Scattered,
}

/// What a copy has, and what not.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Regular files, relative to the top.
    pub(super) files: Vec<String>,
    /// Directories that are empty in the copy, because they are seen read-only where they lie.
    pub(super) bound: Vec<String>,
    /// What was left out, and why; the first of them.
    pub(super) left_out: Vec<String>,
    /// How many there are.
    pub(super) left_out_count: u64,
}

/// How a copy is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealing<'a> {
    /// Where the files really lie: an absolute link into it stays inside.
    pub(super) top: &'a Path,
    /// Directories and files that are not the component's, whatever lies in them; absolute.
    pub(super) without: &'a [PathBuf],
    /// Files and directories at most.
    pub(super) entries: u64,
    /// Bytes at most.
    pub(super) bytes: u64,
}

/// Copies the component's directory into one that is empty.
pub(super) fn seal(sealing: Sealing<'_>, to: &Path) -> Result<Contents, SealError> {
    copy(sealing.top, to, Some(sealing))
}

/// Copies a sealed copy, which has nothing to be left out.
pub(super) fn duplicate(from: &Path, to: &Path) -> Result<(), SealError> {
    copy(from, to, None).map(drop)
}

fn copy(from: &Path, to: &Path, sealing: Option<Sealing<'_>>) -> Result<Contents, SealError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source: rustix::io::Errno| SealError::Copy { path, source: source.into() }
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = openat(CWD, from, flags, Mode::empty()).map_err(refused(from))?;
    let target = openat(CWD, to, flags, Mode::empty()).map_err(refused(to))?;
    let owner = Owner::own();
    owner.give(&fstat(&source).map_err(refused(from))?, &target).map_err(refused(to))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| SealError::Copy {
        path: from.to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    let copying = Copying {
        from,
        sealing,
        rules: Rules::default(),
        owner,
        entries: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        contents: Mutex::default(),
        failed: OnceLock::new(),
    };
    pool.scope(|scope| {
        copying.noted(copying.directory(scope, &Arc::new(Pair { from: source, to: target }), "", 0));
    });
    if let Some(error) = copying.failed.into_inner() {
        return Err(error);
    }
    let mut contents = copying.contents.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Whoever was faster has no say in the order.
    contents.files.sort_unstable();
    contents.bound.sort_unstable();
    contents.left_out.sort_unstable();
    Ok(contents)
}

/// A directory and its copy, open for as long as anything below is being copied.
struct Pair {
    from: OwnedFd,
    to: OwnedFd,
}

/// What all threads share.
struct Copying<'a> {
    from: &'a Path,
    /// None for a copy of a copy.
    sealing: Option<Sealing<'a>>,
    /// What is protected in every component.
    rules: Rules,
    owner: Owner,
    entries: AtomicU64,
    bytes: AtomicU64,
    contents: Mutex<Contents>,
    /// The first thing that went wrong; nobody begins anything after it.
    failed: OnceLock<SealError>,
}

impl Copying<'_> {
    fn noted(&self, done: Result<(), SealError>) {
        if let Err(error) = done {
            // Whoever was first is told; the others failed of the same.
            let _ = self.failed.set(error);
        }
    }

    fn directory<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        pair: &Arc<Pair>,
        prefix: &str,
        depth: usize,
    ) -> Result<(), SealError> {
        if depth > MAX_DEPTH {
            return Err(SealError::Deep(self.from.to_owned()));
        }
        let Pair { from, to } = &**pair;
        let mut buffer = vec![0; 64 << 10];
        let mut files = Vec::new();
        for entry in Dir::read_from(from).map_err(|error| self.error(prefix, error))? {
            if self.failed.get().is_some() {
                return Ok(());
            }
            let entry = entry.map_err(|error| self.error(prefix, error))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(text) = name.to_str() else {
                self.leave_out(&format!("{prefix}{}", name.to_string_lossy()), "its name is no text");
                continue;
            };
            let path = format!("{prefix}{text}");
            let entries = self.entries.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(sealing) = self.sealing.filter(|sealing| entries > sealing.entries) {
                return Err(SealError::Many(sealing.entries));
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW);
                kind = FileType::from_raw_mode(stat.map_err(|error| self.error(&path, error))?.st_mode);
            }
            if self.is_not_its_own(&path) {
                self.leave_out(&path, "it is the host's");
                continue;
            }
            match kind {
                FileType::Directory => {
                    let (pair, name) = (Arc::clone(pair), text.to_owned());
                    scope.spawn(move |scope| self.noted(self.enter(scope, &pair, &name, &path, depth)));
                }
                FileType::RegularFile if self.file(from, to, text, &path, &mut buffer)? => files.push(path),
                FileType::RegularFile => {}
                FileType::Symlink => self.link(from, to, text, &path)?,
                _ => self.leave_out(&path, "it is neither a file nor a directory"),
            }
        }
        self.contents().files.append(&mut files);
        Ok(())
    }

    fn enter<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        Pair { from, to }: &Pair,
        name: &str,
        path: &str,
        depth: usize,
    ) -> Result<(), SealError> {
        if self.failed.get().is_some() || self.sealing.is_some() && name == CACHE {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = match openat(from, name, flags, Mode::empty()) {
            Ok(source) => source,
            // Gone, or something else by now.
            Err(_) if self.is_gone(from, name) => return Ok(()),
            Err(error) => return Err(self.error(path, error)),
        };
        let stat = fstat(&source).map_err(|error| self.error(path, error))?;
        // Whoever copies must be able to write it.
        let mode = Mode::from_raw_mode(stat.st_mode) | Mode::RWXU;
        mkdirat(to, name, mode).map_err(|error| self.error(path, error))?;
        let target = openat(to, name, flags, Mode::empty()).map_err(|error| self.error(path, error))?;
        self.owner.give(&stat, &target).map_err(|error| self.error(path, error))?;
        if self.sealing.is_some() && self.is_bound(path) {
            let mut contents = self.contents();
            contents.bound.push(path.to_owned());
            return if contents.bound.len() > MAX_BOUND { Err(SealError::Scattered) } else { Ok(()) };
        }
        self.directory(scope, &Arc::new(Pair { from: source, to: target }), &format!("{path}/"), depth + 1)
    }

    /// Whether it was still there.
    fn file(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &str,
        path: &str,
        buffer: &mut [u8],
    ) -> Result<bool, SealError> {
        // What became a FIFO since it was looked at must not hold anybody up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut source = match openat(from, name, flags, Mode::empty()) {
            Ok(source) => File::from(source),
            Err(_) if self.is_gone(from, name) => return Ok(false),
            Err(error) => return Err(self.error(path, error)),
        };
        let stat = fstat(&source).map_err(|error| self.error(path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.leave_out(path, "it is no file any more");
            return Ok(false);
        }
        let mode = Mode::from_raw_mode(stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut target = File::from(openat(to, name, flags, mode).map_err(|error| self.error(path, error))?);
        let mut left = u64::try_from(stat.st_size).unwrap_or(0);
        loop {
            let count = source.read(buffer).map_err(|error| self.failed_to(path, error))?;
            let read = buffer.get(..count).unwrap_or_default();
            target.write_all(read).map_err(|error| self.failed_to(path, error))?;
            let bytes = self.bytes.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            if let Some(sealing) = self.sealing.filter(|sealing| bytes > sealing.bytes) {
                return Err(SealError::Large(sealing.bytes));
            }
            left = left.saturating_sub(count as u64);
            // Most files end where they say; whoever grows just then is asked again.
            if count == 0 || left == 0 && count < buffer.len() {
                break;
            }
        }
        self.owner.give(&stat, &target).map_err(|error| self.error(path, error))?;
        Ok(true)
    }

    fn link(&self, from: &OwnedFd, to: &OwnedFd, name: &str, path: &str) -> Result<(), SealError> {
        let target = match readlinkat(from, name, Vec::new()) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(_) if self.is_gone(from, name) => return Ok(()),
            Err(error) => return Err(self.error(path, error)),
        };
        if self.sealing.is_some_and(|sealing| !stays(sealing.top, path, &target)) {
            self.leave_out(path, "it is a link that leads elsewhere");
            return Ok(());
        }
        symlinkat(&*target, to, name).map_err(|error| self.error(path, error))
    }

    /// Installed or generated, or version control: large, and nothing a patch may change.
    fn is_bound(&self, path: &str) -> bool {
        let what = self.rules.protected(path);
        matches!(what, Some(Protected::Dependencies | Protected::VersionControl))
    }

    fn is_not_its_own(&self, path: &str) -> bool {
        let Some(sealing) = self.sealing.filter(|sealing| !sealing.without.is_empty()) else { return false };
        let path = sealing.top.join(path);
        sealing.without.contains(&path)
    }

    fn is_gone(&self, dir: &OwnedFd, name: &str) -> bool {
        self.sealing.is_some() && statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_err()
    }

    fn leave_out(&self, path: &str, why: &str) {
        let mut contents = self.contents();
        contents.left_out_count += 1;
        if contents.left_out.len() < MAX_TOLD {
            contents.left_out.push(format!("{path}: {why}"));
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, path: &str, error: rustix::io::Errno) -> SealError {
        self.failed_to(path, error.into())
    }

    fn failed_to(&self, path: &str, source: std::io::Error) -> SealError {
        SealError::Copy { path: self.from.join(path), source }
    }
}

/// Who copies: asked once, because there are many files.
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: Uid,
    group: Gid,
}

impl Owner {
    fn own() -> Self {
        Self { user: rustix::process::geteuid(), group: rustix::process::getegid() }
    }

    /// Gives a copy the owner of the original; only root can, and only root must.
    fn give(self, stat: &Stat, copy: impl AsFd) -> rustix::io::Result<()> {
        if !self.user.is_root() || (stat.st_uid, stat.st_gid) == (self.user.as_raw(), self.group.as_raw()) {
            return Ok(());
        }
        fchown(copy, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
    }
}

/// Whether a link at this path ends inside, as far as its words say.
fn stays(top: &Path, path: &str, target: &str) -> bool {
    let target = Path::new(target);
    let mut depth = 0_usize;
    let inside = match target.strip_prefix(top) {
        Ok(inside) => inside,
        Err(_) if target.is_absolute() => return false,
        Err(_) => {
            depth = path.matches('/').count();
            target
        }
    };
    inside.components().all(|part| match part {
        Component::ParentDir => {
            let up = depth.checked_sub(1);
            depth = up.unwrap_or(0);
            up.is_some()
        }
        Component::Normal(_) => {
            depth += 1;
            true
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn put(dir: &Path, path: &str, text: &str) {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn sealing<'a>(top: &'a Path, without: &'a [PathBuf]) -> Sealing<'a> {
        Sealing { top, without, entries: 1_000, bytes: 1 << 20 }
    }

    #[test]
    fn a_copy_has_files_and_links_that_stay_and_says_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let (top, to) = (dir.path().join("app"), dir.path().join("copy"));
        std::fs::create_dir(&to).unwrap();
        put(&top, "app.py", "x = 1\n");
        put(&top, "run.sh", "#!/bin/sh\n");
        std::fs::set_permissions(top.join("run.sh"), std::fs::Permissions::from_mode(0o750)).unwrap();
        put(&top, "lib/deep/a.py", &"long\n".repeat(40_000));
        put(&top, "lib/__pycache__/a.pyc", "stale");
        put(&top, "venv/lib/x.py", "installed");
        put(&top, ".git/config", "x");
        put(&top, "state/razar.db", "x");
        put(dir.path(), "secret", "s");
        symlink("../app.py", top.join("lib/in")).unwrap();
        symlink("deep/../../../secret", top.join("lib/out")).unwrap();
        symlink("/etc/passwd", top.join("away")).unwrap();
        symlink(top.join("lib"), top.join("own")).unwrap();
        let _listener = UnixListener::bind(top.join("socket")).unwrap();

        let without = [top.join("state")];
        let contents = seal(sealing(&top, &without), &to).unwrap();
        assert_eq!(contents.files, ["app.py", "lib/deep/a.py", "run.sh"]);
        assert_eq!(contents.bound, [".git", "venv"]);
        assert_eq!(
            contents.left_out,
            [
                "away: it is a link that leads elsewhere",
                "lib/out: it is a link that leads elsewhere",
                "socket: it is neither a file nor a directory",
                "state: it is the host's",
            ]
        );
        assert_eq!(contents.left_out_count, 4);
        assert_eq!(
            std::fs::read(to.join("lib/deep/a.py")).unwrap(),
            std::fs::read(top.join("lib/deep/a.py")).unwrap()
        );
        assert_eq!(std::fs::metadata(to.join("run.sh")).unwrap().permissions().mode() & 0o110, 0o110);
        assert_eq!(std::fs::read_link(to.join("lib/in")).unwrap(), Path::new("../app.py"));
        assert_eq!(std::fs::read_link(to.join("own")).unwrap(), top.join("lib"));
        assert_eq!(std::fs::read_dir(to.join("venv")).unwrap().count(), 0);
        assert!(!to.join("lib/__pycache__").exists());

        let again = dir.path().join("again");
        std::fs::create_dir(&again).unwrap();
        duplicate(&to, &again).unwrap();
        assert_eq!(std::fs::read_to_string(again.join("app.py")).unwrap(), "x = 1\n");
        assert!(again.join("venv").is_dir() && again.join("own").is_symlink());
    }

    #[test]
    fn too_much_is_an_error_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("app");
        put(&top, "a", "12345");
        put(&top, "b", "12345");
        for (sealing, said) in [
            (Sealing { entries: 1, ..sealing(&top, &[]) }, "more than 1 files and directories: give it"),
            (Sealing { bytes: 7, ..sealing(&top, &[]) }, "more than 7 bytes: keep data outside"),
        ] {
            let to = tempfile::tempdir().unwrap();
            let error = seal(sealing, to.path()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let mut deep = dir.path().join("deep");
        for _ in 0..MAX_DEPTH + 2 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        let to = tempfile::tempdir().unwrap();
        let error = seal(sealing(&dir.path().join("deep"), &[]), to.path()).unwrap_err();
        assert!(matches!(error, SealError::Deep(_)), "{error}");
    }

    #[test]
    fn links_are_followed_in_words_only() {
        let top = Path::new("/srv/app");
        for (path, target, inside) in [
            ("link", "app.py", true),
            ("link", "../app/app.py", false),
            ("link", "./lib/../app.py", true),
            ("a/b/link", "../../c", true),
            ("a/b/link", "../../../c", false),
            ("link", "/srv/app/lib", true),
            ("link", "/srv/app/../other", false),
            ("link", "/srv/apple", false),
            ("link", "/etc", false),
        ] {
            assert_eq!(stays(top, path, target), inside, "{path} → {target}");
        }
    }
}
