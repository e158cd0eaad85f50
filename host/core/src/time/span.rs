//! Spans of time as people write them: `500 ms`, `2 s`, `1 min 30 s`. Exact: what cannot be said in whole milliseconds
//! is refused, never rounded, and everything printed reads back as the same span.

use std::fmt;
use std::str::FromStr;

use super::Millis;

/// Longest span anyone may write: a year. A longer one is a typing mistake, and sums of it cannot overflow a clock.
pub const MAX_SPAN: Millis = Millis(366 * DAY);

const DAY: u64 = 24 * 3_600_000;
/// Longest text looked at: the longest honest one has 40 characters.
const MAX_TEXT: usize = 64;
/// From long to short; a span names each at most once, in this order.
const UNITS: [(&str, u64); 5] = [("d", DAY), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// No number where one must be.
    #[error("`{0}` is not a span of time")]
    Grammar(String),
    /// A number alone: seconds are guessed for JSON numbers only.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit that is none of ours.
    #[error("`{0}` is not a unit of time: use `ms`, `s`, `min`, `h` or `d`")]
    Unit(String),
    /// Units repeated or out of order.
    #[error("`{0}` must name each unit once, from long to short")]
    Order(String),
    /// Finer than a millisecond.
    #[error("`{0}` is finer than a millisecond")]
    TooFine(String),
    /// Longer than [`MAX_SPAN`].
    #[error("`{0}` is longer than a year")]
    TooLong(String),
}

impl FromStr for Millis {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let said = || text.chars().take(MAX_TEXT).flat_map(char::escape_debug).collect::<String>();
        let mut rest = text.trim();
        if rest.is_empty() || rest.len() > MAX_TEXT {
            return Err(SpanError::Grammar(said()));
        }
        let mut total = 0_u64;
        let mut shorter_than = u64::MAX;
        while !rest.is_empty() {
            let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
            if number.is_empty() {
                return Err(SpanError::Grammar(said()));
            }
            let (unit, after) = split(after.trim_start(), |c| c.is_alphabetic());
            if unit.is_empty() {
                return Err(if after.is_empty() {
                    SpanError::NoUnit(said())
                } else {
                    SpanError::Grammar(said())
                });
            }
            let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
            let factor = factor.ok_or_else(|| SpanError::Unit(unit.to_owned()))?;
            if factor >= shorter_than {
                return Err(SpanError::Order(said()));
            }
            shorter_than = factor;
            let term = decimal(number, factor, &said)?;
            total = total
                .checked_add(term)
                .filter(|sum| *sum <= MAX_SPAN.0)
                .ok_or_else(|| SpanError::TooLong(said()))?;
            rest = after.trim_start();
        }
        Ok(Self(total))
    }
}

impl Millis {
    /// A JSON number, which means seconds, by its exact decimal text.
    ///
    /// # Errors
    /// Negative, finer than a millisecond, or longer than [`MAX_SPAN`].
    pub fn from_seconds_text(number: &str) -> Result<Self, SpanError> {
        let said = || number.chars().take(MAX_TEXT).collect::<String>();
        if number.len() > MAX_TEXT {
            return Err(SpanError::Grammar(said()));
        }
        let span = decimal(number, 1000, &said)?;
        if span > MAX_SPAN.0 {
            return Err(SpanError::TooLong(said()));
        }
        Ok(Self(span))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0 s");
        }
        let mut left = self.0;
        let mut gap = "";
        for (unit, factor) in UNITS {
            let count = left / factor;
            left %= factor;
            if count > 0 {
                write!(f, "{gap}{count} {unit}")?;
                gap = " ";
            }
        }
        Ok(())
    }
}

fn split(text: &str, belongs: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// `12.5` times `factor`, exactly.
fn decimal(number: &str, factor: u64, said: &dyn Fn() -> String) -> Result<u64, SpanError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if digits(fraction) => (whole, fraction.trim_end_matches('0')),
        Some(_) => return Err(SpanError::Grammar(said())),
        None => (number, ""),
    };
    if !digits(whole) {
        return Err(SpanError::Grammar(said()));
    }
    let too_long = || SpanError::TooLong(said());
    let whole: u64 = whole.parse().map_err(|_| too_long())?;
    let whole = whole.checked_mul(factor).ok_or_else(too_long)?;
    if fraction.is_empty() {
        return Ok(whole);
    }
    let too_fine = || SpanError::TooFine(said());
    let scale = u32::try_from(fraction.len())
        .ok()
        .and_then(|places| 10_u64.checked_pow(places))
        .ok_or_else(too_fine)?;
    let scaled =
        fraction.parse::<u64>().ok().and_then(|part| part.checked_mul(factor)).ok_or_else(too_fine)?;
    if scaled % scale != 0 {
        return Err(too_fine());
    }
    whole.checked_add(scaled / scale).ok_or_else(too_long)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_exactly() {
        for (text, millis) in [
            ("500 ms", 500),
            ("500ms", 500),
            ("2 s", 2000),
            ("0 s", 0),
            ("0.25 s", 250),
            ("1.5 min", 90_000),
            ("1 min 30 s", 90_000),
            (" 1 h ", 3_600_000),
            ("366 d", MAX_SPAN.0),
        ] {
            assert_eq!(text.parse::<Millis>(), Ok(Millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused_by_its_own_name() {
        use SpanError as E;
        for (text, error) in [
            ("", E::Grammar(String::new())),
            ("soon", E::Grammar("soon".into())),
            ("-1 s", E::Grammar("-1 s".into())),
            ("1. s", E::Grammar("1. s".into())),
            ("1 , s", E::Grammar("1 , s".into())),
            ("5", E::NoUnit("5".into())),
            ("5 m", E::Unit("m".into())),
            ("1 s 1 s", E::Order("1 s 1 s".into())),
            ("1 s 1 min", E::Order("1 s 1 min".into())),
            ("0.5 ms", E::TooFine("0.5 ms".into())),
            ("367 d", E::TooLong("367 d".into())),
            ("99999999999999999999 s", E::TooLong("99999999999999999999 s".into())),
        ] {
            assert_eq!(text.parse::<Millis>(), Err(error), "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds() {
        assert_eq!(Millis::from_seconds_text("2"), Ok(Millis(2000)));
        assert_eq!(Millis::from_seconds_text("0.1"), Ok(Millis(100)));
        for bad in ["-1", "1e3", "0.0001", "1e-7", "99999999999"] {
            assert!(Millis::from_seconds_text(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millis in 0..=MAX_SPAN.0) {
            prop_assert_eq!(Millis(millis).to_string().parse::<Millis>(), Ok(Millis(millis)));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = text.parse::<Millis>();
            let _ = Millis::from_seconds_text(&text);
        }
    }
}
