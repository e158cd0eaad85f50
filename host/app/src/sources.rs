//! A component's files as they are now, as a value for the gate. It follows no link, enters nothing that no proposal may
//! change and that may be large, and ends with an error where there is more than a component's sources are.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, OpenOptions, OpenOptionsExt as _};
use razar_core::patch::{MAX_FILE, Node, Protected, Rules, Tree};
use rustix::fs::OFlags;

/// How much is read. Sources are small; where there is more, data or somebody else's code lies among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Files and directories.
    pub(crate) entries: usize,
    /// Bytes of all files.
    pub(crate) bytes: usize,
}

impl Bounds {
    pub(crate) const DEFAULT: Self = Self { entries: 20_000, bytes: 64 << 20 };
}

/// Directories inside directories: deeper than any source, and less than the handles a process has.
const MAX_DEPTH: usize = 64;

/// Why the files cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    /// The system refuses.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too many of them.
    #[error("there are more than {limit} files and directories in what may be patched of `{}`: {REMEDY}", path.display())]
    Many {
        /// Where.
        path: PathBuf,
        /// How many may be there.
        limit: usize,
    },
    /// Too much in them.
    #[error("there are more than {limit} bytes in what may be patched of `{}`: {REMEDY}", path.display())]
    Large {
        /// Where.
        path: PathBuf,
        /// How many may be there.
        limit: usize,
    },
    /// Too deep.
    #[error("`{}` has more than {MAX_DEPTH} directories inside each other: {REMEDY}", .0.display())]
    Deep(PathBuf),
}

const REMEDY: &str = "name the sources with `\"patch\": { \"roots\": [\"src\"] }` of the component";

/// Reads what these rules let be patched below a directory, and what lies around it there.
pub(crate) fn read(directory: &Path, rules: &Rules, bounds: Bounds) -> Result<Tree, SourcesError> {
    let opened = Dir::open_ambient_dir(directory, ambient_authority());
    let top = opened.map_err(|source| SourcesError::Read { path: directory.to_owned(), source })?;
    let mut reading = Reading { directory, rules, bounds, tree: Tree::default(), entries: 0, bytes: 0 };
    for root in rules.roots() {
        reading.root(&top, root)?;
    }
    Ok(reading.tree)
}

struct Reading<'r> {
    directory: &'r Path,
    rules: &'r Rules,
    bounds: Bounds,
    tree: Tree,
    entries: usize,
    bytes: usize,
}

impl Reading<'_> {
    /// One root, and the directories that lead to it: what is no directory ends the way.
    fn root(&mut self, top: &Dir, root: &str) -> Result<(), SourcesError> {
        let clone = || top.try_clone().map_err(|source| self.error("", source));
        let (mut dir, mut path) = (clone()?, String::new());
        if root.is_empty() {
            return self.walk(&dir, "", 0);
        }
        for name in root.split('/') {
            path = join(&path, name);
            let kind = match dir.symlink_metadata(name) {
                Ok(meta) => meta.file_type(),
                // It is not there, which the gate says in its own words.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(self.error(&path, error)),
            };
            match self.entry(&dir, name, &path, kind)? {
                Some(next) => dir = next,
                None => return Ok(()),
            }
        }
        self.walk(&dir, root, root.split('/').count())
    }

    fn walk(&mut self, dir: &Dir, prefix: &str, depth: usize) -> Result<(), SourcesError> {
        if depth > MAX_DEPTH {
            return Err(SourcesError::Deep(self.directory.to_owned()));
        }
        let entries = dir.entries().map_err(|source| self.error(prefix, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| self.error(prefix, source))?;
            // A name that is no text is none that a proposal could say.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = join(prefix, &name);
            let kind = entry.file_type().map_err(|source| self.error(&path, source))?;
            if let Some(inside) = self.entry(dir, &name, &path, kind)? {
                self.walk(&inside, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Notes what lies there; a directory that is to be entered is returned.
    fn entry(
        &mut self,
        dir: &Dir,
        name: &str,
        path: &str,
        kind: FileType,
    ) -> Result<Option<Dir>, SourcesError> {
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(SourcesError::Many { path: self.directory.to_owned(), limit: self.bounds.entries });
        }
        let closed = self.rules.protected(path).is_some_and(is_left_alone);
        let (node, inside) = if kind.is_dir() {
            let inside = if closed { None } else { self.enter(dir, name, path)? };
            (Node::Dir, inside)
        } else if kind.is_symlink() {
            (Node::Link, None)
        } else if kind.is_file() && !closed {
            (self.file(dir, name, path)?, None)
        } else {
            (Node::Special, None)
        };
        self.tree.insert(path, node);
        Ok(inside)
    }

    fn enter(&self, dir: &Dir, name: &str, path: &str) -> Result<Option<Dir>, SourcesError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        match dir.open_with(name, &options(flags)) {
            Ok(opened) => Ok(Some(Dir::from_std_file(opened.into_std()))),
            // Gone, or replaced by something else since it was looked at.
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(self.error(path, error)),
        }
    }

    fn file(&mut self, dir: &Dir, name: &str, path: &str) -> Result<Node, SourcesError> {
        // What became a FIFO since it was looked at must not hold anybody up.
        let mut file = match dir.open_with(name, &options(OFlags::NOFOLLOW | OFlags::NONBLOCK)) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(Node::Special),
            Err(error) => return Err(self.error(path, error)),
        };
        let meta = file.metadata().map_err(|source| self.error(path, source))?;
        if !meta.is_file() {
            return Ok(Node::Special);
        }
        if meta.len() > MAX_FILE as u64 {
            return Ok(Node::Large(meta.len()));
        }
        let mut bytes = Vec::new();
        let read = (&mut file).take(MAX_FILE as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|source| self.error(path, source))?;
        if bytes.len() > MAX_FILE {
            return Ok(Node::Large(bytes.len() as u64));
        }
        self.bytes += bytes.len();
        if self.bytes > self.bounds.bytes {
            return Err(SourcesError::Large { path: self.directory.to_owned(), limit: self.bounds.bytes });
        }
        Ok(Node::File(bytes.into()))
    }

    fn error(&self, path: &str, source: std::io::Error) -> SourcesError {
        SourcesError::Read { path: self.directory.join(path), source }
    }
}

/// What nobody is shown and nobody may change: secrets, and what may be large.
const fn is_left_alone(what: Protected) -> bool {
    matches!(
        what,
        Protected::Dependencies
            | Protected::VersionControl
            | Protected::State
            | Protected::Host
            | Protected::Component
            | Protected::Secrets
    )
}

fn options(flags: OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

fn is_gone(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let gone = [Errno::NOENT, Errno::LOOP, Errno::NOTDIR, Errno::MLINK];
    error.raw_os_error().is_some_and(|code| gone.iter().any(|errno| errno.raw_os_error() == code))
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

/// Protects what is the host's own and lies inside the component's directory, wherever links make it appear.
pub(crate) fn protect(rules: &mut Rules, directory: &Path, own: &[(&Path, Protected)]) {
    let directory = real(directory);
    for (path, what) in own {
        for path in [real(path), beside(path)] {
            if let Ok(inside) = path.strip_prefix(&directory) {
                rules.protect_host(&inside.to_string_lossy(), *what);
            } else if directory.starts_with(&path) {
                rules.protect_host("", *what);
            }
        }
    }
}

/// Where it really is; where nothing is yet, where it would be.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| beside(path))
}

/// Its own place, which may hold a link to where it really is.
fn beside(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent().map(std::fs::canonicalize), absolute.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(dir: &Path, path: &str, bytes: &[u8]) {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn links_are_noted_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        put(outside.path(), "secret.py", b"secret\n");
        put(dir.path(), "src/app.py", b"x\n");
        put(dir.path(), "real/inner.py", b"y\n");
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink("real", dir.path().join("in")).unwrap();
        symlink(outside.path().join("secret.py"), dir.path().join("src/link.py")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let tree = read(dir.path(), &Rules::default(), Bounds::DEFAULT).unwrap();
        let found: Vec<(&str, &Node)> = tree.iter().collect();
        assert_eq!(
            found,
            [
                ("in", &Node::Link),
                ("out", &Node::Link),
                ("pipe", &Node::Special),
                ("real", &Node::Dir),
                ("real/inner.py", &Node::File(b"y\n".as_slice().into())),
                ("src", &Node::Dir),
                ("src/app.py", &Node::File(b"x\n".as_slice().into())),
                ("src/link.py", &Node::Link),
            ]
        );
        let rules = Rules::default().below(vec!["out/secret.py".parse().unwrap(), "src".parse().unwrap()]);
        let tree = read(dir.path(), &rules, Bounds::DEFAULT).unwrap();
        assert_eq!(
            (tree.get("out"), tree.get("out/secret.py"), tree.get("real")),
            (Some(&Node::Link), None, None)
        );
        assert!(tree.file("src/app.py").is_some());
    }

    #[test]
    fn what_is_large_or_secret_is_not_read_and_too_much_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "app.py", b"x\n");
        put(dir.path(), "data.bin", &vec![0; MAX_FILE + 1]);
        put(dir.path(), ".env", b"KEY=1\n");
        put(dir.path(), ".git/objects/aa/bb", b"x");
        put(dir.path(), "tests/test_app.py", b"t\n");
        let tree = read(dir.path(), &Rules::default(), Bounds::DEFAULT).unwrap();
        assert_eq!(tree.get("data.bin"), Some(&Node::Large(MAX_FILE as u64 + 1)));
        assert_eq!(
            (tree.get(".env"), tree.get(".git"), tree.get(".git/objects")),
            (Some(&Node::Special), Some(&Node::Dir), None)
        );
        assert!(tree.file("tests/test_app.py").is_some(), "whoever proposes is shown tests");
        for (bounds, said) in [
            (Bounds { entries: 3, ..Bounds::DEFAULT }, "more than 3 files and directories"),
            (Bounds { bytes: 3, ..Bounds::DEFAULT }, "more than 3 bytes"),
        ] {
            let error = read(dir.path(), &Rules::default(), bounds).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("\"roots\""), "{error}");
        }
        let error = read(&dir.path().join("absent"), &Rules::default(), Bounds::DEFAULT).unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
    }

    #[test]
    fn the_hosts_own_files_are_protected_by_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "app/etc/stack.json", b"{}");
        put(dir.path(), "elsewhere/mine.toml", b"");
        symlink(dir.path().join("elsewhere/mine.toml"), dir.path().join("app/allowed.toml")).unwrap();
        let app = dir.path().join("app");
        let mut rules = Rules::default();
        let own = [
            (app.join("etc/stack.json"), Protected::Config),
            (app.join("allowed.toml"), Protected::Grants),
            (app.join("not-yet"), Protected::State),
            (dir.path().join("elsewhere"), Protected::Host),
        ];
        let own: Vec<_> = own.iter().map(|(path, what)| (path.as_path(), *what)).collect();
        protect(&mut rules, &app, &own);
        for (path, what) in [
            ("etc/stack.json", Some(Protected::Config)),
            ("allowed.toml", Some(Protected::Grants)),
            ("not-yet/x", Some(Protected::State)),
            ("main.py", None),
        ] {
            assert_eq!(rules.protected(path), what, "{path}");
        }
        protect(&mut rules, &app, &[(dir.path(), Protected::State)]);
        assert_eq!(
            rules.protected("main.py"),
            Some(Protected::State),
            "a component inside the state directory"
        );
    }
}
