//! From a proposal to a [`ChangeSet`], or to one refusal: the only way there.

use std::collections::BTreeMap;

use super::apply::{LineEnds, apply};
use super::changes::{ChangeSet, FileChange};
use super::integrity;
use super::path::FilePath;
use super::proposal::{Change, Proposal};
use super::refusal::{Reason, Refusal, shown};
use super::rules::Rules;
use super::text::{middle, readable, visible};
use super::tree::{Node, Tree};
use super::unified::{self, FileDiff, Kind, MAX_FILES, Sign};
use crate::id::Digest;

/// Largest proposal: a model that answers with more has not repaired something but written something.
pub const MAX_PROPOSAL: usize = 1 << 20;
/// Largest file before and after; also what need not be read to be refused.
pub const MAX_FILE: usize = 1 << 20;
/// Most lines that are added and removed: what is more, nobody reads before it is applied.
const MAX_LINES: u64 = 5_000;

/// One file of a proposal, read and not yet judged.
struct Draft<'p> {
    path: FilePath,
    /// Its place in the diff, if there is one.
    line: Option<u32>,
    what: What<'p>,
}

enum What<'p> {
    Write(&'p [u8]),
    Delete,
    Diff(FileDiff<'p>),
}

/// Judges a proposal against the files as they are.
///
/// # Errors
/// The first thing wrong with it, in the order that [`crate::patch`] gives.
pub fn gate(proposal: &Proposal, base: &Tree, rules: &Rules) -> Result<ChangeSet, Refusal> {
    let drafts = read(proposal)?;
    apart(&drafts)?;
    for draft in &drafts {
        rules.judge(&draft.path).map_err(|refusal| refusal.at_some(draft.line))?;
    }
    fresh(&proposal.shown, base)?;
    let change = |draft: &Draft<'_>| {
        place(draft, base)
            .and_then(|()| change(draft, base, rules))
            .map_err(|refusal| refusal.of(draft.path.as_str()).at_some(draft.line))
    };
    let changes = ChangeSet::new(drafts.iter().map(change).collect::<Result<_, _>>()?);
    let lines = changes.added() + changes.removed();
    if lines > MAX_LINES {
        let what = format!("it adds and removes {lines} lines; at most {MAX_LINES} are taken");
        return Err(Refusal::new(Reason::TooLarge, what));
    }
    changes.compare(base, &changes.onto(base)?)?;
    Ok(changes)
}

/// The files of a proposal, as far as its own text says.
fn read(proposal: &Proposal) -> Result<Vec<Draft<'_>>, Refusal> {
    let size = |change: &Change| match change {
        Change::Write { path, content } => path.len() + content.len(),
        Change::Delete { path } => path.len(),
        Change::Diff(text) => text.len(),
    };
    let bytes: usize = proposal.changes.iter().map(size).sum();
    if bytes > MAX_PROPOSAL {
        let what = format!("it has more than {MAX_PROPOSAL} bytes");
        return Err(Refusal::new(Reason::TooLarge, what));
    }
    let mut drafts = Vec::new();
    for change in &proposal.changes {
        let whole = |path: &str, what| named(path).map(|path| Draft { path, line: None, what });
        match change {
            Change::Write { path, content } => drafts.push(whole(path, What::Write(content))?),
            Change::Delete { path } => drafts.push(whole(path, What::Delete)?),
            Change::Diff(bytes) => drafts.extend(unified::read(diff_text(bytes)?)?.into_iter().map(|file| {
                Draft { path: file.path.clone(), line: Some(file.line), what: What::Diff(file) }
            })),
        }
        if drafts.len() > MAX_FILES {
            return Err(Refusal::new(Reason::TooLarge, format!("it changes more than {MAX_FILES} files")));
        }
    }
    if drafts.is_empty() {
        return Err(Refusal::new(Reason::Empty, "it changes nothing"));
    }
    Ok(drafts)
}

fn named(path: &str) -> Result<FilePath, Refusal> {
    let refused = |error: super::path::PathError| {
        Refusal::new(error.reason(), format!("`{}` is no path: {error}", shown(path))).of(path)
    };
    path.parse().map_err(refused)
}

fn diff_text(bytes: &[u8]) -> Result<&str, Refusal> {
    let line = |at: usize| {
        let feeds = bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
        u32::try_from(feeds).unwrap_or(u32::MAX).saturating_add(1)
    };
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(Refusal::new(Reason::Binary, "the diff contains a NUL byte").at(line(at)));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        Refusal::new(Reason::NotUtf8, "the diff is not UTF-8 text").at(line(error.valid_up_to()))
    })
}

/// No file twice, in whatever spelling.
fn apart(drafts: &[Draft<'_>]) -> Result<(), Refusal> {
    let mut seen: BTreeMap<String, &FilePath> = BTreeMap::new();
    for draft in drafts {
        let Some(first) = seen.insert(draft.path.folded(), &draft.path) else { continue };
        let (reason, what) = if *first == draft.path {
            (Reason::DuplicateFile, "it is changed twice".to_owned())
        } else {
            (Reason::CaseCollision, format!("it differs from `{first}` in case only"))
        };
        return Err(Refusal::new(reason, what).of(draft.path.as_str()).at_some(draft.line));
    }
    Ok(())
}

/// Every file that was shown is what it was.
fn fresh(shown: &BTreeMap<String, Digest>, base: &Tree) -> Result<(), Refusal> {
    match shown.iter().find(|(path, digest)| base.digest(path) != Some(**digest)) {
        None => Ok(()),
        Some((path, _)) => {
            let what = match base.get(path) {
                Some(_) => "it has changed since it was shown",
                None => "it was shown and is gone",
            };
            Err(Refusal::new(Reason::Stale, what).of(path))
        }
    }
}

/// What lies at the path, and on the way there, is what the change takes it for.
fn place(draft: &Draft<'_>, base: &Tree) -> Result<(), Refusal> {
    let refuse = |reason, what: String| Err(Refusal::new(reason, what));
    let path = draft.path.as_str();
    let creates = matches!(&draft.what, What::Write(_) | What::Diff(FileDiff { kind: Kind::Create, .. }));
    let absent = |missing: &str, reason| match spelled_otherwise(missing, base) {
        Some(other) => refuse(Reason::CaseCollision, format!("the component has `{}`", shown(other))),
        None => refuse(reason, format!("there is no `{missing}`")),
    };
    for parent in draft.path.parents() {
        match base.get(parent) {
            Some(Node::Dir) => {}
            Some(Node::Link) => return refuse(Reason::ThroughLink, format!("`{parent}` is a symbolic link")),
            Some(_) => return refuse(Reason::NotAFile, format!("`{parent}` is no directory")),
            None => return absent(parent, if creates { Reason::NewDirectory } else { Reason::MissingFile }),
        }
    }
    if let What::Diff(FileDiff { stripped: Some(prefix), .. }) = &draft.what
        && base.get(prefix).is_some()
    {
        return refuse(Reason::AmbiguousPath, format!("the component has a directory `{prefix}` of its own"));
    }
    let must_be_new = matches!(&draft.what, What::Diff(FileDiff { kind: Kind::Create, .. }));
    match base.get(path) {
        Some(Node::File(_)) if must_be_new => refuse(Reason::AlreadyExists, "it is there already".to_owned()),
        Some(Node::File(_)) => Ok(()),
        Some(Node::Large(bytes)) => refuse(
            Reason::FileTooLarge,
            format!("it has {bytes} bytes; files of at most {MAX_FILE} are changed"),
        ),
        Some(Node::Link) => refuse(Reason::ThroughLink, "it is a symbolic link".to_owned()),
        Some(Node::Dir | Node::Special) => refuse(Reason::NotAFile, "it is no regular file".to_owned()),
        None if creates && spelled_otherwise(path, base).is_none() => Ok(()),
        None => absent(path, Reason::MissingFile),
    }
}

/// What a file system that folds case would take for this path.
fn spelled_otherwise<'t>(path: &str, base: &'t Tree) -> Option<&'t str> {
    base.iter().map(|(other, _)| other).find(|other| other.eq_ignore_ascii_case(path))
}

/// What a change makes of a text, and the lines that come and go.
struct Edit<'t> {
    text: String,
    came: Vec<&'t str>,
    gone: Vec<&'t str>,
}

/// What becomes of one file.
fn change(draft: &Draft<'_>, base: &Tree, rules: &Rules) -> Result<FileChange, Refusal> {
    let refuse = |reason, what: &str| Err(Refusal::new(reason, what));
    let before = base.file(draft.path.as_str());
    let deletes = matches!(&draft.what, What::Delete | What::Diff(FileDiff { kind: Kind::Delete, .. }));
    if deletes && !rules.deletions() {
        return refuse(Reason::DeletesFile, "it would be deleted");
    }
    let old = match before {
        Some(bytes) => readable(bytes).map_err(|(reason, what)| Refusal::new(reason, what))?,
        None => "",
    };
    let Edit { text, came, gone } = match &draft.what {
        What::Delete => {
            Edit { text: String::new(), came: Vec::new(), gone: old.split_inclusive('\n').collect() }
        }
        What::Write(content) => write(old, content)?,
        What::Diff(file) => diff(old, file)?,
    };
    if before.is_some() && !deletes && old == text {
        return refuse(Reason::NoChange, "it would stay as it is");
    }
    if deletes && !text.is_empty() {
        return refuse(Reason::DevNull, "it would be deleted, and something of it is left");
    }
    if !old.trim().is_empty() && text.trim().is_empty() && !rules.deletions() {
        return refuse(Reason::EmptiesFile, "nothing of it would be left");
    }
    if text.len() > MAX_FILE {
        let what = format!("it would have {} bytes; at most {MAX_FILE} are taken", text.len());
        return refuse(Reason::FileTooLarge, &what);
    }
    integrity::judge(&gone, &came)?;
    if before.is_none() {
        integrity::judge_new(&draft.path, base)?;
    }
    let count = |lines: &[&str]| u32::try_from(lines.len()).unwrap_or(u32::MAX);
    Ok(FileChange {
        path: draft.path.clone(),
        before: before.map(|bytes| Digest::of(bytes)),
        added: count(&came),
        removed: count(&gone),
        after: (!deletes).then(|| text.into_bytes().into()),
    })
}

/// A whole file.
fn write<'t>(old: &'t str, content: &'t [u8]) -> Result<Edit<'t>, Refusal> {
    let new = readable(content).map_err(|(reason, what)| {
        let reason = if reason == Reason::BinaryTarget { Reason::Binary } else { reason };
        Refusal::new(reason, what)
    })?;
    if !LineEnds::of(old).takes(LineEnds::of(new)) {
        return Err(Refusal::new(Reason::LineEndings, "its lines would end otherwise than now"));
    }
    let (gone, came) = middle(old, new);
    came.iter().try_for_each(|line| visible(line, None))?;
    Ok(Edit { text: new.to_owned(), came, gone })
}

/// Hunks.
fn diff<'t>(old: &str, file: &FileDiff<'t>) -> Result<Edit<'t>, Refusal> {
    let text = apply(old, &file.hunks)?;
    let (mut came, mut gone) = (Vec::new(), Vec::new());
    for line in file.hunks.iter().flat_map(|hunk| &hunk.lines) {
        match line.sign {
            Sign::Added => {
                visible(line.text, Some(line.line))?;
                came.push(line.text);
            }
            Sign::Removed => gone.push(line.text),
            Sign::Context => {}
        }
    }
    Ok(Edit { text, came, gone })
}
