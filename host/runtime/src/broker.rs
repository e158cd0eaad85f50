//! The brokers: everything a guest can do to the outside passes one of them.
//!
//! | module | lets a guest |
//! |---|---|
//! | [`http`] | send HTTP requests |
//! | [`tcp`] | open TCP connections, look names up |
//! | [`files`] | read a bounded copy of its component's log, and granted directories |
//! | [`keyvalue`] | keep values from call to call |
//! | [`config`] | read configuration values and its environment |
//! | [`log`] | print and log |
//!
//! [`journal`], [`resolve`] and [`secret`] serve them.
//!
//! A broker takes a permit of `razar_core::grant` and never decides itself what is allowed. What it refuses and what
//! was used goes into the call's journal. A refusal is an answer to the guest, never a trap.

pub mod config;
pub mod files;
pub mod http;
pub mod journal;
pub mod keyvalue;
pub mod log;
pub mod resolve;
pub mod secret;
pub mod tcp;
