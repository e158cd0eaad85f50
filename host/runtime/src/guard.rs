//! The guards that no grant and no limit can widen, each under a name. A mutation run of the hostile corpus switches one
//! off and sees the case fail that is about it. Without the feature `mutate`, which nothing that ships enables, they
//! are always on: there is nothing to switch, and the compiler knows it.

/// One guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "mutate"), expect(unreachable_pub, reason = "seen only by mutation runs"))]
pub enum Guard {
    /// Parts of wasm that no plugin needs are refused.
    Features,
    /// What cannot be compiled in bounded time is refused before it is compiled.
    Shape,
    /// An unknown import is refused by name.
    Imports,
    /// What a guest prints is escaped.
    Escape,
    /// What a log line says of a guest's own words is bounded.
    Bound,
    /// A granted tree holds nothing that could keep a thread waiting.
    Special,
    /// Headers that only the host sets.
    Headers,
    /// Secrets are taken out of what comes back.
    Scrub,
    /// What is compressed, and so could not be scrubbed, is refused.
    Encoded,
    /// Native code at rest is believed only under its MAC.
    Mac,
}

/// Whether it is on.
#[cfg(not(feature = "mutate"))]
pub(crate) const fn on(_: Guard) -> bool {
    true
}

#[cfg(feature = "mutate")]
pub(crate) use self::mutate::on;
#[cfg(feature = "mutate")]
pub use self::mutate::{off, parse};

#[cfg(feature = "mutate")]
mod mutate {
    use std::sync::Mutex;
    use std::sync::PoisonError;

    use super::Guard;

    /// The one that is off; of the whole process, because a guard is.
    static OFF: Mutex<Option<Guard>> = Mutex::new(None);

    const ALL: [(Guard, &str); 10] = [
        (Guard::Features, "features"),
        (Guard::Shape, "shape"),
        (Guard::Imports, "imports"),
        (Guard::Escape, "escape"),
        (Guard::Bound, "bound"),
        (Guard::Special, "special"),
        (Guard::Headers, "headers"),
        (Guard::Scrub, "scrub"),
        (Guard::Encoded, "encoded"),
        (Guard::Mac, "mac"),
    ];

    /// Whether it is on.
    pub(crate) fn on(guard: Guard) -> bool {
        *OFF.lock().unwrap_or_else(PoisonError::into_inner) != Some(guard)
    }

    /// Switches one off and all others on; nothing switches all of them on.
    pub fn off(guard: Option<Guard>) {
        *OFF.lock().unwrap_or_else(PoisonError::into_inner) = guard;
    }

    /// By name, as cases write it.
    pub fn parse(name: &str) -> Option<Guard> {
        ALL.into_iter().find(|(_, known)| *known == name).map(|(guard, _)| guard)
    }
}
