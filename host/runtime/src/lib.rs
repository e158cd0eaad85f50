//! `razar-runtime` runs plugins; it is the only crate that names wasmtime.
//!
//! | module | owns |
//! |---|---|
//! | [`runtime`] | the way in: engines, cache, compiler |
//! | [`plugins`] | all plugins of a directory |
//! | [`package`], [`archive`] | one plugin's files, or its one file |
//! | [`locked`] | a directory of pinned packages |
//! | [`load`] | bytes to a loaded plugin |
//! | [`plugin`] | a loaded plugin and what is known about it |
//! | [`contract`] | the plugin contract as the host sees it |
//! | [`outcome`] | how a call ends |
//! | [`incident`] | the line in the log about a call that went wrong |
//! | [`engine`] | how guests are allocated, interrupted and counted |
//! | [`prescan`] | what a plugin may look like |
//! | [`compile`] | wasm to native code, in a limited process |
//! | [`cwasm`] | native code at rest, under a MAC |
//! | [`link`] | what a plugin may import |
//! | [`broker`] | what a guest can reach |
//! | [`tape`] | all that came into one call, to be played again |
//!
//! A call: `runtime.load(source, &grant).await?.probe()?.check(call).await`, which never fails: its report says how
//! it ended.

pub mod archive;
pub mod broker;
mod call;
pub mod compile;
pub mod contract;
pub mod cwasm;
pub mod engine;
#[cfg(not(feature = "mutate"))]
mod guard;
#[cfg(feature = "mutate")]
pub mod guard;
pub mod incident;
mod limits;
pub mod link;
pub mod load;
pub mod locked;
pub mod outcome;
pub mod package;
pub mod plugin;
pub mod plugins;
pub mod prescan;
pub mod runtime;
mod state;
pub mod tape;

pub use crate::runtime::{Runtime, RuntimeOptions};
