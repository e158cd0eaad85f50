//! Which file a block is: said by the line before it, or behind its fence. Nothing else counts: a block that names no file is
//! an illustration.

use super::ReplyError;
use super::blocks::Block;

/// Characters that decorate a path in markdown.
const DECORATION: [char; 9] = [' ', '\t', '#', '*', '`', '"', '\'', ':', '_'];

/// The file a block says it is.
pub(super) fn path_of(block: &Block) -> Result<Option<String>, ReplyError> {
    let before = block.before.as_deref().and_then(announced);
    match (before, behind(&block.info)) {
        (Some(one), Some(other)) if one != other => Err(ReplyError::WhichFile(one, other)),
        (one, other) => Ok(one.or(other)),
    }
}

/// A path without what decorates it, and without a leading `./`.
pub(super) fn bare(text: &str) -> &str {
    // A name may begin or end with `_`, so that is no decoration inside of a line that says `FILE:`.
    let path = text.trim().trim_matches(['`', '"', '\'', '*']).trim();
    path.strip_prefix("./").unwrap_or(path)
}

/// `FILE: src/app.py`, `### src/app.py`, `**src/app.py**:`; but not a sentence that has a path in it.
fn announced(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches(['#', '*', '-', ' ']);
    for word in ["file", "path", "filename"] {
        let rest = line.get(..word.len()).filter(|begin| begin.eq_ignore_ascii_case(word));
        let rest =
            rest.and_then(|_| line.get(word.len()..)?.trim_start_matches(['*', ' ']).strip_prefix(':'));
        if let Some(path) =
            rest.map(|rest| bare(rest.trim_start_matches('*'))).filter(|path| !path.is_empty())
        {
            return Some(path.to_owned());
        }
    }
    let path = line.trim_matches(DECORATION.as_slice());
    let path = path.strip_prefix("./").unwrap_or(path);
    looks_like_one(path).then(|| path.to_owned())
}

/// `python src/app.py`, `python:src/app.py`, `src/app.py`, `python title="src/app.py"`.
fn behind(info: &str) -> Option<String> {
    let mut words = info.split_whitespace();
    let first = words.next()?;
    let named = |word: &str| {
        let (key, value) = word.split_once(['=', ':'])?;
        let known = ["path", "file", "filename", "title"].contains(&key.to_ascii_lowercase().as_str());
        Some(bare(value).to_owned()).filter(|path| known && !path.is_empty())
    };
    if let Some(path) = info.split_whitespace().find_map(named) {
        return Some(path);
    }
    let language_and_path = first.split_once(':').map(|(_, path)| path);
    let mut candidates = [language_and_path, words.next(), Some(first)].into_iter().flatten().map(bare);
    candidates.find(|word| looks_like_one(word)).map(str::to_owned)
}

/// Something with a directory or an ending, and nothing that a path of a source file has not.
fn looks_like_one(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | '+');
    let ends = text.rsplit('/').next().is_some_and(|name| {
        name.rsplit_once('.')
            .is_some_and(|(stem, end)| !end.is_empty() && (!stem.is_empty() || name.len() > 1))
    });
    !text.is_empty()
        && text.chars().all(plain)
        && (ends || text.contains('/'))
        && !text.ends_with('/')
        && text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(before: &str, info: &str) -> Result<Option<String>, ReplyError> {
        let before = (!before.is_empty()).then(|| before.to_owned());
        path_of(&Block { info: info.to_owned(), before, body: String::new() })
    }

    #[test]
    fn a_file_is_named_before_its_block_or_behind_its_fence() {
        for (before, info, expected) in [
            ("FILE: src/app.py", "python", Some("src/app.py")),
            ("**File: `src/app.py`**", "python", Some("src/app.py")),
            ("**File:** src/app.py", "", Some("src/app.py")),
            ("FILE: my file.txt", "", Some("my file.txt")),
            ("FILE: Makefile", "make", Some("Makefile")),
            ("FILE: __init__.py", "", Some("__init__.py")),
            ("### `src/app.py`", "python", Some("src/app.py")),
            ("**app.py**:", "", Some("app.py")),
            ("`./app.py`", "", Some("app.py")),
            ("", "python src/app.py", Some("src/app.py")),
            ("", "python:src/app.py", Some("src/app.py")),
            ("", "app.py", Some("app.py")),
            ("", "python title=\"a/b.py\"", Some("a/b.py")),
            ("", "toml path=Cargo.toml", Some("Cargo.toml")),
            ("app.py", "python app.py", Some("app.py")),
            ("Change `app.py` so that it returns:", "python", None),
            ("For example:", "python", None),
            ("Makefile", "make", None),
            ("3.14", "", None),
            ("", "python", None),
            ("", "", None),
        ] {
            assert_eq!(path(before, info).unwrap().as_deref(), expected, "{before:?} {info:?}");
        }
        assert_eq!(path("a.py", "python b.py"), Err(ReplyError::WhichFile("a.py".into(), "b.py".into())));
    }
}
