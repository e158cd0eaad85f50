//! What makes a package from elsewhere the one that is meant: the digest it was pinned with, who signed it, and that it is not
//! older than what was there. It reads no file and no clock, and holds no private key.
//!
//! ```text
//! signers.toml ── Signers ─┐
//! plugins.lock ── Pin ─────┼─► admit(offer, terms) ─► Pin, for the lock ─► whoever loads compares digests
//! package, .minisig ───────┘                └──────► Refused: nothing is changed
//! ```

mod admit;
mod pin;
mod signers;

pub use admit::{Offer, Refused, Terms, admit};
pub use pin::{Lock, Pin, Signed, signed_at};
pub use signers::{LastDay, LastDayError, NamePattern, NamePatternError, Signer, Signers};

#[cfg(test)]
mod tests;
