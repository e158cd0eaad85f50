//! Comfortable ways to make a `plugin-error`.

use crate::bindings::types::{PluginError, PluginErrorKind};
use crate::text::one_line;

impl PluginError {
    /// An error of `kind`; the message becomes one line without control characters.
    pub fn new(kind: PluginErrorKind, message: impl AsRef<str>) -> Self {
        Self { kind, message: one_line(message.as_ref()), retry_after_ms: None, extensions: Vec::new() }
    }

    /// The arguments or the settings are wrong.
    pub fn invalid_input(message: impl AsRef<str>) -> Self {
        Self::new(PluginErrorKind::InvalidInput, message)
    }

    /// A permission is missing.
    pub fn denied(message: impl AsRef<str>) -> Self {
        Self::new(PluginErrorKind::Denied, message)
    }

    /// The plugin is at fault.
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self::new(PluginErrorKind::Internal, message)
    }

    /// Says after how many milliseconds a repeat may succeed.
    #[must_use]
    pub fn retry_after_ms(mut self, milliseconds: u32) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }
}

impl PartialEq for PluginErrorKind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}
