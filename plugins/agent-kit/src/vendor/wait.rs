//! When to come back, as servers say it: in a header, or in words.

/// Nobody is waited for longer.
const LONGEST: f64 = 86_400.0;

/// `retry-after` in seconds; a date is not understood and counts as none.
pub(super) fn header(header: &str) -> Option<u32> {
    milliseconds(header.trim().parse().ok()?)
}

/// "please try again after 1 seconds", "Please try again in 1m2.5s", "try again in 6ms".
pub(super) fn said(message: &str) -> Option<u32> {
    let message = message.to_lowercase();
    let starts = ["try again after ", "try again in ", "retry after ", "retry in "];
    let mut rest = starts.iter().find_map(|start| message.split_once(start)).map(|(_, rest)| rest)?;
    let mut seconds = None;
    loop {
        let number = rest.trim_start();
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let Some(value) = number.get(..end).and_then(|number| number.parse::<f64>().ok()) else { break };
        let unit = number.get(end..).unwrap_or_default().trim_start();
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let factor = match unit.get(..end).unwrap_or_default() {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3_600.0,
            _ => break,
        };
        seconds = Some(seconds.unwrap_or(0.0) + value * factor);
        rest = unit.get(end..).unwrap_or_default();
    }
    milliseconds(seconds?)
}

fn milliseconds(seconds: f64) -> Option<u32> {
    let within = seconds.is_finite() && (0.0..=LONGEST).contains(&seconds);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a day, never below zero"
    )]
    within.then_some((seconds * 1_000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_when_to_come_back() {
        for (text, ms) in [
            ("organization max RPM: 3, please try again after 1 seconds", Some(1_000)),
            ("Rate limit reached. Please try again in 1m2.5s. Visit https://…", Some(62_500)),
            ("Please try again in 6ms.", Some(6)),
            ("retry after 2 minutes", Some(120_000)),
            ("please try again later", None),
            ("try again in a while", None),
            ("try again in 3 days", None),
            ("try again in 100 hours", None),
        ] {
            assert_eq!(said(text), ms, "{text}");
        }
        for (text, ms) in
            [("2", Some(2_000)), (" 0.2 ", Some(200)), ("-1", None), ("NaN", None), ("1e9", None)]
        {
            assert_eq!(header(text), ms, "{text}");
        }
    }
}
