//! Drives a guest whose tape is played: as long as anything can still happen, it happens; when nothing can, time passes; and when
//! nobody waits for time either, the call is over, as it was when it was recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::drive::{End, message};
use crate::engine::Engine;
use crate::outcome::PluginError;
use crate::tape::{Passed, Playing};

/// So often everybody else on this thread gets a turn before nothing can happen any more.
const TURNS: u32 = 64;

/// How much longer than when it was recorded a guest may compute: the machine may be a slower one. A recording may be a stranger's:
/// whatever it names as its time, it gets no more than any role has without being given more.
const SLOWER: u32 = 4;
const AT_LEAST: Duration = Duration::from_secs(60);
const AT_MOST: Duration = Duration::from_secs(300);

/// How long a guest may compute that had computed until its time was over: what would be found out takes as long again.
const SPUN: Duration = Duration::from_secs(60);

/// Whether somebody has asked for another turn.
struct Asked(AtomicBool);

impl Wake for Asked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs the guest. Only a guest that computes for too long is held to a time that passes on a clock.
pub(super) async fn drive<T>(
    engine: &Engine,
    begun: Instant,
    time: Duration,
    playing: &Playing,
    guest: impl Future<Output = wasmtime::Result<Result<T, PluginError>>> + Send,
) -> End<T> {
    let mut guest = pin!(guest);
    let mut closed = pin!(engine.closed());
    let until = patience(time, playing.timed_out());
    let asked = Arc::new(Asked(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&asked));
    let mut idle = 0_u32;
    loop {
        match turn(guest.as_mut(), closed.as_mut(), &waker) {
            Some(End::Done(_)) if playing.is_late() => return End::Deadline,
            Some(end) => return end,
            None => {}
        }
        if playing.is_over() || begun.elapsed() >= until {
            return End::Deadline;
        }
        idle = if asked.0.swap(false, Ordering::SeqCst) { 0 } else { idle.saturating_add(1) };
        if idle <= TURNS {
            tokio::task::yield_now().await;
            continue;
        }
        idle = 0;
        beside().await;
        if asked.0.load(Ordering::SeqCst) {
            continue;
        }
        match playing.pass_time(time) {
            Passed::Woken => {}
            Passed::Late => return End::Deadline,
            Passed::Nobody => {
                playing.stalled();
                return End::Deadline;
            }
        }
    }
}

/// How long it may compute whose call had so much time.
fn patience(time: Duration, timed_out: bool) -> Duration {
    if timed_out { time.min(SPUN) } else { time.saturating_mul(SLOWER).clamp(AT_LEAST, AT_MOST) }
}

/// Whoever works for the guest on the other thread, on its files, is done: there is one such thread, and it takes its turns.
async fn beside() {
    // One that panicked is done, too.
    let _ = tokio::task::spawn_blocking(|| ()).await;
}

/// One turn of the guest: how it ended, if it did.
fn turn<T>(
    guest: Pin<&mut impl Future<Output = wasmtime::Result<Result<T, PluginError>>>>,
    closed: Pin<&mut impl Future>,
    waker: &Waker,
) -> Option<End<T>> {
    let mut context = Context::from_waker(waker);
    match catch_unwind(AssertUnwindSafe(|| guest.poll(&mut context))) {
        Ok(Poll::Ready(result)) => Some(End::Done(result)),
        Err(payload) => Some(End::Panicked(message(payload.as_ref()))),
        Ok(Poll::Pending) => closed.poll(&mut context).is_ready().then_some(End::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_recording_chooses_how_long_a_replay_computes() {
        let of = |seconds, timed_out| patience(Duration::from_secs(seconds), timed_out).as_secs();
        assert_eq!([1, 30, 3_600, u64::MAX].map(|seconds| of(seconds, false)), [60, 120, 300, 300]);
        assert_eq!([1, 30, 3_600, u64::MAX].map(|seconds| of(seconds, true)), [1, 30, 60, 60]);
    }
}
