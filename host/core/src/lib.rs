//! `razar-core` decides and does nothing: no I/O, no clock, no async, no wasm, no randomness.
//!
//! The way in is [`supervisor::step`]: `step(&mut State, now, Input) -> Decision { facts, effects }`. State is a
//! fold over facts; an effect can be performed only by whoever holds its [`effect::Authorized`].
//!
//! | module | owns |
//! |---|---|
//! | [`id`] | validated names |
//! | [`time`] | the two number types time comes in |
//! | [`document`] | what a human writes, as written |
//! | [`plan`] | what it means: validated, cross-checked |
//! | [`patch`] | what may be changed of a component: proposal, gate, change set |
//! | [`grant`] | capability algebra: request, grant, intersection, permit |
//! | [`effect`] | what the host may do to the world, and the permission to do it |
//! | [`fact`] | what is remembered |
//! | [`failure`] | what a failure is, its class and its known remedy |
//! | [`incident`], `ladder` | a failure that agents are asked about; who is asked next |
//! | [`detect`], [`backoff`] | volatile detectors; how long to wait before the next launch |
//! | [`problem`], [`count`] | what is wrong with something a human wrote; numbers in sentences |
//! | [`redact`] | secrets out of text that leaves the host, and back into what returns |
//! | [`trust`] | pinned packages, and whose signatures are believed |
//! | [`supervisor`] | the one function that decides |
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests read what is shipped and may act"
    )
)]

pub mod backoff;
pub mod count;
pub mod detect;
pub mod document;
pub mod effect;
pub mod fact;
pub mod failure;
pub mod grant;
pub mod id;
pub mod incident;
mod ladder;
pub mod memory;
pub mod patch;
pub mod plan;
pub mod problem;
pub mod redact;
pub mod supervisor;
pub mod time;
pub mod trust;
