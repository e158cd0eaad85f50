//! JSON, TOML and YAML. None of the parsers goes down with what it reads; how deep that is, is counted.

use std::mem::ManuallyDrop;

use saphyr_parser::{Event, Parser};
use serde::de::IgnoredAny;

use crate::{Problem, Unjudged, line_at, text};

/// Deeper than any document, and less than programs that read it can follow.
const DEPTH: usize = 500;

const TOO_DEEP: &str = "more than 500 levels inside of each other";

pub(crate) fn json(bytes: &[u8]) -> Result<Vec<Problem>, Unjudged> {
    let text = match text(bytes) {
        Ok(text) => text,
        Err(problems) => return Ok(problems),
    };
    Ok(match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => {
            // Whoever makes something of it, says better what is wrong, as long as he can follow.
            let better = serde_json::from_str::<serde_json::Value>(text).err();
            let error = better.filter(|better| better.line() == error.line()).unwrap_or(error);
            // The place is told beside it.
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default().to_owned();
            vec![(u32::try_from(error.line()).ok().filter(|line| *line > 0), said)]
        }
        Ok(IgnoredAny) => deep_json(text).into_iter().collect(),
    })
}

/// Of a text that is JSON.
fn deep_json(text: &str) -> Option<Problem> {
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => depth += 1,
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Some((line_at(text.as_bytes(), at), TOO_DEEP.to_owned()));
        }
    }
    None
}

pub(crate) fn toml(bytes: &[u8]) -> Result<Vec<Problem>, Unjudged> {
    let text = match text(bytes) {
        Ok(text) => text,
        Err(problems) => return Ok(problems),
    };
    // A key of a thousand parts is a thousand tables inside of each other, and taking them apart goes that deep.
    let parsed = ManuallyDrop::new(toml::de::DeTable::parse(text));
    Ok(match &*parsed {
        Err(error) => {
            let line = error.span().and_then(|span| line_at(bytes, span.start));
            vec![(line, error.message().to_owned())]
        }
        Ok(_) => Vec::new(),
    })
}

pub(crate) fn yaml(bytes: &[u8]) -> Result<Vec<Problem>, Unjudged> {
    let text = match text(bytes) {
        Ok(text) => text,
        Err(problems) => return Ok(problems),
    };
    let line = |line: usize| u32::try_from(line).ok();
    let mut depth = 0_usize;
    for event in Parser::new_from_str(text) {
        match event {
            Err(error) => return Ok(vec![(line(error.marker().line()), error.info().to_owned())]),
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) => {
                depth += 1;
                if depth > DEPTH {
                    return Ok(vec![(line(span.start.line()), TOO_DEEP.to_owned())]);
                }
            }
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
        }
    }
    Ok(Vec::new())
}
