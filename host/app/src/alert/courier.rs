//! Brings alerts one way, in the order of the facts: tried again with longer and longer waits, bounded in number, and known by
//! the position of the newest fact that is dealt with.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use razar_core::count::counted;
use razar_core::redact::Redactor;
use razar_ledger::LedgerReader;

use super::told::{Alert, told};
use super::{Fault, Way};
use crate::report::escape;

/// Undelivered alerts that are kept, the newest: nobody reads a thousand. All of them are in the ledger.
pub(super) const WAITING: usize = 100;

/// Whoever refuses an alert is asked so often: a monitor that is being set up refuses what it takes later.
pub(super) const REFUSALS: u32 = 5;

/// The first wait and the longest one.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// See the module.
pub(super) struct Courier {
    way: Box<dyn Way>,
    state: PathBuf,
    reader: LedgerReader,
    secrets: Arc<BTreeSet<String>>,
    /// To be delivered, oldest first.
    due: VecDeque<Alert>,
    /// The newest fact that was looked at.
    seen: u64,
    /// How often the oldest was refused.
    refused: u32,
    /// The first wait and the longest one.
    waits: (Duration, Duration),
    wait: Duration,
    complaint: Option<Fault>,
}

impl Courier {
    /// Goes on where the one before left off, or begins with what happens from now on.
    pub(super) fn new(
        way: Box<dyn Way>,
        state: &Path,
        secrets: Arc<BTreeSet<String>>,
    ) -> Result<Self, String> {
        let reader = LedgerReader::open(state).map_err(|error| error.to_string())?;
        let head = reader.head().map_err(|error| error.to_string())?.seq;
        let known = position::load(state, way.name());
        // A ledger that ends before is another one, or a repaired one.
        let seen = known.unwrap_or(head).min(head);
        let courier = Self {
            way,
            state: state.to_owned(),
            reader,
            secrets,
            due: VecDeque::new(),
            seen,
            refused: 0,
            waits: WAITS,
            wait: WAITS.0,
            complaint: None,
        };
        // Not now is not never: every pass remembers it anew.
        let _ = courier.settle(seen);
        Ok(courier)
    }

    /// Waits no longer than so.
    #[cfg(test)]
    pub(super) fn impatient(mut self, waits: Duration) -> Self {
        (self.waits, self.wait) = ((waits, waits), waits);
        self
    }

    /// Delivers until nobody wakes it any more, and then once more.
    pub(super) fn run(mut self, woken: &Receiver<()>) {
        loop {
            let delivered = self.deliver();
            let rest = delivered.is_err().then(|| self.patience());
            self.tell(delivered.err());
            if self.is_over(woken, rest) {
                let last = self.deliver().err();
                self.tell(last);
                return;
            }
        }
    }

    /// Waits for the next fact, or for the time to try again; true when the host ends.
    fn is_over(&self, woken: &Receiver<()>, rest: Option<Duration>) -> bool {
        let Some(rest) = rest else { return woken.recv().is_err() };
        let until = Instant::now() + rest;
        loop {
            // News do not make anybody available.
            match woken.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    fn patience(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(self.waits.1);
        wait
    }

    /// Everything there is, as far as it is taken.
    fn deliver(&mut self) -> Result<(), Fault> {
        self.look()?;
        while let Some(alert) = self.due.front() {
            match self.way.send(alert) {
                Ok(()) => {}
                Err(Fault::Refused(why)) if self.refused + 1 >= REFUSALS => {
                    tracing::error!(
                        "an alert is given up by {}, {}: {}; it stands in the ledger as fact {}",
                        self.way.name(),
                        escape::line(&why),
                        escape::line(&alert.message),
                        alert.fact,
                    );
                }
                Err(fault) => {
                    self.refused += u32::from(matches!(fault, Fault::Refused(_)));
                    return Err(fault);
                }
            }
            let fact = alert.fact;
            self.due.pop_front();
            self.refused = 0;
            self.wait = self.waits.0;
            self.settle(fact)?;
        }
        self.settle(self.seen)
    }

    /// Notices what was recorded since.
    fn look(&mut self) -> Result<(), Fault> {
        let away = |error: razar_ledger::LedgerError| Fault::Away(error.to_string());
        let mut dropped = 0;
        for recorded in self.reader.replay(self.seen + 1).map_err(away)? {
            let recorded = recorded.map_err(away)?;
            self.seen = recorded.seq;
            let Some(alert) = told(&recorded) else { continue };
            self.due.push_back(alert.without(&mut Redactor::new(self.secrets.iter())));
            if self.due.len() > WAITING {
                self.due.pop_front();
                self.refused = 0;
                dropped += 1;
            }
        }
        if dropped > 0 {
            tracing::error!(
                "{} older than the newest {WAITING} will not be sent by {}: `razar-host timeline` tells them",
                counted(dropped, "alert"),
                self.way.name(),
            );
        }
        Ok(())
    }

    /// Remembers how far it is, where that is news.
    fn settle(&self, fact: u64) -> Result<(), Fault> {
        let name = self.way.name();
        if position::load(&self.state, name) == Some(fact) {
            return Ok(());
        }
        position::store(&self.state, name, fact).map_err(Fault::Away)
    }

    /// Said when it begins and when it ends, not at every try.
    fn tell(&mut self, now: Option<Fault>) {
        let name = self.way.name();
        if now != self.complaint {
            match &now {
                Some(Fault::Away(why) | Fault::Refused(why)) => {
                    tracing::warn!("alerts cannot be sent by {name}: {}; they are kept", escape::line(why));
                }
                None => tracing::warn!("alerts are sent by {name} again"),
            }
            self.complaint = now;
        }
    }
}

/// How far a way is: one number in a file beside the alerts, replaced as a whole.
pub(super) mod position {
    use std::fs::{self, File};
    use std::io::{self, Read as _, Write as _};
    use std::path::{Path, PathBuf};

    use super::super::DIR;

    fn place(state: &Path, way: &str) -> PathBuf {
        state.join(DIR).join(format!(".sent-{way}"))
    }

    /// The newest fact that is dealt with; none for a way that was never set up.
    pub(in super::super) fn load(state: &Path, way: &str) -> Option<u64> {
        let mut text = String::new();
        File::open(place(state, way)).ok()?.take(32).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    pub(in super::super) fn store(state: &Path, way: &str, fact: u64) -> Result<(), String> {
        let path = place(state, way);
        let temp = place(state, &format!("{way}.tmp"));
        let write = || -> io::Result<()> {
            directory(state)?;
            let mut file = File::create(&temp)?;
            file.write_all(fact.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&temp, &path)?;
            File::open(path.parent().unwrap_or(state))?.sync_all()
        };
        write().map_err(|error| {
            // On a full disk the half-written file would only make it fuller.
            let _ = fs::remove_file(&temp);
            format!("cannot write `{}`: {error}", path.display())
        })
    }

    /// What is set up again later begins anew.
    pub(in super::super) fn forget(state: &Path, way: &str) {
        // Left where it is, it would make old alerts new; there is nothing else to do about it.
        let _ = fs::remove_file(place(state, way));
    }

    /// Removes what somebody who died was writing.
    pub(in super::super) fn sweep(state: &Path) {
        let Ok(entries) = fs::read_dir(state.join(DIR)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp")) {
                // Left where it is it does no harm, and the next one writes over it.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Makes the directory of alerts; never the state directory, whose place stays empty when it was moved away.
    pub(in super::super) fn directory(state: &Path) -> io::Result<()> {
        let mut dir = state.to_owned();
        for part in Path::new(DIR) {
            dir.push(part);
            match fs::create_dir(&dir) {
                Err(error) if !dir.is_dir() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
