//! What is wrong with something a human wrote: where, what, and what to do about it. Validation collects all
//! problems of a document; it never stops at the first.

use std::fmt;

use serde::Serialize;

use crate::grant::{is_deceptive, visible};

/// Longest name that is compared with others: past it nothing was mistyped.
const MAX_NAME: usize = 80;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the operator named it.
    pub file: String,
    /// Where in it: a path such as `components[2].health`, or `line 3, column 7` when it could not be read at all.
    pub place: String,
    /// What is wrong: lower case, no full stop, names in backticks.
    pub message: String,
    /// What to do: something that can be pasted where possible.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", seen(&self.file), seen(&self.place), seen(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", seen(hint)),
            None => Ok(()),
        }
    }
}

/// Whatever a problem quotes, a terminal shows it and is not driven by it. A hint may have lines.
fn seen(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Where a text stops being JSON. Lines and columns count from 1, as editors do; the parser says column 0 when the text
/// ends with its line.
pub fn json_place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line().max(1), error.column().max(1))
}

/// Why it is not JSON, without the place.
pub fn json_cause(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    whole.rsplit_once(" at line ").map_or(whole.as_str(), |(cause, _)| cause).to_owned()
}

/// The known name that was probably meant. Nobody means one that drives a terminal.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > MAX_NAME {
        return None;
    }
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| !candidate.chars().any(is_deceptive))
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed)
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_json_count_from_one() {
        for (text, place) in [
            ("", "line 1, column 1"),
            ("{\n", "line 2, column 1"),
            ("{\n \"a\": tru }", "line 2, column 10"),
            ("[1,\n2", "line 2, column 1"),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            assert_eq!(json_place(&error), place, "{text:?}");
            assert!(!json_cause(&error).contains("line"), "{}", json_cause(&error));
        }
    }

    #[test]
    fn nothing_in_a_problem_drives_a_terminal() {
        // Found by fuzzing: the errors of units quote what they were given.
        let unit = "6\u{7f}4 KiB".parse::<crate::document::units::Bytes>().unwrap_err();
        let problem = Problem {
            file: "a\u{1b}[2J".to_owned(),
            place: "limits".to_owned(),
            message: unit.to_string(),
            hint: Some("one\ntwo\r".to_owned()),
        };
        let said = problem.to_string();
        assert_eq!(said.chars().filter(|c| c.is_control() && *c != '\n').count(), 0, "{said:?}");
        assert!(said.contains("6\\u{7f}4") && said.contains("one\ntwo"), "{said:?}");
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["probe-http", "probe-tcp"];
        assert_eq!(nearest("probe-htpp", known), Some("probe-http"));
        assert_eq!(nearest("nothing-like-it", known), None);
        // Found by fuzzing: `layers` of a boot configuration are known names too, sound or not.
        assert_eq!(nearest("foundation", ["foun\u{7f}ation", "foundatio\u{9b}"]), None);
    }
}
