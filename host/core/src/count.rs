//! Numbers in sentences: one thing, several things. It knows no irregular nouns; nothing here is called one.

/// `1 problem`, `3 problems`.
pub fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        for (number, said) in [(0, "0 problems"), (1, "1 problem"), (2, "2 problems")] {
            assert_eq!(counted(number, "problem"), said);
        }
    }
}
