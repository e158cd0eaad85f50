//! Time and stacks.

use std::hint::black_box;

use razar_sdk::{PluginError, Report};

use crate::raw::wasi::clocks::monotonic_clock;
use crate::raw::wasi::io::poll::{Pollable, poll};
use crate::say;

pub(crate) fn spin() -> Result<Report, PluginError> {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

pub(crate) fn rounds(n: u64) -> Report {
    for round in 0..n {
        black_box(round);
    }
    say("rounds")
}

pub(crate) fn sleep(ms: u64) -> Report {
    monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)).block();
    say("slept")
}

pub(crate) fn naps() -> Result<Report, PluginError> {
    loop {
        monotonic_clock::subscribe_duration(1_000_000).block();
    }
}

pub(crate) fn never() -> Result<Report, PluginError> {
    let far = monotonic_clock::subscribe_instant(u64::MAX);
    poll(&[&far]);
    Ok(say("the end of time"))
}

pub(crate) fn clock() -> Result<Report, PluginError> {
    loop {
        black_box(monotonic_clock::now());
    }
}

pub(crate) fn clocks(n: u64) -> Report {
    for _ in 0..n {
        black_box(monotonic_clock::now());
    }
    say("asked")
}

pub(crate) fn recurse() -> Report {
    #[inline(never)]
    #[expect(unconditional_recursion, reason = "that is the attack")]
    fn level(depth: u64) -> u64 {
        let now = monotonic_clock::now();
        black_box(level(depth + 1)).rotate_left(1) ^ now
    }
    say(&level(0).to_string())
}

pub(crate) fn stack(depth: u32) -> Report {
    #[inline(never)]
    fn level(depth: u32) -> u8 {
        let mut frame = [0_u8; 4096];
        frame[depth as usize % 4096] = 1;
        let frame = black_box(frame);
        if depth == 0 { frame[0] } else { level(depth - 1).wrapping_add(frame[17]) }
    }
    black_box(level(depth));
    say("returned")
}

pub(crate) fn hoard(n: u32) -> Report {
    let held: Vec<Pollable> =
        (0..n).map(|_| monotonic_clock::subscribe_duration(1_000_000_000_000)).collect();
    say(&format!("holds {}", held.len()))
}
