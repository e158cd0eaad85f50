//! Clocks and chance of a call with a tape. While it records they are the host's own, and each reading is kept; chance grows
//! from a seed that is kept. While it is played, time is what was read, and passes beyond that only when the guest waits for
//! it and nothing else can happen any more.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use rand_core::TryRng;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::clocks::{MonotonicClock, WallClock, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use super::{MAX_ITEMS, Playing, Tape};

/// The version wasmtime-wasi 48 links; the linker matches other 0.2 versions to it.
const INTERFACE: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// How far a clock goes on by itself with each reading that nobody has recorded: a guest that waits in a loop gets out of it.
const STEP: u64 = 1_000_000;

/// What a reading takes of a tape's room.
const READING: usize = 8;

/// Gives the guest the tape's clocks and chance. A call that is left out already has no seed, and the machine's own chance.
pub(crate) fn give(tape: &Tape, wasi: &mut WasiCtxBuilder) {
    if let Some(seed) = tape.seed() {
        let chance = |what: &str| Chance::new(what, &seed);
        let mut insecure = [0; 16];
        let Ok(()) = chance("seed").try_fill_bytes(&mut insecure);
        wasi.secure_random(chance("random"))
            .insecure_random(chance("insecure"))
            .insecure_random_seed(u128::from_le_bytes(insecure));
    }
    wasi.wall_clock(Wall { own: WallClock::new(), tape: tape.clone() })
        .monotonic_clock(Monotonic { own: MonotonicClock::new(), tape: tape.clone() });
}

/// Bytes that nobody can tell from chance who has not the seed.
struct Chance(blake3::OutputReader);

impl Chance {
    fn new(what: &str, seed: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(&format!("razar-host tape v1 {what}"));
        hasher.update(seed);
        Self(hasher.finalize_xof())
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

struct Wall {
    own: WallClock,
    tape: Tape,
}

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let Some(playing) = self.tape.playing() else {
            let now = self.own.now();
            let kept = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            self.tape.write(READING, |writing| {
                writing.recording.wall.push(kept);
                writing.bound();
            });
            return now;
        };
        let mut at = playing.at();
        let reading = playing.recording.wall.get(at.wall).copied();
        at.wall += 1;
        if reading.is_none() {
            playing.read_beyond(&mut at);
        }
        let beyond = at.wall.saturating_sub(playing.recording.wall.len()) as u64;
        let last = playing.recording.wall.last().copied().unwrap_or_default();
        Duration::from_nanos(reading.unwrap_or_else(|| last.saturating_add(STEP.saturating_mul(beyond))))
    }
}

struct Monotonic {
    own: MonotonicClock,
    tape: Tape,
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let Some(playing) = self.tape.playing() else {
            let now = self.own.now();
            self.tape.write(READING, |writing| {
                if !writing.unseen {
                    writing.recording.monotonic.push(now);
                    writing.bound();
                }
            });
            return now;
        };
        let mut at = playing.at();
        let reading = playing.recording.monotonic.get(at.monotonic).copied();
        at.monotonic += 1;
        if reading.is_none() {
            playing.read_beyond(&mut at);
        }
        at.now = at.now.max(reading.unwrap_or_else(|| at.now.saturating_add(STEP)));
        at.now
    }
}

impl super::Writing {
    /// A guest that reads a clock all the time has nothing to say that is worth a file.
    pub(crate) fn bound(&mut self) {
        if self.recording.wall.len().max(self.recording.monotonic.len()) > MAX_ITEMS {
            self.recording.leave_out(format!("it read a clock more than {MAX_ITEMS} times"));
        }
    }
}

/// What the functions need of a store's data.
pub(crate) struct ClockView<'a> {
    pub(crate) clocks: WasiClocksCtxView<'a>,
    pub(crate) tape: Option<Tape>,
}

/// Defines the two functions that make timers, over wasmtime's own, which they call unless a tape is played.
pub(crate) fn add_clock_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> ClockView<'_>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let defined = define(linker, view);
    linker.allow_shadowing(false);
    defined
}

fn define<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> ClockView<'_>,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap("subscribe-duration", move |mut store: StoreContextMut<'_, T>, (span,): (u64,)| {
        let ClockView { mut clocks, tape } = view(store.data_mut());
        Ok((match played(&tape) {
            None => clocks.subscribe_duration(span)?,
            Some((tape, playing)) => {
                let when = playing.at().now.saturating_add(span);
                timer(&mut clocks, tape, when)?
            }
        },))
    })?;
    instance.func_wrap("subscribe-instant", move |mut store: StoreContextMut<'_, T>, (when,): (u64,)| {
        let ClockView { mut clocks, tape } = view(store.data_mut());
        Ok((match played(&tape) {
            // wasmtime's own reads the clock: how often a guest waits is the moment's, and what it does not see is not kept.
            None => {
                let unseen = |unseen: bool| {
                    if let Some(tape) = &tape {
                        tape.write(0, |writing| writing.unseen = unseen);
                    }
                };
                unseen(true);
                let pollable = clocks.subscribe_instant(when);
                unseen(false);
                pollable?
            }
            Some((tape, _)) => timer(&mut clocks, tape, when)?,
        },))
    })
}

fn played(tape: &Option<Tape>) -> Option<(&Tape, &Playing)> {
    tape.as_ref().and_then(|tape| Some((tape, tape.playing()?)))
}

fn timer(
    clocks: &mut WasiClocksCtxView<'_>,
    tape: &Tape,
    when: u64,
) -> wasmtime::Result<Resource<DynPollable>> {
    let timer = clocks.table.push(Timer { tape: tape.clone(), when })?;
    subscribe(clocks.table, timer)
}

/// A time that comes when nothing else can.
struct Timer {
    tape: Tape,
    when: u64,
}

/// Takes a timer away that nobody waits for any more.
struct Waiting<'a> {
    playing: &'a Playing,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.playing.at().timers.retain(|(number, ..)| *number != self.number);
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let Some(playing) = self.tape.playing() else { return };
        // Whoever asks with a timer that is over wants to know what else is ready: that gets its turn first.
        tokio::task::yield_now().await;
        let number = {
            let mut at = playing.at();
            at.next_timer += 1;
            at.next_timer
        };
        let _waiting = Waiting { playing, number };
        poll_fn(|context| {
            let mut at = playing.at();
            if at.now >= self.when {
                return Poll::Ready(());
            }
            at.timers.retain(|(known, ..)| *known != number);
            at.timers.push((number, self.when, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_same_for_the_same_seed_and_for_no_other_use_of_it() {
        let bytes = |what: &str, seed: &[u8]| {
            let mut bytes = [0; 32];
            let Ok(()) = Chance::new(what, seed).try_fill_bytes(&mut bytes);
            bytes
        };
        assert_eq!(bytes("random", b"a"), bytes("random", b"a"));
        assert_ne!(bytes("random", b"a"), bytes("random", b"b"));
        assert_ne!(bytes("random", b"a"), bytes("insecure", b"a"));
    }
}
