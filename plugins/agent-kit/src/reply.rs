//! What a model's text proposes: whole files, one unified diff, or one JSON object, with prose around it. One proposal and
//! nothing unclear, or an error with a name: what a model might have meant is not for a program to choose.
//!
//! ```text
//! text ─► thoughts off ─► blocks and prose ─► candidates of each form ─► one form, one proposal
//! ```

mod blocks;
mod diff;
mod files;
mod json;

use std::collections::BTreeSet;

use razar_sdk::agent::{Brief, Change, FileWrite, Remedy, Situation, SourceFile};
use razar_sdk::{PluginError, PluginErrorKind, one_line};

use self::blocks::{Block, Piece};
use self::diff::Patch;
use crate::text::head;

/// Bytes of a text that are looked at: more than any model writes.
const LONGEST: usize = 4 << 20;
/// Bytes of a rationale: people read it.
const RATIONALE: usize = 4 << 10;

/// A remedy and its reason.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// What should be done.
    pub remedy: Remedy,
    /// Why.
    pub rationale: String,
}

/// What a brief offers, and what it shows: an answer that names something else is refused here, with the reason.
#[derive(Debug, Clone, Default)]
pub struct Offered<'a> {
    /// Actions, by name.
    pub actions: Vec<&'a str>,
    /// Versions, by id.
    pub versions: Vec<&'a str>,
    /// Files as they are.
    pub sources: &'a [SourceFile],
}

impl<'a> Offered<'a> {
    /// Of a brief.
    pub fn by(brief: &'a Brief) -> Self {
        let actions = brief.actions.iter().map(|action| action.name.as_str()).collect();
        match &brief.situation {
            Situation::Failure(failure) => Self {
                actions,
                versions: failure.versions.iter().map(|version| version.id.as_str()).collect(),
                sources: &failure.sources,
            },
            Situation::Alerts(_) => Self { actions, ..Self::default() },
        }
    }
}

/// Why a text is no proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyError {
    /// There is no text.
    Empty,
    /// The text is cut.
    Truncated,
    /// Nothing in it has one of the forms.
    NoProposal,
    /// It has several of the forms.
    MixedForms,
    /// It has several JSON objects that answer.
    SeveralAnswers(usize),
    /// A file is given twice.
    FileTwice(String),
    /// A block says two different things about which file it is.
    WhichFile(String, String),
    /// Its JSON is none, or not in the form.
    Json(String),
    /// Its diff is none.
    Diff(String),
    /// A hunk is at several places of its file, and not where it says.
    Where(String),
    /// It names an action or a version that was not offered.
    NotOffered(String),
}

impl ReplyError {
    /// The name, for logs and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::NoProposal => "no-proposal",
            Self::MixedForms => "mixed-forms",
            Self::SeveralAnswers(_) => "several-answers",
            Self::FileTwice(_) => "file-twice",
            Self::WhichFile(..) => "which-file",
            Self::Json(_) => "json",
            Self::Diff(_) => "diff",
            Self::Where(_) => "where",
            Self::NotOffered(_) => "not-offered",
        }
    }

    /// In the contract's words. The beginning of the text goes with it, so that people see what a model said.
    pub fn refusal(&self, text: &str) -> PluginError {
        let kind = PluginErrorKind::Other("unusable-reply".to_owned());
        let mut error = PluginError::new(kind, format!("unusable reply ({}): {self}", self.as_str()));
        error.extensions.push(("reply-error".to_owned(), self.as_str().to_owned()));
        error.extensions.push(("reply".to_owned(), head(text, RATIONALE).to_owned()));
        error
    }
}

impl std::fmt::Display for ReplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Truncated => f.write_str("it ends in the middle: raise the model's output limit"),
            Self::NoProposal => f.write_str("it has neither files, nor a diff, nor an answer in JSON"),
            Self::MixedForms => {
                f.write_str("it mixes files, diffs and JSON, and only one of them can be meant")
            }
            Self::SeveralAnswers(count) => write!(f, "it has {count} different answers in JSON"),
            Self::FileTwice(path) => write!(f, "`{}` is given twice", one_line(path)),
            Self::WhichFile(one, other) => {
                write!(f, "a block is said to be `{}` and `{}`", one_line(one), one_line(other))
            }
            Self::Json(why) | Self::Diff(why) => f.write_str(why),
            Self::Where(path) => {
                write!(f, "a hunk for `{}` fits at several places, and not where it says", one_line(path))
            }
            Self::NotOffered(name) => write!(f, "`{}` was not offered", one_line(name)),
        }
    }
}

impl std::error::Error for ReplyError {}

/// The proposal in a model's text.
pub fn parse(text: &str, offered: &Offered<'_>) -> Result<Proposed, ReplyError> {
    if text.len() > LONGEST {
        return Err(ReplyError::Truncated);
    }
    let text = unwrapped(without_thoughts(text)?.trim());
    if text.is_empty() {
        return Err(ReplyError::Empty);
    }
    let found = Found::in_text(text)?;
    let deletes = !found.deletes.is_empty();
    let forms = [!found.answers.is_empty(), !found.patch.is_empty(), !found.files.is_empty() || deletes];
    match forms.iter().filter(|form| **form).count() {
        0 => return Err(found.excuse.unwrap_or(ReplyError::NoProposal)),
        1 => {}
        _ => return Err(ReplyError::MixedForms),
    }
    let rationale = head(found.prose.trim(), RATIONALE).to_owned();
    if let Some(answer) = found.answers.first() {
        if found.answers.len() > 1 {
            return Err(ReplyError::SeveralAnswers(found.answers.len()));
        }
        return json::proposal(answer, rationale, offered);
    }
    let changes = if found.patch.is_empty() {
        let write = |(path, content): (String, String)| {
            Change::Write(FileWrite { path, content: content.into_bytes() })
        };
        found.files.into_iter().map(write).chain(found.deletes.into_iter().map(Change::Delete)).collect()
    } else {
        vec![Change::UnifiedDiff(found.patch.mended(offered.sources)?)]
    };
    once_each(&changes)?;
    Ok(Proposed { remedy: Remedy::Patch(changes), rationale })
}

/// Everything in a text that could be meant.
#[derive(Default)]
struct Found {
    answers: Vec<serde_json::Value>,
    patch: Patch,
    files: Vec<(String, String)>,
    deletes: Vec<String>,
    prose: String,
    /// Why there is nothing, if something was nearly there.
    excuse: Option<ReplyError>,
}

impl Found {
    fn in_text(text: &str) -> Result<Self, ReplyError> {
        let mut found = Self::default();
        if Patch::begins(text) {
            // A bare diff: what looks like a fence in it is a line of a file.
            found.unfenced(text)?;
            return Ok(found);
        }
        for piece in blocks::pieces(text)? {
            match piece {
                Piece::Prose(prose) => found.unfenced(&prose)?,
                Piece::Block(block) => found.block(block)?,
            }
        }
        Ok(found)
    }

    fn block(&mut self, block: Block) -> Result<(), ReplyError> {
        let file = files::path_of(&block)?;
        if file.is_some() {
            self.forget_heading(block.before.as_deref());
        }
        let of_patch = |path: &str| [".diff", ".patch"].iter().any(|end| path.ends_with(end));
        let is_diff = block.is("diff") || block.is("patch") || Patch::begins(&block.body);
        match file {
            Some(path) if !is_diff || of_patch(&path) => self.files.push((path, block.body)),
            _ if is_diff => self.patch.read(&block.body).map(drop)?,
            _ => match json::answer(&block.body) {
                Ok(Some(answer)) => self.answer(answer),
                Ok(None) => {}
                Err(error) => self.excuse = Some(error),
            },
        }
        Ok(())
    }

    /// The line that says which file a block is, is no reason.
    fn forget_heading(&mut self, line: Option<&str>) {
        let prose = self.prose.trim_end();
        if let Some(kept) = line.and_then(|line| prose.strip_suffix(line.trim_end())) {
            self.prose.truncate(kept.len());
        }
    }

    fn answer(&mut self, answer: serde_json::Value) {
        if !self.answers.contains(&answer) {
            self.answers.push(answer);
        }
    }

    /// Prose, and what stands in it without a fence.
    fn unfenced(&mut self, text: &str) -> Result<(), ReplyError> {
        let mut rest = text;
        while !rest.is_empty() {
            if Patch::begins_here(rest) {
                let read = self.patch.read(rest)?;
                rest = rest.get(read..).unwrap_or_default();
                continue;
            }
            if rest.starts_with('{')
                && let Some((answer, read)) = json::leading(rest)
            {
                self.answer(answer);
                rest = rest.get(read..).unwrap_or_default();
                continue;
            }
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            match line.trim().strip_prefix("DELETE:") {
                Some(path) => self.deletes.push(files::bare(path).to_owned()),
                None => {
                    self.prose.push_str(line);
                    self.prose.push('\n');
                }
            }
            rest = after;
        }
        Ok(())
    }
}

/// No file twice, whatever is done to it.
fn once_each(changes: &[Change]) -> Result<(), ReplyError> {
    let mut seen = BTreeSet::new();
    for change in changes {
        let paths = match change {
            Change::Write(write) => vec![write.path.clone()],
            Change::Delete(path) => vec![path.clone()],
            Change::UnifiedDiff(diff) => Patch::of(diff)?.paths(),
        };
        for path in paths {
            if !seen.insert(path.clone()) {
                return Err(ReplyError::FileTwice(path));
            }
        }
    }
    Ok(())
}

/// A text without the thoughts that some models put before it.
fn without_thoughts(text: &str) -> Result<&str, ReplyError> {
    let Some((open, close)) = [("<think>", "</think>"), ("<thinking>", "</thinking>")]
        .into_iter()
        .find(|(open, _)| text.trim_start().starts_with(open))
    else {
        return Ok(text);
    };
    let inner = text.trim_start().strip_prefix(open).unwrap_or_default();
    inner.split_once(close).map(|(_, answer)| answer).ok_or(ReplyError::Truncated)
}

/// An answer out of the marks that GLM's models put around it.
fn unwrapped(text: &str) -> &str {
    [("<answer>", "</answer>"), ("<|begin_of_box|>", "<|end_of_box|>")].into_iter().fold(
        text,
        |text, (open, close)| {
            let inner = text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
            inner.map_or(text, str::trim)
        },
    )
}

#[cfg(test)]
mod tests;
