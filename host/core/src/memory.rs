//! What has repaired a failure before: which changes held against which sort of failure. It is part of the fold over facts, so
//! it costs no question, no key and no network; and it is only ever a suggestion, which goes through the same gate, trial and
//! canary as anybody's. It must never read a clock, the plan or anything volatile.

use crate::failure::Failure;
use crate::id::Digest;

/// Fixes that are remembered of one component, the newest.
const FIXES: usize = 50;
/// A failure is known by so much of its text.
const MAX_TEXT: usize = 2_000;

/// The sort of a failure: what stays the same when it happens again. Numbers, addresses and quoted names of temporary files
/// differ from one time to the next and do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(Digest);

impl Signature {
    /// Of a failure.
    pub fn of(failure: &Failure) -> Self {
        let text = failure.error.get(..failure.error.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
        Self(Digest::of(
            format!("{:?}\n{}\n{}", failure.kind, failure.class.as_str(), normalized(text)).as_bytes(),
        ))
    }
}

/// A text without what differs each time: every word with a digit in it becomes `#`, and white space is one space.
fn normalized(text: &str) -> String {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let end = |is: &dyn Fn(char) -> bool| rest.find(|letter| !is(letter)).unwrap_or(rest.len());
        let end = match first {
            _ if is_part(first) => end(&is_part),
            _ if first.is_whitespace() => end(&char::is_whitespace),
            _ => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        match first {
            _ if first.is_whitespace() => out.push(' '),
            _ if word.bytes().any(|byte| byte.is_ascii_digit()) => out.push('#'),
            _ => out.push_str(word),
        }
        rest = after;
    }
    out
}

/// What held against which sort of failure, of one component, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    fixes: Vec<(Signature, Digest)>,
}

impl Memory {
    /// These changes have repaired this sort of failure, and held.
    pub(crate) fn remember(&mut self, failure: &Failure, manifest: Digest) {
        let signature = Signature::of(failure);
        self.fixes.retain(|fix| *fix != (signature, manifest));
        if self.fixes.len() == FIXES {
            self.fixes.remove(0);
        }
        self.fixes.push((signature, manifest));
    }

    /// These changes were taken back: nobody tries them again by itself.
    pub(crate) fn forget(&mut self, manifest: Digest) {
        self.fixes.retain(|(_, known)| *known != manifest);
    }

    /// What has helped against such a failure, the newest first.
    pub fn fixes(&self, failure: &Failure) -> impl Iterator<Item = Digest> {
        let signature = Signature::of(failure);
        self.fixes.iter().rev().filter(move |(known, _)| *known == signature).map(|(_, manifest)| *manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{FailureClass, FailureKind};

    fn failure(error: &str) -> Failure {
        Failure { kind: FailureKind::Exited, class: FailureClass::Logic, error: error.to_owned() }
    }

    #[test]
    fn a_failure_is_known_again_by_what_stays_the_same() {
        let first = Signature::of(&failure(
            "exited with code 1: Traceback: KeyError: 'price' at 0x7f1e (pid 4711) in /tmp/tmpab12cd/x.py",
        ));
        for same in [
            "exited with code 1: Traceback: KeyError: 'price' at 0x99 (pid 12) in /tmp/tmp9/x.py",
            " exited  with code 1: Traceback:\nKeyError: 'price' at 0xabc (pid 3) in /tmp/tmp77z/x.py ",
        ] {
            assert_eq!(Signature::of(&failure(same)), first, "{same}");
        }
        for other in ["exited with code 1: Traceback: KeyError: 'count' at 0x7f1e (pid 4711)", "", "exited"] {
            assert_ne!(Signature::of(&failure(other)), first, "{other}");
        }
        let class = Failure { class: FailureClass::External, ..failure("x") };
        assert_ne!(Signature::of(&class), Signature::of(&failure("x")));
    }

    #[test]
    fn words_with_digits_differ_each_time_and_words_without_do_not() {
        for (text, expected) in [
            ("port 8080 in use", "port # in use"),
            ("a1 b2c  d", "# # d"),
            ("line 3: x_1 = é", "line #: # = é"),
            ("\u{fffd}\n\t", "\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(normalized(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_newest_fix_comes_first_and_what_was_taken_back_is_forgotten() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut memory = Memory::default();
        memory.remember(&failure("code 1"), a);
        memory.remember(&failure("code 2"), b);
        memory.remember(&failure("other"), b);
        let fixes = |memory: &Memory| memory.fixes(&failure("code 9")).collect::<Vec<_>>();
        assert_eq!(fixes(&memory), [b, a]);
        memory.remember(&failure("code 3"), a);
        assert_eq!(fixes(&memory), [a, b]);
        memory.forget(a);
        assert_eq!(fixes(&memory), [b]);
        for index in 0..FIXES {
            memory.remember(&failure("third"), Digest::of(&index.to_le_bytes()));
        }
        assert!(fixes(&memory).is_empty(), "bounded");
    }
}
