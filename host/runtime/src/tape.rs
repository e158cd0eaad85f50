//! A tape holds everything that comes into a guest from outside during one call: answers of services, names, bytes of
//! connections, kept values, files, clocks, chance. While it records, the call goes on as it would; when it is played, the
//! same guest gets the same things again, and there is no socket, no file but the tape's, no clock and no model.
//!
//! | file | owns |
//! |---|---|
//! | [`recording`] | what is on it, as it is kept |
//! | `clock` | clocks, chance, and time that passes only while nothing else can |
//! | `files` | directories, onto the tape and back |
//!
//! The brokers write on it and read from it, on the guest's side of what they scrub: a secret that the host puts on the wire
//! is never on a tape. A played guest that asks for something else than it did ends there, with the difference; nothing is ever
//! fetched in its place. A call without a tape pays for none: it is looked for once.
//!
//! It is played on one thread (`new_current_thread`) with one more for what waits for a disk (`max_blocking_threads(1)`): there
//! "nothing else can happen any more" can be known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;

pub(crate) mod clock;
pub(crate) mod files;
pub mod recording;

use self::recording::Recording;

/// Bytes of one call. A model's answer has some hundred thousand, a component's files a few million.
pub const MAX_BYTES: u64 = 8 << 20;

/// Things of one kind in one call: readings of a clock, pieces of an answer.
const MAX_ITEMS: usize = 100_000;

tokio::task_local! {
    static CURRENT: Tape;
}

/// A tape. Clones are the same one.
#[derive(Clone)]
pub struct Tape(Arc<Mode>);

enum Mode {
    Recording(Mutex<Writing>),
    Playing(Playing),
}

/// What ended the recorded call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The guest, or the host for what the guest did.
    Guest,
    /// Its time. What the same code does beyond its tape it would have done later.
    Time,
    /// Its time, and other code is played. What that does beyond the tape is a difference.
    TimeOfOtherCode,
}

/// A tape that is being written.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) recording: Recording,
    left: u64,
    /// The clock is read by the host itself, which the guest does not see.
    pub(crate) unseen: bool,
    /// Which connection a socket stands for.
    pub(crate) sockets: BTreeMap<u32, usize>,
}

/// A tape that is being played.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) recording: Recording,
    /// Where its directories lie.
    pub(crate) dir: PathBuf,
    ended: EndedBy,
    at: Mutex<At>,
}

/// How far it has been played.
#[derive(Debug, Default)]
pub(crate) struct At {
    pub(crate) wall: usize,
    pub(crate) monotonic: usize,
    /// What the monotonic clock has said, or would say.
    pub(crate) now: u64,
    pub(crate) exchanges: usize,
    pub(crate) lookups: BTreeMap<String, usize>,
    pub(crate) connections: usize,
    pub(crate) values: usize,
    pub(crate) sockets: BTreeMap<u32, usize>,
    /// How often the guest has looked what became of each connection.
    pub(crate) waited: BTreeMap<usize, u32>,
    /// Timers that the guest waits for: number, when, whom to wake.
    pub(crate) timers: Vec<(u64, u64, Waker)>,
    pub(crate) next_timer: u64,
    difference: Option<String>,
    /// It has come to where the recorded call had no more time.
    is_late: bool,
}

/// What came of letting time pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Somebody's time has come.
    Woken,
    /// So has the end of the call.
    Late,
    /// Nobody waits for time.
    Nobody,
}

impl Tape {
    /// An empty one that records.
    pub fn record() -> Self {
        let writing =
            Writing { recording: Recording::new(), left: MAX_BYTES, unseen: false, sockets: BTreeMap::new() };
        Self(Arc::new(Mode::Recording(Mutex::new(writing))))
    }

    /// One that is played. Its directories are laid out below `dir`, which is empty and the caller's to remove.
    ///
    /// # Errors
    /// A directory cannot be laid out, or something in it has a name that leads out of it.
    pub fn play(recording: Recording, dir: &Path, ended: EndedBy) -> std::io::Result<Self> {
        files::lay_out(&recording, dir)?;
        let (dir, at) = (dir.to_owned(), Mutex::default());
        Ok(Self(Arc::new(Mode::Playing(Playing { recording, dir, ended, at }))))
    }

    /// Makes the calls of this future with this tape: one call, or it is a tape of several.
    pub async fn around<F: Future>(&self, calls: F) -> F::Output {
        CURRENT.scope(self.clone(), calls).await
    }

    /// What was recorded. What of a request's body is not taken out by [`Recording::redact`] before is known by its digest.
    pub fn take(&self) -> Recording {
        match &*self.0 {
            Mode::Recording(writing) => {
                let mut writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut writing.recording)
            }
            Mode::Playing(playing) => playing.recording.clone(),
        }
    }

    /// What the guest asked for and had not asked for when it was recorded, in words; none if it did as it had done.
    pub fn difference(&self) -> Option<String> {
        self.playing().and_then(|playing| playing.at().difference.clone())
    }

    /// The one of this task, if there is one.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// The tape's own end, if it is played.
    pub(crate) fn playing(&self) -> Option<&Playing> {
        match &*self.0 {
            Mode::Playing(playing) => Some(playing),
            Mode::Recording(_) => None,
        }
    }

    /// Writes down something of so many bytes, if there is room and it records.
    pub(crate) fn write(&self, bytes: usize, what: impl FnOnce(&mut Writing)) {
        let Mode::Recording(writing) = &*self.0 else { return };
        let mut writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        match writing.left.checked_sub(bytes as u64) {
            Some(left) if writing.recording.left_out.is_empty() => {
                writing.left = left;
                what(&mut writing);
            }
            Some(_) => {}
            None => {
                writing.recording.leave_out(format!("more than {} MiB came into the call", MAX_BYTES >> 20))
            }
        }
    }

    /// Says that something is missing: such a tape cannot be played.
    pub(crate) fn leave_out(&self, what: String) {
        self.write(0, |writing| writing.recording.leave_out(what));
    }

    /// What its chance grows from; none if it cannot be played anyway.
    pub(crate) fn seed(&self) -> Option<Bytes> {
        match &*self.0 {
            Mode::Recording(writing) => {
                let writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
                writing.recording.is_whole().then(|| writing.recording.seed.0.clone())
            }
            Mode::Playing(playing) => Some(playing.recording.seed.0.clone()),
        }
    }

    /// Bytes there is room for.
    pub(crate) fn room(&self) -> u64 {
        match &*self.0 {
            Mode::Recording(writing) => writing.lock().unwrap_or_else(PoisonError::into_inner).left,
            Mode::Playing(_) => 0,
        }
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = if self.playing().is_some() { "playing" } else { "recording" };
        f.debug_tuple("Tape").field(&mode).finish()
    }
}

impl Playing {
    pub(crate) fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the call: the guest does something else. The first difference is the one that counts.
    pub(crate) fn differs(&self, how: impl FnOnce() -> String) {
        let mut at = self.at();
        if at.difference.is_none() {
            at.difference = Some(how());
        }
    }

    /// The same, for whoever can only be answered with what there is not.
    pub(crate) async fn never<T>(&self, how: impl FnOnce() -> String) -> T {
        self.differs(how);
        std::future::pending().await
    }

    /// The guest does what is beyond the tape. Where its time was over it gets further only because this machine is faster, or
    /// time passes sooner: that is no difference, and its end.
    pub(crate) fn beyond(&self, how: impl FnOnce() -> String) {
        match self.ended {
            EndedBy::Time => self.at().is_late = true,
            EndedBy::Guest | EndedBy::TimeOfOtherCode => self.differs(how),
        }
    }

    /// The same, for whoever can only be answered with what there is not.
    pub(crate) async fn never_beyond<T>(&self, how: impl FnOnce() -> String) -> T {
        self.beyond(how);
        std::future::pending().await
    }

    /// The guest reads a clock once more than it had. By itself that is no difference.
    pub(crate) fn read_beyond(&self, at: &mut At) {
        at.is_late |= self.ended == EndedBy::Time;
    }

    /// Whether it has gone another way, or has come to the end that it had.
    pub(crate) fn is_over(&self) -> bool {
        let at = self.at();
        at.difference.is_some() || at.is_late
    }

    /// Whether it has come to where the recorded call had no more time.
    pub(crate) fn is_late(&self) -> bool {
        self.at().is_late
    }

    /// Whether the recorded call had no end of its own.
    pub(crate) fn timed_out(&self) -> bool {
        self.ended != EndedBy::Guest
    }

    /// Nothing else can happen: the earliest timer that is waited for is over, unless the call, which had so much time, was over
    /// before.
    pub(crate) fn pass_time(&self, time: Duration) -> Passed {
        let mut at = self.at();
        let Some(earliest) = at.timers.iter().map(|(_, when, _)| *when).min() else { return Passed::Nobody };
        at.now = at.now.max(earliest);
        let now = at.now;
        if self.timed_out() && u128::from(now) >= time.as_nanos() {
            return Passed::Late;
        }
        let (over, waiting) =
            std::mem::take(&mut at.timers).into_iter().partition(|(_, when, _)| *when <= now);
        at.timers = waiting;
        drop(at);
        let over: Vec<(u64, u64, Waker)> = over;
        over.into_iter().for_each(|(_, _, waker)| waker.wake());
        Passed::Woken
    }

    /// Nothing else can happen, and nobody waits for time to pass either.
    pub(crate) fn stalled(&self) {
        if !self.timed_out() {
            self.differs(|| "it waits for something that never came when it was recorded".to_owned());
        }
    }
}
