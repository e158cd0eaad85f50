//! The line between the judge and the runner of tests: who is on it, what is heard, and what that says of a tree. The runner is
//! in one interpreter with the code it judges, so what comes through the line is believed only if all of it fits together: every
//! word begins with the token, every case that was found has an end, the host's own cases ended as they must, and the
//! interpreter ended as it said.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use razar_core::patch::{Case, CaseEnd, Look, Opinion, Sentinels};

use super::End;

/// Bytes that are heard: some ten thousand cases. What is said beyond is nobody's result.
const MAX_HEARD: usize = 8 << 20;

/// The judge's end of it.
#[derive(Debug)]
pub(super) struct Line {
    stream: UnixStream,
    token: String,
    bytes: Vec<u8>,
    too_much: bool,
}

impl Line {
    /// A line, on which the runner will find a token and the names of the host's own tests; and its end of it.
    pub(super) fn open(sentinels: Option<&Sentinels>) -> io::Result<(Self, OwnedFd)> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (mut stream, theirs) = UnixStream::pair()?;
        let mut words = vec![token.as_str()];
        words.extend(sentinels.iter().flat_map(|sentinels| sentinels.files()).map(|file| file.path.as_str()));
        // It is less than what a socket holds: nobody reads yet.
        stream.write_all(words.join("\n").as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        stream.set_nonblocking(true)?;
        Ok((Self { stream, token, bytes: Vec::new(), too_much: false }, theirs.into()))
    }

    /// Takes what has been said so far.
    pub(super) fn listen(&mut self) {
        let mut piece = [0; 16 << 10];
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            if self.bytes.len() + count > MAX_HEARD {
                self.too_much = true;
            } else {
                self.bytes.extend(piece.get(..count).unwrap_or_default());
            }
        }
    }

    /// All of it.
    pub(super) fn heard(&self) -> Heard {
        let mut heard = Heard::default();
        let text = String::from_utf8_lossy(&self.bytes);
        // What has no end of its line was cut off with whoever said it.
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.for_each(|line| heard.take(line, &self.token));
        if self.too_much {
            heard.doubt("it said more than any suite has to say");
        }
        heard
    }
}

/// What a runner said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    found: Vec<String>,
    ends: Vec<(String, CaseEnd)>,
    /// Why it is not believed.
    doubt: Option<String>,
    complete: bool,
}

impl Heard {
    fn take(&mut self, line: &str, token: &str) {
        let mut words = line.splitn(3, ' ');
        if words.next() != Some(token) {
            return self.doubt("somebody else spoke in its name");
        }
        let (word, about) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if self.complete {
            return self.doubt("it went on after it had come to its end");
        }
        let end = match word {
            "case" => return self.found.push(about.to_owned()),
            "tampered" => return self.doubt(about),
            "end" => {
                self.complete = true;
                return;
            }
            "passed" => CaseEnd::Passed,
            "failed" => CaseEnd::Failed,
            "skipped" => CaseEnd::NotRun,
            _ => return self.doubt("it said something that it does not say"),
        };
        self.ends.push((about.to_owned(), end));
    }

    /// The first doubt is the one that people are told.
    fn doubt(&mut self, why: &str) {
        self.doubt.get_or_insert_with(|| why.to_owned());
    }

    /// What it means.
    pub(super) fn look(&self, end: &End, sentinels: Option<&Sentinels>) -> Look {
        let own = |name: &str| sentinels.is_some_and(|sentinels| sentinels.has(name));
        let mut cases: BTreeMap<String, Option<Case>> = BTreeMap::new();
        cases.extend(self.found.iter().filter(|name| !own(name)).map(|name| (name.clone(), None)));
        let mut stranger = None;
        for (name, end) in self.ends.iter().filter(|(name, _)| !own(name)) {
            match cases.get_mut(name) {
                Some(case) => *case = Some(worse(*case, *end)),
                None => stranger = Some(name),
            }
        }
        // What was found and has no end did not pass, whatever came in between.
        let cases: BTreeMap<String, Case> =
            cases.into_iter().map(|(name, case)| (name, case.unwrap_or(Case::Failed))).collect();
        let count = |case: Case| cases.values().filter(|end| **end == case).count();
        let (passed, failed) = (count(Case::Passed), count(Case::Failed));
        let sentinel = self.doubt.clone().or_else(|| match (self.complete, end, sentinels) {
            (false, End::Well, _) => {
                Some("the interpreter was ended with exit code 0 before all tests had an end".to_owned())
            }
            (true, _, _) if stranger.is_some() => stranger.map(|name| format!("there is no test `{name}`")),
            (true, End::Well, _) if failed > 0 => {
                Some("it ended with exit code 0, and not all tests had passed".to_owned())
            }
            (true, _, Some(sentinels)) => {
                let told = self.ends.iter().map(|(name, end)| (name.as_str(), *end));
                sentinels.check(told).err().map(|fault| fault.to_string())
            }
            _ => None,
        });
        let well = self.complete && *end == End::Well && failed == 0 && passed > 0;
        let why = match end {
            End::Well if well => format!("{passed} of {} cases pass", cases.len()),
            _ if cases.is_empty() => format!("no case was run{}", behind(end)),
            _ => {
                let first = cases.iter().find(|(_, case)| **case == Case::Failed).map(|(name, _)| name);
                let first = first.map(|name| format!(", the first is `{name}`")).unwrap_or_default();
                format!("{failed} of {} cases do not pass{first}{}", cases.len(), behind(end))
            }
        };
        Look { opinion: if well { Opinion::Pass } else { Opinion::Fail }, cases, sentinel, why }
    }
}

fn behind(end: &End) -> String {
    match end {
        End::Well => String::new(),
        End::Badly(why) => format!("; {why}"),
    }
}

/// A case that is told twice ended as the worse of it.
const fn worse(known: Option<Case>, end: CaseEnd) -> Case {
    match (known, end) {
        (Some(Case::Failed), _) | (_, CaseEnd::Failed) => Case::Failed,
        (Some(Case::Skipped), _) | (_, CaseEnd::NotRun) => Case::Skipped,
        (_, CaseEnd::Passed) => Case::Passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, one word a line; `!` is somebody who has no token.
    fn heard(words: &str) -> Heard {
        let mut heard = Heard::default();
        for word in words.split(',').filter(|word| !word.is_empty()) {
            let line = if word == "!" { "end".to_owned() } else { format!("token {word} ") };
            heard.take(line.strip_suffix(' ').unwrap_or(&line), "token");
        }
        heard
    }

    fn badly() -> End {
        End::Badly("they end with exit code 1".to_owned())
    }

    #[test]
    fn nothing_passes_unless_all_of_it_fits_together() {
        for (words, end, opinion, believed) in [
            ("case a,case b,passed a,passed b,end", End::Well, Opinion::Pass, true),
            ("case a,case b,passed a,skipped b,end", End::Well, Opinion::Pass, true),
            ("case a,skipped a,end", End::Well, Opinion::Fail, true),
            ("case a,passed a,end", badly(), Opinion::Fail, true),
            ("case a,case b,passed a,failed b,end", badly(), Opinion::Fail, true),
            ("case a,case b,passed a,failed b,end", End::Well, Opinion::Fail, false),
            ("case a,case b,passed a,passed b,failed b,end", badly(), Opinion::Fail, true),
            ("case a,case b,passed a", badly(), Opinion::Fail, true),
            ("case a,case b,passed a", End::Well, Opinion::Fail, false),
            ("case a,case b,passed a,end", End::Well, Opinion::Fail, false),
            ("", End::Well, Opinion::Fail, false),
            ("", badly(), Opinion::Fail, true),
            ("end", End::Well, Opinion::Fail, true),
            ("case a,passed a,passed b,end", End::Well, Opinion::Pass, false),
            ("case a,passed a,end,passed a", End::Well, Opinion::Pass, false),
            ("case a,passed a,!", End::Well, Opinion::Fail, false),
            ("case a,well a,end", End::Well, Opinion::Fail, false),
            ("case a,tampered x,passed a,end", End::Well, Opinion::Pass, false),
        ] {
            let look = heard(words).look(&end, None);
            assert_eq!((look.opinion, look.sentinel.is_none()), (opinion, believed), "{words}: {end:?}");
        }
    }

    #[test]
    fn what_did_not_end_has_failed_and_is_named() {
        let look = heard("case a,case b,case c,passed a").look(&badly(), None);
        let cases: Vec<Case> = look.cases.values().copied().collect();
        assert_eq!(cases, [Case::Passed, Case::Failed, Case::Failed]);
        assert_eq!(look.why, "2 of 3 cases do not pass, the first is `b`; they end with exit code 1");
    }

    #[test]
    fn the_hosts_own_cases_must_end_as_they_must() {
        let names = ["test_app.py".to_owned()].into();
        let sentinels = Sentinels::python(7, "tests", &names).unwrap();
        let look = heard("case a,passed a,end").look(&End::Well, Some(&sentinels));
        assert!(look.sentinel.unwrap().contains("was not run"));
        let look = heard("case a,passed a").look(&badly(), Some(&sentinels));
        assert_eq!((look.opinion, look.sentinel), (Opinion::Fail, None), "it claims nothing");
    }

    #[test]
    fn whoever_is_on_the_line_hears_the_token_first() {
        let (mut line, theirs) = Line::open(None).unwrap();
        let mut stream = UnixStream::from(theirs);
        let mut token = String::new();
        stream.read_to_string(&mut token).unwrap();
        assert_eq!((token.len(), token == line.token), (32, true));
        write!(stream, "{token} case a\n{token} passed a\n{token} end\n{token} cut of").unwrap();
        drop(stream);
        line.listen();
        assert_eq!(line.heard().look(&End::Well, None).opinion, Opinion::Pass);
    }
}
