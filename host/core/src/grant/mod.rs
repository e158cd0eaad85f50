//! Capability algebra: what a plugin wants, what the operator gives, the intersection, and the proof that one use is
//! allowed. Nothing here performs a use, resolves a name or reads a value: it only says yes or no, and why.
//!
//! ```text
//! plugin.toml ── Request ─┐
//! grants.toml ── Grant ───┼─► StandingGrant ── CallScope ─► EffectiveGrant ── check ─► HttpPermit, TcpPermit, …
//! role_defaults(role) ────┘      (at load)      (per call)                     └─────► Denied (reason, remedy)
//! ```
//!
//! A name that is allowed is not yet an address that is allowed: a permit turns into a [`Dialable`] only for a resolved
//! address that passed the address policy, and that address is the one to dial.

mod address;
mod capability;
mod denied;
mod dir;
mod effective;
mod error;
mod grants;
mod host;
mod http;
mod limits;
mod method;
mod net;
mod permit;
mod scope;
mod secret;
mod store;
mod url;
mod used;

pub use address::{AddressClass, address_is_public, canonical};
pub use capability::{Capability, Role};
pub use denied::{Denied, DenyReason};
pub use dir::{Access, DirRule, DirSource, GuestPath, HostPath};
pub use effective::{EffectiveGrant, StandingGrant};
pub use error::RuleError;
pub(crate) use error::{is_deceptive, visible};
pub use grants::{Grant, HttpGrant, Meeting, Request, SETTINGS, Unmet, Unused, meet, role_defaults};
pub use host::{Host, HostPattern};
pub use http::{HttpPlace, HttpRule, PathPattern, Scheme, UrlPattern};
pub use limits::{LimitError, LimitField, Limits, LimitsOverride};
pub use method::{Method, Methods};
pub use net::{NameRule, TcpRule};
pub use permit::{
    Dialable, DirPermit, HttpPermit, NamePermit, ResolvedName, StorePermit, TcpPermit, WorkspacePermit,
};
pub use scope::{CallScope, LogBegin, Target, TreePaths};
pub use secret::{SecretRef, SecretSource};
pub(crate) use secret::{config_key, env_name};
pub use store::Quota;
pub(crate) use store::store_name;
pub use url::HttpUrl;
pub use used::Use;

#[cfg(test)]
mod tests;
