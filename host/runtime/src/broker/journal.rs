//! What one call used and what it was refused: shared by the brokers of that call, bounded, read when the call ends.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use razar_core::grant::{Denied, Use};

use super::secret::SecretError;
use crate::tape::Tape;

/// How many refusals and names are kept. A guest that is refused in a loop fills no memory; the count goes on.
const KEPT: usize = 32;

/// How many uses are kept: more than the default of requests in one call.
const KEPT_USES: usize = 128;

/// Something a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Nobody granted it.
    Denied(Denied),
    /// More requests or connections than one call may make.
    Requests {
        /// The limit.
        limit: u32,
    },
    /// The host has no value for a secret that belongs to the request.
    Secret(SecretError),
    /// A key-value store's quota, in words.
    Quota(String),
    /// What the directories it may write in hold together would be longer than that.
    Disk {
        /// The limit in bytes.
        limit: u64,
    },
    /// There would be more in the directories it may write in.
    Files {
        /// The limit.
        limit: u32,
    },
    /// The request's body is longer than its limit.
    RequestBody {
        /// The limit in bytes.
        limit: u64,
    },
    /// The response's body is longer than its limit.
    ResponseBody {
        /// The limit in bytes.
        limit: u64,
    },
    /// The response's header is longer than its limit.
    ResponseHeader {
        /// The limit in bytes.
        limit: u64,
    },
    /// A compressed response to a request with a secret, from which the secret cannot be scrubbed.
    Encoded,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denied) => denied.fmt(f),
            Self::Requests { limit } => {
                write!(f, "more than {limit} requests, connections and lookups in one call; raise `requests`")
            }
            Self::Secret(error) => error.fmt(f),
            Self::Quota(why) => write!(f, "{why}; raise `keyvalue`"),
            Self::Disk { limit } => {
                write!(f, "more than {limit} bytes in the directories it may write in; raise `disk`")
            }
            Self::Files { limit } => {
                write!(f, "more than {limit} files in the directories it may write in; raise `files`")
            }
            Self::RequestBody { limit } => write!(f, "a request longer than {limit} bytes; raise `request`"),
            Self::ResponseBody { limit } => {
                write!(f, "a response longer than {limit} bytes; raise `response`")
            }
            Self::ResponseHeader { limit } => {
                write!(f, "a response with a header longer than {limit} bytes; raise `headers`")
            }
            Self::Encoded => write!(f, "a compressed response, from which no secret can be scrubbed"),
        }
    }
}

/// What one call used and what it was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRecord {
    /// The first refusals, each once.
    pub refused: Vec<Refused>,
    /// All refusals.
    pub refusals: u64,
    /// HTTP requests that were permitted.
    pub requests: u32,
    /// TCP connections that were permitted.
    pub connections: u32,
    /// Names looked up, also those that led nowhere.
    pub lookups: u32,
    /// Keys written to key-value stores.
    pub writes: u32,
    /// Body bytes sent over HTTP, and bytes sent over TCP.
    pub sent: u64,
    /// Body bytes received over HTTP, and bytes received over TCP.
    pub received: u64,
    /// The first names looked up, each once.
    pub names: Vec<String>,
    /// The first uses that were permitted, each once.
    pub used: Vec<Use>,
}

impl CallRecord {
    /// The refusals that a grant could have allowed or that no grant can.
    pub fn denied(&self) -> impl Iterator<Item = &Denied> {
        self.refused.iter().filter_map(|refused| match refused {
            Refused::Denied(denied) => Some(denied),
            _ => None,
        })
    }
}

/// A record that is being written, and the tape of the call, if it has one.
#[derive(Debug, Default)]
pub struct Journal {
    record: Mutex<CallRecord>,
    tape: Option<Tape>,
}

impl Journal {
    /// An empty one, for one call.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one, for one call with a tape.
    pub(crate) fn with(tape: Option<Tape>) -> Self {
        Self { tape, ..Self::default() }
    }

    /// Where to write down what comes in, or to read it from.
    pub(crate) const fn tape(&self) -> Option<&Tape> {
        self.tape.as_ref()
    }

    /// What has been written so far.
    pub fn record(&self) -> CallRecord {
        self.lock().clone()
    }

    /// Takes what has been written, at the end of the call.
    pub fn take(&self) -> CallRecord {
        std::mem::take(&mut *self.lock())
    }

    /// Writes down a refusal.
    pub fn refuse(&self, refused: Refused) {
        let mut record = self.lock();
        record.refusals += 1;
        if record.refused.len() < KEPT && !record.refused.contains(&refused) {
            record.refused.push(refused);
        }
    }

    /// Counts one request, if one call may make it.
    pub(super) fn request(&self, limit: u32) -> Result<(), Refused> {
        self.spend(limit, |record| &mut record.requests)
    }

    /// Counts one connection, if one call may make it.
    pub(super) fn connection(&self, limit: u32) -> Result<(), Refused> {
        self.spend(limit, |record| &mut record.connections)
    }

    /// Counts one lookup, if one call may make it.
    pub(super) fn lookup(&self, limit: u32) -> Result<(), Refused> {
        self.spend(limit, |record| &mut record.lookups)
    }

    /// One budget for everything that reaches out: what is left of it does not depend on how it is spent.
    fn spend(&self, limit: u32, kind: fn(&mut CallRecord) -> &mut u32) -> Result<(), Refused> {
        let mut record = self.lock();
        let spent = record.requests.saturating_add(record.connections).saturating_add(record.lookups);
        if spent >= limit {
            return Err(Refused::Requests { limit });
        }
        *kind(&mut record) += 1;
        Ok(())
    }

    /// Counts keys that are written, if one call may write so many.
    pub(super) fn write(&self, keys: u32, limit: u32) -> Result<(), ()> {
        let mut record = self.lock();
        let written = record.writes.saturating_add(keys);
        if written > limit {
            return Err(());
        }
        record.writes = written;
        Ok(())
    }

    /// Writes down a use that was permitted.
    pub(super) fn uses(&self, used: Use) {
        let mut record = self.lock();
        if record.used.len() < KEPT_USES && !record.used.contains(&used) {
            record.used.push(used);
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        let mut record = self.lock();
        record.sent = record.sent.saturating_add(bytes as u64);
    }

    pub(super) fn received(&self, bytes: usize) {
        let mut record = self.lock();
        record.received = record.received.saturating_add(bytes as u64);
    }

    pub(super) fn name(&self, name: &str) {
        let mut record = self.lock();
        if record.names.len() < KEPT && !record.names.iter().any(|known| known == name) {
            record.names.push(name.to_owned());
        }
    }

    fn lock(&self) -> MutexGuard<'_, CallRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_refusals_fills_no_memory() {
        let journal = Journal::new();
        for limit in 0..10_000 {
            journal.refuse(Refused::RequestBody { limit });
            journal.refuse(Refused::Encoded);
            journal.name(&format!("n{limit}.example"));
            journal.uses(Use::Store(format!("store-{limit}")));
            journal.uses(Use::Store("same".to_owned()));
        }
        assert_eq!(journal.record().used.len(), KEPT_USES);
        let record = journal.take();
        assert_eq!((record.refused.len(), record.refusals, record.names.len()), (KEPT, 20_000, KEPT));
        assert_eq!(journal.record(), CallRecord::default());
    }

    #[test]
    fn a_quota_is_used_up_once_however_it_is_spent() {
        let journal = Journal::new();
        assert!(journal.request(3).is_ok() && journal.connection(3).is_ok() && journal.lookup(3).is_ok());
        for spend in [Journal::request, Journal::connection, Journal::lookup] {
            assert_eq!(spend(&journal, 3), Err(Refused::Requests { limit: 3 }));
        }
        let record = journal.record();
        assert_eq!((record.requests, record.connections, record.lookups), (1, 1, 1));
    }
}
