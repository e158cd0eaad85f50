//! Conversations with agents that do what a test says.

use std::sync::Mutex;

use razar_core::redact::Redactor;
use razar_runtime::broker::journal::CallRecord;
use razar_runtime::broker::log::LogRecord;
use razar_runtime::contract::BoxFuture;
use razar_runtime::contract::agent::{Extensions, Situation};
use razar_runtime::outcome::{PluginErrorKind, Usage};

use super::*;

/// Answers by what it goes on from, and remembers that.
struct Puppet<F> {
    answer: F,
    turns: Mutex<Vec<Option<Turn>>>,
}

impl<F: Fn(usize) -> Outcome<Answer> + Send + Sync> Puppet<F> {
    fn new(answer: F) -> Self {
        Self { answer, turns: Mutex::default() }
    }
}

impl<F: Fn(usize) -> Outcome<Answer> + Send + Sync> Agent for Puppet<F> {
    fn propose<'a>(&'a self, call: AgentCall<'a>) -> BoxFuture<'a, CallReport<Answer>> {
        let mut turns = self.turns.lock().unwrap();
        turns.push(call.turn.cloned());
        let outcome = (self.answer)(turns.len());
        let report = CallReport {
            outcome,
            usage: Usage::default(),
            record: CallRecord::default(),
            log: LogRecord::default(),
        };
        Box::pin(std::future::ready(report))
    }
}

fn answer(step: Step) -> Outcome<Answer> {
    let usage = TokenUsage { model: "m".to_owned(), input_tokens: 10, output_tokens: 2 };
    Outcome::Reply(Answer { step, usage: Some(usage), extensions: Extensions::new() })
}

fn looks(calls: &[(&str, &str)]) -> Outcome<Answer> {
    let call = |(at, (name, arguments)): (usize, &(&str, &str))| ToolCall {
        id: at.to_string(),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    answer(Step::UseTools(Pause {
        memory: b"kept".to_vec(),
        calls: calls.iter().enumerate().map(call).collect(),
    }))
}

fn proposes(changes: Vec<Change>) -> Proposal {
    Proposal { remedy: Remedy::Patch(changes), rationale: "r".to_owned(), extensions: Extensions::new() }
}

fn write(path: &str, content: &str) -> Change {
    Change::Write(SourceFile { path: path.to_owned(), content: content.as_bytes().to_vec() })
}

fn tree() -> Tree {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app.py"), "password = 'c4nary-a'\n").unwrap();
    std::fs::write(dir.path().join("big.txt"), "0123456789abcdef\n".repeat(3_000)).unwrap();
    std::fs::write(dir.path().join("other.py"), "secret = 'c4nary-b'\n").unwrap();
    Tree::read(dir.path(), Redactor::default()).unwrap()
}

fn consulted(agent: &dyn Agent, bounds: Bounds) -> Consulted {
    let brief = Brief {
        situation: Situation::Alerts(Vec::new()),
        actions: Vec::new(),
        tools: Vec::new(),
        extensions: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(consult(agent, &brief, &tree(), "{}", bounds))
}

const BOUNDS: Bounds = Bounds::within(Duration::from_secs(60));

#[test]
fn tools_run_between_turns_and_their_answers_come_back_in_order() {
    let agent = Puppet::new(|turn| match turn {
        1 => looks(&[("read", r#"{"path":"app.py"}"#), ("reed", "{}")]),
        2 => looks(&[("list", "{}")]),
        _ => answer(Step::Propose(proposes(vec![write("app.py", "x")]))),
    });
    let over = consulted(&agent, BOUNDS);
    assert!(matches!(&over.end, End::Proposed(proposal) if proposal.rationale == "r"), "{:?}", over.end);
    assert_eq!((over.turns.len(), over.looked.len()), (3, 3));
    assert_eq!(over.tokens.unwrap().input_tokens, 30);
    let turns = agent.turns.lock().unwrap();
    let second = turns[1].as_ref().unwrap();
    assert_eq!(second.memory, b"kept");
    let results: Vec<_> = second.results.iter().map(|r| (r.id.as_str(), r.is_error)).collect();
    assert_eq!(results, [("0", false), ("1", true)]);
    assert_eq!(second.results[0].content, "password = '[redacted-1]'\n");
    assert!(turns[0].is_none());
}

#[test]
fn rounds_calls_and_bytes_are_bounded() {
    let agent = Puppet::new(|_| looks(&[("list", "{}")]));
    let over = consulted(&agent, Bounds { rounds: 3, ..BOUNDS });
    assert!(matches!(over.end, End::Stopped(Stop::Rounds(3))), "{:?}", over.end);
    assert_eq!((over.turns.len(), over.looked.len()), (4, 3));

    let agent = Puppet::new(|_| looks(&[("list", "{}"); 17]));
    let over = consulted(&agent, BOUNDS);
    assert!(matches!(over.end, End::Stopped(Stop::Calls { asked: 17, allowed: 16 })), "{:?}", over.end);
    assert!(over.looked.is_empty());

    let agent = Puppet::new(|turn| match turn {
        1 => looks(&[("read", r#"{"path":"big.txt"}"#); 4]),
        _ => answer(Step::Propose(proposes(Vec::new()))),
    });
    let over = consulted(&agent, Bounds { bytes: 60_000, ..BOUNDS });
    let sizes: Vec<_> = over.looked.iter().map(|(_, size)| *size > 30_000).collect();
    assert_eq!(sizes, [true, true, false, false]);
}

#[test]
fn what_a_failure_cost_is_counted() {
    let agent = Puppet::new(|turn| match turn {
        1 => looks(&[("list", "{}")]),
        _ => Outcome::Refused(PluginError {
            kind: PluginErrorKind::QuotaExhausted,
            message: "no".to_owned(),
            retry_after: None,
            extensions: [("model", "m2"), ("input-tokens", "5"), ("output-tokens", "1")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }),
    });
    let over = consulted(&agent, BOUNDS);
    assert!(matches!(&over.end, End::Refused(error) if error.kind == PluginErrorKind::QuotaExhausted));
    let tokens = over.tokens.unwrap();
    assert_eq!((tokens.model.as_str(), tokens.input_tokens, tokens.output_tokens), ("m2", 15, 3));

    let over = consulted(&Puppet::new(|_| Outcome::Failed(PluginFailure::Busy)), BOUNDS);
    assert!(matches!(over.end, End::Failed(PluginFailure::Busy)) && over.tokens.is_none());
}

#[test]
fn marks_become_secrets_in_their_own_file_and_nowhere_else() {
    let tree = tree();
    let diff = |path: &str, mark: &str| {
        Change::UnifiedDiff(format!(
            "--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n password = '{mark}'\n+x = 1\n"
        ))
    };
    let good = proposes(vec![write("app.py", "password = '[redacted-1]'\nx = 1\n")]);
    let Remedy::Patch(changes) = restored(&tree, &good).unwrap().remedy else { panic!() };
    assert_eq!(changes, [write("app.py", "password = 'c4nary-a'\nx = 1\n")]);
    let Remedy::Patch(changes) =
        restored(&tree, &proposes(vec![diff("app.py", "[redacted-1]")])).unwrap().remedy
    else {
        panic!()
    };
    assert_eq!(changes, [diff("app.py", "c4nary-a")]);
    for bad in [
        write("app.py", "password = '[redacted-2]'"),
        write("new.py", "print('[redacted-1]')"),
        write("app.py", "[redacted-9]"),
        diff("other.py", "[redacted-1]"),
    ] {
        assert!(restored(&tree, &proposes(vec![bad.clone()])).is_err(), "{bad:?}");
    }
    let other = Proposal { remedy: Remedy::Decline("[redacted-1]".to_owned()), ..good };
    assert_eq!(restored(&tree, &other).unwrap(), other, "what changes no file stays as it was said");
}
