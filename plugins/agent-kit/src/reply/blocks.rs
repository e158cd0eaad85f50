//! Markdown as models write it: prose and fenced blocks. A fence is closed by one that is as long and has no word after it,
//! so a longer fence can hold a shorter one.

use super::ReplyError;

/// A part of a text.
pub(super) enum Piece {
    /// Outside of fences.
    Prose(String),
    /// Inside.
    Block(Block),
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// What stands behind the opening fence.
    pub(super) info: String,
    /// The last line of prose before it that is not empty; none when another block is nearer.
    pub(super) before: Option<String>,
    /// What is inside, each line with its end.
    pub(super) body: String,
}

impl Block {
    /// Whether it is marked so.
    pub(super) fn is(&self, language: &str) -> bool {
        self.info.split([' ', ':', '{']).next().is_some_and(|word| word.eq_ignore_ascii_case(language))
    }
}

/// An opening fence.
struct Fence<'a> {
    mark: char,
    length: usize,
    indent: usize,
    info: &'a str,
}

impl<'a> Fence<'a> {
    fn opened_by(line: &'a str) -> Option<Self> {
        let inner = line.trim_start_matches([' ', '\t']);
        let mark = inner.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = inner.trim_start_matches(mark);
        let length = inner.len() - info.len();
        // A mark behind the fence makes it a piece of code within a line.
        let opens = length >= 3 && !info.contains(mark);
        opens.then(|| Self { mark, length, indent: line.len() - inner.len(), info: info.trim() })
    }

    fn closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }

    /// A line of the block, without the indentation that the fence has.
    fn inside<'b>(&self, line: &'b str) -> &'b str {
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        line.get(blank.min(self.indent)..).unwrap_or(line)
    }
}

/// The parts of a text, in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, ReplyError> {
    let mut pieces = Vec::new();
    let mut prose = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = Fence::opened_by(line) else {
            prose.push_str(line);
            prose.push('\n');
            continue;
        };
        let before = prose.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
        if !prose.is_empty() {
            pieces.push(Piece::Prose(std::mem::take(&mut prose)));
        }
        let mut body = String::new();
        loop {
            let line = lines.next().ok_or(ReplyError::Truncated)?;
            if fence.closed_by(line) {
                break;
            }
            body.push_str(fence.inside(line));
            body.push('\n');
        }
        pieces.push(Piece::Block(Block { info: fence.info.to_owned(), before, body }));
    }
    if !prose.is_empty() {
        pieces.push(Piece::Prose(prose));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<Block> {
        let block = |piece| match piece {
            Piece::Block(block) => Some(block),
            Piece::Prose(_) => None,
        };
        pieces(text).unwrap().into_iter().filter_map(block).collect()
    }

    #[test]
    fn fences_hold_what_is_in_them() {
        for (text, info, body) in [
            ("```py\na\n```", "py", "a\n"),
            ("~~~\na\n```\nb\n~~~", "", "a\n```\nb\n"),
            ("````md\n```py\nx\n```\n````", "md", "```py\nx\n```\n"),
            ("```\na\n`````", "", "a\n"),
            ("1. so:\n   ```py\n   a\n     b\n   ```", "py", "a\n  b\n"),
            ("```\n\n\n```", "", "\n\n"),
            ("```\n```", "", ""),
        ] {
            let found = blocks(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!((found[0].info.as_str(), found[0].body.as_str()), (info, body), "{text}");
        }
        assert_eq!(blocks("say ```a``` here\n`b`"), []);
        assert!(matches!(pieces("x\n```py\na"), Err(ReplyError::Truncated)));
    }

    #[test]
    fn the_line_before_a_block_belongs_to_it_alone() {
        let found = blocks("FILE: a.py\n\n```\n1\n```\n```\n2\n```\nb.py\n```\n3\n```");
        let before: Vec<_> = found.iter().map(|block| block.before.as_deref()).collect();
        assert_eq!(before, [Some("FILE: a.py"), None, Some("b.py")]);
    }
}
