//! An outside witness: somewhere this host leaves signed notes of its newest fact, so that a ledger that is replaced as a
//! whole is found out. A witness that cannot be reached delays nothing: the note is left when it can be.
//!
//! | file | a witness that is |
//! |---|---|
//! | `file` | a file that is only appended to |
//! | `http` | a URL: POST leaves a note, GET gives them all, one a line |

mod file;
mod http;

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use razar_ledger::LedgerReader;
use razar_ledger::checkpoint::Checkpoint;
use razar_ledger::key::LedgerKey;

use crate::report::moment;

/// Between two notes: at most so long a fact has no witness.
const INTERVAL: Duration = Duration::from_secs(10);

/// At a thousand notes a day, years of them.
const MAX_NOTES: u64 = 64 << 20;

/// Where notes are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file.
    File(PathBuf),
    /// Behind a URL.
    Http(String),
}

impl FromStr for Place {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_url = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        Ok(if is_url { Self::Http(text.to_owned()) } else { Self::File(PathBuf::from(text)) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Http(url) => url.fmt(f),
        }
    }
}

impl Place {
    /// Every note there, one a line; nothing where none was left yet.
    pub(crate) fn notes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => file::read(path),
            Self::Http(url) => http::read(url),
        }
    }

    fn leave(&self, note: &str) -> Result<(), String> {
        match self {
            Self::File(path) => file::append(path, note),
            Self::Http(url) => http::post(url, note),
        }
    }
}

/// Leaves notes while a host runs.
pub(crate) struct Witnessing {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Witnessing {
    /// Begins, with the key of the state directory, which is made when there is none.
    pub(crate) fn start(place: &Place, state: &Path) -> Result<Self, String> {
        let key = LedgerKey::open_or_create(state).map_err(|error| error.to_string())?;
        let reader = LedgerReader::open(state).map_err(|error| error.to_string())?;
        let name = reader.state_id().map_err(|error| error.to_string())?;
        let notary = Notary { place: place.clone(), key, reader, name, left: None, complaint: None };
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("witness".to_owned());
        let thread = thread.spawn(move || notary.run(&ended)).map_err(|error| error.to_string())?;
        Ok(Self { end, thread })
    }

    /// Leaves a note of the last fact.
    pub(crate) async fn finish(self) {
        let Self { end, thread } = self;
        drop(end);
        // A thread that panicked has left what it left.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

struct Notary {
    place: Place,
    key: LedgerKey,
    reader: LedgerReader,
    name: String,
    /// The newest fact that has a witness.
    left: Option<u64>,
    complaint: Option<String>,
}

impl Notary {
    fn run(mut self, ended: &Receiver<()>) {
        loop {
            let now = self.leave().err();
            if now != self.complaint {
                match &now {
                    Some(error) => {
                        tracing::warn!("the newest facts have no witness: {error}; it is tried again");
                    }
                    None => tracing::info!("`{}` is up to date again", self.place),
                }
                self.complaint = now;
            }
            match ended.recv_timeout(INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    if let Err(error) = self.leave() {
                        tracing::warn!("the last facts have no witness: {error}");
                    }
                    return;
                }
            }
        }
    }

    /// Leaves a note if there is something new.
    fn leave(&mut self) -> Result<(), String> {
        let head = self.reader.head().map_err(|error| error.to_string())?.anchor();
        if head.seq == 0 || self.left == Some(head.seq) {
            return Ok(());
        }
        let checkpoint = Checkpoint { state: self.name.clone(), head, root: None, at: moment::now() };
        let signed = checkpoint.sign(&self.key).ok_or("the ledger's own name is damaged")?;
        self.place.leave(&signed.line().map_err(|error| error.to_string())?)?;
        self.left = Some(head.seq);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
