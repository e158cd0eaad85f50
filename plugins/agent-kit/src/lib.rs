//! What every agent that asks a model has in common: from the host's brief to a prompt, from a model's reply to a proposal.
//! Who that model is, and where, only the operator says. Must never depend on a crate of the host, never follow what data says,
//! and never guess: what is unclear is an error with a name.
//!
//! | module | owns |
//! |---|---|
//! | [`prompt`] | the first messages: task, failure, log, sources, earlier attempts |
//! | [`fence`] | how data is marked, with a marker that it cannot contain |
//! | [`chat`] | the conversation, whoever the vendor is |
//! | [`openai`], [`plain`] | that conversation in OpenAI's words, and as one text |
//! | [`hermes`] | tools and speakers in the text itself |
//! | [`names`] | tools' names as vendors take them |
//! | [`sse`] | an answer in pieces |
//! | [`vendor`] | what error answers mean, as tables |
//! | [`server`], [`retry`] | one request and its answer; what is asked again, and when |
//! | [`profile`] | what a vendor is like, and an agent made of it |
//! | [`reply`] | what a model's text proposes |
//! | [`turn`] | one stateless turn of the contract, tool rounds included |

pub mod chat;
pub mod fence;
pub mod hermes;
pub mod names;
pub mod openai;
pub mod plain;
pub mod profile;
pub mod prompt;
#[cfg(not(target_family = "wasm"))]
pub mod rehearsal;
pub mod reply;
pub mod retry;
pub mod server;
pub mod sse;
pub mod text;
pub mod turn;
pub mod vendor;

pub use profile::{Configured, Profile, propose};
pub use turn::{Model, take_turn};
