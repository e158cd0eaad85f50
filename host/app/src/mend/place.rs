//! Where one file of a patch lies: its directory, held open, and its names in it. It is reached from the component's directory
//! name by name, and no link is ever followed; everything else is done with the handle and one name, so nothing that is
//! moved or linked meanwhile leads out.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use razar_core::id::Digest;
use razar_core::patch::{FilePath, Found, MAX_FILE, Manifest, ManifestFile};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::error::Cause;

/// What every temporary name begins with.
pub(super) const PREFIX: &str = ".razar-patch-";

/// Entries of a directory that are looked at to learn how its files are.
const NEIGHBORS: usize = 1_000;

/// Mode of a new file in a directory without files.
const ALONE: u32 = 0o644;

/// One file's place.
pub(super) struct Place<'p> {
    pub(super) file: &'p ManifestFile,
    /// Or why there is none: nothing is there, or something else.
    pub(super) dir: Result<Dir, Found>,
    /// While it is written: worth nothing.
    pub(super) part: String,
    /// Complete and not yet in place, or taken out of its place.
    pub(super) whole: String,
}

impl<'p> Place<'p> {
    /// The places of all files of a patch. Their names are the same whenever it is looked for what is left of it.
    pub(super) fn all(manifest: &'p Manifest, top: &Dir) -> Result<Vec<Self>, Cause> {
        let digest = manifest.digest().hex();
        let patch = digest.get(..16).unwrap_or_default();
        let place = |(number, file): (usize, &'p ManifestFile)| {
            let name = |word| format!("{PREFIX}{patch}-{number}.{word}");
            let dir = parent(top, file.path())?;
            Ok(Self { file, dir, part: name("part"), whole: name("whole") })
        };
        manifest.files().iter().enumerate().map(place).collect()
    }

    pub(super) const fn path(&self) -> &'p FilePath {
        self.file.path()
    }

    /// Its own name.
    pub(super) fn name(&self) -> &'p str {
        self.path().parts().last().unwrap_or_default()
    }

    /// Its directory, which there must be.
    pub(super) fn dir(&self) -> Result<&Dir, Cause> {
        let missing = |_| Cause::io("open the directory of", self.path())(ErrorKind::NotADirectory.into());
        self.dir.as_ref().map_err(missing)
    }

    /// What lies where the file belongs.
    pub(super) fn found(&self) -> Result<Found, Cause> {
        self.look(self.name())
    }

    /// What lies under one of its names.
    pub(super) fn look(&self, name: &str) -> Result<Found, Cause> {
        match &self.dir {
            Ok(dir) => digest(dir, name).map_err(Cause::io("read", self.path())),
            Err(found) => Ok(*found),
        }
    }

    /// Gives it another of its names, which must be free, or swaps two of them.
    pub(super) fn rename(&self, from: &str, to: &str, how: RenameFlags) -> Result<Result<(), Errno>, Cause> {
        let dir = self.dir()?;
        match renameat_with(dir, from, dir, to, how) {
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(Err(Errno::NOSYS)),
            Err(error @ (Errno::EXIST | Errno::NOENT)) => Ok(Err(error)),
            Err(error) => Err(Cause::io("replace", self.path())(error.into())),
            Ok(()) => Ok(Ok(())),
        }
    }

    /// Gives it another of its names, whatever has that name.
    pub(super) fn replace(&self, from: &str, to: &str) -> Result<(), Cause> {
        let dir = self.dir()?;
        renameat(dir, from, dir, to).map_err(|error| Cause::io("replace", self.path())(error.into()))
    }

    /// Takes away what has this name, if anything has.
    pub(super) fn remove(&self, name: &str) -> Result<(), Cause> {
        let Ok(dir) = &self.dir else { return Ok(()) };
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Cause::io("remove a temporary file beside", self.path())(error.into())),
        }
    }

    /// Makes the names in its directory durable.
    pub(super) fn sync(&self) -> Result<(), Cause> {
        let Ok(dir) = &self.dir else { return Ok(()) };
        rustix::fs::fsync(dir).map_err(|error| Cause::io("sync the directory of", self.path())(error.into()))
    }

    /// The file as it lies there, open; none when it is not there.
    pub(super) fn open(&self) -> Result<Option<File>, Cause> {
        match open(self.dir()?, self.name()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound || is_odd(&error) => Ok(None),
            Err(error) => Err(Cause::io("read", self.path())(error)),
        }
    }

    /// The mode of the file as it lies there.
    pub(super) fn mode(&self) -> Result<Option<u32>, Cause> {
        if self.dir.is_err() {
            return Ok(None);
        }
        let meta = self.open()?.map(|file| file.metadata()).transpose();
        Ok(meta.map_err(Cause::io("look at", self.path()))?.map(|meta| meta.mode()))
    }

    /// A new file under the name of one that is being written, for nobody else yet.
    pub(super) fn create(&self) -> Result<File, Cause> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let made = self.dir()?.open_with(&self.part, &options);
        made.map(cap_std::fs::File::into_std).map_err(Cause::io("write beside", self.path()))
    }

    /// How a new file looks in this directory: like most of the others, but nobody can execute it.
    pub(super) fn neighbors(&self) -> Result<u32, Cause> {
        let dir = self.dir()?;
        let failed = || Cause::io("list the directory of", self.path());
        let mut modes = std::collections::BTreeMap::<u32, usize>::new();
        for entry in dir.entries().map_err(failed())?.take(NEIGHBORS) {
            let entry = entry.map_err(failed())?;
            let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() && !ours {
                *modes.entry(cap_std::fs::MetadataExt::mode(&meta) & 0o666).or_default() += 1;
            }
        }
        // Of modes that are as frequent, the one that lets fewer in.
        let most = modes.into_iter().max_by_key(|(mode, count)| (*count, std::cmp::Reverse(*mode)));
        Ok(most.map_or(ALONE, |(mode, _)| mode))
    }
}

/// The directory of a file, or what is there instead.
fn parent(top: &Dir, path: &FilePath) -> Result<Result<Dir, Found>, Cause> {
    let mut dir = real(top)?;
    for parent in path.parents() {
        let name = parent.rsplit('/').next().unwrap_or_default();
        dir = match enter(&dir, name) {
            Ok(next) => next,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Found::Absent)),
            Err(error) if is_odd(&error) => return Ok(Err(Found::Other)),
            Err(error) => return Err(Cause::io("open", parent)(error)),
        };
    }
    Ok(Ok(dir))
}

/// The same directory by a handle that can do more than be looked through.
pub(super) fn real(top: &Dir) -> Result<Dir, Cause> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(top, ".", flags, Mode::empty()) {
        Ok(handle) => Ok(Dir::from_std_file(File::from(handle))),
        Err(error) => Err(Cause::io("open", ".")(error.into())),
    }
}

/// Goes down one name, not through a link.
pub(super) fn enter(dir: &Dir, name: &str) -> io::Result<Dir> {
    let opened = dir.open_with(name, &options(OFlags::DIRECTORY | OFlags::NOFOLLOW))?;
    Ok(Dir::from_std_file(opened.into_std()))
}

fn open(dir: &Dir, name: &str) -> io::Result<File> {
    // A FIFO must not hold anybody up.
    let file = dir.open_with(name, &options(OFlags::NOFOLLOW | OFlags::NONBLOCK))?;
    Ok(file.into_std())
}

fn digest(dir: &Dir, name: &str) -> io::Result<Found> {
    let mut file = match open(dir, name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) if is_odd(&error) => return Ok(Found::Other),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MAX_FILE as u64 {
        return Ok(Found::Other);
    }
    let mut bytes = Vec::new();
    (&mut file).take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > MAX_FILE { Found::Other } else { Found::File(Digest::of(&bytes)) })
}

fn options(flags: OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

/// A link, a socket, something in the way.
fn is_odd(error: &io::Error) -> bool {
    let odd = [Errno::LOOP, Errno::NOTDIR, Errno::MLINK, Errno::NXIO];
    error.raw_os_error().is_some_and(|code| odd.iter().any(|errno| errno.raw_os_error() == code))
}

/// Whose a file is.
pub(super) fn owner(file: &File) -> io::Result<(u32, u32)> {
    let meta = file.metadata()?;
    Ok((meta.uid(), meta.gid()))
}

/// Gives a file to somebody, if it is not theirs.
pub(super) fn give(file: &File, (uid, gid): (u32, u32)) -> io::Result<()> {
    let (has_uid, has_gid) = owner(file)?;
    let uid = (has_uid != uid).then(|| Uid::from_raw(uid));
    let gid = (has_gid != gid).then(|| Gid::from_raw(gid));
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    Ok(rustix::fs::fchown(file.as_fd(), uid, gid)?)
}
