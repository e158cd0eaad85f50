//! What a case finds on the disk: `box`, which it may be granted, and `outside` with a canary, which it never is. It is
//! looked at before and after, whole: names, kinds, modes and contents.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use razar_core::id::Digest;
use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use serde::Deserialize;

/// What nobody outside may ever see.
pub const CANARY: &str = "canary-7f3a9c51";

/// What a case adds to what every world has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WorldDocument {
    /// Files and what is in them.
    files: BTreeMap<String, String>,
    /// Links and where they lead; `<world>` is the world.
    links: BTreeMap<String, String>,
    /// FIFOs.
    fifos: Vec<String>,
    /// Sockets.
    sockets: Vec<String>,
    /// Two names that change places all the time.
    swap: Option<[String; 2]>,
}

/// A world; it ends when it is dropped, its directory belongs to whoever made it.
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    before: BTreeMap<PathBuf, String>,
    swapping: Option<Swapping>,
}

impl World {
    /// Makes one in an empty directory.
    pub fn make(dir: &Path, document: &WorldDocument) -> io::Result<Self> {
        let dir = std::fs::canonicalize(dir)?;
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, text)
        };
        file("box/hello.txt", "hello")?;
        file("box/sub/inner.txt", "inner")?;
        file("outside/secret.txt", CANARY)?;
        file("outside/dir/secret.txt", CANARY)?;
        for (name, text) in &document.files {
            file(name, text)?;
        }
        for (name, to) in &document.links {
            symlink(to.replace("<world>", &dir.to_string_lossy()), dir.join(name))?;
        }
        for name in &document.fifos {
            rustix::fs::mknodat(CWD, dir.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        }
        for name in &document.sockets {
            std::os::unix::net::UnixListener::bind(dir.join(name))?;
        }
        let before = listing(&dir)?;
        let swapping =
            document.swap.as_ref().map(|[a, b]| Swapping::start(dir.join(a), dir.join(b))).transpose()?;
        Ok(Self { dir, before, swapping })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is other than it was: nothing, or nothing but what was granted for writing.
    pub fn changes(&mut self, granted: bool) -> io::Result<Vec<String>> {
        drop(self.swapping.take());
        let after = listing(&self.dir)?;
        let names = self.before.keys().chain(after.keys());
        let mut changed: Vec<String> = names
            .filter(|name| self.before.get(*name) != after.get(*name))
            .filter(|name| !(granted && name.starts_with("box")))
            .map(|name| name.display().to_string())
            .collect();
        changed.sort();
        changed.dedup();
        Ok(changed)
    }
}

/// Everything below a directory: kind, mode, links, and what it holds.
fn listing(dir: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            let meta = std::fs::symlink_metadata(&path)?;
            let holds = if meta.is_dir() {
                waiting.push(path.clone());
                "directory".to_owned()
            } else if meta.is_symlink() {
                format!("link to {}", std::fs::read_link(&path)?.display())
            } else if meta.is_file() {
                format!("{} bytes {}", meta.len(), Digest::of(&std::fs::read(&path)?).hex())
            } else {
                "special".to_owned()
            };
            let name = path.strip_prefix(dir).unwrap_or(&path).to_owned();
            found.insert(name, format!("{:o} {} {holds}", meta.permissions().mode(), meta.nlink()));
        }
    }
    Ok(found)
}

/// The thread that makes two names change places.
#[derive(Debug)]
struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapping {
    fn start(one: PathBuf, other: PathBuf) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let swap = move || rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
        let thread = std::thread::Builder::new().name("swap".to_owned()).spawn(move || {
            let mut swaps = 0_u64;
            // An even number of times, so that all is as it was at the end.
            while !stopped.load(Ordering::Relaxed) || swaps % 2 == 1 {
                if swap().is_err() {
                    return;
                }
                swaps += 1;
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It can only have ended.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn document(text: &str) -> WorldDocument {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        type Change = fn(&Path) -> io::Result<()>;
        let changes: [(Change, &str); 5] = [
            (|dir| std::fs::write(dir.join("outside/secret.txt"), "canary-00000000"), "outside/secret.txt"),
            (|dir| std::fs::write(dir.join("outside/new"), ""), "outside/new"),
            (|dir| std::fs::remove_file(dir.join("outside/dir/secret.txt")), "outside/dir/secret.txt"),
            (
                |dir| {
                    std::fs::set_permissions(dir.join("outside/secret.txt"), Permissions::from_mode(0o4755))
                },
                "outside/secret.txt",
            ),
            (
                |dir| std::fs::hard_link(dir.join("outside/secret.txt"), dir.join("box/link")),
                "outside/secret.txt",
            ),
        ];
        for (change, name) in changes {
            let home = tempfile::tempdir().unwrap();
            let mut world = World::make(home.path(), &document("fifos = [\"box/fifo\"]")).unwrap();
            assert_eq!(world.changes(false).unwrap(), Vec::<String>::new());
            change(world.dir()).unwrap();
            assert!(world.changes(true).unwrap().contains(&name.to_owned()), "{name}");
        }
        let home = tempfile::tempdir().unwrap();
        let mut world = World::make(home.path(), &WorldDocument::default()).unwrap();
        std::fs::write(world.dir().join("box/hello.txt"), "changed").unwrap();
        assert_eq!(world.changes(false).unwrap(), ["box/hello.txt"]);
        assert!(world.changes(true).unwrap().is_empty());
    }

    #[test]
    fn names_that_change_places_end_where_they_began() {
        let home = tempfile::tempdir().unwrap();
        let text = "links = { \"box/b\" = \"../outside\" }\nswap = [\"box/sub\", \"box/b\"]";
        let mut world = World::make(home.path(), &document(text)).unwrap();
        let door = world.dir().join("box/sub");
        let begun = std::time::Instant::now();
        while !door.is_symlink() && begun.elapsed().as_secs() < 60 {}
        assert!(world.changes(false).unwrap().is_empty());
        assert!(door.is_dir() && !door.is_symlink());
    }
}
