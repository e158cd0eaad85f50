//! Text cut to a size, between characters. Whoever is cut is told how much is missing.

/// The beginning of `text`, at most `most` bytes of it.
pub fn head(text: &str, most: usize) -> &str {
    text.get(..floor(text, most)).unwrap_or_default()
}

/// The end of `text`, at most `most` bytes of it.
pub fn tail(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.get(from..).unwrap_or_default()
}

fn floor(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lie_between_characters() {
        for (most, first, last) in
            [(0, "", ""), (1, "", "c"), (2, "ä", "bc"), (3, "äb", "bc"), (9, "äbc", "äbc")]
        {
            assert_eq!((head("äbc", most), tail("äbc", most)), (first, last), "{most}");
        }
    }
}
