//! The trial of a patch: a sealed copy of a component's files, with the patch and without, in which judges run what they
//! must run. Nothing here changes the component, and nothing that runs in a trial outlives it.
//!
//! ```text
//!  start ──request──► bubblewrap ─ judge ─┬─ sealed copy ─► evaluators
//!    ▲                  own network,      ├─ bubblewrap ─ the service, asked by its probes     without the patch,
//!    └────────report──  processes, files  └─ bubblewrap ─ the component's own test command     then with it
//! ```
//!
//! | file | owns |
//! |---|---|
//! | [`wire`] | what is said to the judge, and by him |
//! | [`start`] | the outer half: what he is told, starting him, hearing him |
//! | [`bubblewrap`] | both sandboxes, as arguments of a program that is not ours |
//! | [`calls`] | what a judged program may not ask the kernel for |
//! | [`judge`] | the inner half: the order of a trial |
//! | [`sealed`] | the copy |
//! | [`stage`] | the copy somebody runs in, and what he changed of it |
//! | [`nest`] | one program in the inner sandbox |
//! | [`shadow`] | the service, started in it |
//! | [`asking`] | its probes |
//! | [`native`] | the component's own test command |
//! | [`planted`] | the host's own tests among the component's |
//! | [`evaluate`] | judges that run nothing natively |
//! | [`plugins`] | those of them that are plugins |
//!
//! What the judges saw becomes a verdict in `razar_core::patch`, outside of the sandbox.

mod asking;
mod bubblewrap;
mod calls;
pub(crate) mod evaluate;
pub(crate) mod judge;
mod native;
mod nest;
mod planted;
pub(crate) mod plugins;
mod sealed;
mod shadow;
mod stage;
pub(crate) mod start;
pub(crate) mod wire;

pub(crate) use bubblewrap::look;
