//! Where in a document something is wrong, and the collection of everything that is. Never stops at the first problem,
//! never holds more of them than a person can read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use crate::count::counted;
use crate::problem::{Problem, nearest};

/// Problems reported of one document: more are counted, not listed, so that four megabytes of mistakes stay small.
const MAX_PROBLEMS: usize = 500;
/// Searches for a similar name among up to ten thousand: past so many the file is not mistyped but a different file.
const MAX_SEARCHES: u32 = 24;
/// Plugins named in one message.
const MAX_PLUGINS: usize = 12;
/// Longest piece of the document repeated in a message.
const MAX_QUOTE: usize = 80;

/// A path such as `components[2].health.timeout`, rendered only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("document"),
            Self::Key(Self::Root, key) => f.write_str(&clean(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", clean(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Everything wrong with one document.
#[derive(Debug)]
pub(super) struct Problems<'c> {
    file: &'c str,
    list: Vec<Problem>,
    /// What holds nothing up and is probably a mistake.
    warnings: Vec<Problem>,
    refused: HashSet<String>,
    left_out: usize,
    searches: u32,
    /// Probe plugins that are wanted where there are none, and by how many components.
    lacking: BTreeMap<String, usize>,
    lackers: usize,
}

impl<'c> Problems<'c> {
    pub(super) fn new(file: &'c str) -> Self {
        Self {
            file,
            list: Vec::new(),
            warnings: Vec::new(),
            refused: HashSet::new(),
            left_out: 0,
            searches: 0,
            lacking: BTreeMap::new(),
            lackers: 0,
        }
    }

    /// Notes a problem.
    pub(super) fn add(
        &mut self,
        place: &Place<'_>,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        let place = place.to_string();
        self.refused.insert(place.clone());
        self.add_at(place, message.into(), hint.into());
    }

    /// Notes a problem at a place that is not a path.
    pub(super) fn add_at(&mut self, place: String, message: String, hint: Option<String>) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(Problem { file: self.file.to_owned(), place, message, hint });
        } else {
            self.left_out += 1;
        }
    }

    /// Notes what holds nothing up; as many as problems are listed.
    pub(super) fn warn(&mut self, place: &Place<'_>, message: String, hint: String) {
        if self.warnings.len() < MAX_PROBLEMS {
            let (file, place) = (self.file.to_owned(), place.to_string());
            self.warnings.push(Problem { file, place, message, hint: Some(hint) });
        }
    }

    /// What was noted so.
    pub(super) fn take_warnings(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.warnings)
    }

    /// Something inside that place was refused, and with it the whole.
    pub(super) fn note_refused(&mut self, place: &Place<'_>) {
        self.refused.insert(place.to_string());
    }

    /// Something was wrong exactly there: what was refused is not also missing.
    pub(super) fn refused(&self, place: &Place<'_>) -> bool {
        !self.refused.is_empty() && self.refused.contains(&place.to_string())
    }

    /// One component wants these probe plugins, and there are no plugins at all: told once for all components.
    pub(super) fn lacks(&mut self, plugins: BTreeSet<String>) {
        self.lackers += usize::from(!plugins.is_empty());
        for plugin in plugins {
            *self.lacking.entry(plugin).or_default() += 1;
        }
    }

    /// The one problem of a host without plugins.
    fn tell_lacking(&mut self) {
        if self.lacking.is_empty() {
            return;
        }
        let wanted = self.lacking.iter().map(|(plugin, count)| format!("{} ({count})", quote(plugin)));
        let wanted: Vec<String> = wanted.take(MAX_PLUGINS).collect();
        let more = match self.lacking.len().saturating_sub(MAX_PLUGINS) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let need = if self.lackers == 1 { "needs" } else { "need" };
        let message = format!(
            "{} {need} probe plugins, and there are none: {}{more}",
            counted(self.lackers, "component"),
            wanted.join(", ")
        );
        let hint = "name their directory with `--plugins DIR`; `cargo xtask plugins` builds those of this repository";
        self.add_at("components".to_owned(), message, Some(hint.to_owned()));
    }

    /// The known name that was probably meant.
    pub(super) fn nearest<'n>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        if self.searches >= MAX_SEARCHES {
            return None;
        }
        self.searches += 1;
        nearest(name, known)
    }

    pub(super) fn into_list(mut self) -> Vec<Problem> {
        self.tell_lacking();
        if self.left_out > 0 {
            let are = if self.left_out == 1 { "is" } else { "are" };
            let message = format!("{} {are} not listed", counted(self.left_out, "more problem"));
            let hint = Some("fix these first and check again".to_owned());
            self.list.push(Problem {
                file: self.file.to_owned(),
                place: "document".to_owned(),
                message,
                hint,
            });
        }
        self.list
    }
}

/// A piece of the document in backticks, shortened, with control characters made visible.
pub(super) fn quote(text: &str) -> String {
    format!("`{}`", clean(text))
}

fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(MAX_QUOTE).map(Visible).map(|c| c.to_string()).collect();
    if text.chars().nth(MAX_QUOTE).is_some() {
        clean.push('…');
    }
    clean
}

struct Visible(char);

impl fmt::Display for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_control() { write!(f, "{}", self.0.escape_debug()) } else { write!(f, "{}", self.0) }
    }
}
