//! Where in a TOML text something stands: problems name the key and the line a human can go to.

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::grant::visible;
use crate::problem::Problem;

/// Longest value that a hint repeats.
const MAX_VALUE: usize = 120;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// A path into a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    pub(super) fn key(&self, key: &str) -> Self {
        Self([self.0.as_slice(), &[Step::Key(key.to_owned())]].concat())
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self([self.0.as_slice(), &[Step::Index(index)]].concat())
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A TOML text with the places of its parts, collecting what is wrong with it.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    table: Option<DeTable<'a>>,
    /// What was found so far.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    /// Reads the text; what is not TOML is already a problem.
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let mut source = Self { file, text, table: None, problems: Vec::new() };
        match DeTable::parse(text) {
            Ok(table) => source.table = Some(table.into_inner()),
            Err(error) => source.unreadable(&error),
        }
        source
    }

    /// The top-level keys, in the text's order.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<(usize, String)> = self
            .table
            .iter()
            .flatten()
            .map(|(key, _)| (key.span().start, key.get_ref().clone().into_owned()))
            .collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// The text of a top-level value that is no table, if it is not long.
    pub(super) fn lone_value(&self, key: &str) -> Option<String> {
        let value = self.table.as_ref()?.get(key)?;
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        let text = self.text.get(value.span()).filter(|text| text.len() <= MAX_VALUE);
        (!is_table).then(|| text.unwrap_or("…").to_owned())
    }

    /// The whole text as a document.
    pub(super) fn document<T: DeserializeOwned>(&mut self) -> Option<T> {
        self.table.as_ref()?;
        match toml::from_str(self.text) {
            Ok(document) => Some(document),
            Err(error) => {
                self.unreadable(&error);
                None
            }
        }
    }

    /// One top-level table as a document, so that a mistake in one does not hide those in the others.
    pub(super) fn part<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.as_ref()?.get(key)?.clone();
        match T::deserialize(toml::de::ValueDeserializer::from(value)) {
            Ok(document) => Some(document),
            Err(error) => {
                let place = match error.span() {
                    Some(span) => format!("{key} ({})", self.line(span.start)),
                    None => key.to_owned(),
                };
                self.push(place, first_line(error.message()), hint_of(error.message()));
                None
            }
        }
    }

    fn unreadable(&mut self, error: &toml::de::Error) {
        let place = self.line(error.span().map_or(0, |span| span.start));
        self.push(place, first_line(error.message()), hint_of(error.message()));
    }

    /// Something wrong at a path.
    pub(super) fn problem(&mut self, path: &Path, message: String, hint: Option<String>) {
        let place = match self.offset(path) {
            Some(offset) => format!("{path} ({})", self.line(offset)),
            None => path.to_string(),
        };
        self.push(place, message, hint);
    }

    /// The value, or its error as a problem at that path.
    pub(super) fn take<T, E: std::fmt::Display>(
        &mut self,
        path: &Path,
        result: Result<T, E>,
        hint: impl FnOnce(&E) -> Option<String>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let hint = hint(&error);
                self.problem(path, error.to_string(), hint);
                None
            }
        }
    }

    fn push(&mut self, place: String, message: String, hint: Option<String>) {
        // A plugin's document is foreign text, and a problem is a line on somebody's terminal.
        let (place, message) = (visible(&place), visible(&message));
        let hint = hint.map(|hint| visible(&hint));
        self.problems.push(Problem { file: self.file.to_owned(), place, message, hint });
    }

    fn offset(&self, path: &Path) -> Option<usize> {
        let mut steps = path.0.iter();
        let Some(Step::Key(first)) = steps.next() else { return None };
        let mut found = self.table.as_ref()?.get(first.as_str())?;
        for step in steps {
            found = match (step, found.get_ref()) {
                (Step::Key(key), DeValue::Table(table)) => table.get(key.as_str())?,
                (Step::Index(index), DeValue::Array(array)) => array.get(*index)?,
                _ => return None,
            };
        }
        Some(found.span().start)
    }

    fn line(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}")
    }
}

fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or("it cannot be read");
    line.chars().take(300).collect()
}

/// For a mistyped key, the known one that is nearest.
fn hint_of(message: &str) -> Option<String> {
    let mut names = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let found = names.next()?;
    let (distance, best) = names.map(|name| (distance(found, name), name)).min()?;
    (distance <= 2).then(|| format!("did you mean `{best}`?"))
}

/// Insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((to, pair), left) in b.iter().zip(row.windows(2)).zip(0..) {
            let (diagonal, above) = match pair {
                [diagonal, above] => (*diagonal, *above),
                _ => (0, 0),
            };
            let before = next.get(left).copied().unwrap_or(0);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod testing;
