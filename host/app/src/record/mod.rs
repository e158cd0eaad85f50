//! Calls of plugins in an incident, as they are kept: what each was asked, what came into it from outside while it ran, and how it
//! ended; and played again, where nothing of the outside is.
//!
//! ```text
//! a call ─► tape (razar-runtime) ─► without secrets ─► one document an attempt ─► ledger ─► a fact names it
//!                                                                                 │
//!               the same, or where it differs ◄── the same call on the tape ◄─────┘
//! ```
//!
//! | file | owns |
//! |---|---|
//! | [`calls`] | the document |
//! | [`clean`] | how secrets are taken out of it |
//! | [`gate`] | what the gate was asked, so that it can be asked again |
//! | [`play`] | one call, again |
//! | [`rings`] | the newest calls of probes, until somebody wants them |
//! | [`take`] | plugins whose calls are recorded |
//!
//! A recording is evidence and decides nothing. Losing one loses no incident.

pub(crate) mod calls;
pub(crate) mod clean;
pub(crate) mod gate;
pub(crate) mod play;
pub(crate) mod rings;
pub(crate) mod take;
