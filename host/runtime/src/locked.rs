//! A directory with a `plugins.lock`: what the lock names is loaded if it is those very bytes, and nothing else is loaded at all.
//! A file is read once: what was compared is what is compiled. It writes nothing.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use razar_core::document::lock;
use razar_core::id::{Digest, PluginId};
use razar_core::problem::Problem;
use razar_core::trust::{Lock, Pin};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::archive::{self, EXTENSION, MAX_ARCHIVE};
use crate::package::{Package, PackageError};

/// The lock's name, in the directory it is about.
pub const LOCK: &str = "plugins.lock";

/// A lock of thousands of plugins.
const MAX_LOCK: usize = 8 << 20;

/// Digits of a digest in a file's name: enough to tell versions apart; all of them are compared after reading.
const DIGITS: usize = 16;

/// One thing found in a directory: where it lies, whose it is if that is known, and the package.
pub(crate) type Found = (PathBuf, Option<PluginId>, Result<Package, PackageError>);

/// What is in a directory with a lock.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) found: Vec<Found>,
    /// Archives that an interrupted `plugin add` left behind.
    pub(crate) left: Vec<PathBuf>,
}

/// The file a pinned package lies in.
pub fn file_of(plugin: &PluginId, digest: &Digest) -> String {
    let digits: String = digest.hex().chars().take(DIGITS).collect();
    format!("{plugin}-{digits}.{EXTENSION}")
}

/// Whose archive has this name, if it is one that [`file_of`] gives.
pub fn owner_of(file: &str) -> Option<PluginId> {
    let (plugin, digits) = file.strip_suffix(EXTENSION)?.strip_suffix('.')?.rsplit_once('-')?;
    let sound =
        digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if sound { plugin.parse().ok() } else { None }
}

/// The lock of a directory; none where there is no such file.
pub fn lock_of(dir: &Path) -> Result<Option<Lock>, PackageError> {
    let path = dir.join(LOCK);
    let wrong = |message: String| {
        let hint = "nothing of this directory is loaded; put the lock back from a copy, or move it away and add the packages again \
                    with `razar-host plugin add`";
        PackageError::Lock(vec![Problem {
            file: path.display().to_string(),
            place: "file".to_owned(),
            message,
            hint: Some(hint.to_owned()),
        }])
    };
    let bytes = match bytes(&path, MAX_LOCK) {
        Err(PackageError::Read { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        read => read.map_err(|error| wrong(error.to_string()))?,
    };
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".to_owned()))?;
    lock::parse(&path.display().to_string(), &text).map(Some).map_err(PackageError::Lock)
}

/// A whole regular file that is no link. Opened without waiting, so that a FIFO in its place holds nobody.
pub fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>, PackageError> {
    let failed = |source: std::io::Error| match Errno::from_io_error(&source) {
        Some(Errno::LOOP) => PackageError::Link(path.to_owned()),
        _ => PackageError::Read { path: path.to_owned(), source },
    };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(PackageError::NotAFile(path.to_owned()));
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(most)).unwrap_or(0));
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(PackageError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// The package that a pin means.
pub fn pinned(dir: &Path, plugin: &PluginId, pin: &Pin) -> Result<Package, PackageError> {
    let path = dir.join(file_of(plugin, &pin.digest));
    let bytes = match bytes(&path, MAX_ARCHIVE) {
        Err(PackageError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Err(PackageError::Gone(path));
        }
        read => read?,
    };
    let found = Digest::of(&bytes);
    if found != pin.digest {
        return Err(PackageError::Changed { path, found, pinned: pin.digest });
    }
    let mut package = archive::read(&bytes, &path)?;
    let manifest = &package.manifest;
    if manifest.name != *plugin || manifest.version != pin.version.to_string() {
        return Err(PackageError::Misnamed {
            path,
            found: format!("{} {}", manifest.name, manifest.version),
            pinned: format!("{plugin} {}", pin.version),
        });
    }
    package.pin = Some(pin.clone());
    Ok(package)
}

/// Every package that the lock names, and everything beside it that looks like one. Of one plugin nothing else is read.
pub(crate) fn read_all(dir: &Path, lock: &Lock, only: Option<&PluginId>) -> std::io::Result<Contents> {
    let mut contents = Contents::default();
    let mut named = BTreeSet::new();
    for (plugin, pin) in lock {
        let file = file_of(plugin, &pin.digest);
        if only.is_none_or(|only| only == plugin) {
            contents.found.push((dir.join(&file), Some(plugin.clone()), pinned(dir, plugin, pin)));
        }
        named.insert(file);
    }
    if only.is_some() {
        return Ok(contents);
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let file = name.to_string_lossy();
        if file.starts_with('.') || named.contains(&*file) {
            continue;
        }
        let is_package = path.is_dir()
            || path.extension().is_some_and(|extension| extension == "wasm" || extension == EXTENSION);
        if owner_of(&file).is_some() && entry.file_type()?.is_file() {
            contents.left.push(path);
        } else if is_package {
            contents.found.push((
                path.clone(),
                None,
                Err(PackageError::Unpinned { path, dir: dir.to_owned() }),
            ));
        }
    }
    Ok(contents)
}
