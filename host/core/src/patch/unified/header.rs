//! The headers of one file's change: which file it is, and that nothing is done to it but changing lines.

use super::{FileDiff, Hunk, Kind, Lines, begins_file, hunk, quote};
use crate::patch::path::FilePath;
use crate::patch::refusal::{Reason, Refusal};

const NEW: &str = "new file mode ";
const DELETED: &str = "deleted file mode ";

/// One file: headers and hunks.
pub(super) fn file<'t>(lines: &mut Lines<'t>) -> Result<FileDiff<'t>, Refusal> {
    let git = git_headers(lines)?;
    let line = lines.number();
    let old = name(lines, "--- ")?;
    let new = name(lines, "+++ ")?;
    let (path, kind, stripped) = resolve(old, new).map_err(|refusal| refusal.at(line))?;
    let refuse = |reason, what: String| Err(Refusal::new(reason, what).of(path.as_str()).at(line));
    if let Some(git) = git {
        let announced = [format!("a/{path} b/{path}"), format!("{path} {path}")];
        if !announced.iter().any(|names| names == git.names) {
            return refuse(
                Reason::HeaderMismatch,
                format!("`diff --git` names {}, and the headers below it do not", quote(git.names)),
            );
        }
        if git.new && kind != Kind::Create || git.deleted && kind != Kind::Delete {
            return refuse(
                Reason::HeaderMismatch,
                "its mode line and its `/dev/null` do not agree".to_owned(),
            );
        }
    }
    let mut hunks: Vec<Hunk<'t>> = Vec::new();
    while lines.peek().is_some_and(|line| line.starts_with("@@")) {
        let next = hunk::hunk(lines).map_err(|refusal| refusal.of(path.as_str()))?;
        hunk::follows(hunks.iter(), &next).map_err(|refusal| refusal.of(path.as_str()))?;
        hunks.push(next);
    }
    after(lines, hunks.is_empty()).map_err(|refusal| refusal.of(path.as_str()))?;
    let whole = match (kind, hunks.as_slice()) {
        (Kind::Modify, _) => true,
        (Kind::Create, [only]) => only.old.count == 0 && only.old.before == 0,
        (Kind::Delete, [only]) => only.new.count == 0 && only.new.before == 0,
        (Kind::Create | Kind::Delete, _) => false,
    };
    if !whole {
        return refuse(
            Reason::DevNull,
            "the other side is `/dev/null`, and yet some of its lines are there".to_owned(),
        );
    }
    Ok(FileDiff { path, kind, stripped, line, hunks })
}

/// What may follow the hunks of a file: the next file or nothing.
fn after(lines: &Lines<'_>, none: bool) -> Result<(), Refusal> {
    let next = lines.peek();
    if none {
        let what = match next {
            Some(line) => format!("{} stands where `@@` must", quote(line)),
            None => "it ends after its headers".to_owned(),
        };
        // A hunk that cannot be recognised as one is told where it stands.
        return Err(lines.refuse(Reason::NoHunks, what));
    }
    let Some(line) = next.filter(|line| !begins_file(line) && !lines.at_end()) else { return Ok(()) };
    if let Some(reason) = extended(line, None) {
        return Err(lines.refuse(reason, quote(line)));
    }
    let surplus = line.starts_with([' ', '+', '-', '\\']) && line.trim_end() != "--";
    Err(match surplus {
        true => lines.refuse(Reason::HunkCounts, "there are more lines than the `@@` line announces"),
        false => lines.refuse(Reason::Malformed, format!("{} belongs to no hunk", quote(line))),
    })
}

/// What `diff --git` and the lines below it say.
struct Git<'t> {
    names: &'t str,
    new: bool,
    deleted: bool,
}

fn git_headers<'t>(lines: &mut Lines<'t>) -> Result<Option<Git<'t>>, Refusal> {
    let Some(names) = lines.peek().and_then(|line| line.strip_prefix("diff --git ")) else { return Ok(None) };
    own_line_end(lines, names)?;
    lines.at += 1;
    let mut git = Git { names, new: false, deleted: false };
    loop {
        let Some(line) = lines.peek() else {
            return Err(lines.refuse(Reason::NoHunks, "it ends after `diff --git`"));
        };
        if line.starts_with("--- ") {
            return Ok(Some(git));
        }
        if let Some(reason) = extended(line, lines.lines.get(lines.at + 1).copied()) {
            return Err(lines.refuse(reason, quote(line)));
        }
        own_line_end(lines, line)?;
        let seen = git.new || git.deleted;
        if line.starts_with(NEW) && !seen {
            git.new = true;
        } else if line.starts_with(DELETED) && !seen {
            git.deleted = true;
        } else if line.starts_with("diff --git ") {
            return Err(lines.refuse(Reason::NoHunks, "the file before it has no hunk"));
        } else if !is_index(line) {
            return Err(
                lines.refuse(Reason::Malformed, format!("{} is no header of a change of lines", quote(line)))
            );
        }
        lines.at += 1;
    }
}

/// A header that does something else than changing lines; `next` is the line below it. Modes of regular files that cannot
/// be run say nothing new and are no such headers.
pub(super) fn extended(line: &str, next: Option<&str>) -> Option<Reason> {
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    if begins(&["rename from ", "rename to "]) {
        return Some(Reason::Rename);
    }
    if begins(&["copy from ", "copy to "]) {
        return Some(Reason::Copy);
    }
    if line.starts_with("similarity index ") {
        let copies = next.is_some_and(|next| next.starts_with("copy "));
        return Some(if copies { Reason::Copy } else { Reason::Rename });
    }
    if line.starts_with("dissimilarity index ") {
        return Some(Reason::Malformed);
    }
    if begins(&["old mode ", "new mode "]) {
        return Some(Reason::Mode);
    }
    if begins(&["GIT binary patch", "Binary files "]) {
        return Some(Reason::Binary);
    }
    let mode = line.strip_prefix(NEW).or_else(|| line.strip_prefix(DELETED));
    let indexed = line.strip_prefix("index ").and_then(|rest| rest.split(' ').nth(1));
    match (mode.or(indexed).map(str::trim_end), line.starts_with(NEW)) {
        (Some("120000"), _) => Some(Reason::SymbolicLink),
        (Some("160000"), _) => Some(Reason::Submodule),
        (Some("100755"), true) => Some(Reason::Executable),
        (Some("100644" | "100755") | None, _) => None,
        (Some(_), _) => Some(Reason::Mode),
    }
}

/// `index 0123abc..4567def` with or without a mode.
fn is_index(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("index ") else { return false };
    let hashes = rest.split(' ').next().unwrap_or_default();
    let is_hash = |text: &str| (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    rest.split(' ').count() <= 2
        && hashes.split_once("..").is_some_and(|(old, new)| is_hash(old) && is_hash(new))
}

/// A side of the change.
#[derive(Clone, Copy)]
enum Name<'t> {
    Null,
    Path(&'t str),
}

fn name<'t>(lines: &mut Lines<'t>, mark: &str) -> Result<Name<'t>, Refusal> {
    let Some(rest) = lines.peek().and_then(|line| line.strip_prefix(mark)) else {
        return Err(lines.refuse(Reason::Malformed, format!("there is no line `{mark}…` where one must be")));
    };
    own_line_end(lines, rest)?;
    // What diff programs put after a tab is a time, which says nothing that is used.
    let name = rest.split('\t').next().unwrap_or_default();
    if rest.chars().any(|c| c.is_control() && c != '\t') {
        return Err(lines.refuse(Reason::UnsafePath, format!("{} has control characters", quote(rest))));
    }
    lines.at += 1;
    Ok(if name == "/dev/null" { Name::Null } else { Name::Path(name) })
}

fn own_line_end(lines: &Lines<'_>, line: &str) -> Result<(), Refusal> {
    if line.ends_with('\r') {
        return Err(lines.refuse(Reason::LineEndings, "the diff's own lines end with CRLF"));
    }
    Ok(())
}

/// Which file, and what happens to it. The prefixes `a/` and `b/` are taken off together or not at all.
fn resolve(old: Name<'_>, new: Name<'_>) -> Result<(FilePath, Kind, Option<&'static str>), Refusal> {
    let parse = |text: &str| {
        text.parse::<FilePath>().map_err(|error| {
            Refusal::new(error.reason(), format!("{} is no path: {error}", quote(text))).of(text)
        })
    };
    let strip = |text: &str, prefix| {
        let bare = text.strip_prefix(prefix);
        parse(bare.unwrap_or(text)).map(|path| (path, bare.is_some()))
    };
    match (old, new) {
        (Name::Null, Name::Null) => Err(Refusal::new(Reason::DevNull, "both sides are `/dev/null`")),
        (Name::Null, Name::Path(new)) => {
            strip(new, "b/").map(|(path, stripped)| (path, Kind::Create, stripped.then_some("b")))
        }
        (Name::Path(old), Name::Null) => {
            strip(old, "a/").map(|(path, stripped)| (path, Kind::Delete, stripped.then_some("a")))
        }
        (Name::Path(old), Name::Path(new)) => {
            let ((bare_old, cut_old), (bare_new, cut_new)) = (strip(old, "a/")?, strip(new, "b/")?);
            if cut_old && cut_new && bare_old == bare_new {
                return Ok((bare_old, Kind::Modify, None));
            }
            if old == new {
                return Ok((parse(old)?, Kind::Modify, None));
            }
            let what = format!("{} and {} are not one file", quote(old), quote(new));
            Err(Refusal::new(Reason::HeaderMismatch, what).of(bare_new.as_str()))
        }
    }
}
