//! A component's files as an agent may see them: read once, redacted, bounded. No link is followed, nothing but a regular file
//! is opened, and files whose very name says that they hold secrets are not read at all.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use razar_core::redact::{Kind, Redactor};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat};

/// Entries that are looked at: a component is a service, not a disk.
const ENTRIES: usize = 20_000;
/// Files that are read.
const FILES: usize = 4_000;
/// Bytes of one file; nobody writes a longer one by hand.
const FILE: u64 = 512 << 10;
/// Bytes of all of them.
const TOTAL: usize = 16 << 20;
/// Directories in directories.
const DEPTH: usize = 24;

/// Directories that nobody repairs a component in.
const NOT_ITS_OWN: [&str; 12] = [
    ".git",
    ".hg",
    ".svn",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".venv",
    "__pycache__",
    "node_modules",
    "site-packages",
    "venv",
];

/// Directories that hold keys.
const OF_KEYS: [&str; 7] = [".aws", ".azure", ".docker", ".gcloud", ".gnupg", ".kube", ".ssh"];

/// Files that hold keys, by the whole name.
const KEY_FILES: [&str; 12] = [
    ".env",
    ".git-credentials",
    ".htpasswd",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    "credentials",
    "credentials.json",
    "htpasswd",
    "secrets",
    "shadow",
];

/// And by how their name begins.
const KEY_BEGINS: [&str; 5] = [".env.", "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa"];

/// And by how their name ends.
const KEY_ENDS: [&str; 8] = [".jks", ".kdbx", ".key", ".keystore", ".p12", ".pem", ".pfx", ".ppk"];

/// What is kept of a component's directory.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    withheld: BTreeMap<String, Why>,
    redactor: Redactor,
    /// Nothing is taken out: it is compared, and goes to nobody.
    as_it_is: bool,
}

/// Why an agent does not see a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its name says that it holds secrets.
    Secret,
    /// It is no text.
    NoText,
    /// It is larger than what is read.
    TooLarge,
    /// A link, a socket, a device.
    NotRegular,
    /// There is more than is read.
    TooMany,
    /// The system says no.
    Unreadable,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "withheld: it holds secrets",
            Self::NoText => "no text",
            Self::TooLarge => "too large",
            Self::NotRegular => "no regular file",
            Self::TooMany => "left out: there are too many",
            Self::Unreadable => "cannot be read",
        })
    }
}

/// A directory that is still to be looked into.
struct Pending {
    path: String,
    depth: usize,
    fd: OwnedFd,
}

impl Tree {
    /// Nothing to see, and a redactor for what else is told.
    pub(crate) fn empty(redactor: Redactor) -> Self {
        Self { redactor, ..Self::default() }
    }

    /// Everything below a directory.
    pub(crate) fn read(root: &Path, redactor: Redactor) -> std::io::Result<Self> {
        Self::empty(redactor).below(root)
    }

    /// The same with every word that is there: to compare it with one that was read before, and for no agent.
    pub(crate) fn as_it_is(root: &Path) -> std::io::Result<Self> {
        Self { as_it_is: true, ..Self::default() }.below(root)
    }

    fn below(self, root: &Path) -> std::io::Result<Self> {
        let mut tree = self;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty())?;
        let mut pending = VecDeque::from([Pending { path: String::new(), depth: 0, fd }]);
        let (mut entries, mut bytes) = (0, 0);
        while let Some(dir) = pending.pop_front() {
            let mut names: Vec<String> = Vec::new();
            for entry in Dir::read_from(&dir.fd)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name != "." && name != ".." {
                    names.push(name);
                }
                entries += 1;
                if entries > ENTRIES {
                    tree.withheld.insert(format!("{}…", dir.path), Why::TooMany);
                    break;
                }
            }
            // The same tree is the same prompt, whatever order the disk has.
            names.sort();
            for name in names {
                let path = format!("{}{name}", dir.path);
                match tree.look(&dir, &name, &path, &mut bytes) {
                    Ok(Some(fd)) => {
                        pending.push_back(Pending { path: format!("{path}/"), depth: dir.depth + 1, fd })
                    }
                    Ok(None) => {}
                    Err(why) => drop(tree.withheld.insert(path, why)),
                }
            }
        }
        Ok(tree)
    }

    /// Reads a file, or opens a directory to look into.
    fn look(
        &mut self,
        dir: &Pending,
        name: &str,
        path: &str,
        bytes: &mut usize,
    ) -> Result<Option<OwnedFd>, Why> {
        let stat = statat(dir.fd.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| Why::Unreadable)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if NOT_ITS_OWN.contains(&name) {
                    return Ok(None);
                }
                if OF_KEYS.contains(&name) {
                    return Err(Why::Secret);
                }
                if dir.depth >= DEPTH {
                    return Err(Why::TooMany);
                }
                let fd = openat(dir.fd.as_fd(), name, flags | OFlags::DIRECTORY, Mode::empty());
                fd.map(Some).map_err(|_| Why::Unreadable)
            }
            FileType::RegularFile if holds_secrets(name) => Err(Why::Secret),
            FileType::RegularFile => {
                if self.files.len() >= FILES || *bytes >= TOTAL {
                    return Err(Why::TooMany);
                }
                let fd = openat(dir.fd.as_fd(), name, flags, Mode::empty()).map_err(|_| Why::Unreadable)?;
                // What was opened may be another file than what was looked at.
                let stat = fstat(&fd).map_err(|_| Why::Unreadable)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Err(Why::NotRegular);
                }
                let mut content = Vec::new();
                File::from(fd).take(FILE + 1).read_to_end(&mut content).map_err(|_| Why::Unreadable)?;
                if content.len() as u64 > FILE {
                    return Err(Why::TooLarge);
                }
                let text =
                    String::from_utf8(content).ok().filter(|text| !text.contains('\0')).ok_or(Why::NoText)?;
                *bytes += text.len();
                let clean =
                    if self.as_it_is { text } else { self.redactor.redact(path, Kind::of(path), &text) };
                self.files.insert(path.to_owned(), clean);
                Ok(None)
            }
            _ => Err(Why::NotRegular),
        }
    }

    /// The files an agent may see, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// One of them.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Those it may not see.
    pub(crate) fn withheld(&self) -> impl Iterator<Item = (&str, Why)> {
        self.withheld.iter().map(|(path, why)| (path.as_str(), *why))
    }

    /// What takes secrets out, and knows which were taken out of these files.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The same, for more texts.
    pub(crate) fn redactor_mut(&mut self) -> &mut Redactor {
        &mut self.redactor
    }
}

/// Whether a file's name says that it holds secrets. An example holds none.
fn holds_secrets(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let example = ["example", "sample", "template", "dist"].iter().any(|word| name.ends_with(word));
    !example
        && (KEY_FILES.contains(&name.as_str())
            || KEY_BEGINS.iter().any(|begin| name.starts_with(begin)) && !name.ends_with(".pub")
            || KEY_ENDS.iter().any(|end| name.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dir: &Path) -> Tree {
        Tree::read(dir, Redactor::new(["hunter2-known"])).unwrap()
    }

    #[test]
    fn only_what_may_be_seen_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &[u8]| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("app.py", b"password = \"c4nary-one\"\nprint('hunter2-known')\n");
        write("src/deep/b.py", b"x = 1\n");
        write("node_modules/x.js", b"x");
        write(".git/config", b"x");
        for secret in [".env", ".env.local", "server.pem", "id_rsa", "secrets", ".aws/credentials"] {
            write(secret, b"c4nary-two");
        }
        write(".env.example", b"PORT=1\n");
        write("image.png", b"\x89PNG\r\n\xff");
        write("zero", b"a\0b");
        write("large.txt", &vec![b'a'; 600 << 10]);
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("shadow.txt"), "c4nary-three").unwrap();
        std::os::unix::fs::symlink(outside.path().join("shadow.txt"), dir.path().join("link.py")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("linked")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();

        let tree = tree(dir.path());
        let paths: Vec<&str> = tree.files().map(|(path, _)| path).collect();
        assert_eq!(paths, [".env.example", "app.py", "src/deep/b.py"]);
        assert_eq!(tree.file("app.py"), Some("password = \"[redacted-1]\"\nprint('[redacted-2]')\n"));
        let withheld: Vec<(&str, Why)> = tree.withheld().collect();
        let expected = [
            (".aws", Why::Secret),
            (".env", Why::Secret),
            (".env.local", Why::Secret),
            ("fifo", Why::NotRegular),
            ("id_rsa", Why::Secret),
            ("image.png", Why::NoText),
            ("large.txt", Why::TooLarge),
            ("link.py", Why::NotRegular),
            ("linked", Why::NotRegular),
            ("secrets", Why::Secret),
            ("server.pem", Why::Secret),
            ("zero", Why::NoText),
        ];
        assert_eq!(withheld, expected);
        assert!(!format!("{tree:?}").contains("c4nary"), "{tree:?}");
    }

    #[test]
    fn a_tree_without_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut deep = dir.path().to_owned();
        for _ in 0..DEPTH + 3 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("f"), "x").unwrap();
        let tree = tree(dir.path());
        assert_eq!(tree.files().count(), 0);
        assert_eq!(tree.withheld().next().map(|(_, why)| why), Some(Why::TooMany));
        assert!(Tree::read(&dir.path().join("none"), Redactor::default()).is_err());
    }
}
