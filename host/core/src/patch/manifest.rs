//! What one accepted [`ChangeSet`] does, as a document of its own: which files, what each was and what it becomes, by
//! digest. It is kept before anything is changed, and from it and the bytes it names a patch is applied, taken back, looked
//! for on disk and shown. A manifest that is read is held to all that one that was made has; it reads no file itself.
//!
//! ```text
//! {"component":"web","files":[{"after":"sha256:…","before":"sha256:…","path":"app.py"}],"version":1}
//! ```
//!
//! There is one way to write each: keys sorted, no spaces, files by path. So its digest names what is done.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::changes::ChangeSet;
use super::path::{FilePath, PathError};
use super::refusal::shown;
use super::tree::Tree;
use super::unified::MAX_FILES;
use crate::id::{ComponentId, Digest};

/// Longest manifest that is read: as many files as a proposal may change, with the longest paths there are.
pub const MAX_MANIFEST: usize = 128 << 10;
/// Most directories that one patch makes.
const MAX_DIRECTORIES: usize = 64;
/// The form this version writes and reads.
const VERSION: u32 = 1;
/// Bits of a file's mode.
const MODE: u32 = 0o7777;

/// One of the two moments a patch knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// As it was.
    Before,
    /// As the patch leaves it.
    After,
}

impl Side {
    /// The opposite one.
    pub const fn other(self) -> Self {
        match self {
            Self::Before => Self::After,
            Self::After => Self::Before,
        }
    }
}

/// What lies where a file of a manifest belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A regular file with these bytes.
    File(Digest),
    /// Anything else: a directory, a link, a file that is too large to be either, something in the way to it.
    Other,
}

/// Where a tree stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Every file is as before.
    Before,
    /// Every file is as the patch leaves it.
    After,
    /// Some are the one and some are the other: something came between.
    Mixed,
    /// These are neither.
    Foreign(Vec<FilePath>),
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    path: FilePath,
    before: Option<Digest>,
    after: Option<Digest>,
    mode: Option<u32>,
}

impl ManifestFile {
    /// Which.
    pub const fn path(&self) -> &FilePath {
        &self.path
    }

    /// What it is on this side; none where there is no such file.
    pub const fn at(&self, side: Side) -> Option<Digest> {
        match side {
            Side::Before => self.before,
            Side::After => self.after,
        }
    }

    /// The mode of a file that goes, so that it can come back with it; that of a file that stays is on disk.
    pub const fn mode(&self) -> Option<u32> {
        self.mode
    }

    /// On which side it is, if on any.
    pub fn side(&self, found: Found) -> Option<Side> {
        let found = match found {
            Found::Absent => None,
            Found::File(digest) => Some(digest),
            Found::Other => return None,
        };
        // The two are never the same.
        [Side::Before, Side::After].into_iter().find(|side| self.at(*side) == found)
    }
}

/// What one accepted change does.
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    component: ComponentId,
    directories: Vec<FilePath>,
    files: Vec<ManifestFile>,
    json: String,
}

impl Manifest {
    /// What these changes of a tree are.
    pub fn of(component: ComponentId, changes: &ChangeSet, base: &Tree) -> Self {
        let file = |file: &super::FileChange| ManifestFile {
            path: file.path().clone(),
            before: file.before(),
            after: file.after().map(|bytes| Digest::of(bytes)),
            mode: None,
        };
        let made: BTreeSet<FilePath> = changes
            .files()
            .iter()
            .filter(|file| file.after().is_some())
            .flat_map(|file| file.path().parents())
            .filter(|parent| base.get(parent).is_none())
            .filter_map(|parent| parent.parse().ok())
            .collect();
        let files = changes.files().iter().map(file).collect();
        Self::written(component, made.into_iter().collect(), files)
    }

    /// Reads one back.
    ///
    /// # Errors
    /// It is not exactly what [`Self::json`] writes, or says what no gate lets through.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge);
        }
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::Syntax { line: error.line(), column: error.column() })?;
        let manifest = document.check()?;
        if manifest.json.as_bytes() == bytes { Ok(manifest) } else { Err(ManifestError::Form) }
    }

    fn written(component: ComponentId, directories: Vec<FilePath>, files: Vec<ManifestFile>) -> Self {
        let json = json(&component, &directories, &files);
        Self { component, directories, files, json }
    }

    /// Notes the modes that files have which go, as far as they are known.
    #[must_use]
    pub fn remembering(mut self, mode: impl Fn(&FilePath) -> Option<u32>) -> Self {
        for file in self.files.iter_mut().filter(|file| file.after.is_none()) {
            file.mode = mode(&file.path).map(|mode| mode & MODE);
        }
        Self::written(self.component, self.directories, self.files)
    }

    /// Whose files they are.
    pub const fn component(&self) -> &ComponentId {
        &self.component
    }

    /// The files, by path: at least one.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// Directories that are made with the files and go with them, the outermost first.
    pub fn directories(&self) -> &[FilePath] {
        &self.directories
    }

    /// The digests of all bytes it names, which must be kept with it.
    pub fn named(&self) -> BTreeSet<Digest> {
        self.files.iter().flat_map(|file| [file.before, file.after]).flatten().collect()
    }

    /// The document.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(self.json.as_bytes())
    }

    /// Where a tree stands in which this is found.
    pub fn standing(&self, found: impl Fn(&FilePath) -> Found) -> Standing {
        let (mut before, mut after, mut foreign) = (false, false, Vec::new());
        for file in &self.files {
            match file.side(found(&file.path)) {
                Some(Side::Before) => before = true,
                Some(Side::After) => after = true,
                None => foreign.push(file.path.clone()),
            }
        }
        match (foreign.is_empty(), before, after) {
            (false, ..) => Standing::Foreign(foreign),
            (true, true, true) => Standing::Mixed,
            (true, true, false) => Standing::Before,
            (true, false, _) => Standing::After,
        }
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

/// The one way to write it. Keys are put in as they are sorted, so that it does not matter whether the map sorts them.
fn json(component: &ComponentId, directories: &[FilePath], files: &[ManifestFile]) -> String {
    let digest = |digest: Option<Digest>| digest.map_or(Value::Null, |digest| digest.to_string().into());
    let file = |file: &ManifestFile| {
        let mut entry = Map::new();
        entry.insert("after".to_owned(), digest(file.after));
        entry.insert("before".to_owned(), digest(file.before));
        entry.extend(file.mode.map(|mode| ("mode".to_owned(), mode.into())));
        entry.insert("path".to_owned(), file.path.as_str().into());
        Value::Object(entry)
    };
    let mut document = Map::new();
    document.insert("component".to_owned(), component.as_str().into());
    if !directories.is_empty() {
        let directories: Vec<&str> = directories.iter().map(FilePath::as_str).collect();
        document.insert("directories".to_owned(), json!(directories));
    }
    document.insert("files".to_owned(), files.iter().map(file).collect());
    document.insert("version".to_owned(), VERSION.into());
    Value::Object(document).to_string()
}

/// As it stands in the document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    component: ComponentId,
    #[serde(default)]
    directories: Vec<String>,
    files: Vec<Entry>,
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    after: Option<Digest>,
    before: Option<Digest>,
    mode: Option<u32>,
    path: String,
}

impl Document {
    fn check(self) -> Result<Manifest, ManifestError> {
        if self.version != VERSION {
            return Err(ManifestError::Version(self.version));
        }
        if self.files.len() > MAX_FILES || self.directories.len() > MAX_DIRECTORIES {
            return Err(ManifestError::TooLarge);
        }
        if self.files.is_empty() {
            return Err(ManifestError::Empty);
        }
        let directories =
            self.directories.iter().map(|path| read_path(path)).collect::<Result<Vec<_>, _>>()?;
        let files = self.files.into_iter().map(Entry::check).collect::<Result<Vec<_>, _>>()?;
        ascending(directories.iter())?;
        ascending(files.iter().map(|file| &file.path))?;
        apart(&files)?;
        directories.iter().try_for_each(|directory| made(directory, &files))?;
        Ok(Manifest::written(self.component, directories, files))
    }
}

impl Entry {
    fn check(self) -> Result<ManifestFile, ManifestError> {
        let path = read_path(&self.path)?;
        if self.before == self.after {
            return Err(ManifestError::Nothing(path));
        }
        if self.mode.is_some_and(|mode| self.after.is_some() || mode & !MODE != 0) {
            return Err(ManifestError::Mode(path));
        }
        Ok(ManifestFile { path, before: self.before, after: self.after, mode: self.mode })
    }
}

fn read_path(text: &str) -> Result<FilePath, ManifestError> {
    text.parse().map_err(|why| ManifestError::Path { path: shown(text), why })
}

fn ascending<'p>(paths: impl Iterator<Item = &'p FilePath> + Clone) -> Result<(), ManifestError> {
    let next = paths.clone().skip(1);
    match paths.zip(next).find(|(path, next)| path >= next) {
        Some((_, next)) => Err(ManifestError::Order(next.clone())),
        None => Ok(()),
    }
}

/// No file is another one on a file system that folds case, and none lies in another one.
fn apart(files: &[ManifestFile]) -> Result<(), ManifestError> {
    let mut names = BTreeSet::new();
    for file in files {
        if !names.insert(file.path.folded()) {
            return Err(ManifestError::Twice(file.path.clone()));
        }
    }
    let inside =
        |file: &&ManifestFile| file.path.parents().any(|parent| names.contains(&parent.to_ascii_lowercase()));
    match files.iter().find(inside) {
        Some(file) => Err(ManifestError::Twice(file.path.clone())),
        None => Ok(()),
    }
}

/// A directory is made for a file that comes, and holds none that was there.
fn made(directory: &FilePath, files: &[ManifestFile]) -> Result<(), ManifestError> {
    let mut below =
        files.iter().filter(|file| file.path.parents().any(|parent| parent == directory.as_str())).peekable();
    if below.peek().is_none() || below.any(|file| file.before.is_some()) {
        return Err(ManifestError::Directory(directory.clone()));
    }
    Ok(())
}

/// Why bytes are no manifest. It quotes nothing that a terminal would take for more than text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than any gate lets through.
    #[error("it is larger than a manifest can be")]
    TooLarge,
    /// Not the JSON of one.
    #[error("it is not the JSON of a manifest (line {line}, column {column})")]
    Syntax {
        /// Where.
        line: usize,
        /// Where in it.
        column: usize,
    },
    /// Of another version of this host.
    #[error("it has version {0}, and this host knows {VERSION}: use the host that wrote it")]
    Version(u32),
    /// It changes nothing.
    #[error("it names no file")]
    Empty,
    /// A path that no proposal may say.
    #[error("`{path}` is no path: {why}")]
    Path {
        /// As written.
        path: String,
        /// Why not.
        why: PathError,
    },
    /// Not by path, or one twice.
    #[error("`{0}` is not where it belongs in the order of paths")]
    Order(FilePath),
    /// Two names of one file, or a file inside a file.
    #[error("`{0}` cannot be beside another file of it on every file system")]
    Twice(FilePath),
    /// Before and after are the same.
    #[error("`{0}` is the same before and after")]
    Nothing(FilePath),
    /// A mode where none belongs, or none that a file can have.
    #[error("`{0}` has a mode that it cannot have")]
    Mode(FilePath),
    /// A directory that is not made for a new file.
    #[error("`{0}` is no directory that is made for a new file")]
    Directory(FilePath),
    /// Another way to write the same.
    #[error("it is not written as this host writes it: its digest would name another")]
    Form,
}

#[cfg(test)]
mod tests;
