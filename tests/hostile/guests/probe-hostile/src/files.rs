//! Files, through descriptors, with paths that no library would let pass. A step is an operation and its paths; a path
//! is the place of a granted directory and then, unchanged, what is asked of it.

use razar_sdk::{PluginError, Report};

use crate::raw::wasi::clocks::wall_clock::Datetime;
use crate::raw::wasi::filesystem::preopens;
use crate::raw::wasi::filesystem::types::{
    Descriptor, DescriptorFlags as D, ErrorCode, NewTimestamp, OpenFlags as O, PathFlags as P,
    filesystem_error_code,
};
use crate::raw::wasi::io::streams::{OutputStream, StreamError};
use crate::{all, say, time};

pub(crate) fn steps(steps: &[Vec<String>]) -> Report {
    let roots = preopens::get_directories();
    if roots.is_empty() {
        return say("no directories");
    }
    all(steps.iter().map(|step| {
        let done = one(&roots, step).unwrap_or_else(|code| code.name().to_owned());
        format!("{}: {done}", step.join(" "))
    }))
}

type Roots = [(Descriptor, String)];

/// The directory and what is asked of it, down to the last byte.
fn place<'a>(roots: &'a Roots, path: &'a str) -> Result<(&'a Descriptor, &'a str), ErrorCode> {
    roots
        .iter()
        .find_map(|(root, name)| Some((root, path.strip_prefix(name.as_str())?)))
        .map(|(root, rest)| (root, rest.strip_prefix('/').unwrap_or(rest)))
        .map(|(root, rest)| (root, if rest.is_empty() { "." } else { rest }))
        .ok_or(ErrorCode::BadDescriptor)
}

fn one(roots: &Roots, step: &[String]) -> Result<String, ErrorCode> {
    let word = |at: usize| step.get(at).map_or("", String::as_str);
    let (root, path) = place(roots, word(1))?;
    let done = |()| "done".to_owned();
    match word(0) {
        "read" => read(root, path, P::SYMLINK_FOLLOW),
        "read-no-follow" => read(root, path, P::empty()),
        "open-for-write" => {
            root.open_at(P::SYMLINK_FOLLOW, path, O::empty(), D::READ | D::WRITE).map(|_| "done".to_owned())
        }
        "write" => {
            let file = root.open_at(P::SYMLINK_FOLLOW, path, O::CREATE | O::TRUNCATE, D::WRITE)?;
            file.write(b"changed", 0).map(|_| "done".to_owned())
        }
        "create" => root
            .open_at(P::empty(), path, O::CREATE | O::EXCLUSIVE, D::READ | D::WRITE)
            .map(|_| "done".to_owned()),
        "truncate" => {
            let file = root.open_at(P::SYMLINK_FOLLOW, path, O::TRUNCATE, D::READ)?;
            drop(file);
            Ok("done".to_owned())
        }
        "size" => {
            let file = root.open_at(P::SYMLINK_FOLLOW, path, O::CREATE, D::READ | D::WRITE)?;
            file.set_size(word(2).parse().unwrap_or(0)).map(done)
        }
        "write-at" => {
            let file = root.open_at(P::SYMLINK_FOLLOW, path, O::CREATE, D::WRITE)?;
            file.write(b"x", word(2).parse().unwrap_or(0)).map(|_| "done".to_owned())
        }
        "stream-at" => {
            let file = root.open_at(P::SYMLINK_FOLLOW, path, O::CREATE, D::WRITE)?;
            stream(&file.write_via_stream(word(2).parse().unwrap_or(0))?, word(3))
        }
        "append" => {
            let file = root.open_at(P::SYMLINK_FOLLOW, path, O::CREATE, D::WRITE)?;
            stream(&file.append_via_stream()?, word(2))
        }
        "list" => list(root, path),
        "mkdir" => root.create_directory_at(path).map(done),
        "rmdir" => root.remove_directory_at(path).map(done),
        "unlink" => root.unlink_file_at(path).map(done),
        "symlink" => root.symlink_at(word(2), path).map(done),
        "readlink" => root.readlink_at(path),
        "stat" => root.stat_at(P::SYMLINK_FOLLOW, path).map(|found| format!("{} bytes", found.size)),
        "rename" => {
            let (other, to) = place(roots, word(2))?;
            root.rename_at(path, other, to).map(done)
        }
        "link" => {
            let (other, to) = place(roots, word(2))?;
            root.link_at(P::empty(), path, other, to).map(done)
        }
        "touch" => root.set_times_at(P::SYMLINK_FOLLOW, path, NewTimestamp::Now, NewTimestamp::Now).map(done),
        "times" => {
            let far = NewTimestamp::Timestamp(Datetime { seconds: u64::MAX, nanoseconds: 999_999_999 });
            root.set_times_at(P::SYMLINK_FOLLOW, path, far, far).map(done)
        }
        other => Ok(format!("no operation {other}")),
    }
}

/// Writes so many bytes into a stream.
fn stream(stream: &OutputStream, bytes: &str) -> Result<String, ErrorCode> {
    let mut left: usize = bytes.parse().unwrap_or(1);
    let chunk = [b'x'; 4096];
    while left > 0 {
        let now = left.min(chunk.len());
        match stream.blocking_write_and_flush(&chunk[..now]) {
            Ok(()) => left -= now,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(filesystem_error_code(&error).unwrap_or(ErrorCode::Io));
            }
            Err(StreamError::Closed) => return Err(ErrorCode::Pipe),
        }
    }
    Ok("done".to_owned())
}

fn read(root: &Descriptor, path: &str, follow: P) -> Result<String, ErrorCode> {
    let file = root.open_at(follow, path, O::empty(), D::READ)?;
    let (bytes, _) = file.read(64, 0)?;
    Ok(format!("`{}`", String::from_utf8_lossy(&bytes)))
}

fn list(root: &Descriptor, path: &str) -> Result<String, ErrorCode> {
    let folder = root.open_at(P::SYMLINK_FOLLOW, path, O::DIRECTORY, D::READ)?;
    let entries = folder.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry()? {
        names.push(entry.name);
    }
    names.sort();
    Ok(names.join(","))
}

/// Opens a name so often, following links, and says how often that led out.
pub(crate) fn race(path: &str, n: u32) -> Report {
    let roots = preopens::get_directories();
    let (mut inside, mut outside, mut refused) = (0_u32, 0_u32, 0_u32);
    for _ in 0..n {
        match one(&roots, &["read".to_owned(), path.to_owned()]) {
            Ok(text) if text.contains("canary") => outside += 1,
            Ok(_) => inside += 1,
            Err(_) => refused += 1,
        }
    }
    let seen = if inside > 0 && refused > 0 { "both seen" } else { "one seen" };
    say(&format!("{outside} outside, {seen} ({inside} inside, {refused} refused)"))
}

/// Writes so many mebibytes, or as many as there is room for.
pub(crate) fn fill(path: &str, mib: u64) -> Report {
    let roots = preopens::get_directories();
    let filled = || -> Result<u64, (u64, ErrorCode)> {
        let (root, path) = place(&roots, path).map_err(|code| (0, code))?;
        let file = root.open_at(P::empty(), path, O::CREATE, D::WRITE).map_err(|code| (0, code))?;
        let chunk = vec![1_u8; 64 << 10];
        let mut at = 0;
        while at < mib << 20 {
            at += file.write(&chunk, at).map_err(|code| (at, code))?;
        }
        Ok(at)
    };
    match filled() {
        Ok(bytes) => say(&format!("wrote {} MiB", bytes >> 20)),
        Err((bytes, code)) => say(&format!("{} below {mib} MiB: {}", code.name(), bytes < mib << 20)),
    }
}

/// Makes files until it cannot.
pub(crate) fn crowd(path: &str, n: u32) -> Report {
    let roots = preopens::get_directories();
    let made = || -> Result<(), ErrorCode> {
        let (root, path) = place(&roots, path)?;
        for number in 0..n {
            drop(root.open_at(P::empty(), &format!("{path}/{number}"), O::CREATE, D::WRITE)?);
        }
        Ok(())
    };
    match made() {
        Ok(()) => say(&format!("made {n} files")),
        Err(code) => say(&format!("{} below {n} files", code.name())),
    }
}

/// Holds what it has opened and never ends; were it ever woken, it would write.
pub(crate) fn hold() -> Result<Report, PluginError> {
    struct Last(Vec<(Descriptor, String)>);
    impl Drop for Last {
        fn drop(&mut self) {
            let _ = one(&self.0, &["write".to_owned(), "/data/hello.txt".to_owned()]);
        }
    }
    let held = Last(preopens::get_directories());
    let mut open = Vec::new();
    for _ in 0..8 {
        let (root, path) = place(&held.0, "/data/hello.txt").expect("it is granted");
        open.push(root.open_at(P::empty(), path, O::empty(), D::READ).expect("it may be read"));
    }
    time::naps()
}
