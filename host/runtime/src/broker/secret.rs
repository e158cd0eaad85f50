//! Secrets: read where the operator keeps them, put on the wire by the host, shown to nobody.
//!
//! A value never reaches a guest, a log or a `Debug`. A file is read again when it has changed, so a rotated secret is
//! used without a restart.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use razar_core::grant::{SecretRef, SecretSource};
use rustix::fs::{Mode, OFlags};

use super::http::Needles;

/// The largest secret file: a token or a key, not a document.
const MAX_FILE: u64 = 64 * 1024;

/// The shortest secret that can be scrubbed from a response without scrubbing ordinary words.
const MIN_LENGTH: usize = 8;

/// Why there is no secret to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no value.
    #[error("no secret in {source_name}: {why}")]
    Missing {
        /// The environment variable or file.
        source_name: String,
        /// What to do, or what went wrong.
        why: String,
    },
    /// The value cannot travel in a header.
    #[error("the secret in {source_name} cannot be sent: {why}")]
    Unfit {
        /// The environment variable or file.
        source_name: String,
        /// What it must look like.
        why: &'static str,
    },
}

/// How an environment variable is read: the caller's choice.
type Env = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// All secrets of the host, read when they are needed.
pub struct Secrets {
    env: Env,
    files: Mutex<HashMap<String, Cached>>,
}

struct Cached {
    stamp: Stamp,
    value: String,
}

/// What changes when a file does.
type Stamp = (u64, u64, i64, i64, u64);

/// Shows no value.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// A header with its secret, and what to scrub from the response.
pub(super) struct SecretHeader {
    pub(super) value: HeaderValue,
    pub(super) needles: Needles,
}

impl Secrets {
    /// Reads environment variables with `env`.
    pub fn new(env: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { env: Box::new(env), files: Mutex::default() }
    }

    /// The header value to send now.
    pub(super) fn header(&self, secret: &SecretRef) -> Result<SecretHeader, SecretError> {
        let value = self.read(secret.source())?;
        let value = value.trim_end_matches(['\r', '\n']);
        let unfit = |why| SecretError::Unfit { source_name: secret.source().to_string(), why };
        if value.len() < MIN_LENGTH {
            return Err(unfit("it is shorter than 8 characters, too short to be scrubbed from responses"));
        }
        let rendered =
            secret.render(value).ok_or_else(|| unfit("write it in printable ASCII on one line"))?;
        let mut header = HeaderValue::try_from(rendered).map_err(|_| unfit("write it in printable ASCII"))?;
        header.set_sensitive(true);
        Ok(SecretHeader { value: header, needles: Needles::of(value) })
    }

    fn read(&self, source: &SecretSource) -> Result<String, SecretError> {
        let missing = |why: String| SecretError::Missing { source_name: source.to_string(), why };
        match source {
            SecretSource::Env(name) => (self.env)(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| missing("set it before the host starts".to_owned())),
            SecretSource::File(path) => self.file(path).map_err(|error| missing(error.to_string())),
        }
    }

    fn file(&self, path: &str) -> std::io::Result<String> {
        // Links are followed: mounted secrets are links. `NONBLOCK` keeps a FIFO from holding the call.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(std::io::Error::other("not a regular file of at most 64 KiB"));
        }
        let stamp = (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len());
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = files.get(path).filter(|cached| cached.stamp == stamp) {
            return Ok(cached.value.clone());
        }
        let mut value = String::new();
        file.take(MAX_FILE).read_to_string(&mut value)?;
        files.insert(path.to_owned(), Cached { stamp, value: value.clone() });
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(source: &str) -> SecretRef {
        SecretRef::new(SecretSource::Env(source.to_owned()), "authorization", "Bearer {}").unwrap()
    }

    fn file(path: &std::path::Path) -> SecretRef {
        let source = SecretSource::File(path.to_str().unwrap().to_owned());
        SecretRef::new(source, "x-api-key", "{}").unwrap()
    }

    fn secrets() -> Secrets {
        Secrets::new(|name| match name {
            "KEY" => Some("sk-0123456789".to_owned()),
            "SHORT" => Some("abc".to_owned()),
            "LINES" => Some("0123456789\r\nx: y".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn a_variable_becomes_a_header_that_shows_nothing() {
        let header = secrets().header(&env("KEY")).unwrap();
        assert_eq!(header.value.as_bytes(), b"Bearer sk-0123456789");
        assert!(!format!("{:?} {:?} {:?}", header.value, header.needles, secrets()).contains("0123"));
    }

    #[test]
    fn what_cannot_be_sent_is_named_without_its_value() {
        for (name, part) in [
            ("NONE", "no secret in environment variable `NONE`: set it before the host starts"),
            ("EMPTY", "no secret in environment variable `EMPTY`"),
            ("SHORT", "shorter than 8"),
            ("LINES", "printable ASCII on one line"),
        ] {
            let error = secrets().header(&env(name)).err().unwrap().to_string();
            assert!(error.contains(part) && error.contains(name), "{error}");
            assert!(!error.contains("0123"), "{error}");
        }
    }

    #[test]
    fn a_rotated_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secrets = secrets();
        let read = || secrets.header(&file(&path)).map(|header| header.value.as_bytes().to_vec());
        assert!(read().unwrap_err().to_string().contains("no secret in file"));
        std::fs::write(&path, "first-secret\n").unwrap();
        assert_eq!(read().unwrap(), b"first-secret");
        std::fs::write(dir.path().join("new"), "other-secret\n").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(read().unwrap(), b"other-secret");
        std::fs::write(&path, "a-longer-secret\n").unwrap();
        assert_eq!(read().unwrap(), b"a-longer-secret");
        std::fs::remove_file(&path).unwrap();
        assert!(read().is_err(), "a removed secret is no longer used");
    }

    #[test]
    fn only_a_small_regular_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'x'; 70_000]).unwrap();
        for path in [fifo.as_path(), large.as_path(), dir.path()] {
            assert!(secrets().header(&file(path)).is_err(), "{}", path.display());
        }
    }
}
