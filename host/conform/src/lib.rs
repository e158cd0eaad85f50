//! `razar-conform` shows what the sandbox withstands: it reads a corpus of hostile cases, runs each against a runtime and
//! judges what came of it. A corpus is data. It never builds a guest, never makes a runtime, and never decides what a
//! case should have ended as: the case says so.
//!
//! | module | owns |
//! |---|---|
//! | [`corpus`] | the directory: cases and guests |
//! | [`case`] | one case as written, and as it is run |
//! | [`world`] | what a case finds: a granted tree, and a canary beside it |
//! | [`upstream`] | the server that misbehaves |
//! | [`names`] | what names lead to |
//! | [`run`] | one case against a runtime |
//! | [`judge`] | what it ended as, against what it must end as |
//! | [`arena`] | all of this on an operator's own host |
//!
//! A corpus lies in one directory: `cases/*.toml`, each a table of cases by name, and `guests/*.wasm`.

pub mod arena;
pub mod case;
pub mod corpus;
pub mod judge;
pub mod names;
pub mod run;
pub mod upstream;
pub mod world;

pub use crate::case::{Case, CaseError};
pub use crate::corpus::Corpus;
