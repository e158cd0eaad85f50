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
use crate::tape::Playing;

/// So often everybody else on this thread gets a turn before nothing can happen any more.
const TURNS: u32 = 64;

/// Between two looks whether somebody on another thread is done.
const BESIDE: Duration = Duration::from_millis(1);

/// So long whoever works on another thread has: a guest that waits for no timer may wait for a file, on a slow disk.
const SLOW: Duration = Duration::from_secs(10);
/// The same where the recorded call came to no end either.
const SLOW_AGAIN: Duration = Duration::from_secs(1);

/// How much longer than when it was recorded a guest may compute: the machine may be a slower one.
const SLOWER: u32 = 4;
const AT_LEAST: Duration = Duration::from_secs(60);

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
    let until = if playing.timed_out() { time } else { time.saturating_mul(SLOWER).max(AT_LEAST) };
    let asked = Arc::new(Asked(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&asked));
    let patience = if playing.timed_out() { SLOW_AGAIN } else { SLOW };
    let (mut idle, mut quiet) = (0_u32, None::<Instant>);
    loop {
        if let Some(end) = turn(guest.as_mut(), closed.as_mut(), &waker) {
            return end;
        }
        if playing.is_over() || begun.elapsed() >= until {
            return End::Deadline;
        }
        if asked.0.swap(false, Ordering::SeqCst) {
            (idle, quiet) = (0, None);
        } else {
            idle = idle.saturating_add(1);
        }
        if idle <= TURNS {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::time::sleep(BESIDE).await;
        if asked.0.load(Ordering::SeqCst) {
            continue;
        }
        // Who waits for a timer waits for no file: the guest does one thing at a time.
        if playing.pass_time() {
            (idle, quiet) = (0, None);
        } else if quiet.get_or_insert_with(Instant::now).elapsed() >= patience {
            playing.stalled();
            return End::Deadline;
        }
    }
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
