//! Money in the operator's own unit, in whole millionths: sums of it are exact and in no currency.

use std::fmt;

use serde::Serialize;

/// Millionths of a unit.
const UNIT: u64 = 1_000_000;

/// Tokens that a price is for.
const PER: u128 = 1_000_000;

/// An amount, in millionths of the unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Money(pub u64);

impl Money {
    /// Reads a number such as `0.6`: not negative, at most six decimals.
    pub fn read(number: &str) -> Option<Self> {
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
            return None;
        }
        let millionths: u64 = format!("{part:0<6}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(UNIT)?.checked_add(millionths).map(Self)
    }

    /// The sum, or the largest amount there is.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / UNIT, self.0 % UNIT);
        let text = format!("{whole}.{part:06}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What a million tokens cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// Read.
    pub input: Money,
    /// Written.
    pub output: Money,
}

impl Price {
    /// What so many tokens cost.
    pub fn of(self, input: u64, output: u64) -> Money {
        let cost = |price: Money, tokens: u64| u128::from(price.0) * u128::from(tokens);
        let sum = (cost(self.input, input) + cost(self.output, output)) / PER;
        Money(u64::try_from(sum).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_and_say_themselves() {
        for (text, millionths) in [("0", 0), ("2", 2_000_000), ("0.6", 600_000), ("0.000001", 1)] {
            let read = Money::read(text).unwrap();
            assert_eq!((read.0, read.to_string().as_str()), (millionths, text));
        }
        for bad in ["", "-1", "1e3", ".5", "0.0000001", "x", "99999999999999999999"] {
            assert_eq!(Money::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_price_is_for_a_million_tokens() {
        let price = Price { input: Money(600_000), output: Money(2_500_000) };
        assert_eq!(price.of(1_000_000, 1_000_000), Money(3_100_000));
        assert_eq!(price.of(10, 0), Money(6));
        assert_eq!(price.of(u64::MAX, u64::MAX), Money(u64::MAX));
    }
}
