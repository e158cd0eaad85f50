//! Whom the operator believes: public keys, what each may sign, and until when.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use minisign_verify::{Error, PublicKey, Signature};

use super::admit::Refused;
use super::pin::Signed;
use crate::id::PluginId;
use crate::time::{Millis, Timestamp};

/// Longest signature file: two comments and two lines of base64.
const MAX_SIGNATURE: usize = 4096;

/// All signers, and what is asked of every signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    /// Whether a package without a signature is refused.
    pub required: bool,
    /// How old a signature may be when its package is added.
    pub max_age: Option<Millis>,
    /// By the operator's name for them.
    pub signers: BTreeMap<String, Signer>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// As written.
    pub key: String,
    /// As read.
    pub public: PublicKey,
    /// The plugins it may sign.
    pub plugins: Vec<NamePattern>,
    /// The last day on which its signatures are believed.
    pub not_after: Option<LastDay>,
}

impl Signers {
    /// Who signed these bytes, if it is somebody who may sign a plugin of this name. Time is not looked at.
    pub fn verify(&self, plugin: &PluginId, bytes: &[u8], text: &str) -> Result<Signed, Refused> {
        if text.len() > MAX_SIGNATURE {
            return Err(Refused::NotASignature);
        }
        let signature = Signature::decode(text).map_err(|_| Refused::NotASignature)?;
        for (name, signer) in &self.signers {
            match signer.public.verify(bytes, &signature, false) {
                Ok(()) if signer.plugins.iter().any(|pattern| pattern.fits(plugin)) => {
                    return Ok(Signed {
                        signer: name.clone(),
                        key: signer.key.clone(),
                        text: text.to_owned(),
                    });
                }
                Ok(()) => {
                    return Err(Refused::NotItsName { signer: name.clone(), plugin: plugin.clone() });
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(Error::UnexpectedAlgorithm) => return Err(Refused::Legacy),
                Err(_) => return Err(Refused::Forged { signer: name.clone() }),
            }
        }
        Err(Refused::UnknownKey)
    }
}

/// A plugin's name, or the beginning of names followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

/// Why a text is no pattern of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is neither a plugin's name nor the beginning of names followed by `*`", .0.escape_debug())]
pub struct NamePatternError(String);

impl NamePattern {
    /// Whether the name is meant.
    pub fn fits(&self, name: &PluginId) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.as_str().starts_with(beginning),
            None => name.as_str() == self.0,
        }
    }
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        let sound = beginning.parse::<PluginId>().is_ok() || text == "*";
        if sound { Ok(Self(text.to_owned())) } else { Err(NamePatternError(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A day, to its end in UTC: `2027-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDay {
    year: u32,
    month: u32,
    day: u32,
}

/// Why a text is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no day: write it as `2027-12-31`", .0.escape_debug())]
pub struct LastDayError(String);

impl LastDay {
    /// Whether the day is over.
    pub fn is_over(self, now: Timestamp) -> bool {
        now.0 >= self.end().0
    }

    /// Midnight after it. Days are counted in years that begin in March, so that a leap day is the last of its year.
    fn end(self) -> Timestamp {
        let (year, month) = match self.month {
            month @ ..3 => (self.year - 1, month + 9),
            month => (self.year, month - 3),
        };
        let leaps = year / 4 - year / 100 + year / 400;
        let days = u64::from(year) * 365 + u64::from(leaps) + u64::from((153 * month + 2) / 5 + self.day);
        // Of the first of January 1970, in these years.
        const EPOCH: u64 = 719_468;
        Timestamp(days.saturating_sub(EPOCH) * 86_400_000)
    }
}

impl FromStr for LastDay {
    type Err = LastDayError;

    fn from_str(text: &str) -> Result<Self, LastDayError> {
        let wrong = || LastDayError(text.chars().take(40).collect());
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return Err(wrong()) };
        let number = |part: &str, digits: usize| -> Option<u32> {
            (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
        };
        let found = (number(year, 4), number(month, 2), number(day, 2));
        let (Some(year), Some(month), Some(day)) = found else { return Err(wrong()) };
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(wrong()),
        };
        if (1970..).contains(&year) && (1..=days).contains(&day) {
            Ok(Self { year, month, day })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for LastDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}
