//! The key by which a state directory signs what it hands out: made once, private to its owner, never sent anywhere.
//! Whoever can read it can sign in the host's name; the public half is for everybody.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::error::LedgerError;
use crate::failpoint;

/// Below the state directory; left out of a backup unless it is asked for.
pub const KEYS: &str = "keys";
const SECRET: &str = "ledger.key";
const PUBLIC: &str = "ledger.pub";

const SECRET_PREFIX: &str = "ed25519-secret:";
const PUBLIC_PREFIX: &str = "ed25519:";

/// The name of a key that is not in place yet, around the number of the process that makes it.
const TEMP: (&str, &str) = (".ledger.key.", ".tmp");

/// Longer than any key file.
const MAX_KEY_FILE: u64 = 1024;

/// Signs.
#[derive(Debug)]
pub struct LedgerKey(SigningKey);

/// Tells who signed: `ed25519:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

/// What was signed, as 128 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature(ed25519_dalek::Signature);

/// Why a text is neither a key nor a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no {0}")]
pub struct NotAKey(&'static str);

impl LedgerKey {
    /// The key of a state directory, made now if there is none.
    pub fn open_or_create(state: &Path) -> Result<Self, LedgerError> {
        sweep(&state.join(KEYS));
        match Self::open(state)? {
            Some(key) => {
                // A crash may have come between the two halves, or into the second.
                if PublicKey::read(&public_key_file(state)).ok() != Some(key.public()) {
                    key.publish(&state.join(KEYS))?;
                }
                Ok(key)
            }
            None => Self::create(state),
        }
    }

    /// The key of a state directory, if it has one.
    pub fn open(state: &Path) -> Result<Option<Self>, LedgerError> {
        let path = state.join(KEYS).join(SECRET);
        match Self::read(&path) {
            Err(LedgerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// The key in a file that nobody but its owner may read.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let mut file = File::open(path).map_err(LedgerError::io("open the key", path))?;
        let mode = file.metadata().map_err(LedgerError::io("look at the key", path))?.mode();
        if mode & 0o077 != 0 {
            return Err(LedgerError::OpenKey { path: path.to_owned(), mode: mode & 0o777 });
        }
        let mut text = String::new();
        (&mut file)
            .take(MAX_KEY_FILE)
            .read_to_string(&mut text)
            .map_err(LedgerError::io("read the key", path))?;
        let mut bytes = [0; 32];
        let digits = text.trim().strip_prefix(SECRET_PREFIX);
        match digits.map(|digits| hex::decode_to_slice(digits, &mut bytes)) {
            Some(Ok(())) => Ok(Self(SigningKey::from_bytes(&bytes))),
            _ => Err(LedgerError::BadKey(path.to_owned())),
        }
    }

    fn create(state: &Path) -> Result<Self, LedgerError> {
        let dir = state.join(KEYS);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(LedgerError::io("create the key directory", &dir))?;
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(LedgerError::Entropy)?;
        let key = Self(SigningKey::from_bytes(&bytes));
        let path = dir.join(SECRET);
        let temp = dir.join(format!("{}{}{}", TEMP.0, std::process::id(), TEMP.1));
        let written = write_private(&temp, &format!("{SECRET_PREFIX}{}\n", hex::encode(bytes)))
            // A link, not a rename: of two who make a key at once, one wins and the other takes that one's.
            .inspect(|()| failpoint::pass("key.written"))
            .and_then(|()| fs::hard_link(&temp, &path));
        failpoint::pass("key.linked");
        // It was only a step on the way; a copy of the key must not stay.
        let _ = fs::remove_file(&temp);
        match written {
            Ok(()) => {
                key.publish(&dir)?;
                Ok(key)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::open(state)?.ok_or(LedgerError::BadKey(path))
            }
            Err(error) => Err(LedgerError::io("write the key", path)(error)),
        }
    }

    /// Writes the public half beside the key, for people.
    fn publish(&self, dir: &Path) -> Result<(), LedgerError> {
        let path = dir.join(PUBLIC);
        fs::write(&path, format!("{}\n", self.public()))
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(LedgerError::io("write the public key", path))
    }

    /// The half for everybody.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Vouches for these bytes.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes))
    }
}

/// Where the public half of a state directory's key is, for messages.
pub fn public_key_file(state: &Path) -> PathBuf {
    state.join(KEYS).join(PUBLIC)
}

impl PublicKey {
    /// The key in a file: the text [`fmt::Display`] writes, on the first line that is neither empty nor a comment.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text))
            .map_err(LedgerError::io("read the public key", path))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .take(1)
            .find_map(|line| line.parse().ok())
            .ok_or_else(|| LedgerError::BadPublicKey(path.to_owned()))
    }

    /// Whether the owner of this key vouched for these bytes; weak keys and ambiguous signatures count as no.
    pub(crate) fn vouches(&self, bytes: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(bytes, &signature.0).is_ok()
    }
}

/// Removes the copies of keys whose makers died: a secret has one place.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(TEMP.0)?.strip_suffix(TEMP.1));
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
            // What cannot be removed is as private as the key itself.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // What a crash left under this name was never a key in use.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", hex::encode(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let wrong = NotAKey("public key: write `ed25519:` and 64 hexadecimal digits");
        let mut bytes = [0; 32];
        let digits = text.strip_prefix(PUBLIC_PREFIX).ok_or_else(|| wrong.clone())?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong.clone())?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| wrong)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;
    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for Signature {
    type Error = NotAKey;
    fn try_from(text: String) -> Result<Self, NotAKey> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| NotAKey("signature: it has 128 hexadecimal digits"))?;
        Ok(Self(ed25519_dalek::Signature::from_bytes(&bytes)))
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        hex::encode(signature.0.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_key_is_made_once_private_and_its_public_half_can_be_read_back() {
        let dir = TempDir::new().unwrap();
        assert!(LedgerKey::open(dir.path()).unwrap().is_none());
        let key = LedgerKey::open_or_create(dir.path()).unwrap();
        let again = LedgerKey::open_or_create(dir.path()).unwrap();
        assert_eq!(key.public(), again.public());
        let secret = dir.path().join(KEYS).join(SECRET);
        assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(dir.path().join(KEYS)).unwrap().mode() & 0o777, 0o700);
        assert_eq!(PublicKey::read(&public_key_file(dir.path())).unwrap(), key.public());
        // What crashes leave: no second half, half of it, and a copy of the first.
        fs::remove_file(public_key_file(dir.path())).unwrap();
        LedgerKey::open_or_create(dir.path()).unwrap();
        assert_eq!(PublicKey::read(&public_key_file(dir.path())).unwrap(), key.public(), "made good");
        fs::write(public_key_file(dir.path()), "ed25519:12").unwrap();
        fs::write(dir.path().join(KEYS).join(".ledger.key.4194305.tmp"), "ed25519-secret:").unwrap();
        LedgerKey::open_or_create(dir.path()).unwrap();
        assert_eq!(PublicKey::read(&public_key_file(dir.path())).unwrap(), key.public(), "made good");
        let names: Vec<_> = fs::read_dir(dir.path().join(KEYS)).unwrap().collect();
        assert_eq!(names.len(), 2, "no copy stays: {names:?}");

        let signature = key.sign(b"text");
        assert!(key.public().vouches(b"text", &signature));
        assert!(!key.public().vouches(b"test", &signature));
        let other = LedgerKey::open_or_create(TempDir::new().unwrap().path()).unwrap();
        assert!(!other.public().vouches(b"text", &signature));
        let text = String::from(signature);
        assert_eq!(Signature::try_from(text).unwrap(), signature);
    }

    #[test]
    fn a_key_others_can_read_or_that_is_none_is_refused_with_a_remedy() {
        let dir = TempDir::new().unwrap();
        LedgerKey::open_or_create(dir.path()).unwrap();
        let secret = dir.path().join(KEYS).join(SECRET);
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let said = LedgerKey::open(dir.path()).unwrap_err().to_string();
        assert!(said.contains("chmod 600") && said.contains("644"), "{said}");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&secret, "ed25519-secret:00").unwrap();
        let said = LedgerKey::open(dir.path()).unwrap_err().to_string();
        assert!(said.contains("ledger.key") && said.contains("the old `ledger.pub` alone"), "{said}");
        let named = dir.path().join("named.key");
        fs::rename(&secret, &named).unwrap();
        let said = LedgerKey::read(&named).unwrap_err().to_string();
        assert!(said.ends_with("restore it from a backup"), "none is made in its place: {said}");
        for wrong in ["", "ed25519:", "ed25519:zz", &"0".repeat(64), &format!("ed25519:{}", "2".repeat(62))] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }
}
