//! The launcher: a small single-threaded process that owns the operator's services and outlives the host.
//!
//! ```text
//!   host ──(launcher.sock: JSON lines)──► launcher ──► service, service, …   each its own process group
//!    │ dies, comes back, lists, adopts       │ dies: the next one finds them by record and marker
//! ```
//!
//! | file | owns |
//! |---|---|
//! | [`wire`] | what is said over the socket |
//! | [`place`] | names of files in the state directory, and the socket's address however long the path |
//! | [`process`] | what `/proc` says: identity, family, marker |
//! | [`record`] | which process is which instance, on disk before anybody is told |
//! | [`user`] | who a service runs as |
//! | [`spawn`] | starting one process, and saying precisely why not |
//! | [`group`] | what all processes of a component together may use |
//! | [`left`] | what killed trials leave of that |
//! | [`exec`] | the short-lived step between fork and a service of another user, or one held to limits |
//! | [`output`] | a service's pipe and the bounded files it is drained into |
//! | [`service`] | the life of one instance |
//! | [`probe`] | the life of one native check |
//! | [`session`] | one connected host, which can never block the rest |
//! | [`server`] | the loop |
//! | [`client`] | the host's end, asynchronous |
//!
//! The server half has no thread and no async runtime, decides nothing, and never starts anything twice.

pub(crate) mod client;
pub(crate) mod exec;
pub(crate) mod group;
pub(crate) mod left;
mod output;
mod place;
mod probe;
pub(crate) mod process;
pub(crate) mod record;
pub(crate) mod server;
mod service;
mod session;
pub(crate) mod spawn;
pub(crate) mod user;
pub(crate) mod wire;

pub(crate) use client::{Event, Launcher, LauncherError, Situation, StartError, Starter, StopError};
pub(crate) use wire::CheckEnd;
