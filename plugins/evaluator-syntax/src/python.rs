//! Python. The parser is the one of the linter that most of Python uses; it reports what CPython's own parser reports, and
//! goes on after an error. What CPython finds out later (`return` outside of a function) is not looked for.

use std::borrow::Cow;
use std::mem::ManuallyDrop;

use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};

use crate::depth::too_deep;
use crate::{Problem, Unjudged, line_at, text};

pub(crate) fn problems(bytes: &[u8]) -> Result<Vec<Problem>, Unjudged> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let source = match decoded(bytes) {
        Ok(source) => source,
        Err(Undecoded::Problems(problems)) => return Ok(problems),
        Err(Undecoded::Encoding(name)) => {
            return Err(format!("is written in `{name}`, which is not known here"));
        }
    };
    if let Some(at) = source.find('\0') {
        return Ok(vec![(line_at(source.as_bytes(), at), "contains a null byte".to_owned())]);
    }
    if let Some((line, what)) = too_deep(&source) {
        return Ok(vec![(Some(line), what.to_owned())]);
    }
    // Its tree is as deep as a sum is long, and taking it apart would go that deep: the instance is thrown away whole.
    let parsed = ManuallyDrop::new(parse_unchecked(&source, ParseOptions::from(Mode::Module)));
    let problem = |error: &ruff_python_parser::ParseError| {
        (line_at(source.as_bytes(), error.location.start().to_usize()), error.error.to_string())
    };
    Ok(parsed.errors().iter().map(problem).collect())
}

enum Undecoded {
    Problems(Vec<Problem>),
    Encoding(String),
}

/// UTF-8, unless one of the first two lines names another encoding.
fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, Undecoded> {
    match (text(bytes), declared(bytes)) {
        (Ok(text), _) => Ok(Cow::Borrowed(text)),
        (Err(problems), None) => Err(Undecoded::Problems(problems)),
        (Err(_), Some(name)) => match name.replace('_', "-").as_str() {
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" => {
                Ok(bytes.iter().map(|byte| char::from(*byte)).collect())
            }
            "utf-8" | "utf8" => Err(Undecoded::Problems(text(bytes).err().unwrap_or_default())),
            _ => Err(Undecoded::Encoding(name)),
        },
    }
}

/// The encoding that a comment in one of the first two lines names.
fn declared(bytes: &[u8]) -> Option<String> {
    let in_line = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let comment = line.trim_start().strip_prefix('#')?.to_owned();
        let (_, after) = comment.split_once("coding")?;
        let name = after.strip_prefix([':', '='])?.trim_start();
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(name.len());
        name.get(..end).filter(|name| !name.is_empty()).map(str::to_ascii_lowercase)
    };
    bytes.split(|byte| *byte == b'\n').take(2).find_map(in_line)
}
