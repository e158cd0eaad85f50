//! How deep a Python source goes, found out without going there. A parser goes as deep as what it reads, and in a sandbox the
//! way down is short: what is deeper than a person or CPython would take is a problem with a line, not a crash.
//!
//! It reads words, brackets and operators and skips texts and comments. Where it takes something wrong (a text inside of a text
//! inside of an f-string) it counts a little less or more, and no limit is near what people write.

/// Open brackets: CPython says "too many nested parentheses" at the same number.
const BRACKETS: usize = 200;
/// Indented blocks inside of each other: CPython takes 100.
const BLOCKS: usize = 100;
/// `not not not x`, and `a if b else c if d else e`.
const CHAIN: u32 = 200;

/// The first line that is too deep, and in which way.
pub(crate) fn too_deep(source: &str) -> Option<(u32, &'static str)> {
    let mut walk = Walk { rest: source.as_bytes(), line: 1, levels: vec![Level::default()], blocks: vec![0] };
    walk.find().map(|what| (walk.line, what))
}

/// What stands between two brackets.
#[derive(Default)]
struct Level {
    /// Operators in front of a value that is still to come.
    prefixes: u32,
    /// Operators whose right side may hold the next one.
    chain: u32,
    /// What was read last is a value.
    after_value: bool,
}

struct Walk<'a> {
    rest: &'a [u8],
    line: u32,
    levels: Vec<Level>,
    blocks: Vec<usize>,
}

impl Walk<'_> {
    fn find(&mut self) -> Option<&'static str> {
        let mut at_start = true;
        while let Some(first) = self.rest.first().copied() {
            if at_start && self.levels.len() == 1 {
                self.indent();
                if self.blocks.len() > BLOCKS {
                    return Some("too many indented blocks inside of each other");
                }
            }
            at_start = false;
            match first {
                b'\n' => {
                    self.line = self.line.saturating_add(1);
                    if self.levels.len() == 1 {
                        self.levels = vec![Level::default()];
                    }
                    self.skip(1);
                    at_start = true;
                }
                // The next line goes on with this one.
                b'\\' if self.rest.get(1) == Some(&b'\n') => {
                    self.line = self.line.saturating_add(1);
                    self.skip(2);
                }
                b'#' => {
                    self.skip(self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len()))
                }
                b'\'' | b'"' => {
                    self.string(first);
                    self.value();
                }
                b'(' | b'[' | b'{' => {
                    self.levels.push(Level::default());
                    self.skip(1);
                    if self.levels.len() > BRACKETS {
                        return Some("too many nested parentheses");
                    }
                }
                b')' | b']' | b'}' => {
                    if self.levels.len() > 1 {
                        self.levels.pop();
                    }
                    self.skip(1);
                    self.value();
                }
                b',' | b';' => {
                    self.skip(1);
                    self.top(|level| *level = Level::default());
                }
                first if first.is_ascii_alphanumeric() || first == b'_' || first >= 0x80 => self.word(),
                first => self.operator(first),
            }
            if self.levels.last().is_some_and(|level| level.prefixes.max(level.chain) > CHAIN) {
                return Some("too many operators inside of each other");
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn top(&mut self, change: impl FnOnce(&mut Level)) {
        if let Some(level) = self.levels.last_mut() {
            change(level);
        }
    }

    fn value(&mut self) {
        self.top(|level| (level.prefixes, level.after_value) = (0, true));
    }

    /// At the beginning of a line: which blocks it ends, or which it begins. Lines without code do neither.
    fn indent(&mut self) {
        let width = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.skip(width);
        if matches!(self.rest.first(), None | Some(b'\n' | b'\r' | b'#')) {
            return;
        }
        while self.blocks.last().is_some_and(|block| *block > width) {
            self.blocks.pop();
        }
        if self.blocks.last().is_none_or(|block| *block < width) {
            self.blocks.push(width);
        }
    }

    fn word(&mut self) {
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let length = self.rest.iter().take_while(|byte| part(byte)).count();
        let word = self.rest.get(..length).unwrap_or_default();
        self.skip(length);
        match word {
            b"not" | b"await" => {
                self.top(|level| (level.prefixes, level.after_value) = (level.prefixes + 1, false));
            }
            b"lambda" | b"else" => {
                self.top(|level| (level.chain, level.after_value) = (level.chain + 1, false));
            }
            b"and" | b"or" | b"in" | b"is" | b"if" | b"for" | b"return" | b"yield" | b"from" => {
                self.top(|level| level.after_value = false);
            }
            _ => self.value(),
        }
    }

    fn operator(&mut self, first: u8) {
        let power = first == b'*' && self.rest.get(1) == Some(&b'*');
        self.skip(if power { 2 } else { 1 });
        self.top(|level| match first {
            _ if power && level.after_value => (level.chain, level.after_value) = (level.chain + 1, false),
            b'-' | b'+' | b'~' if !level.after_value => level.prefixes += 1,
            b' ' | b'\t' | b'\r' => {}
            _ => level.after_value = false,
        });
    }

    /// From its opening quotes to behind its closing ones; one of a single line ends with the line at the latest.
    fn string(&mut self, quote: u8) {
        let three = [quote; 3];
        let triple = self.rest.starts_with(&three);
        self.skip(if triple { 3 } else { 1 });
        while let Some(next) = self.rest.first().copied() {
            match next {
                b'\\' => {
                    self.line = self.line.saturating_add(u32::from(self.rest.get(1) == Some(&b'\n')));
                    self.skip(2);
                }
                b'\n' if !triple => return,
                b'\n' => {
                    self.line = self.line.saturating_add(1);
                    self.skip(1);
                }
                next if next == quote && !triple => return self.skip(1),
                _ if triple && self.rest.starts_with(&three) => return self.skip(3),
                _ => self.skip(1),
            }
        }
    }
}
