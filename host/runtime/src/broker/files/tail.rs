//! The end of a log file that somebody else is writing: regular files only, bounded, never waiting.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt as _};
use std::path::Path;

use razar_core::grant::LogBegin;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::FilesError;

/// The end of a file, and where in it that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last bytes, from the beginning of a line where one begins in them.
    pub(super) bytes: Vec<u8>,
    /// Where in the file they begin.
    pub(super) from: u64,
    /// How long the file was.
    pub(super) size: u64,
    /// When it was written to, in milliseconds since the Unix epoch.
    pub(super) modified: u64,
}

/// Reads the last `limit` bytes of a file, and nothing that comes before `begin`.
pub(super) fn read(path: &Path, limit: u64, begin: Option<LogBegin>) -> Result<Tail, FilesError> {
    let error = |error: io::Error| FilesError::Read { path: path.to_owned(), error };
    let file = open(path)?;
    let metadata = file.metadata().map_err(error)?;
    let size = metadata.len();
    let first = begin.map_or(0, |begin| begin.within(metadata.dev(), metadata.ino(), size));
    let start = size.saturating_sub(limit).max(first);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, start + filled as u64) {
            Ok(0) => break, // the file was cut while it was read
            Ok(read) => filled += read,
            Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => {}
            Err(other) => return Err(error(other)),
        }
    }
    bytes.truncate(filled);
    let mut from = start;
    if start > first
        && !begins_line(&file, start).map_err(error)?
        && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
    {
        bytes.drain(..=end);
        from += end as u64 + 1;
    }
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Ok(Tail { bytes, from, size, modified })
}

/// The byte before tells whether the first line is whole.
fn begins_line(file: &File, start: u64) -> io::Result<bool> {
    let mut before = [0];
    Ok(file.read_at(&mut before, start.saturating_sub(1))? == 1 && before == *b"\n")
}

/// Looks before it opens, because opening a device can do something; looks again after, because it may be another
/// file by then. `NONBLOCK` covers the FIFO that came between.
fn open(path: &Path) -> Result<File, FilesError> {
    let error = |error: rustix::io::Errno| FilesError::Read { path: path.to_owned(), error: error.into() };
    let refuse = |mode: u32| match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        other => Err(FilesError::NotAFile { path: path.to_owned(), found: in_words(other) }),
    };
    let before = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
    refuse(before.st_mode)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(error)?;
    refuse(rustix::fs::fstat(&file).map_err(error)?.st_mode)?;
    Ok(File::from(file))
}

/// What a thing that is not what it should be is.
pub(super) const fn in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};
    use std::time::{Duration, Instant};

    use super::*;

    fn reason(path: &Path) -> String {
        let begun = Instant::now();
        let error = read(path, 1024, None).unwrap_err().to_string();
        assert!(begun.elapsed() < Duration::from_secs(5), "waited for `{}`", path.display());
        error
    }

    #[test]
    fn the_last_whole_lines_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "first\nsecond\nthird\n").unwrap();
        for (limit, text, from) in [
            (100, "first\nsecond\nthird\n", 0),
            (19, "first\nsecond\nthird\n", 0),
            (18, "second\nthird\n", 6),
            (13, "second\nthird\n", 6),
            (12, "third\n", 13),
            (3, "", 19),
            (0, "", 19),
        ] {
            let tail = read(&path, limit, None).unwrap();
            assert_eq!(
                (String::from_utf8(tail.bytes).unwrap().as_str(), tail.from),
                (text, from),
                "limit {limit}"
            );
            assert_eq!(tail.size, 19);
            assert!(tail.modified > 1_500_000_000_000);
        }
    }

    #[test]
    fn what_an_earlier_launch_wrote_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "old ready\nold enduncut ready\nlast\n").unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        let at = |offset| Some(LogBegin { device: meta.dev(), inode: meta.ino(), offset });
        let text = |limit, begin| String::from_utf8(read(&path, limit, begin).unwrap().bytes).unwrap();
        assert_eq!(text(100, at(17)), "uncut ready\nlast\n", "the old launch ended in the middle of a line");
        assert_eq!(text(8, at(17)), "last\n");
        assert_eq!(text(100, at(34)), "", "it has not said anything yet");
        let whole = text(100, None);
        assert_eq!(text(100, at(0)), whole);
        assert_eq!(text(100, at(35)), whole, "the file was cut since then");
        let other = Some(LogBegin { device: meta.dev(), inode: meta.ino() + 1, offset: 17 });
        assert_eq!(text(100, other), whole, "the log has been rotated since then");
    }

    #[test]
    fn a_line_longer_than_the_limit_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        let tail = read(&path, 1000, None).unwrap();
        assert_eq!((tail.bytes.len(), tail.from), (1000, 4000));
    }

    /// D11: nothing but a regular file is opened, and nobody waits.
    #[test]
    fn whatever_is_not_a_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(reason(&fifo).ends_with("fifo` is a FIFO; name a regular file"), "{}", reason(&fifo));
        assert!(reason(&link).contains("is a symbolic link"));
        assert!(reason(&socket).contains("is a socket"));
        assert!(reason(dir.path()).contains("is a directory"));
        assert!(reason(Path::new("/dev/zero")).contains("is a device"));
        assert!(reason(&dir.path().join("missing")).contains("cannot read"));
    }

    #[test]
    fn a_sparse_gigabyte_costs_no_more_than_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = File::create(&path).unwrap();
        file.seek(SeekFrom::Start(1 << 30)).unwrap();
        file.write_all(b"\nlast line\n").unwrap();
        let begun = Instant::now();
        let tail = read(&path, 64 * 1024, None).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!((tail.bytes, tail.size), (b"last line\n".to_vec(), (1 << 30) + 11));
    }

    #[test]
    fn a_file_that_grows_meanwhile_is_read_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"0123456789\n").unwrap();
        std::thread::scope(|scope| {
            let writer =
                scope.spawn(move || (0..50_000).for_each(|_| file.write_all(b"0123456789\n").unwrap()));
            while !writer.is_finished() {
                let tail = read(&path, 4096, None).unwrap();
                assert!(tail.bytes.len() <= 4096);
                assert_eq!(tail.from + tail.bytes.len() as u64, tail.size);
                assert!(tail.from.is_multiple_of(11), "the first line is cut");
            }
        });
    }

    #[test]
    fn a_file_that_is_cut_meanwhile_gives_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = File::create(&path).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for _ in 0..5_000 {
                    file.write_all_at(&[b'x'; 5000], 0).unwrap();
                    file.set_len(0).unwrap();
                }
            });
            while !writer.is_finished() {
                assert!(read(&path, 4096, None).unwrap().bytes.len() <= 4096);
            }
        });
    }
}
