//! The path of a file inside a component, as a proposal may name one: relative, plain, and the same file on every file
//! system. It never decodes, normalises or repairs what was written: a path that would have to be is refused.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::refusal::Reason;

/// Longer than any source file's path, and short enough for every file system.
pub const MAX_PATH: usize = 512;
/// Longest name of a directory entry.
const MAX_PART: usize = 255;
/// What Windows takes for a device whatever its ending is.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// A path below a component's directory: parts of printable ASCII with `/` between them.
///
/// ASCII, because two spellings of one accented letter are two names here and one name there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(Arc<str>);

impl FilePath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The directories that hold it, outermost first, without the component's own.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(at, _)| self.0.get(..at))
    }

    /// The same for every path that a file system which folds case takes for this one.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// Why a text is not such a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing, or nothing between two slashes.
    #[error("it is empty or has an empty part")]
    Empty,
    /// From the root, or from a drive.
    #[error("it is absolute")]
    Absolute,
    /// Up.
    #[error("it leads up with `..`")]
    Parent,
    /// A part that is only `.`.
    #[error("it has a part that is only `.`")]
    Dot,
    /// In quotes, which is how escapes are written.
    #[error("it is in quotes: escapes in it would be another path")]
    Quoted,
    /// A character that some file system or terminal takes for something else.
    #[error("it contains {0:?}, which is no plain character of a path")]
    Character(char),
    /// Ends where some file systems cut.
    #[error("a part of it begins with a space or ends with a space or a dot")]
    Edge,
    /// A device on some systems.
    #[error("a part of it is the name of a device on some systems")]
    Device,
    /// Longer than a file system takes.
    #[error("it is longer than {MAX_PATH} bytes, or one of its parts than {MAX_PART}")]
    TooLong,
}

impl PathError {
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Absolute => Reason::AbsolutePath,
            Self::Parent => Reason::ParentPath,
            Self::Quoted => Reason::QuotedPath,
            _ => Reason::UnsafePath,
        }
    }
}

impl TryFrom<String> for FilePath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0.as_ref().to_owned()
    }
}

impl FromStr for FilePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if text.starts_with(['/', '\\']) || drive {
            return Err(PathError::Absolute);
        }
        if text.starts_with('"') {
            return Err(PathError::Quoted);
        }
        if text.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        // First, because a part that leads up is worse than whatever else is odd about the path.
        if text.split(['/', '\\']).any(|part| part == "..") {
            return Err(PathError::Parent);
        }
        let plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && !r#"\:*?"<>|"#.contains(c);
        if let Some(odd) = text.chars().find(|c| !plain(*c)) {
            return Err(PathError::Character(odd));
        }
        text.split('/').try_for_each(check_part)?;
        Ok(Self(text.into()))
    }
}

fn check_part(part: &str) -> Result<(), PathError> {
    if part.is_empty() {
        return Err(PathError::Empty);
    }
    if part == "." {
        return Err(PathError::Dot);
    }
    if part.len() > MAX_PART {
        return Err(PathError::TooLong);
    }
    if part.starts_with(' ') || part.ends_with([' ', '.']) {
        return Err(PathError::Edge);
    }
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    if DEVICES.contains(&stem.as_str()) || numbered.is_some_and(|n| matches!(n.as_bytes(), [b'0'..=b'9'])) {
        return Err(PathError::Device);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_paths_and_no_others() {
        for good in ["app.py", "src/a-b_c.d/e f.txt", ".flake8", "a/b/c", "common.py", "com/x", "null.py"] {
            let path: FilePath = good.parse().unwrap();
            assert_eq!(path.to_string(), good);
        }
        for (bad, why) in [
            ("", PathError::Empty),
            ("a//b", PathError::Empty),
            ("a/", PathError::Empty),
            (".", PathError::Dot),
            ("a/./b", PathError::Dot),
            ("..", PathError::Parent),
            ("a/../b", PathError::Parent),
            ("a\\..\\b", PathError::Parent),
            ("/etc/passwd", PathError::Absolute),
            ("\\\\host\\share", PathError::Absolute),
            ("c:/x", PathError::Absolute),
            ("\"a\\056py\"", PathError::Quoted),
            ("a\\b", PathError::Character('\\')),
            ("a\0b", PathError::Character('\0')),
            ("a\nb", PathError::Character('\n')),
            ("a\u{1b}b", PathError::Character('\u{1b}')),
            ("caf\u{e9}.py", PathError::Character('\u{e9}')),
            ("app.py:stream", PathError::Character(':')),
            ("a.py ", PathError::Edge),
            ("a./b", PathError::Edge),
            ("...", PathError::Edge),
            ("src/CON", PathError::Device),
            ("aux.py", PathError::Device),
            ("Lpt1 .txt", PathError::Device),
        ] {
            assert_eq!(bad.parse::<FilePath>(), Err(why), "{bad:?}");
        }
        assert_eq!("x".repeat(600).parse::<FilePath>(), Err(PathError::TooLong));
        assert_eq!("x".repeat(300).parse::<FilePath>(), Err(PathError::TooLong));
    }

    #[test]
    fn the_directories_that_hold_it_come_outermost_first() {
        let path: FilePath = "a/B/c.py".parse().unwrap();
        assert_eq!(path.parents().collect::<Vec<_>>(), ["a", "a/B"]);
        assert_eq!(path.parts().collect::<Vec<_>>(), ["a", "B", "c.py"]);
        assert_eq!(path.folded(), "a/b/c.py");
    }
}
