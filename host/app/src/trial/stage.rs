//! The copy somebody runs in: fresh for every run, with the patch or without, and beside it the private directories of the
//! sandbox. Afterwards it says which files that no judged program has to touch are something else now.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use razar_core::id::Digest;
use razar_core::patch::{MAX_FILE, Protected, Rules};
use rustix::fs::OFlags;

use super::sealed::{Contents, SealError, Sealing, duplicate, seal};
use super::wire::Change;

/// Where everything of one run lies.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The component's files.
    pub(super) tree: PathBuf,
    /// Its `/tmp`.
    pub(super) tmp: PathBuf,
    /// Its `/run`.
    pub(super) run: PathBuf,
    /// Its `/dev/shm`.
    pub(super) shm: PathBuf,
    /// Logs that lie elsewhere.
    pub(super) logs: PathBuf,
    /// What it prints.
    pub(super) output: PathBuf,
    /// What its native checks print.
    pub(super) check: PathBuf,
}

impl Places {
    pub(super) fn below(dir: &Path) -> Self {
        let at = |name: &str| dir.join(name);
        Self {
            tree: at("tree"),
            tmp: at("tmp"),
            run: at("run"),
            shm: at("shm"),
            logs: at("logs"),
            output: at("output"),
            check: at("check"),
        }
    }
}

/// Why there is nothing to run in.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// No copy.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A private directory.
    #[error("cannot prepare `{}`: {source}", path.display())]
    Prepare {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The patch does not fit the copy.
    #[error("`{0}` is not what it was when the patch was judged: it has changed since")]
    Stale(String),
    /// The patch cannot be written.
    #[error("cannot write `{path}` of the patch: {source}")]
    Write {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The sealed copy of a component and what is made of it.
#[derive(Debug)]
pub(super) struct Stages<'a> {
    scratch: &'a Path,
    changes: &'a [Change],
    /// What was copied.
    pub(super) contents: Contents,
    /// Files of it that no judged program has to touch: what judges it.
    judging: Vec<String>,
    /// Making copies, so far.
    copying: Cell<Duration>,
    /// The files of the newest copy that nobody has to touch.
    stamps: RefCell<BTreeMap<String, Option<Stamp>>>,
}

/// What of a file is another as soon as anybody has written it: its number and when it was last changed in any way, which
/// nobody can set back, and its bytes.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    number: u64,
    changed: (i64, i64),
    content: Option<Digest>,
}

impl<'a> Stages<'a> {
    /// Seals a component's directory into the scratch.
    pub(super) fn open(
        scratch: &'a Path,
        sealing: Sealing<'_>,
        changes: &'a [Change],
    ) -> Result<Self, StageError> {
        let began = Instant::now();
        let base = scratch.join("base");
        let made = std::fs::DirBuilder::new().mode(0o755).create(&base);
        made.map_err(|source| StageError::Prepare { path: base.clone(), source })?;
        let contents = seal(sealing, &base)?;
        let copying = Cell::new(began.elapsed());
        let rules = Rules::default();
        let is_judging = |path: &&String| rules.protected(path).is_some_and(is_guarded);
        let judging = contents.files.iter().filter(is_judging).cloned().collect();
        let stages = Self { scratch, changes, contents, judging, copying, stamps: RefCell::default() };
        stages.fits(&stages.base())?;
        Ok(stages)
    }

    /// How long copies took to make.
    pub(super) fn copying(&self) -> Duration {
        self.copying.get()
    }

    /// The copy nobody runs in.
    pub(super) fn base(&self) -> PathBuf {
        self.scratch.join("base")
    }

    /// A copy to run in. There is one at a time: what was there before goes.
    pub(super) fn fresh(&self, patched: bool) -> Result<Places, StageError> {
        self.made(patched, |base, tree| Ok(duplicate(base, tree)?))
    }

    /// The last one: it is the copy that nobody has run in, and there is no other after it.
    pub(super) fn last(&self, patched: bool) -> Result<Places, StageError> {
        self.made(patched, |base, tree| {
            let failed = |source| StageError::Prepare { path: tree.to_owned(), source };
            std::fs::rename(base, tree).map_err(failed)
        })
    }

    fn made(
        &self,
        patched: bool,
        fill: impl FnOnce(&Path, &Path) -> Result<(), StageError>,
    ) -> Result<Places, StageError> {
        let began = Instant::now();
        let places = self.make(patched, fill);
        self.copying.set(self.copying.get() + began.elapsed());
        places
    }

    fn make(
        &self,
        patched: bool,
        fill: impl FnOnce(&Path, &Path) -> Result<(), StageError>,
    ) -> Result<Places, StageError> {
        let dir = self.scratch.join("stage");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source: std::io::Error| StageError::Prepare { path, source }
        };
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&dir)(error)),
            _ => {}
        }
        let places = Places::below(&dir);
        std::fs::create_dir(&dir).map_err(failed(&dir))?;
        for (path, mode) in [
            (&places.tree, 0o755),
            (&places.tmp, 0o1777),
            (&places.run, 0o1777),
            (&places.shm, 0o1777),
            (&places.logs, 0o1777),
        ] {
            std::fs::create_dir(path).map_err(failed(path))?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed(path))?;
        }
        fill(&self.base(), &places.tree)?;
        if patched {
            self.apply(&places.tree)?;
        }
        let tree = Dir::open_ambient_dir(&places.tree, ambient_authority()).map_err(failed(&places.tree))?;
        *self.stamps.borrow_mut() =
            self.guarded(patched).map(|path| (path.to_owned(), stamp(&tree, path))).collect();
        Ok(places)
    }

    /// The patch is one of these files.
    fn fits(&self, tree: &Path) -> Result<Dir, StageError> {
        let opened = Dir::open_ambient_dir(tree, ambient_authority());
        let dir = opened.map_err(|source| StageError::Prepare { path: tree.to_owned(), source })?;
        let is_stale = |change: &&Change| {
            read(&dir, &change.path).map(|bytes| Digest::of(&bytes)) != change.before
                || change.before.is_none() && dir.symlink_metadata(&change.path).is_ok()
        };
        match self.changes.iter().find(is_stale) {
            Some(change) => Err(StageError::Stale(change.path.clone())),
            None => Ok(dir),
        }
    }

    fn apply(&self, tree: &Path) -> Result<(), StageError> {
        let dir = self.fits(tree)?;
        self.changes.iter().try_for_each(|change| {
            let failed = |source| StageError::Write { path: change.path.clone(), source };
            write(&dir, change).map_err(failed)
        })
    }

    /// Files that nobody has to touch and that are something else in a copy somebody ran in: tests, what builds and
    /// configures, and what the patch changed.
    pub(super) fn touched(&self, places: &Places, patched: bool) -> Vec<String> {
        let Ok(tree) = Dir::open_ambient_dir(&places.tree, ambient_authority()) else {
            return vec![".".to_owned()];
        };
        let stamps = self.stamps.borrow();
        let is_other = |path: &&str| stamps.get(*path) != Some(&stamp(&tree, path));
        self.guarded(patched).filter(is_other).map(str::to_owned).collect()
    }

    /// What judges it, and what the patch changed.
    fn guarded(&self, patched: bool) -> impl Iterator<Item = &str> {
        let changed = self.changes.iter().filter(move |_| patched).map(|change| change.path.as_str());
        let is_changed = move |path: &str| patched && self.changes.iter().any(|change| change.path == path);
        self.judging.iter().map(String::as_str).filter(move |path| !is_changed(path)).chain(changed)
    }
}

/// A judge of the component, or what leads to one.
const fn is_guarded(what: Protected) -> bool {
    matches!(
        what,
        Protected::Tests
            | Protected::Build
            | Protected::Ci
            | Protected::Policy
            | Protected::Grants
            | Protected::Config
    )
}

/// None for what is not there.
fn stamp(dir: &Dir, path: &str) -> Option<Stamp> {
    let meta = dir.symlink_metadata(path).ok()?;
    let content = read(dir, path).map(|bytes| Digest::of(&bytes));
    Some(Stamp { number: meta.ino(), changed: (meta.ctime(), meta.ctime_nsec()), content })
}

/// A regular file's bytes; none for anything else, and for what no patch could have made.
fn read(dir: &Dir, path: &str) -> Option<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let file = dir.open_with(path, &options).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    // Large fixtures are compared by their beginning and by their size.
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).ok()?;
    bytes.extend(meta.len().to_le_bytes().iter().filter(|_| meta.len() > MAX_FILE as u64));
    Some(bytes)
}

fn write(dir: &Dir, change: &Change) -> std::io::Result<()> {
    let Some(text) = &change.after else { return dir.remove_file(&change.path) };
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    if change.before.is_some() {
        options.truncate(true);
    } else {
        options.create_new(true).mode(0o644);
    }
    let mut file = dir.open_with(&change.path, &options)?;
    file.write_all(text.as_bytes())?;
    if change.before.is_none() && rustix::process::geteuid().is_root() {
        // Whoever owns the directory could have written it.
        let parent = Path::new(&change.path).parent().filter(|parent| !parent.as_os_str().is_empty());
        let stat = rustix::fs::fstat(&dir.open_dir(parent.unwrap_or(Path::new(".")))?)?;
        let (user, group) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
        rustix::fs::fchown(&file, Some(user), Some(group))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, before: Option<&str>, after: Option<&str>) -> Change {
        let before = before.map(|text| Digest::of(text.as_bytes()));
        Change { path: path.to_owned(), before, after: after.map(str::to_owned) }
    }

    fn open<'a>(dir: &Path, changes: &'a [Change]) -> Result<Stages<'a>, StageError> {
        let top = dir.join("app");
        std::fs::create_dir_all(top.join("tests")).unwrap();
        for (path, text) in [("app.py", "1\n"), ("old.py", "old\n"), ("tests/test_app.py", "t\n")] {
            std::fs::write(top.join(path), text).unwrap();
        }
        let scratch = dir.join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        let sealing = Sealing { top: &top, without: &[], entries: 100, bytes: 1_000 };
        Stages::open(scratch.leak(), sealing, changes)
    }

    #[test]
    fn every_run_begins_with_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        let changes = [
            change("app.py", Some("1\n"), Some("2\n")),
            change("new.py", None, Some("n\n")),
            change("old.py", Some("old\n"), None),
        ];
        let stages = open(dir.path(), &changes).unwrap();
        let text = |places: &Places, path: &str| std::fs::read_to_string(places.tree.join(path)).ok();
        let base = stages.fresh(false).unwrap();
        assert_eq!((text(&base, "app.py").as_deref(), text(&base, "new.py")), (Some("1\n"), None));
        std::fs::write(base.tree.join("app.py"), "broken").unwrap();
        std::fs::write(base.tmp.join("left"), "x").unwrap();

        let patched = stages.fresh(true).unwrap();
        assert_eq!(text(&patched, "app.py").as_deref(), Some("2\n"));
        assert_eq!(text(&patched, "new.py").as_deref(), Some("n\n"));
        assert_eq!(text(&patched, "old.py"), None);
        assert_eq!(std::fs::read_dir(&patched.tmp).unwrap().count(), 0);
        assert!(stages.touched(&patched, true).is_empty());

        let last = stages.last(true).unwrap();
        assert_eq!((text(&last, "app.py").as_deref(), text(&last, "old.py")), (Some("2\n"), None));
        assert!(stages.touched(&last, true).is_empty() && !stages.base().exists());
        assert_eq!(std::fs::read_to_string(dir.path().join("app/app.py")).unwrap(), "1\n");
    }

    #[test]
    fn who_touches_tests_or_the_patch_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let changes = [change("app.py", Some("1\n"), Some("2\n")), change("old.py", Some("old\n"), None)];
        let stages = open(dir.path(), &changes).unwrap();
        let places = stages.fresh(true).unwrap();
        std::fs::write(places.tree.join("data.db"), "its own business").unwrap();
        assert!(stages.touched(&places, true).is_empty());
        std::fs::write(places.tree.join("app.py"), "1\n").unwrap();
        std::fs::write(places.tree.join("old.py"), "back").unwrap();
        std::fs::remove_file(places.tree.join("tests/test_app.py")).unwrap();
        assert_eq!(stages.touched(&places, true), ["tests/test_app.py", "app.py", "old.py"]);
        for path in ["tests/test_app.py", "app.py"] {
            let places = stages.fresh(true).unwrap();
            let file = places.tree.join(path);
            let (bytes, before) = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap());
            // A clock that counts slowly has to have counted.
            while std::os::unix::fs::MetadataExt::ctime_nsec(&std::fs::metadata(&file).unwrap())
                == std::os::unix::fs::MetadataExt::ctime_nsec(&before)
            {
                std::fs::write(&file, "other for a moment").unwrap();
                std::fs::write(&file, &bytes).unwrap();
                let open = std::fs::File::options().write(true).open(&file).unwrap();
                open.set_times(std::fs::FileTimes::new().set_modified(before.modified().unwrap())).unwrap();
            }
            assert_eq!(stages.touched(&places, true), [path]);
        }
        let places = stages.fresh(false).unwrap();
        std::fs::write(places.tree.join("app.py"), "3\n").unwrap();
        assert!(stages.touched(&places, false).is_empty());
    }

    #[test]
    fn a_patch_of_other_files_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        for changes in [
            vec![change("app.py", Some("0\n"), Some("2\n"))],
            vec![change("app.py", None, Some("2\n"))],
            vec![change("absent.py", Some("x"), Some("y"))],
        ] {
            let error = open(dir.path(), &changes).unwrap_err();
            assert!(matches!(&error, StageError::Stale(_)), "{error}");
            std::fs::remove_dir_all(dir.path().join("scratch")).unwrap();
        }
    }
}
