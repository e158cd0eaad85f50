//! Validated names. Every one of them becomes a file name, a metric label or a policy entity, so no bare `String`
//! crosses a module border where one of these is meant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than a file name or a label should be.
    #[error("`{}…` is longer than {MAX_NAME} characters", .0.escape_debug())]
    TooLong(String),
    /// A character outside the grammar.
    #[error("`{}` may not contain {found:?}: use {allowed}", .name.escape_debug())]
    Character {
        /// The name as written.
        name: String,
        /// The first offending character.
        found: char,
        /// The grammar in words.
        allowed: &'static str,
    },
    /// A first character that would make a hidden file or an option.
    #[error("`{0}` must begin with a letter or a digit")]
    First(String),
    /// A digest that is not `sha256:` and 64 hexadecimal digits.
    #[error("`{}` is not a digest: write `sha256:` and 64 hexadecimal digits", .0.escape_debug())]
    Digest(String),
}

/// Longest name: fits a file name with suffixes and a metric label.
pub const MAX_NAME: usize = 64;

fn check(name: &str, allowed: &'static str, accepts: fn(char) -> bool) -> Result<(), NameError> {
    let first = name.chars().next().ok_or(NameError::Empty)?;
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong(name.chars().take(16).collect()));
    }
    if let Some(found) = name.chars().find(|c| !accepts(*c)) {
        return Err(NameError::Character { name: name.to_owned(), found, allowed });
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::First(name.to_owned()));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $allowed:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $allowed, $accepts)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A service of the operator's stack.
    ComponentId,
    "letters, digits, `-`, `_` and `.`",
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);
name!(
    /// A WebAssembly component package.
    PluginId,
    "lower-case letters, digits and `-`",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);

/// `sha256:…` of exact bytes; the only identity of code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest computed elsewhere, for instance while reading.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, without the prefix: a file name.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Digest(text.chars().take(80).collect());
        let hex = text.strip_prefix("sha256:").ok_or_else(wrong)?;
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// One boot of the stack, counted up for the life of the state directory.
    BootId
);
number!(
    /// One process of one component, counted up for the life of the state directory. Part of the instance marker.
    InstanceId
);
number!(
    /// One effect, counted up for the life of the state directory.
    EffectId
);
number!(
    /// One failure that agents are asked about, counted up for the life of the state directory.
    IncidentId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_grammar() {
        for good in ["a", "crown_router", "basic.service-2", "9lives"] {
            assert_eq!(good.parse::<ComponentId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "../x", "a/b", "-rf", "_x", "a b", "a\n", "é", &"x".repeat(65)] {
            assert!(bad.parse::<ComponentId>().is_err(), "{bad:?}");
        }
        assert!("probe-http".parse::<PluginId>().is_ok());
        for bad in ["Probe", "probe_http", "probe.http"] {
            assert!(bad.parse::<PluginId>().is_err(), "{bad:?}");
        }
    }

    /// F18: homoglyphs, other widths, other cases, invisible letters.
    #[test]
    fn names_that_look_like_others_are_none() {
        for bad in [
            "prob\u{435}-http",
            "probe\u{2010}http",
            "probe-http\u{200b}",
            "\u{feff}probe-http",
            "ｐrobe-http",
            "probe-ht\u{2dc}tp",
            "Probe-http",
            "probe-HTTP",
            "probe-http ",
            "probe\u{a0}http",
        ] {
            assert!(bad.parse::<PluginId>().is_err(), "{bad:?}");
            assert!(bad.is_ascii() || bad.parse::<ComponentId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refused_name_cannot_draw_on_a_terminal() {
        for bad in ["a\u{1b}[2Jb", "a\0b", &"\u{7}".repeat(65), "sha256:\u{1b}"] {
            let said = bad.parse::<ComponentId>().unwrap_err().to_string();
            assert!(!said.chars().any(char::is_control), "{said:?}");
        }
        assert!(!"\u{1b}".parse::<Digest>().unwrap_err().to_string().contains('\u{1b}'));
    }

    #[test]
    fn digests_round_trip_and_refuse_anything_else() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(digest.hex().starts_with("ba7816bf"));
        for bad in ["", "sha256:", "sha256:zz", "md5:00", &format!("sha256:{}", "é".repeat(32))] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?}");
        }
    }
}
