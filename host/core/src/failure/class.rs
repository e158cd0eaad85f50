//! Sorts a failure by how the process ended and by what it said last. A table, read from the top; it never guesses
//! from a component's name.

use super::FailureClass::{self, Dependency, External, Logic};
use crate::effect::ExitStatus;

/// Words in lower case: the first row that has one of them in the text decides. The first two rows are the ones of
/// `razar.issue_analyzer`; after them the outer world comes before a bare traceback, because a service that finds its
/// port taken has a traceback too.
const WORDS: [(FailureClass, &[&str]); 6] = [
    (
        Dependency,
        &["importerror", "modulenotfounderror", "no module named", "dependencyerror", "cannot import"],
    ),
    (Logic, &["assertionerror", "typeerror", "valueerror", "keyerror", "indexerror", "attributeerror"]),
    (
        Dependency,
        &[
            "command not found",
            "cannot find module",
            "cannot find package",
            "could not find or load main class",
            "classnotfoundexception",
            "noclassdeffounderror",
            "cannot load such file",
            "error while loading shared libraries",
            "cannot open shared object file",
            "symbol lookup error",
            "`glibc_",
            "pkg_resources.distributionnotfound",
        ],
    ),
    (
        External,
        &[
            "address already in use",
            "addrinuse",
            "cannot assign requested address",
            "no space left on device",
            "disk quota exceeded",
            "read-only file system",
            "input/output error",
            "too many open files",
            "cannot allocate memory",
            "out of memory",
            "memoryerror",
            "permission denied",
            "connection refused",
            "connectionrefusederror",
            "econnrefused",
            "connection reset",
            "connection timed out",
            "network is unreachable",
            "no route to host",
            "name or service not known",
            "temporary failure in name resolution",
            "timeouterror",
        ],
    ),
    (
        Logic,
        &[
            "syntaxerror",
            "indentationerror",
            "nameerror",
            "unboundlocalerror",
            "zerodivisionerror",
            "recursionerror",
            "notimplementederror",
            "referenceerror",
            "rangeerror",
            "nullpointerexception",
            "panicked at",
            "panic:",
            "nil pointer dereference",
            "segmentation fault",
            "stack overflow",
            "stack smashing detected",
            "double free",
            "assertion failed",
            "assertion `",
            "unhandled exception",
            "uncaught exception",
            "terminate called",
        ],
    ),
    (Logic, &["traceback (most recent call last)"]),
];

/// Signals by which a program ends itself when it is wrong: ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS.
const OWN_SIGNALS: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];

/// A shell reports a signal as this and its number.
const SHELL_SIGNAL: i32 = 128;

/// What refuses a connection when nobody listens.
const REFUSED: [&str; 3] = ["connection refused", "connectionrefusederror", "econnrefused"];

/// What somebody else may be called: its name, and where it listens.
pub type Peer<'a> = (&'a str, Option<&'a str>);

/// What in a text says which class a failure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling<'t> {
    /// The class.
    pub class: FailureClass,
    /// The words that decided.
    pub words: &'static str,
    /// The newest line that has any of that row's words.
    pub line: &'t str,
    /// Which line that is, from 1.
    pub number: usize,
}

impl FailureClass {
    /// Sorts an error or a log tail by its words alone: case-insensitive, first match wins, as operators know it.
    pub fn of(text: &str) -> Self {
        Self::told_by(text).map_or(External, |telling| telling.class)
    }

    /// What in a text decides its class; nothing does in one that is [`External`] because it says nothing else.
    pub fn told_by(text: &str) -> Option<Telling<'_>> {
        let mut best = WORDS.len();
        let mut telling = None;
        for (at, line) in text.lines().enumerate() {
            // The first row wins over the whole text, and among its lines the newest one: that is where it ended.
            if let Some((row, class, words)) = row_of(&line.to_ascii_lowercase(), best) {
                best = row;
                telling = Some(Telling { class, words, line, number: at + 1 });
            }
        }
        telling
    }

    /// Sorts the end of a process. A signal says more than any words: nobody who was killed from outside is to blame
    /// for what he said before. `peers` are the components it depends on: one of them that refuses a connection is a
    /// missing dependency, anybody else who does is the outer world.
    pub fn of_exit(exit: ExitStatus, said: &str, peers: &[Peer<'_>]) -> Self {
        let said = said.to_ascii_lowercase();
        match exit {
            ExitStatus::Signal(signal) => return of_signal(signal),
            ExitStatus::Code(code) if code > SHELL_SIGNAL && code <= SHELL_SIGNAL + 31 => {
                return of_signal(code - SHELL_SIGNAL);
            }
            ExitStatus::Code(_) | ExitStatus::Unknown => {}
        }
        if refused_by_a_peer(&said, peers) {
            return Dependency;
        }
        by_words(&said).unwrap_or(match exit {
            // A shell that found no program, or none it could run.
            ExitStatus::Code(126 | 127) => Dependency,
            // A Rust program that panicked; `EX_SOFTWARE`.
            ExitStatus::Code(101 | 70) => Logic,
            _ => External,
        })
    }
}

fn by_words(lower: &str) -> Option<FailureClass> {
    row_of(lower, WORDS.len()).map(|(_, class, _)| class)
}

/// The first row, up to the `last`, that has words in a text, and the first of them.
fn row_of(lower: &str, last: usize) -> Option<(usize, FailureClass, &'static str)> {
    WORDS.iter().enumerate().take(last.saturating_add(1)).find_map(|(row, (class, words))| {
        let words = words.iter().find(|words| lower.contains(**words))?;
        Some((row, *class, *words))
    })
}

fn of_signal(signal: i32) -> FailureClass {
    if OWN_SIGNALS.contains(&signal) { Logic } else { External }
}

fn refused_by_a_peer(lower: &str, peers: &[Peer<'_>]) -> bool {
    let names = |text: &str| {
        let text = text.to_ascii_lowercase();
        lower.match_indices(&text).any(|(at, _)| {
            let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            !inside(lower.get(..at).and_then(|before| before.chars().next_back()))
                && !inside(lower.get(at + text.len()..).and_then(|after| after.chars().next()))
        })
    };
    REFUSED.iter().any(|word| lower.contains(word))
        && peers.iter().any(|(name, address)| names(name) || address.is_some_and(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_operators_know_decide_first() {
        for (text, class) in [
            ("ModuleNotFoundError: No module named 'x'", Dependency),
            ("ImportError while TypeError", Dependency),
            ("Traceback … KeyError: 'a'", Logic),
            ("connection refused", External),
            ("", External),
        ] {
            assert_eq!(FailureClass::of(text), class, "{text}");
        }
    }

    #[test]
    fn the_line_that_decided_is_the_newest_of_the_first_row_that_matches() {
        let text = "KeyError: 'a'\nNo module named 'b'\r\nConnection refused\nIMPORTERROR: c\nTypeError\n";
        let telling = FailureClass::told_by(text).unwrap();
        assert_eq!((telling.class, telling.words), (Dependency, "importerror"));
        assert_eq!((telling.line, telling.number), ("IMPORTERROR: c", 4));
        let telling = FailureClass::told_by("port taken:\naddress already in use\n").unwrap();
        assert_eq!((telling.class, telling.number), (External, 2));
        assert_eq!(FailureClass::told_by("all is well\n"), None);
    }

    /// The original's whole table: each of its words, alone, and each row before the next.
    #[test]
    fn the_original_s_rules_and_hints_are_kept() {
        let dependency =
            ["ImportError", "ModuleNotFoundError", "No module named", "DependencyError", "cannot import"];
        let logic = ["AssertionError", "TypeError", "ValueError", "KeyError", "IndexError", "AttributeError"];
        for (words, class, hint) in [
            (&dependency[..], Dependency, "Install missing packages or verify the environment."),
            (&logic[..], Logic, "Inspect the stack trace and fix the underlying code logic."),
            (&["anything else"][..], External, "Check network connectivity and external service status."),
        ] {
            for word in words {
                assert_eq!(FailureClass::of(&format!("x {word} y")), class, "{word}");
                assert_eq!(FailureClass::of(&word.to_uppercase()), class, "{word}");
            }
            assert_eq!(class.hint(), hint);
        }
        for (first, second) in dependency.iter().zip(logic) {
            assert_eq!(FailureClass::of(&format!("{second}\n{first}")), Dependency);
            assert_eq!(FailureClass::of(&format!("connection refused\n{second}")), Logic);
        }
    }

    #[test]
    fn an_end_is_sorted_by_signal_then_words_then_code() {
        let (code, signal, unseen) = (ExitStatus::Code, ExitStatus::Signal, ExitStatus::Unknown);
        for (exit, said, class) in [
            (code(1), "ImportError: cannot import name 'x'", Dependency),
            (code(127), "sh: 1: frobnicate: not found", Dependency),
            (code(127), "", Dependency),
            (code(126), "", Dependency),
            (code(1), "./web: error while loading shared libraries: libpq.so.5", Dependency),
            (code(1), "Error: Cannot find module 'express'", Dependency),
            (code(1), "AssertionError", Logic),
            (code(1), "SyntaxError: invalid syntax", Logic),
            (code(1), "Traceback (most recent call last): | RuntimeError: boom", Logic),
            (code(101), "thread 'main' panicked at src/main.rs:2:5:", Logic),
            (code(101), "", Logic),
            (code(70), "lost count", Logic),
            (code(2), "panic: runtime error: index out of range", Logic),
            (signal(11), "", Logic),
            (signal(6), "terminate called after throwing", Logic),
            (code(139), "", Logic),
            (code(134), "", Logic),
            (signal(9), "KeyError: 'an old one'", External),
            (code(137), "ValueError: an old one", External),
            (signal(15), "", External),
            (code(1), "Traceback | OSError: [Errno 98] Address already in use", External),
            (code(1), "Error: listen EADDRINUSE: address already in use :::3000", External),
            (code(1), "OSError: [Errno 28] No space left on device", External),
            (code(1), "Out of memory: killed process 7", External),
            (code(1), "ConnectionRefusedError: [Errno 111] Connection refused", External),
            (code(3), "I do not feel like it", External),
            (code(0), "", External),
            (unseen, "", External),
            (unseen, "KeyError: 'a'", Logic),
        ] {
            assert_eq!(FailureClass::of_exit(exit, said, &[]), class, "{exit}: {said}");
        }
    }

    #[test]
    fn a_component_it_depends_on_is_a_dependency_when_it_refuses() {
        let peers = [("store", Some("127.0.0.1:6379")), ("bus", None)];
        for (said, class) in [
            ("connection refused by store", Dependency),
            ("connect ECONNREFUSED 127.0.0.1:6379", Dependency),
            ("ConnectionRefusedError: bus", Dependency),
            ("connect ECONNREFUSED 127.0.0.1:63790", External),
            ("ECONNREFUSED bookstore.example.com:443", External),
            ("robust, but: connection refused", External),
            ("store is full", External),
        ] {
            assert_eq!(FailureClass::of_exit(ExitStatus::Code(1), said, &peers), class, "{said}");
        }
    }
}
