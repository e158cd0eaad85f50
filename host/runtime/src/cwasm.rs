//! Owns compiled code at rest: a private directory of `.cwasm` files, each under a keyed MAC. A `.cwasm` file is
//! native code, and wasmtime does not notice when it was changed, so nothing is run that `Verified` does not
//! vouch for. This is the one module with `unsafe` in it.
//!
//! An entry is what wasmtime made, and after it a magic word and the MAC: the code begins on a page, so the entry itself is
//! mapped, and every process that runs a plugin shares its pages.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use razar_core::id::Digest;
use wasmtime::component::Component;

use crate::engine::Engine;
use crate::guard::{self, Guard};
use crate::limits::{count, number};
use crate::prescan;

const MAGIC: &[u8; 16] = b"razar-cwasm-v2\r\n";
const MAC: usize = 32;
const SEAL: usize = MAGIC.len() + MAC;
/// Largest compiled plugin: CPython takes 41 MiB.
pub(crate) const MAX_CWASM: usize = 256 << 20;
/// Entries kept; the oldest goes first. Two hundred plugins and their last few versions.
const MAX_ENTRIES: usize = 1_024;

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Others could put code there.
    #[error("`{}` holds native code and must be yours alone: `chmod 700` it, or name another directory", .0.display())]
    Exposed(PathBuf),
    /// Reading or writing failed.
    #[error("cannot use the code cache `{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No randomness for a key.
    #[error("cannot make a key for the code cache: {0}")]
    Random(getrandom::Error),
}

impl CacheError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// Native code this host has compiled itself: either just now, in a sealed file without a name, or before, in an entry
/// of the cache with a MAC that says so. It is the open file that was checked that is mapped, whatever its name means by then.
pub(crate) struct Verified(File);

impl Verified {
    /// Code that our compiler process has just handed over.
    pub(crate) fn compiled(code: &[u8]) -> std::io::Result<Self> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        let mut file = File::from(memfd_create("cwasm", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        file.write_all(code)?;
        let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&file, all)?;
        Ok(Self(file))
    }

    /// Makes the code runnable.
    #[expect(
        unsafe_code,
        reason = "loading our own native code is unsafe by nature; `Verified` carries the proof"
    )]
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        // SAFETY: `Component::deserialize_file` asks that the file holds what `Engine::precompile_component` made, and
        // that it never changes while it is mapped. It holds that: `Verified` is made only from what our compiler
        // process printed, or from an entry whose MAC, under a key that only this user can read, covers every one of
        // its bytes together with the digest of the wasm and the engine's compatibility hash. It does not change: a
        // sealed file cannot, and an entry is a regular file of mode 0600 in our directory of mode 0700, which no code
        // of ours ever opens for writing once it has its name. Who can write to it all the same is this user, who
        // could as well take the key, or this process. A version or configuration that does not fit is refused by wasmtime.
        unsafe { Component::deserialize_file(engine.wasm(), path) }
    }
}

/// What a look into the cache found.
pub(crate) enum Entry {
    /// Code to run.
    Hit(Verified),
    /// Nothing yet.
    Miss,
    /// Something that this host did not write, or that was changed since.
    Foreign,
}

/// The directory and the key.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Opens the directory, making it and its key when they are missing.
    pub(crate) fn open(dir: &Path) -> Result<Self, CacheError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(CacheError::io(dir))?;
        let meta = std::fs::symlink_metadata(dir).map_err(CacheError::io(dir))?;
        if !meta.is_dir() || !private(&meta) {
            return Err(CacheError::Exposed(dir.to_owned()));
        }
        Ok(Self { key: key(&dir.join("key"))?, dir: dir.to_owned() })
    }

    fn path(&self, wasm: &Digest, engine: &Engine) -> PathBuf {
        self.dir.join(format!("{}-{}.cwasm", wasm.hex(), compatibility(engine)))
    }

    /// A MAC that waits for the code.
    fn mac(&self, wasm: &Digest, engine: &Engine) -> blake3::Hasher {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(MAGIC).update(wasm.as_bytes()).update(compatibility(engine).as_bytes());
        mac
    }

    /// Code for this wasm and this engine.
    pub(crate) fn get(&self, wasm: &Digest, engine: &Engine) -> Result<Entry, CacheError> {
        let path = self.path(wasm, engine);
        let file = match open_private(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Entry::Miss),
            // A link, a FIFO or a directory in its place.
            Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(Entry::Foreign),
            Err(source) => return Err(CacheError::Io { path, source }),
        };
        let found = mappable(&file).and_then(|mappable| checked(file, self.mac(wasm, engine), mappable));
        Ok(found.map_err(CacheError::io(&path))?.map_or(Entry::Foreign, Entry::Hit))
    }

    /// Remembers code. Readers see the whole file or none.
    pub(crate) fn put(&self, wasm: &Digest, engine: &Engine, code: &Verified) -> Result<(), CacheError> {
        self.prune();
        let path = self.path(wasm, engine);
        let temp = self.dir.join(format!(".{}.{}.temp", wasm.hex(), random_name()?));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp)?;
            let mut code = &code.0;
            code.rewind()?;
            std::io::copy(&mut code, &mut file)?;
            let mut mac = self.mac(wasm, engine);
            code.rewind()?;
            mac.update_reader(code)?;
            file.write_all(MAGIC)?;
            file.write_all(mac.finalize().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temp, &path)?;
            File::open(&self.dir)?.sync_all()
        })();
        if written.is_err() {
            // Gone already when it was the directory that could not be synced.
            let _ = std::fs::remove_file(&temp);
        }
        written.map_err(CacheError::io(&path))
    }

    /// Drops the oldest entries beyond [`MAX_ENTRIES`]. Failing is no harm: the next one tries again.
    fn prune(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let mut files = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "cwasm" || ext == "temp"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect::<Vec<_>>();
        if files.len() < MAX_ENTRIES {
            return;
        }
        files.sort();
        let excess = files.len() - MAX_ENTRIES + 1;
        for (_, path) in files.into_iter().take(excess) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Code cannot be run from where the administrator said so; from there it is copied.
fn mappable(file: &File) -> std::io::Result<bool> {
    use rustix::fs::{StatVfsMountFlags, fstatvfs};
    Ok(!fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// The code of an entry whose MAC is right.
fn checked(mut file: File, mut mac: blake3::Hasher, mappable: bool) -> std::io::Result<Option<Verified>> {
    let length = count(file.metadata()?.len());
    let Some(length) = length.checked_sub(SEAL).filter(|length| *length <= MAX_CWASM) else {
        return Ok(None);
    };
    let mut copy = Vec::new();
    let mut code = (&mut file).take(number(length));
    if mappable {
        mac.update_reader(code)?;
    } else {
        code.read_to_end(&mut copy)?;
        mac.update(&copy);
    }
    let mut magic = [0; MAGIC.len()];
    let mut seal = [0; MAC];
    let ended = file.read_exact(&mut magic).and_then(|()| file.read_exact(&mut seal));
    match ended {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        ended => ended?,
    }
    // `blake3::Hash` compares in constant time.
    let known = mac.finalize() == blake3::Hash::from_bytes(seal) || !guard::on(Guard::Mac);
    Ok(match (magic == *MAGIC && known, mappable) {
        (false, _) => None,
        (true, true) => Some(Verified(file)),
        (true, false) => Some(Verified::compiled(&copy)?),
    })
}

/// The engine's settings and the wasmtime version, as 32 hexadecimal digits.
fn compatibility(engine: &Engine) -> String {
    struct Blake(blake3::Hasher);
    impl std::hash::Hasher for Blake {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let [a, b, c, d, e, f, g, h, ..] = *self.0.finalize().as_bytes();
            u64::from_le_bytes([a, b, c, d, e, f, g, h])
        }
    }
    let mut hasher = Blake(blake3::Hasher::new());
    hasher.0.update(MAGIC).update(&prescan::POLICY.to_le_bytes());
    std::hash::Hash::hash(&engine.wasm().precompile_compatibility_hash(), &mut hasher);
    hasher.0.finalize().to_hex().chars().take(32).collect()
}

fn private(meta: &std::fs::Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o077 == 0
}

/// Opens a regular file of ours, never following a link and never waiting for a FIFO.
fn open_private(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::LOOP) => return Err(ErrorKind::InvalidData.into()),
        Err(error) => return Err(error.into()),
    };
    let meta = file.metadata()?;
    if meta.is_file() && private(&meta) { Ok(file) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Reads the key, making it the first time. A key that others may have read is replaced: every entry under it is
/// foreign from then on.
fn key(path: &Path) -> Result<[u8; 32], CacheError> {
    for _ in 0..2 {
        match open_private(path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                (&mut file).take(64).read_to_end(&mut bytes).map_err(CacheError::io(path))?;
                if let Ok(key) = bytes.try_into() {
                    return Ok(key);
                }
                std::fs::remove_file(path).map_err(CacheError::io(path))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                std::fs::remove_file(path).map_err(CacheError::io(path))?;
            }
            Err(error) => return Err(CacheError::io(path)(error)),
        }
        make_key(path)?;
    }
    Err(CacheError::Exposed(path.to_owned()))
}

/// Writes a new key, unless another process was quicker.
fn make_key(path: &Path) -> Result<(), CacheError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(CacheError::Random)?;
    let temp = path.with_extension(random_name()?);
    let made = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp)?;
        file.write_all(&key)?;
        file.sync_all()?;
        match std::fs::hard_link(&temp, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    })();
    let _ = std::fs::remove_file(&temp);
    made.map_err(CacheError::io(path))
}

fn random_name() -> Result<String, CacheError> {
    getrandom::u64().map(|number| format!("{number:016x}")).map_err(CacheError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with this code, and a MAC that begins as the one it was made with.
    fn entry(dir: &Path, code: &[u8]) -> (PathBuf, blake3::Hasher) {
        let mac = blake3::Hasher::new_keyed(&[7; 32]);
        let seal = mac.clone().update(code).finalize();
        let path = dir.join("entry");
        std::fs::write(&path, [code, MAGIC, seal.as_bytes()].concat()).unwrap();
        (path, mac)
    }

    #[test]
    fn code_that_cannot_be_mapped_is_copied_and_checked_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mac) = entry(dir.path(), b"code");
        for (mappable, sealed) in [(true, false), (false, true)] {
            let Verified(mut file) =
                checked(File::open(&path).unwrap(), mac.clone(), mappable).unwrap().unwrap();
            assert_eq!(rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| !seals.is_empty()), sealed);
            file.rewind().unwrap();
            let mut text = String::new();
            file.take(4).read_to_string(&mut text).unwrap();
            assert_eq!(text, "code");
            let other = blake3::Hasher::new_keyed(&[8; 32]);
            assert!(checked(File::open(&path).unwrap(), other, mappable).unwrap().is_none());
        }
    }
}
