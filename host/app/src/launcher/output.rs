//! A service's pipe and the bounded files it is drained into.
//!
//! The pipe has a name and the service itself holds it open for reading and writing, so it survives the launcher:
//! nothing is lost and no SIGPIPE is raised while there is none; the next launcher opens it by name and goes on. What
//! cannot be written (a full disk) is counted and dropped: a service never waits for our disk to have room.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use razar_core::grant::LogBegin;
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, chown, mkfifoat};
use rustix::pipe::fcntl_setpipe_size;

use super::wire::OutputCap;

/// How much a service may print while there is no launcher before it has to wait; root's limit by default.
const PIPE_ROOT: usize = 1 << 20;

/// The same for everybody else, whose pipes together may hold 64 MiB by default.
const PIPE_OTHERS: usize = 256 << 10;

/// What one service may have drained before the others have their turn.
const TURN: usize = 256 << 10;

/// How often it is looked whether somebody else has moved a file away.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The reading end.
#[derive(Debug)]
pub(crate) struct Pipe(File);

impl Pipe {
    /// Makes the pipe of a new instance, for its owner, and opens it.
    pub(crate) fn make(path: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
        if let Some((user, group)) = owner {
            // A program that opens `/dev/stdout` opens this by its own rights.
            chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        let pipe = Self::open(path)?;
        let size = if rustix::process::geteuid().is_root() { PIPE_ROOT } else { PIPE_OTHERS };
        // A smaller one only shortens the time a service may print without a launcher.
        let _ = fcntl_setpipe_size(&pipe.0, size);
        Ok(pipe)
    }

    /// Opens the pipe of an instance that runs. Held for writing too, so that it never reports its end.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags.cast_signed()).open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("not a pipe"));
        }
        Ok(Self(file))
    }

    /// The service's end: an opening of its own, because it must wait where we must not.
    pub(crate) fn writer(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// What can be waited for.
    pub(crate) const fn file(&self) -> &File {
        &self.0
    }

    /// Moves what is there, one turn's worth, into the log. True when nothing is left for now.
    pub(crate) fn drain(&mut self, buffer: &mut [u8], log: &mut RotatingLog) -> bool {
        let mut moved = 0;
        while moved < TURN {
            match self.0.read(buffer) {
                Ok(0) => return true,
                Ok(count) => {
                    moved += count;
                    log.write(buffer.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }
}

/// Files `x.log`, `x.log.1`, … of bounded size and number.
#[derive(Debug)]
pub(crate) struct RotatingLog {
    path: PathBuf,
    cap: OutputCap,
    file: Option<File>,
    size: u64,
    looked: Instant,
    dropped: u64,
    trouble: Option<String>,
    begin: LogBegin,
    rotated: bool,
}

impl RotatingLog {
    /// Opens nothing yet: a log nobody writes to is no file. What is in it already is somebody else's.
    pub(crate) fn new(path: PathBuf, cap: OutputCap) -> Self {
        let begin = fs::metadata(&path).map_or_else(
            |_| LogBegin::default(),
            |meta| LogBegin { device: meta.dev(), inode: meta.ino(), offset: meta.len() },
        );
        Self::resume(path, cap, begin)
    }

    /// Goes on where another launcher left off.
    pub(crate) fn resume(path: PathBuf, cap: OutputCap, begin: LogBegin) -> Self {
        let cap = OutputCap { bytes: cap.bytes.max(1), files: cap.files.max(1) };
        Self {
            path,
            cap,
            file: None,
            size: 0,
            looked: Instant::now(),
            dropped: 0,
            trouble: None,
            begin,
            rotated: false,
        }
    }

    /// How much is kept.
    pub(crate) const fn cap(&self) -> OutputCap {
        self.cap
    }

    /// Where in the file that has the log's name now the part begins that was written through this.
    pub(crate) const fn begin(&self) -> LogBegin {
        self.begin
    }

    /// Once after the beginning has changed: whoever remembers it must be told.
    pub(crate) const fn rotated(&mut self) -> bool {
        std::mem::replace(&mut self.rotated, false)
    }

    /// When it wants to be looked at; never while no file is held.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.file.as_ref().map(|_| self.looked + LOOK_EVERY)
    }

    /// Appends, rotating as needed; drops what cannot be written.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.write_some(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) => {
                    if self.dropped == 0 {
                        let path = self.path.display();
                        self.trouble =
                            Some(format!("cannot write `{path}`: {error}; output is dropped until it works"));
                    }
                    self.dropped = self.dropped.saturating_add(bytes.len() as u64);
                    return;
                }
            }
        }
        if self.dropped > 0 {
            let (path, dropped) = (self.path.display(), self.dropped);
            self.trouble =
                Some(format!("`{path}` can be written again; {dropped} bytes of output were dropped"));
            self.dropped = 0;
        }
    }

    /// News for the launcher's own log: once when writing fails, once when it works again.
    pub(crate) const fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.notice_move();
        if self.file.is_some() && self.size >= self.cap.bytes {
            self.rotate()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                let meta = file.metadata()?;
                self.size = meta.len();
                let offset = self.begin.within(meta.dev(), meta.ino(), self.size);
                self.begins(LogBegin { device: meta.dev(), inode: meta.ino(), offset });
                self.file.insert(file)
            }
        };
        let room = self.cap.bytes.saturating_sub(self.size);
        if room == 0 {
            return Ok(0); // an old file that is full: the next turn of the loop rotates it
        }
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let written = file.write(bytes.get(..fits).unwrap_or_default())?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.size += written as u64;
        Ok(written)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.cap.files).rev() {
            let from = if number == 1 { self.path.clone() } else { self.numbered(number - 1) };
            match fs::rename(from, self.numbered(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.cap.files == 1
            && let Some(file) = &self.file
        {
            file.set_len(0)?;
            self.begins(LogBegin { offset: 0, ..self.begin });
        }
        self.file = None;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// An offset of zero says the same of every file, so only the step to it is news.
    const fn begins(&mut self, begin: LogBegin) {
        self.rotated |= self.begin.offset != begin.offset;
        self.begin = begin;
    }

    /// A tool of the operator may rotate or empty the same file: then its name is another file, or none, or it is
    /// shorter than it was. A file without a name would keep its space on the disk for as long as it is held.
    pub(crate) fn notice_move(&mut self) {
        if self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let Some(file) = &self.file else { return };
        let same = match (file.metadata(), fs::metadata(&self.path)) {
            (Ok(open), Ok(named)) => {
                open.ino() == named.ino() && open.dev() == named.dev() && open.len() >= self.size
            }
            _ => false,
        };
        if !same {
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(dir: &Path) -> Vec<(String, u64)> {
        let mut all: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|item| item.unwrap())
            .map(|item| (item.file_name().into_string().unwrap(), item.metadata().unwrap().len()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn files_are_bounded_in_size_and_number_and_the_newest_is_kept() {
        for (files, wanted) in
            [(1, vec![("x.log", 5)]), (3, vec![("x.log", 5), ("x.log.1", 10), ("x.log.2", 10)])]
        {
            let dir = tempfile::tempdir().unwrap();
            let mut log = RotatingLog::new(dir.path().join("x.log"), OutputCap { bytes: 10, files });
            for _ in 0..9 {
                log.write(b"12345");
            }
            let wanted: Vec<_> = wanted.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
            assert_eq!(sizes(dir.path()), wanted);
            assert_eq!(log.trouble(), None);
        }
    }

    #[test]
    fn a_file_left_by_an_earlier_launcher_counts() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.log"), [b'a'; 25]).unwrap();
        RotatingLog::new(dir.path().join("x.log"), OutputCap { bytes: 10, files: 2 }).write(b"b");
        assert_eq!(sizes(dir.path()), [("x.log".to_owned(), 1), ("x.log.1".to_owned(), 25)]);
    }

    #[test]
    fn the_beginning_of_what_was_written_survives_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, b"old").unwrap();
        let cap = OutputCap { bytes: 10, files: 2 };
        let mut log = RotatingLog::new(path.clone(), cap);
        let begins = |begin: LogBegin| {
            let meta = fs::metadata(&path).unwrap();
            begin.within(meta.dev(), meta.ino(), meta.len())
        };
        assert_eq!(begins(log.begin()), 3, "before the first byte");
        log.write(b"new");
        assert_eq!((begins(log.begin()), log.rotated()), (3, false));
        // Another launcher goes on.
        let mut log = RotatingLog::resume(path.clone(), cap, log.begin());
        log.write(b"1234567890");
        assert_eq!((begins(log.begin()), log.rotated(), log.rotated()), (0, true, false));
        // The next instance.
        let log = RotatingLog::new(path.clone(), cap);
        assert_eq!(begins(log.begin()), fs::metadata(&path).unwrap().len());
        // One file only is emptied in place.
        let mut log = RotatingLog::new(path.clone(), OutputCap { bytes: 12, files: 1 });
        log.write(b"abcdefghijklmnop");
        assert_eq!((begins(log.begin()), log.rotated()), (0, true));
        assert!(!fs::read_to_string(&path).unwrap().contains("1234"));
    }

    #[test]
    fn a_deleted_or_emptied_file_is_let_go_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut log = RotatingLog::new(path.clone(), OutputCap::default());
        assert!(log.wake().is_none(), "nothing is held");
        log.write(b"12345");
        assert!(log.wake().is_some());
        log.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
        log.notice_move();
        assert!(log.file.is_some(), "it is where it was");
        for lose in [|path: &Path| fs::remove_file(path), |path: &Path| fs::write(path, b"1")] {
            log.write(b"12345");
            lose(&path).unwrap();
            log.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
            log.notice_move();
            assert!(log.file.is_none(), "its space is free");
        }
        log.write(b"on");
        assert_eq!(fs::read(&path).unwrap(), b"1on");
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone/x.log");
        let mut log = RotatingLog::new(path.clone(), OutputCap::default());
        log.write(b"12345");
        assert!(log.trouble().unwrap().contains("dropped until it works"));
        log.write(b"12345");
        assert_eq!(log.trouble(), None);
        fs::create_dir(dir.path().join("gone")).unwrap();
        log.write(b"kept");
        assert!(log.trouble().unwrap().contains("10 bytes of output were dropped"));
        assert_eq!(fs::read(path).unwrap(), b"kept");
    }

    #[test]
    fn a_full_disk_is_an_error_like_any_other() {
        let mut log = RotatingLog::new("/dev/full".into(), OutputCap::default());
        log.write(b"12345");
        assert!(log.trouble().unwrap().contains("No space left"));
    }
}
