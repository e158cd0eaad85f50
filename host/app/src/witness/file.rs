//! A witness that is a file. It is only ever appended to, in whole lines; it belongs on another machine's disk, or on one
//! that takes no other writes.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use razar_ledger::failpoint;

use super::MAX_NOTES;

/// One more line, on disk when this returns.
pub(super) fn append(path: &Path, note: &str) -> Result<(), String> {
    let write = || {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut line = String::with_capacity(note.len() + 2);
        if !ends_with_a_line(&mut file)? {
            // What an interrupted append left stays a line of its own.
            line.push('\n');
        }
        line.push_str(note);
        line.push('\n');
        failpoint::pass("witness.writing");
        file.write_all(line.as_bytes())?;
        failpoint::pass("witness.written");
        file.sync_data()
    };
    write().map_err(|error| format!("cannot append to the witness `{}`: {error}", path.display()))
}

fn ends_with_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Everything in it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("cannot read the witness `{}`: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(failed(&format!("{error}; is it the file that `run --witness` was given?")));
        }
        Err(error) => return Err(failed(&error)),
    };
    let mut notes = Vec::new();
    file.take(MAX_NOTES + 1).read_to_end(&mut notes).map_err(|error| failed(&error))?;
    if notes.len() as u64 > MAX_NOTES {
        return Err(failed(&format!("it is larger than {MAX_NOTES} bytes; begin a new one")));
    }
    Ok(notes)
}
