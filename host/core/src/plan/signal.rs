//! The signals that ask a process to end, by the names people write. Never one that stops, continues or cannot be
//! meant.

/// Names and numbers as Linux counts, on x86 and Arm.
const SIGNALS: [(&str, i32); 7] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGTERM", 15),
];

/// The number of a signal, with or without `SIG`.
pub(super) fn number(name: &str) -> Option<i32> {
    let matches = |full: &str| full == name || full.strip_prefix("SIG") == Some(name);
    SIGNALS.iter().find(|(full, _)| matches(full)).map(|(_, number)| *number)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(name, _)| *name)
}
