//! Takes injected secrets out of what comes back, also where one is cut by a chunk border.
//!
//! A match is overwritten with `*`, byte for byte, so lengths announced in headers stay true. At most one needle less
//! a byte is ever held back, and only when what was held back could still become a match. What this cannot see is a
//! secret that an upstream has transformed (compressed, encrypted, reversed): compressed replies to requests with a
//! secret are refused elsewhere.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};

/// The texts to look for.
#[derive(Clone)]
pub struct Needles(Vec<Vec<u8>>);

/// Says nothing of what is looked for.
impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Needles({})", self.0.len())
    }
}

impl Needles {
    /// A secret as it is, and as JSON and URLs would spell it.
    pub fn of(secret: &str) -> Self {
        let mut needles = vec![secret.as_bytes().to_vec()];
        for spelling in [json(secret, true), json(secret, false), percent(secret)] {
            if !needles.contains(&spelling) {
                needles.push(spelling);
            }
        }
        // Longer spellings first: a shorter one may be part of them.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Self(needles)
    }

    /// Overwrites every match.
    fn clean(&self, bytes: &mut [u8]) {
        let mut from = 0;
        while let Some(rest) = bytes.get_mut(from..) {
            let Some(needle) = self.0.iter().find(|needle| rest.starts_with(needle)) else {
                let skip = rest.iter().skip(1).position(|byte| self.begins(*byte));
                match skip {
                    Some(skip) => from += skip + 1,
                    None => return,
                }
                continue;
            };
            rest.iter_mut().take(needle.len()).for_each(|byte| *byte = b'*');
            from += needle.len();
        }
    }

    fn begins(&self, byte: u8) -> bool {
        self.0.iter().any(|needle| needle.first() == Some(&byte))
    }

    /// How many bytes at the end could be the beginning of a match.
    fn unfinished(&self, bytes: &[u8]) -> usize {
        let longest = self.0.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
        let start = bytes.len().saturating_sub(longest);
        (start..bytes.len())
            .find(|from| {
                bytes
                    .get(*from..)
                    .is_some_and(|end| self.0.iter().any(|n| n.len() > end.len() && n.starts_with(end)))
            })
            .map_or(0, |from| bytes.len() - from)
    }

    /// Cleans the values of all headers.
    pub fn clean_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let found =
                self.0.iter().any(|n| value.as_bytes().windows(n.len()).any(|window| window == n.as_slice()));
            if found {
                let mut bytes = value.as_bytes().to_vec();
                self.clean(&mut bytes);
                *value = HeaderValue::from_bytes(&bytes).unwrap_or(HeaderValue::from_static("*"));
            }
        }
    }
}

/// JSON's spelling; some writers escape `/` too.
fn json(secret: &str, slash: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte == b'"' || byte == b'\\' || (slash && byte == b'/') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text
}

/// The spelling in queries and forms.
fn percent(secret: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(byte);
        } else {
            text.extend(format!("%{byte:02X}").bytes());
        }
    }
    text
}

/// One body on its way through.
#[derive(Debug)]
pub struct Scrub {
    needles: Needles,
    held: BytesMut,
}

impl Scrub {
    /// A body from its beginning.
    pub fn new(needles: Needles) -> Self {
        Self { needles, held: BytesMut::new() }
    }

    /// What may pass on once this chunk has come; empty when all of it is held back.
    pub fn chunk(&mut self, chunk: &[u8]) -> Bytes {
        self.held.extend_from_slice(chunk);
        self.needles.clean(&mut self.held);
        let pass = self.held.len() - self.needles.unfinished(&self.held);
        self.held.split_to(pass).freeze()
    }

    /// What was held back, at the end.
    pub fn end(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-ab/ab+ab\"x";

    fn through(body: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut scrub = Scrub::new(Needles::of(SECRET));
        let (mut out, mut from) = (Vec::new(), 0);
        for cut in cuts.iter().copied().chain([body.len()]) {
            out.extend(scrub.chunk(&body[from..cut]));
            from = cut;
        }
        out.extend(scrub.end());
        out
    }

    #[test]
    fn a_secret_is_found_however_it_is_cut() {
        let body = format!("sk-ab {SECRET}{SECRET} sk-ab/ab+a end sk-");
        let expected = body.replace(SECRET, &"*".repeat(SECRET.len()));
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let out = through(body.as_bytes(), &[first, second]);
                assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {first} and {second}");
            }
        }
        let every: Vec<usize> = (1..body.len()).collect();
        assert_eq!(through(body.as_bytes(), &every), expected.as_bytes());
    }

    #[test]
    fn other_spellings_are_found_too() {
        for spelling in ["sk-ab\\/ab+ab\\\"x", "sk-ab/ab+ab\\\"x", "sk-ab%2Fab%2Bab%22x"] {
            let out = through(format!("a {spelling} b").as_bytes(), &[7]);
            assert_eq!(String::from_utf8(out).unwrap(), format!("a {} b", "*".repeat(spelling.len())));
        }
    }

    #[test]
    fn only_a_possible_beginning_is_held_back() {
        let mut scrub = Scrub::new(Needles::of(SECRET));
        assert_eq!(scrub.chunk(b"data: 1\n\n"), "data: 1\n\n");
        assert_eq!(scrub.chunk(b"x sk-"), "x ");
        assert_eq!(scrub.chunk(b"-"), "sk--");
        assert_eq!(scrub.end(), "");
    }

    #[test]
    fn headers_are_cleaned() {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_str(&format!("/?k={SECRET}&n=1")).unwrap());
        headers.insert("x-plain", HeaderValue::from_static("sk-ab"));
        Needles::of(SECRET).clean_headers(&mut headers);
        assert_eq!(headers["location"], "/?k=*************&n=1");
        assert_eq!(headers["x-plain"], "sk-ab");
        assert!(!format!("{:?}", Needles::of(SECRET)).contains("sk-"));
    }
}
