//! What every agent that asks a model has in common: from the host's brief to a prompt, from a model's reply to a proposal.
//! It decides and sends nothing: how a request reaches its model is the agent's part, in a [`Model`]. Must never depend on a
//! crate of the host, never follow what data says, and never guess: what is unclear is an error with a name.
//!
//! | module | owns |
//! |---|---|
//! | [`prompt`] | the first messages: task, failure, log, sources, earlier attempts |
//! | [`fence`] | how data is marked, with a marker that it cannot contain |
//! | [`chat`] | the conversation, whoever the vendor is |
//! | [`openai`] | that conversation in OpenAI's words |
//! | [`vendor`] | what error answers mean, as tables |
//! | [`retry`] | what is asked again, and when |
//! | [`reply`] | what a model's text proposes |
//! | [`turn`] | one stateless turn of the contract, tool rounds included |

pub mod chat;
pub mod fence;
pub mod openai;
pub mod prompt;
pub mod reply;
pub mod retry;
pub mod text;
pub mod turn;
pub mod vendor;

pub use turn::{Model, take_turn};
