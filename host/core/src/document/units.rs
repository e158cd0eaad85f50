//! Sizes as people write them: a whole number, a unit, nothing rounded.

use std::fmt;
use std::str::FromStr;

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No whole number in front.
    #[error("`{0}` does not begin with a whole number")]
    Number(String),
    /// No unit, or one that is not known.
    #[error("`{0}` has no unit out of B, KiB, MiB, GiB")]
    Unit(String),
    /// More than can be counted.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

impl UnitError {
    /// What to write instead.
    pub const fn hint(&self) -> &'static str {
        "write a whole number and a unit, such as `64 MiB`"
    }
}

/// A number of bytes. As text: `64 MiB`, in powers of 1024.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// So many times 1024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// So many times 1024 KiB.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// So many times 1024 MiB.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }
}

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let shown = || text.chars().take(40).collect::<String>();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        if number.is_empty() {
            return Err(UnitError::Number(shown()));
        }
        let number: u64 = number.parse().map_err(|_| UnitError::TooLarge(shown()))?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let factor = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let factor = factor.ok_or_else(|| UnitError::Unit(shown()))?;
        number.checked_mul(factor).map(Self).ok_or_else(|| UnitError::TooLarge(shown()))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZES.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{} {unit}", self.0 / factor),
            None => f.write_str("0 B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact() {
        for (text, bytes) in [("64 MiB", 64 << 20), ("64MiB", 64 << 20), ("0 B", 0), ("1 GiB", 1 << 30)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for bad in [
            "",
            " ",
            "64",
            "MiB",
            "-1 B",
            "+1 B",
            "1.5 MiB",
            "1  MiB",
            "64 MB",
            "1 mib",
            "99999999999 GiB",
            "1e3 B",
            "١ B",
        ] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn quantities_round_trip(value: u64) {
            assert_eq!(Bytes(value).to_string().parse(), Ok(Bytes(value)));
        }
    }
}
