//! What a case ended as, against what it must end as. An answer is a list of differences; none means as expected.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::case::{Expect, Ready};
use crate::run::Seen;
use crate::world::CANARY;

/// Beyond its deadline: generous, because machines are busy; benches know the tight numbers.
pub const GRACE: Duration = Duration::from_secs(30);

/// Longest message about a case: it stands in a line that an operator reads. A reply's own words are bounded by its limit.
const MAX_MESSAGE: usize = 1_024;

/// Where the calls of a case differ from what it must end as.
pub fn judge(case: &Ready, seen: &[Seen]) -> Vec<String> {
    let expect = &case.expect;
    let mut wrong = Vec::new();
    if !seen.iter().any(|seen| seen.end == expect.end) {
        wrong.push(format!("nothing ended as `{}`", expect.end));
    }
    let fuel: BTreeSet<Option<u64>> = seen.iter().map(|seen| seen.fuel).collect();
    if expect.same_fuel && (fuel.len() != 1 || fuel.contains(&None)) {
        wrong.push(format!("the calls used {fuel:?} instructions"));
    }
    if expect.waits && !seen.iter().any(|seen| seen.queued > Duration::ZERO) {
        wrong.push("no call waited for a place".to_owned());
    }
    for seen in seen {
        let before = wrong.len();
        if seen.end == expect.end {
            exactly(expect, seen, &mut wrong);
        } else if expect.others.as_ref() != Some(&seen.end) {
            wrong.push(format!("ended as `{}`", seen.end));
        }
        always(case, seen, &mut wrong);
        if wrong.len() > before {
            wrong.push(format!("in: {} after {:?}: {}", seen.end, seen.wall, seen.message.escape_debug()));
        }
    }
    wrong
}

/// What the case says of the calls that end as it says.
fn exactly(expect: &Expect, seen: &Seen, wrong: &mut Vec<String>) {
    for text in expect.says.iter().filter(|text| !seen.message.contains(text.as_str())) {
        wrong.push(format!("does not say `{text}`"));
    }
    let refused: Vec<String> = seen.record.refused.iter().map(ToString::to_string).collect();
    for text in expect.refused.iter().filter(|text| !refused.iter().any(|line| line.contains(text.as_str())))
    {
        wrong.push(format!("the host did not refuse `{text}`"));
    }
    for line in refused.iter().filter(|line| !expect.refused.iter().any(|text| line.contains(text.as_str())))
    {
        wrong.push(format!("the host refused `{line}` too"));
    }
    let printed = seen.log.to_string();
    for text in expect.printed.iter().filter(|text| !printed.contains(text.as_str())) {
        wrong.push(format!(
            "`{text}` is not kept of what it printed: {}",
            printed.chars().take(400).collect::<String>()
        ));
    }
    if let Some(most) = expect.printed_most {
        let kept: usize = seen.log.lines.iter().map(|line| line.text.len()).sum();
        if kept > most || seen.log.dropped == 0 {
            wrong.push(format!("{kept} bytes are kept of what it printed, {} dropped", seen.log.dropped));
        }
    }
}

/// What holds for every call of every case.
fn always(case: &Ready, seen: &Seen, wrong: &mut Vec<String>) {
    if seen.wall > case.deadline + GRACE {
        wrong.push(format!("took {:?}", seen.wall));
    }
    if seen.end == "host-bug" && case.expect.end != "host-bug" {
        wrong.push("the host failed".to_owned());
    }
    if seen.end != "reply" && seen.end != "plugin-error" {
        if seen.message.len() > MAX_MESSAGE {
            wrong.push(format!("the message has {} bytes", seen.message.len()));
        }
        if seen.message.chars().any(char::is_control) {
            wrong.push("the message has control characters".to_owned());
        }
    }
    if seen.log.lines.iter().any(|line| line.text.chars().any(char::is_control)) {
        wrong.push("control characters are kept of what it printed".to_owned());
    }
    let kept = format!("{} {} {:?}", seen.message, seen.log, seen.record);
    for text in case.expect.never.iter().map(String::as_str).chain([CANARY]) {
        if kept.contains(text) {
            wrong.push(format!("`{text}` came out"));
        }
    }
}

#[cfg(test)]
mod tests {
    use razar_runtime::broker::log::{LogLine, LogRecord, LogStream};

    use super::*;
    use crate::case::{Case, Places};

    fn ready(expect: &str) -> Ready {
        let text = format!(
            "[A1_x]\nabout = \"x\"\nguest = \"x\"\nexpect = {expect}\nguard = {{ name = \"x\", control = {{}} }}"
        );
        let case = Case::parse_all("a.toml".as_ref(), &text).unwrap().remove(0);
        case.ready(&Places { world: "/w".into(), upstream: 1, elsewhere: 2 }).unwrap()
    }

    fn seen(end: &str, message: &str) -> Seen {
        Seen { end: end.to_owned(), message: message.to_owned(), ..Seen::default() }
    }

    #[test]
    fn a_call_ends_as_its_case_says_or_it_is_said_why_not() {
        let trap = r#"{ end = "trap", says = ["crashed"], never = ["sk-1"] }"#;
        let long = "crashed ".repeat(200);
        for (expect, calls, wrong) in [
            (trap, vec![seen("trap", "it crashed")], None),
            (trap, vec![seen("trap", "it fell over")], Some("does not say")),
            (trap, vec![seen("reply", "crashed")], Some("nothing ended as `trap`")),
            (trap, vec![seen("trap", "crashed"), seen("busy", "full")], Some("ended as `busy`")),
            (trap, vec![seen("trap", "crashed: sk-1")], Some("`sk-1` came out")),
            (trap, vec![seen("trap", "crashed: canary-7f3a9c51")], Some("came out")),
            (trap, vec![seen("trap", "crashed\n")], Some("control characters")),
            (trap, vec![seen("trap", &long)], Some("bytes")),
            (r#"{ end = "trap", others = "busy" }"#, vec![seen("trap", "x"), seen("busy", "x")], None),
            (r#"{ end = "host-bug" }"#, vec![seen("host-bug", "x")], None),
            (r#"{ end = "trap", refused = ["x"] }"#, vec![seen("trap", "x")], Some("did not refuse")),
        ] {
            let found = judge(&ready(expect), &calls).join("; ");
            assert_eq!(wrong.is_none(), found.is_empty(), "{found}");
            assert!(wrong.is_none_or(|wrong| found.contains(wrong)), "{found}");
        }
        let late = Seen { wall: Duration::from_secs(36), ..seen("trap", "crashed") };
        assert!(judge(&ready(trap), &[late]).join("; ").contains("took 36s"));
    }

    #[test]
    fn what_was_printed_is_bounded_and_harmless() {
        let line = |text: &str| LogLine { stream: LogStream::Stdout, text: text.to_owned() };
        let with = |text: &str, dropped| Seen {
            log: LogRecord { lines: vec![line(text)], dropped, hushed: false },
            ..seen("reply", "healthy: x")
        };
        let expect = ready(r#"{ end = "reply", printed = ["ab"], printed-most = 4 }"#);
        assert!(judge(&expect, &[with("abcd", 1)]).is_empty());
        for bad in [with("abcde", 1), with("abcd", 0), with("cd", 1), with("ab\u{1b}", 1)] {
            assert!(!judge(&expect, std::slice::from_ref(&bad)).is_empty(), "{bad:?}");
        }
    }
}
