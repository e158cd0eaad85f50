//! What a Rust author needs to write a plugin for razar-host: the contract's types with comfortable constructors, one trait and
//! one export macro per role, and helpers over WASI. Must never depend on a crate of the host.
//!
//! ```
//! use razar_sdk::{PluginError, Probe, Report, Target};
//!
//! struct Always;
//!
//! impl Probe for Always {
//!     fn check(target: Target) -> Result<Report, PluginError> {
//!         Ok(Report::healthy(format!("{} is fine", target.component)).measure("latency", 0.1, "ms"))
//!     }
//! }
//!
//! razar_sdk::export_probe!(Always);
//! assert_eq!(Always::check(Target::new("db")).unwrap().summary, "db is fine");
//! ```
//!
//! The macros expand only for wasm: `cargo test` runs a plugin's logic natively, and `cargo xtask plugins` builds the component.
//! `std::net`, `std::fs` and `std::time` work in both. Settings come as JSON and become a struct with
//! [`Target::parse_settings`]; HTTP goes through [`http::send`] and [`http::post`], what the operator configures through
//! [`config::get`], what is kept from call to call through [`values::Store`], and messages for the host's log through [`log::say`].

// The generated export macros name this crate the way a plugin does.
extern crate self as razar_sdk;

pub mod agent;
#[doc(hidden)]
pub mod bindings;
pub mod config;
mod error;
pub mod evaluator;
mod export;
pub mod http;
pub mod log;
mod probe;
mod settings;
pub mod tcp;
mod text;
pub mod tools;
pub mod values;

pub use bindings::types::{Pause, PluginError, PluginErrorKind, ToolCall, ToolResult, ToolSchema, Turn};
pub use probe::{Health, Measurement, Phase, Probe, Report, Target};
pub use settings::parse as parse_settings;
pub use text::one_line;
