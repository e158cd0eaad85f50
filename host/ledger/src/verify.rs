//! Whether a ledger is what it was: the database's own pages, every fact against its predecessor, and the whole against
//! whatever remembers it elsewhere. It changes nothing, and reads one moment of a ledger that may be in use.

mod witness;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use razar_core::fact::{Anchor, Fact, Opened};
use razar_core::id::Digest;
use rusqlite::Connection;
use serde::Serialize;

use crate::anchor::{self, STATE_FILE, StateFile};
use crate::chain::Head;
use crate::error::LedgerError;
use crate::key::{PublicKey, public_key_file};
use crate::reader::LedgerReader;
use crate::replay::{Link, Links};
use crate::{meta, schema};

use witness::Judged;

/// Names of the anchors.
const BOOTS: &str = "boots";
const STATE: &str = "state_file";
const WITNESS: &str = "witness";

/// More findings of one kind say nothing new.
const FINDINGS: usize = 20;

/// What an outside witness has: JSON lines, one checkpoint each.
#[derive(Debug, Clone)]
pub struct Witness {
    /// A path or an address, for messages.
    pub name: String,
    /// Everything it has, read before the ledger is.
    pub lines: Vec<u8>,
    /// The key that must have signed; without one, that of the state directory.
    pub key: Option<PublicKey>,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Nothing is wrong, as far as anything tells.
    pub intact: bool,
    /// The state directory's own name.
    pub state: Option<String>,
    /// Facts that are what they were.
    pub facts: u64,
    /// The last of them.
    pub head: Option<Anchor>,
    /// The first one that is not.
    pub first_bad: Option<Bad>,
    /// What is wrong with the database itself.
    pub database: Vec<String>,
    /// Facts that are intact and that only another version can read.
    pub unreadable: u64,
    /// What each anchor says.
    pub anchors: Vec<Told>,
}

/// A fact that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// Its position.
    pub seq: u64,
    /// What is wrong.
    pub what: String,
}

/// What one anchor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Which.
    pub anchor: &'static str,
    /// Its answer.
    pub verdict: Verdict,
    /// The newest fact it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// In words.
    pub says: String,
}

/// An anchor's answer: closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The ledger is the one it knows.
    Agrees,
    /// It knows another.
    Contradicts,
    /// There is no such anchor, or it was not asked.
    Absent,
    /// It is there and says nothing that can be used.
    Silent,
}

impl Verdict {
    /// The word in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Contradicts => "contradicts",
            Self::Absent => "absent",
            Self::Silent => "silent",
        }
    }
}

/// Looks at the ledger of a state directory. An error means that there is nothing to look at.
pub fn verify(dir: &Path, witness: Option<&Witness>) -> Result<Report, LedgerError> {
    // First, because the host writes it last: whatever it names was committed before.
    let state_file = anchor::state_file(dir);
    let judged = match witness {
        Some(witness) => {
            let key = witness.key.map_or_else(|| own_key(dir), |key| Ok(Some(key)))?;
            Some(Judged::new(witness, key))
        }
        None => None,
    };
    let mut look = Look::default();
    if let StateFile::Says(claimed) = &state_file {
        look.wanted.insert(claimed.seq);
    }
    look.wanted.extend(judged.iter().flat_map(Judged::positions));
    match LedgerReader::open(dir) {
        Ok(reader) => look.database(reader.connection())?,
        Err(LedgerError::Corrupt { detail, .. }) => look.report.database.push(detail),
        Err(LedgerError::Database(error)) => look.report.database.push(error.to_string()),
        Err(error) => return Err(error),
    }
    let Look { mut report, boots, held, .. } = look;
    report.anchors.push(boots.told());
    report.anchors.push(tell_state_file(&state_file, &held));
    report.anchors.push(match &judged {
        Some(judged) => judged.told(&held, report.state.as_deref()),
        None => Told::new(WITNESS, Verdict::Absent, None, "not asked: name it with `--witness`"),
    });
    let contradicted = report.anchors.iter().any(|told| told.verdict == Verdict::Contradicts);
    // Whoever asks a witness wants to hear it agree.
    let heard = judged.is_none()
        || report.anchors.iter().any(|told| told.anchor == WITNESS && told.verdict == Verdict::Agrees);
    report.intact = report.database.is_empty() && report.first_bad.is_none() && !contradicted && heard;
    Ok(report)
}

/// Looks at a database alone, wherever it lies and whatever remembers it.
pub(crate) fn database(path: &Path) -> Result<Report, LedgerError> {
    let connection = schema::open_reader(path)?;
    let mut look = Look::default();
    look.database(&connection)?;
    let Look { mut report, .. } = look;
    report.intact = report.database.is_empty() && report.first_bad.is_none();
    Ok(report)
}

fn own_key(dir: &Path) -> Result<Option<PublicKey>, LedgerError> {
    let public = public_key_file(dir);
    if public.exists() { PublicKey::read(&public).map(Some) } else { Ok(None) }
}

impl Told {
    fn new(anchor: &'static str, verdict: Verdict, seq: Option<u64>, says: impl Into<String>) -> Self {
        Self { anchor, verdict, seq, says: says.into() }
    }
}

/// What the ledger has, of what is claimed about it.
#[derive(Debug, Default)]
struct Held {
    /// The hashes of the facts that somebody claims something about.
    hashes: HashMap<u64, Digest>,
    /// The last fact that is what it was.
    last: u64,
    /// Nothing was wrong up to the end.
    whole: bool,
}

/// What a claim about one fact is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    True,
    /// The fact is another one, or the ledger ends before it.
    False,
    /// The ledger is damaged before it, so nobody can tell.
    Unknown,
}

impl Held {
    fn weigh(&self, claim: Anchor) -> Worth {
        match self.hashes.get(&claim.seq) {
            Some(hash) if *hash == claim.hash => Worth::True,
            Some(_) => Worth::False,
            None if claim == Head::GENESIS.anchor() => Worth::True,
            None if claim.seq > self.last && !self.whole => Worth::Unknown,
            None => Worth::False,
        }
    }
}

#[derive(Debug, Default)]
struct Look {
    wanted: HashSet<u64>,
    held: Held,
    boots: Boots,
    report: Report,
}

impl Look {
    /// One moment of it, whoever writes meanwhile.
    fn database(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let moment = connection.unchecked_transaction()?;
        if let Err(error) =
            self.pages(&moment).and_then(|()| self.chain(&moment)).and_then(|()| self.blobs(&moment))
        {
            match error {
                LedgerError::Io { .. } | LedgerError::Newer { .. } => return Err(error),
                other => self.find(other.to_string()),
            }
        }
        Ok(())
    }

    fn find(&mut self, finding: String) {
        if self.report.database.len() < FINDINGS {
            self.report.database.push(finding);
        }
    }

    /// SQLite's own check of every page.
    fn pages(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let mut check = connection.prepare("PRAGMA integrity_check(20)")?;
        let mut rows = check.query([])?;
        loop {
            let finding = match rows.next() {
                Ok(Some(row)) => row.get::<_, String>(0)?,
                Ok(None) => return Ok(()),
                Err(error) => error.to_string(),
            };
            if finding != "ok" {
                self.find(finding);
            }
            if self.report.database.len() >= FINDINGS {
                return Ok(());
            }
        }
    }

    /// Every fact against its predecessor, up to the first that is wrong.
    fn chain(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        // A damaged name is found by the witness; here it only labels the report.
        self.report.state = meta::state_id(connection).ok();
        let head = match meta::head(connection) {
            Ok(head) => Some(head),
            Err(error) => {
                self.find(format!("the head cannot be read: {error}"));
                None
            }
        };
        let until = head.unwrap_or(Head { seq: i64::MAX.unsigned_abs(), hash: [0; 32] });
        for link in Links::new(connection, 1, until) {
            match link {
                Ok(link) => self.link(connection, &link)?,
                // Without a head nobody knows where the end should be.
                Err(LedgerError::Missing { .. }) if head.is_none() => return Ok(()),
                Err(error) => {
                    self.bad(error.to_string());
                    return Ok(());
                }
            }
        }
        let Some(head) = head else { return Ok(()) };
        match meta::check_head(connection, head) {
            Ok(()) => self.held.whole = true,
            Err(error) => self.bad(error.to_string()),
        }
        Ok(())
    }

    fn bad(&mut self, what: String) {
        self.report.first_bad = Some(Bad { seq: self.held.last.saturating_add(1), what });
    }

    fn link(&mut self, connection: &Connection, link: &Link) -> Result<(), LedgerError> {
        let anchor = link.head.anchor();
        self.report.facts += 1;
        self.report.head = Some(anchor);
        self.held.last = anchor.seq;
        if self.wanted.contains(&anchor.seq) {
            self.held.hashes.insert(anchor.seq, anchor.hash);
        }
        match link.read() {
            Ok(recorded) => self.boots.take(connection, anchor.seq, &recorded.fact),
            Err(_) => {
                self.report.unreadable += 1;
                Ok(())
            }
        }
    }

    fn blobs(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let mut statement = connection.prepare("SELECT digest, bytes FROM blobs")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (digest, bytes): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            if Digest::of(&bytes).as_bytes().as_slice() != digest {
                self.find(format!(
                    "the stored bytes of `sha256:{}` do not match the digest",
                    hex::encode(digest)
                ));
            }
        }
        Ok(())
    }
}

/// What the first facts of boots say about the facts before them.
#[derive(Debug, Default)]
struct Boots {
    agreeing: u64,
    newest: Option<u64>,
    wrong: Option<String>,
}

impl Boots {
    fn take(&mut self, connection: &Connection, seq: u64, fact: &Fact) -> Result<(), LedgerError> {
        let (boot, opened) = match fact {
            Fact::BootStarted { boot, ledger: Some(opened), .. }
            | Fact::BootResumed { boot, ledger: Some(opened), .. } => (boot, opened),
            _ => return Ok(()),
        };
        let Opened { head, contradicted } = opened;
        let there = match head.seq {
            0 => Some(Head::GENESIS.anchor()),
            // No boot began on a fact that came after it.
            later if later >= seq => None,
            before => Some(meta::head_at(connection, before)?.anchor()),
        };
        self.newest = Some(seq);
        if there != Some(*head) {
            self.say(format!("boot {boot} (fact {seq}) began on fact {} with another hash", head.seq));
        } else if let Some(claimed) = contradicted {
            self.say(format!(
                "boot {boot} (fact {seq}) found that the state file named fact {} of a ledger that is gone",
                claimed.seq
            ));
        } else {
            self.agreeing += 1;
        }
        Ok(())
    }

    fn say(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }

    fn told(self) -> Told {
        let Self { agreeing, newest, wrong } = self;
        match (wrong, newest) {
            (Some(wrong), _) => Told::new(BOOTS, Verdict::Contradicts, newest, wrong),
            (None, None) => {
                Told::new(BOOTS, Verdict::Absent, None, "no boot recorded on which fact it began")
            }
            (None, Some(_)) => {
                let says = format!("{agreeing} boots began on the facts that are there");
                Told::new(BOOTS, Verdict::Agrees, newest, says)
            }
        }
    }
}

fn tell_state_file(state_file: &StateFile, held: &Held) -> Told {
    let claimed = match state_file {
        StateFile::Says(claimed) => *claimed,
        StateFile::Absent => {
            let says = format!("there is no `{STATE_FILE}`; the next `run` writes it");
            return Told::new(STATE, Verdict::Absent, None, says);
        }
        StateFile::Silent(why) => {
            let says = format!("`{STATE_FILE}` cannot be read ({why}); the next `run` writes it anew");
            return Told::new(STATE, Verdict::Silent, None, says);
        }
    };
    let seq = claimed.seq;
    let (verdict, says) = match held.weigh(claimed) {
        Worth::True => (Verdict::Agrees, format!("fact {seq} is the one it names")),
        Worth::Unknown => (Verdict::Silent, format!("it names fact {seq}, behind the first bad one")),
        Worth::False if held.hashes.contains_key(&seq) => (
            Verdict::Contradicts,
            format!("it names another fact {seq}: the facts up to there were replaced, or this file was"),
        ),
        Worth::False => (
            Verdict::Contradicts,
            format!("it names fact {seq}, and the ledger ends with fact {}: facts were cut off", held.last),
        ),
    };
    Told::new(STATE, verdict, Some(seq), says)
}

#[cfg(test)]
mod tests;
