//! What is wrong with something a human wrote: where, what, and what to do about it. Validation collects all
//! problems of a document; it never stops at the first.

use std::fmt;

use serde::Serialize;

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

/// The one of these names that was meant, if one is near enough to be meant.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed)
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
