//! Reads a plugin package: a directory with `plugin.toml`, the component it names, and perhaps a settings schema.
//! Each file is read once, whole, and bounded; nothing in it is believed yet. A package that is one file is `archive`'s.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use razar_core::document::plugin::{self, PluginPackage};
use razar_core::id::{Digest, PluginId};
use razar_core::problem::Problem;
use razar_core::trust::Pin;
use rustix::fs::OFlags;

use crate::load::Source;
use crate::locked;
use crate::prescan::ScanLimits;

/// The file every package has.
pub const MANIFEST: &str = "plugin.toml";
/// A manifest is a page of text.
pub(crate) const MAX_MANIFEST: usize = 256 << 10;
/// A schema is a few pages.
pub(crate) const MAX_SCHEMA: usize = 1 << 20;

/// A package as read.
#[derive(Debug, Clone)]
pub struct Package {
    /// Where it lies: its directory, or its archive.
    pub dir: PathBuf,
    /// What its author says.
    pub manifest: PluginPackage,
    /// JSON Schema of its settings, as text.
    pub settings: Option<String>,
    /// The component.
    pub wasm: Bytes,
    /// What `plugins.lock` says of it, where there is one.
    pub pin: Option<Pin>,
}

/// Why a package cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file is missing or cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A symbolic link to a file that is no part of the package: what was looked at would not be what is loaded.
    #[error("`{}` is a link that leads out of its package: put the file itself into `{}`", path.display(), dir.display())]
    Outside {
        /// The link.
        path: PathBuf,
        /// The package.
        dir: PathBuf,
    },
    /// A device, a FIFO or a directory where a file should be.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Larger than anything useful.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        limit: usize,
    },
    /// Not text.
    #[error("`{}` is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// Not a manifest.
    #[error("{}", list(.0))]
    Manifest(Vec<Problem>),
    /// A component without a package around it.
    #[error("`{}` lies outside of a package: make a directory with it and a `{MANIFEST}`", .0.display())]
    Stray(PathBuf),
    /// Not a package in one file.
    #[error("`{}` is no package: {reason}", path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A lock that cannot be read, so that nothing beside it can be believed.
    #[error("{}", list(.0))]
    Lock(Vec<Problem>),
    /// Other bytes than those that were added.
    #[error(
        "`{}` was changed after it was added: its digest is {found}, and `plugins.lock` pins {pinned}; it is not loaded: put the \
         package that is meant back with `razar-host plugin add`", path.display()
    )]
    Changed {
        /// Which.
        path: PathBuf,
        /// What it is.
        found: Digest,
        /// What it was.
        pinned: Digest,
    },
    /// The lock names it, and nothing is there.
    #[error("`{}` is named in `plugins.lock` and is not there: put it back with `razar-host plugin add`", .0.display())]
    Gone(PathBuf),
    /// Right bytes of another package.
    #[error("`{}` is {found}, and `plugins.lock` says {pinned}: add it again with `razar-host plugin add`", path.display())]
    Misnamed {
        /// Which.
        path: PathBuf,
        /// Its name and version.
        found: String,
        /// What the lock says.
        pinned: String,
    },
    /// Beside a lock that does not name it.
    #[error(
        "`{}` is not named in `plugins.lock` beside it and is not loaded: `razar-host plugin add {} --plugins {}` pins it, or take \
         it away", path.display(), path.display(), dir.display()
    )]
    Unpinned {
        /// Which.
        path: PathBuf,
        /// Where the lock is.
        dir: PathBuf,
    },
    /// A package in one file, where nothing says that it is meant.
    #[error(
        "`{}` is a package in one file, which is loaded only where a `plugins.lock` names it: add it to a directory of its own with \
         `razar-host plugin add`", .0.display()
    )]
    Unlocked(PathBuf),
    /// A link where the package itself should be: what was looked at would not be what is loaded.
    #[error("`{}` is a symbolic link, which nothing that is pinned may be: put the file itself back with `razar-host plugin add`", .0.display())]
    Link(PathBuf),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A package of which only the manifest has been read.
#[derive(Debug)]
pub(crate) struct Named {
    files: Files,
    pub(crate) manifest: PluginPackage,
    /// The manifest as written.
    pub(crate) text: String,
}

impl Named {
    /// Reads the manifest in a directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, PackageError> {
        let (files, text) = Self::written(dir)?;
        Self::parse(files, text)
    }

    /// The same, if it may be that of the plugin. A name stands in a manifest as it is, or behind a backslash: parsing all the
    /// others would be a twentieth of a one-shot's whole time.
    pub(crate) fn open_if(dir: &Path, only: &PluginId) -> Option<Result<Self, PackageError>> {
        match Self::written(dir) {
            Ok((_, text)) if !text.contains(only.as_str()) && !text.contains('\\') => None,
            Ok((files, text)) => Some(Self::parse(files, text)),
            Err(error) => Some(Err(error)),
        }
    }

    fn written(dir: &Path) -> Result<(Files, String), PackageError> {
        let path = dir.join(MANIFEST);
        let opened = Dir::open_ambient_dir(dir, ambient_authority());
        let open = opened.map_err(|source| PackageError::Read { path: path.clone(), source })?;
        let files = Files { open, dir: dir.to_owned() };
        let text = files.text(MANIFEST, MAX_MANIFEST)?;
        Ok((files, text))
    }

    fn parse(files: Files, text: String) -> Result<Self, PackageError> {
        let path = files.dir.join(MANIFEST);
        let manifest = plugin::parse(&path.display().to_string(), &text).map_err(PackageError::Manifest)?;
        Ok(Self { files, manifest, text })
    }

    /// Reads the rest.
    pub(crate) fn read(self) -> Result<Package, PackageError> {
        let Self { files, manifest, .. } = self;
        let settings = match &manifest.settings {
            Some(name) => Some(files.text(name.as_str(), MAX_SCHEMA)?),
            None => None,
        };
        let wasm = files.bytes(manifest.wasm.as_str(), ScanLimits::DEFAULT.bytes)?.into();
        Ok(Package { dir: files.dir, manifest, settings, wasm, pin: None })
    }
}

impl Package {
    /// Reads the package in a directory.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        Named::open(dir)?.read()
    }

    /// What the loader needs of it.
    pub fn source(&self) -> Source {
        Source {
            id: self.manifest.name.clone(),
            request: self.manifest.request.clone(),
            wasm: self.wasm.clone(),
        }
    }
}

/// The names in the manifests of a directory's packages, whether they can be used or not.
pub fn names(dir: &Path) -> BTreeSet<PluginId> {
    if let Some(lock) = locked::lock_of(dir).transpose() {
        return lock.unwrap_or_default().into_keys().collect();
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(Named::open(&entry.path()).ok()?.manifest.name)).collect()
}

/// The files of one package, and no others: links may lead anywhere inside of it.
#[derive(Debug)]
struct Files {
    open: Dir,
    dir: PathBuf,
}

impl Files {
    fn text(&self, name: &str, limit: usize) -> Result<String, PackageError> {
        String::from_utf8(self.bytes(name, limit)?).map_err(|_| PackageError::NotText(self.dir.join(name)))
    }

    /// A whole regular file. Opened without waiting, so that a FIFO in its place holds nobody.
    fn bytes(&self, name: &str, limit: usize) -> Result<Vec<u8>, PackageError> {
        let path = self.dir.join(name);
        let read = |source: std::io::Error| match source.kind() {
            // The system's own refusal has a number; this one was made by whoever keeps us inside.
            ErrorKind::PermissionDenied if source.raw_os_error().is_none() => {
                PackageError::Outside { path: path.clone(), dir: self.dir.clone() }
            }
            _ => PackageError::Read { path: path.clone(), source },
        };
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let options = OpenOptions::new().read(true).custom_flags(flags).clone();
        let file = self.open.open_with(name, &options).map_err(read)?.into_std();
        let meta = file.metadata().map_err(read)?;
        if !meta.is_file() {
            return Err(PackageError::NotAFile(path));
        }
        let mut bytes =
            Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(limit).min(limit).saturating_add(1));
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() > limit {
            return Err(PackageError::TooLarge { path, limit });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_may_lead_anywhere_but_out_of_the_package() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("package");
        std::fs::create_dir(&dir).unwrap();
        let manifest =
            "name = \"probe-x\"\nversion = \"0.1.0\"\nwasm = \"probe_x.wasm\"\ndescription = \"a probe\"\n";
        std::fs::write(dir.join(MANIFEST), manifest).unwrap();
        std::fs::write(home.path().join("other.wasm"), b"outside").unwrap();
        std::fs::write(dir.join("real.wasm"), b"inside").unwrap();
        let wasm = dir.join("probe_x.wasm");
        let put = |to: &Path| {
            let _ = std::fs::remove_file(&wasm);
            symlink(to, &wasm).unwrap();
        };
        put(Path::new("real.wasm"));
        assert_eq!(&*Package::read(&dir).unwrap().wasm, b"inside");
        put(Path::new("../package/real.wasm"));
        assert!(Package::read(&dir).is_err(), "out and in again is out");
        for outside in [home.path().join("other.wasm"), "../other.wasm".into(), "/etc/passwd".into()] {
            put(&outside);
            let error = Package::read(&dir).unwrap_err();
            assert!(matches!(error, PackageError::Outside { .. }), "{error}");
            assert!(error.to_string().contains("probe_x.wasm` is a link that leads out"), "{error}");
        }
        put(Path::new("real.wasm"));
        let linked = home.path().join("linked");
        symlink(&dir, &linked).unwrap();
        assert_eq!(&*Package::read(&linked).unwrap().wasm, b"inside", "the package itself may lie elsewhere");
        std::fs::remove_file(&wasm).unwrap();
        assert!(matches!(Package::read(&dir), Err(PackageError::Read { .. })));
    }

    #[test]
    fn a_manifest_is_left_out_only_if_it_cannot_be_the_one() {
        let dir = tempfile::tempdir().unwrap();
        let only: PluginId = "probe-x".parse().unwrap();
        for (name, same) in [
            ("probe-x", Some(true)),
            ("probe-y", None),
            ("probe\\u002dx", Some(true)),
            ("\\u0061", Some(false)),
        ] {
            let text =
                format!("name = \"{name}\"\nversion = \"0.1.0\"\nwasm = \"a.wasm\"\ndescription = \"a\"\n");
            std::fs::write(dir.path().join(MANIFEST), text).unwrap();
            let found = Named::open_if(dir.path(), &only).map(|named| named.unwrap().manifest.name == only);
            assert_eq!(found, same, "{name}");
        }
    }
}
