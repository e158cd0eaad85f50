//! A package as one file: a tar archive of what a package's directory holds. One file has one digest and one signature, so
//! nothing of a package can be exchanged beside it. It is read in memory and unpacked nowhere.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path};

use razar_core::document::plugin::{self, FileName};
use tar::{Archive, Builder, EntryType, Header};

use crate::package::{MANIFEST, MAX_MANIFEST, MAX_SCHEMA, Named, Package, PackageError};
use crate::prescan::ScanLimits;

/// Files in one archive: manifest, component, schema, and what authors put beside them.
const MAX_ENTRIES: usize = 32;

/// Bytes of one archive: the largest component, the other files, and room for headers.
pub const MAX_ARCHIVE: usize = ScanLimits::DEFAULT.bytes + MAX_MANIFEST + MAX_SCHEMA + (64 << 10);

/// What the files of an archive end in.
pub const EXTENSION: &str = "tar";

/// Whether these bytes can be a tar archive at all: its first header says so.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// The package in an archive; `place` is where the archive lies.
pub fn read(bytes: &[u8], place: &Path) -> Result<Package, PackageError> {
    let wrong = |reason: String| PackageError::Archive { path: place.to_owned(), reason };
    let mut files = files(bytes).map_err(wrong)?;
    let mut take = |name: &str, limit: usize| match files.remove(name) {
        Some(bytes) if bytes.len() > limit => Err(PackageError::TooLarge { path: place.join(name), limit }),
        Some(bytes) => Ok(bytes),
        None => Err(PackageError::Archive {
            path: place.to_owned(),
            reason: format!("it holds no `{name}`: make it with `tar -cf FILE -C DIRECTORY .`"),
        }),
    };
    let text = |name: &str, bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| PackageError::NotText(place.join(name)))
    };
    let manifest = text(MANIFEST, take(MANIFEST, MAX_MANIFEST)?)?;
    let manifest = plugin::parse(&place.join(MANIFEST).display().to_string(), &manifest)
        .map_err(PackageError::Manifest)?;
    let settings = match &manifest.settings {
        Some(name) => Some(text(name.as_str(), take(name.as_str(), MAX_SCHEMA)?)?),
        None => None,
    };
    let wasm = take(manifest.wasm.as_str(), ScanLimits::DEFAULT.bytes)?.into();
    Ok(Package { dir: place.to_owned(), manifest, settings, wasm, pin: None })
}

/// Every file of an archive by its name. A name that leads anywhere, or stands there twice, makes it none.
fn files(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    // What the reader says may quote the archive.
    let broken = |error: std::io::Error| {
        let why: String = error.to_string().chars().take(200).flat_map(char::escape_debug).collect();
        format!("it is no tar archive: {why}")
    };
    let mut found = BTreeMap::new();
    // What does not lie at the top, and the directory at the top below which it does.
    let mut deep = None;
    for (count, entry) in Archive::new(bytes).entries().map_err(broken)?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(format!("it holds more than {MAX_ENTRIES} files"));
        }
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let shown = path.display().to_string().escape_debug().take(200).collect::<String>();
        let is_directory = entry.header().entry_type() == EntryType::Directory;
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        let name = match (parts.next(), parts.next()) {
            (None, _) if is_directory => continue,
            (Some(Component::Normal(below)), deeper) if is_directory || deeper.is_some() => {
                let below = below.display().to_string().escape_debug().take(200).collect::<String>();
                deep.get_or_insert((shown, below));
                continue;
            }
            (Some(Component::Normal(name)), None) => {
                name.to_str().and_then(|name| name.parse::<FileName>().ok())
            }
            _ => None,
        };
        let Some(name) = name else {
            return Err(format!(
                "`{shown}` in it is not the plain name of a file: make it with `tar -cf FILE -C DIRECTORY .`"
            ));
        };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(format!("`{name}` in it is not a regular file"));
        }
        let mut content = Vec::new();
        // It cannot hold more than the archive has.
        entry.take(bytes.len() as u64).read_to_end(&mut content).map_err(broken)?;
        if found.insert(name.to_string(), content).is_some() {
            return Err(format!("`{name}` is in it twice"));
        }
    }
    match deep {
        None => Ok(found),
        Some((_, below)) if found.is_empty() => Err(format!(
            "its files lie in the directory `{below}`, and a package's lie at the top: make it with `tar -cf FILE -C {below} .`"
        )),
        Some((shown, below)) => Err(format!(
            "`{shown}` in it does not lie at the top, as a package's files do: make it with `tar -cf FILE -C DIRECTORY .` where \
             there is no `{below}`"
        )),
    }
}

/// The archive of a package's directory: the same files always make the same bytes.
pub fn pack(dir: &Path) -> Result<Vec<u8>, PackageError> {
    let named = Named::open(dir)?;
    let manifest = named.text.clone().into_bytes();
    let package = named.read()?;
    let mut files = vec![(MANIFEST, manifest)];
    if let (Some(name), Some(text)) = (&package.manifest.settings, &package.settings) {
        files.push((name.as_str(), text.clone().into_bytes()));
    }
    files.push((package.manifest.wasm.as_str(), package.wasm.to_vec()));
    let wrong = |error: std::io::Error| PackageError::Archive {
        path: dir.to_owned(),
        reason: format!("it cannot be put into an archive: {error}"),
    };
    let mut archive = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content.as_slice()).map_err(wrong)?;
    }
    archive.into_inner().map_err(wrong)
}

#[cfg(test)]
mod tests;
