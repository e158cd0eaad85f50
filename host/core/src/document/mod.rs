//! What a human writes, as written: plain serde, unknown keys refused, no methods.

pub mod boot;
pub mod grants;
mod located;
pub mod lock;
pub mod plugin;
pub mod roster;
pub mod signers;
pub mod units;
