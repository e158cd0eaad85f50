//! Reads a plugin package: a directory with `plugin.toml`, the component it names, and perhaps a settings schema.
//! Each file is read once, whole, and bounded; nothing in it is believed yet.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::document::plugin::{self, PluginPackage};
use razar_core::problem::Problem;
use rustix::fs::{Mode, OFlags};

use crate::load::Source;
use crate::prescan::ScanLimits;

/// The file every package has.
pub const MANIFEST: &str = "plugin.toml";
/// A manifest is a page of text.
const MAX_MANIFEST: usize = 256 << 10;
/// A schema is a few pages.
const MAX_SCHEMA: usize = 1 << 20;

/// A package as read.
#[derive(Debug, Clone)]
pub struct Package {
    /// Where it lies.
    pub dir: PathBuf,
    /// What its author says.
    pub manifest: PluginPackage,
    /// JSON Schema of its settings, as text.
    pub settings: Option<String>,
    /// The component.
    pub wasm: Arc<[u8]>,
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
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Package {
    /// Reads the package in a directory.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        let path = dir.join(MANIFEST);
        let text = text(&path, MAX_MANIFEST)?;
        let manifest = plugin::parse(&path.display().to_string(), &text).map_err(PackageError::Manifest)?;
        let settings = match &manifest.settings {
            Some(name) => Some(self::text(&dir.join(name.as_str()), MAX_SCHEMA)?),
            None => None,
        };
        let wasm = bytes(&dir.join(manifest.wasm.as_str()), ScanLimits::DEFAULT.bytes)?.into();
        Ok(Self { dir: dir.to_owned(), manifest, settings, wasm })
    }

    /// What the loader needs of it.
    pub fn source(&self) -> Source {
        Source {
            id: self.manifest.name.clone(),
            request: self.manifest.request.clone(),
            wasm: Arc::clone(&self.wasm),
        }
    }
}

fn text(path: &Path, limit: usize) -> Result<String, PackageError> {
    String::from_utf8(bytes(path, limit)?).map_err(|_| PackageError::NotText(path.to_owned()))
}

/// A whole regular file. Opened without waiting, so that a FIFO in its place holds nobody.
fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>, PackageError> {
    let read = |source| PackageError::Read { path: path.to_owned(), source };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = std::fs::File::from(
        rustix::fs::open(path, flags, Mode::empty()).map_err(|error| read(error.into()))?,
    );
    let meta = file.metadata().map_err(read)?;
    if !meta.is_file() {
        return Err(PackageError::NotAFile(path.to_owned()));
    }
    let mut bytes =
        Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(limit).min(limit).saturating_add(1));
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() > limit {
        return Err(PackageError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
