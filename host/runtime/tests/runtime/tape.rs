//! Calls that are recorded and played again: the same guest, the same answer, and nobody there any more who gave it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use razar_core::grant::{CallScope, Grant, Quota, Request};
use razar_runtime::Runtime;
use razar_runtime::broker::keyvalue::MemoryValues;
use razar_runtime::broker::resolve::FixedResolver;
use razar_runtime::contract::Report;
use razar_runtime::load::Source;
use razar_runtime::outcome::{CallReport, Outcome, PluginFailure};
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::tape::recording::{Answer, KeptAnswer, ReadEnd, Recording};
use razar_runtime::tape::{EndedBy, Tape};

use crate::setup::{GENEROUS, SHORT, check, check_about, load, options, runtime, source};
use crate::{guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("tape: an answer over HTTP is the same when the server is gone", http),
        trial("tape: bytes of a connection are the same when nobody listens any more", connections),
        trial("tape: names and refusals are the same without a name server", names),
        trial("tape: kept values are the same, and nothing is kept twice", values),
        trial("tape: time passes when nothing else can, and not before", time),
        trial("tape: chance is the same, and another one in each recording", chance),
        trial("tape: files are the same when they are gone", files),
        trial("tape: a request with another header is another one", headers),
        trial("tape: what has no end has none again, at once", stalls),
        trial("tape: what had no more time has none again, whatever this machine's clock says", late),
        trial("tape: what gets further than its time only ends there, unless it is other code", beyond),
        trial("tape: a call that is left out has the machine's own chance", own_chance),
    ]
}

/// On one thread and one for its files, as a tape wants it.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.max_blocking_threads(1).enable_all().build().unwrap().block_on(future)
}

/// Serves every connection on this machine with this, until the value is dropped.
struct Server {
    port: u16,
    listener: Arc<TcpListener>,
    ends: Arc<AtomicBool>,
}

impl Server {
    fn new(serve: fn(TcpStream)) -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let ends = Arc::<AtomicBool>::default();
        let (own, over) = (Arc::clone(&listener), Arc::clone(&ends));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = own.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                serve(stream);
            }
        });
        Self { port, listener, ends }
    }

    /// Nobody listens when this returns.
    fn stop(self) {
        let Self { port, listener, ends } = self;
        ends.store(true, Ordering::SeqCst);
        drop(listener);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(60), "somebody still listens");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A guest that may talk to what it is asked about.
async fn reach(runtime: &Runtime, wasm: Vec<u8>) -> LoadedPlugin {
    let request = Request {
        http: vec!["GET {target}".parse().unwrap()],
        tcp: vec!["{target}".parse().unwrap()],
        ..Request::default()
    };
    runtime.load(Source { request, ..source("guest", wasm) }, &Grant::default()).await.unwrap()
}

/// A call about this machine.
fn here(port: u16) -> CallScope {
    CallScope::about(format!("http://127.0.0.1:{port}/").parse().unwrap())
}

async fn recorded(plugin: &LoadedPlugin, scope: CallScope) -> (CallReport<Report>, Recording) {
    let tape = Tape::record();
    let report = tape.around(check_about(plugin, GENEROUS, scope)).await;
    let mut recording = tape.take();
    assert!(recording.is_whole(), "{:?}", recording.left_out);
    recording.redact(&mut |_, text| text.to_owned());
    (report, recording)
}

async fn played(plugin: &LoadedPlugin, recording: &Recording) -> (Outcome<Report>, Option<String>) {
    played_as(EndedBy::Guest, GENEROUS, plugin, recording).await
}

/// The same of a call that had so much time.
async fn played_as(
    ended: EndedBy,
    time: Duration,
    plugin: &LoadedPlugin,
    recording: &Recording,
) -> (Outcome<Report>, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let tape = Tape::play(recording.clone(), dir.path(), ended).unwrap();
    let report = tape.around(check(plugin, time)).await;
    assert_eq!((report.record.requests, report.record.connections, report.record.lookups), (0, 0, 0));
    (report.outcome, tape.difference())
}

fn http() {
    run(async {
        let server = Server::new(|mut stream| {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 418 Odd\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello");
        });
        let runtime = runtime(2);
        let port = server.port;
        let plugin = reach(&runtime, guests::getter(port)).await;
        let (report, mut recording) = recorded(&plugin, here(port)).await;
        server.stop();
        let exchange = &recording.exchanges[0];
        assert_eq!((exchange.method.as_str(), exchange.sent.whole), ("GET", true));
        assert!(matches!(&exchange.answer, Answer::Response { status: 418, .. }), "{exchange:?}");
        assert_eq!(played(&plugin, &recording).await, (report.outcome, None));
        // Another guest asks for something else, and is told nothing.
        recording.exchanges[0].url.push_str("elsewhere");
        let (_, difference) = played(&plugin, &recording).await;
        assert!(difference.unwrap().contains("elsewhere"));
        recording.exchanges.clear();
        let (_, difference) = played(&plugin, &recording).await;
        assert!(difference.unwrap().contains("request 1"));
    });
}

fn connections() {
    run(async {
        let server = Server::new(|mut stream| {
            let _ = stream.write_all(b"220 ready\r\n");
        });
        let runtime = runtime(2);
        let port = server.port;
        let plugin = reach(&runtime, guests::receiver(port)).await;
        let (report, mut recording) = recorded(&plugin, here(port)).await;
        server.stop();
        let connection = &recording.connections[0];
        let all: Vec<u8> = connection.received.iter().flat_map(|piece| piece.0.to_vec()).collect();
        assert_eq!((all.as_slice(), connection.end), (&b"220 ready\r\n"[..], ReadEnd::Closed));
        assert_eq!(played(&plugin, &recording).await, (report.outcome.clone(), None));
        // Nobody listens: what a call finds out about that is the same again, too.
        let (refused, none) = recorded(&plugin, here(port)).await;
        assert_ne!(refused.outcome, report.outcome);
        assert_eq!(played(&plugin, &none).await, (refused.outcome, None));
        recording.connections[0].address.set_port(1);
        let (_, difference) = played(&plugin, &recording).await;
        assert!(difference.unwrap().contains("connection 1"));
    });
}

fn names() {
    run(async {
        let mut options = options(2);
        options.egress.resolver = Arc::new(
            [("db.example".to_owned(), vec!["93.184.215.14".parse().unwrap()])]
                .into_iter()
                .collect::<FixedResolver>(),
        );
        let knows = Runtime::new(options).unwrap();
        let knows_nobody = runtime(2);
        for name in ["db.example", "other.example"] {
            let tcp = vec!["db.example:5432".parse().unwrap()];
            let load = async |runtime: &Runtime| {
                let request = Request { tcp: tcp.clone(), ..Request::default() };
                let grant = Grant { tcp: tcp.clone(), ..Grant::default() };
                let source = Source { request, ..source("guest", guests::resolver(name, 2)) };
                runtime.load(source, &grant).await.unwrap()
            };
            let (report, recording) = recorded(&load(&knows).await, CallScope::default()).await;
            assert_eq!(recording.lookups.len(), 2);
            assert_eq!(played(&load(&knows_nobody).await, &recording).await, (report.outcome, None));
        }
    });
}

fn values() {
    run(async {
        let values = Arc::new(MemoryValues::default());
        let mut options = options(2);
        options.values = Arc::<MemoryValues>::clone(&values);
        let runtime = Runtime::new(options).unwrap();
        let request = Request { keyvalue: ["counts".to_owned()].into(), ..Request::default() };
        let grant = Grant { keyvalue: [("counts".to_owned(), Quota::DEFAULT)].into(), ..Grant::default() };
        let source = Source { request, ..source("one", guests::counter()) };
        let plugin = runtime.load(source, &grant).await.unwrap();
        let (first, recording) = recorded(&plugin, CallScope::default()).await;
        assert_eq!(recording.values.last().unwrap().answer, KeptAnswer::Sum(1));
        for _ in 0..2 {
            assert_eq!(played(&plugin, &recording).await, (first.outcome.clone(), None));
        }
        let (second, _) = recorded(&plugin, CallScope::default()).await;
        assert_ne!(second.outcome, first.outcome, "what was played was not counted");
        let nobodys = load(&runtime, guests::counter()).await.unwrap();
        assert_eq!(played(&nobodys, &recording).await, (first.outcome, None), "no grant is needed");
        let mut other = recording;
        other.values.pop();
        assert!(played(&plugin, &other).await.1.unwrap().contains("increment"));
    });
}

fn time() {
    run(async {
        let runtime = runtime(2);
        let plugin = load(&runtime, guests::pause(300)).await.unwrap();
        let (report, recording) = recorded(&plugin, CallScope::default()).await;
        assert_eq!(played(&plugin, &recording).await, (report.outcome, None));
        // Ten thousand seconds are over when nobody has anything else to wait for.
        let sleeper = load(&runtime, guests::sleeper()).await.unwrap();
        let begun = Instant::now();
        let (outcome, difference) = played(&sleeper, &recording).await;
        assert!(matches!(outcome, Outcome::Reply(_)) && difference.is_none(), "{outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(60));
    });
}

/// Its summary is a letter of sixteen, by chance.
fn random() -> Vec<u8> {
    let import = r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;
    let body = "(call $random (i64.const 16) (i32.const 200))
        (i32.store8 (i32.const 600) (i32.add (i32.const 97)
            (i32.and (i32.load8_u (i32.load (i32.const 200))) (i32.const 15))))
        (i32.store (i32.const 80) (i32.const 600)) (i32.store (i32.const 84) (i32.const 1))
        (i32.const 64)";
    guests::component("random", &guests::module(body, import))
}

fn chance() {
    run(async {
        let runtime = runtime(2);
        let plugin = load(&runtime, random()).await.unwrap();
        let mut seeds = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let (report, recording) = recorded(&plugin, CallScope::default()).await;
            assert_eq!(played(&plugin, &recording).await, (report.outcome, None));
            seeds.insert(recording.seed.0);
        }
        assert_eq!(seeds.len(), 8);
    });
}

fn files() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("b")).unwrap();
        let rule = |source: &str| format!("write {source} at /data").parse().unwrap();
        let request = Request { dirs: vec![rule("{operator}")], ..Request::default() };
        let grant = Grant { dirs: vec![rule(&home.path().display().to_string())], ..Grant::default() };
        let runtime = runtime(2);
        let source = Source { request, ..source("guest", guests::directories(3)) };
        let plugin = runtime.load(source, &grant).await.unwrap();
        let (report, recording) = recorded(&plugin, CallScope::default()).await;
        assert_eq!(recording.mounts[0].dirs, ["b"], "as it was before the guest ran");
        let Outcome::Reply(reply) = &report.outcome else { panic!("{report:?}") };
        assert!(reply.summary.starts_with('.') && reply.summary != "...", "{}", reply.summary);
        drop(home);
        let nobodys = load(&runtime, guests::directories(3)).await.unwrap();
        assert_eq!(played(&nobodys, &recording).await, (report.outcome, None));
    });
}

/// One that is ended by its time.
async fn cut(plugin: &LoadedPlugin, scope: CallScope) -> Recording {
    let tape = Tape::record();
    let report = tape.around(check_about(plugin, SHORT, scope)).await;
    assert_eq!(report.outcome, Outcome::Failed(PluginFailure::Deadline(SHORT)));
    let mut recording = tape.take();
    recording.redact(&mut |_, text| text.to_owned());
    recording
}

fn ended_in_time(outcome: &Outcome<Report>) -> bool {
    matches!(outcome, Outcome::Failed(PluginFailure::Deadline(_)))
}

fn headers() {
    run(async {
        let server = Server::new(|mut stream| {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        });
        let runtime = runtime(2);
        let port = server.port;
        let load = async |headers: &[(&str, &str)]| reach(&runtime, guests::getter_with(port, headers)).await;
        let sent = [("x-a", "1"), ("x-b", "2"), ("x-api-key", "one")];
        let (report, recording) = recorded(&load(&sent).await, here(port)).await;
        server.stop();
        assert_eq!(recording.exchanges[0].headers.len(), 3, "{:?}", recording.exchanges);
        // In another order, or with another secret, it says the same.
        for same in [sent, [("x-api-key", "two"), ("X-B", "2"), ("x-a", "1")]] {
            assert_eq!(played(&load(&same).await, &recording).await, (report.outcome.clone(), None));
        }
        for (other, why) in [
            (&[("x-a", "3"), ("x-b", "2"), ("x-api-key", "one")][..], "another header `x-a`"),
            (&[("x-a", "1"), ("x-api-key", "one")], "no header `x-b`, which it had"),
            (&[sent[0], sent[1], sent[2], ("x-c", "")], "a header `x-c`, which it had not"),
            (&[sent[0], sent[1]], "no header `x-api-key`"),
        ] {
            let (_, difference) = played(&load(other).await, &recording).await;
            let difference = difference.unwrap_or_default();
            assert!(difference.contains("request 1") && difference.contains(why), "{difference}");
        }
    });
}

fn stalls() {
    run(async {
        let server = Server::new(|stream| {
            // As long as the process lives.
            std::mem::forget(stream);
        });
        let runtime = runtime(2);
        let port = server.port;
        let plugin = reach(&runtime, guests::receiver(port)).await;
        let recording = cut(&plugin, here(port)).await;
        let long = Duration::from_secs(100_000);
        for (ended, why) in [
            (EndedBy::Time, None),
            (EndedBy::TimeOfOtherCode, None),
            (EndedBy::Guest, Some("it waits for something")),
        ] {
            let (outcome, difference) = played_as(ended, long, &plugin, &recording).await;
            assert!(ended_in_time(&outcome), "{outcome:?}");
            assert_eq!(difference.is_some(), why.is_some(), "{difference:?}");
            assert!(difference.unwrap_or_default().contains(why.unwrap_or_default()));
        }
    });
}

fn late() {
    run(async {
        let runtime = runtime(2);
        // It had 100 ms, and would have waited for 300.
        let pauses = load(&runtime, guests::pause(300)).await.unwrap();
        let recording = cut(&pauses, CallScope::default()).await;
        let longer = load(&runtime, guests::pause(3_000)).await.unwrap();
        let (before, after) = (Duration::from_millis(2_900), Duration::from_millis(3_100));
        for ended in [EndedBy::Time, EndedBy::TimeOfOtherCode] {
            let (outcome, difference) = played_as(ended, SHORT, &pauses, &recording).await;
            assert!(ended_in_time(&outcome) && difference.is_none(), "{outcome:?} {difference:?}");
            // What it waits for comes after its time is over, or before.
            let (outcome, _) = played_as(ended, before, &longer, &recording).await;
            assert!(ended_in_time(&outcome), "{outcome:?}");
            let (outcome, _) = played_as(ended, after, &longer, &recording).await;
            assert!(matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
        }
        // Who waits for nothing is held to a clock.
        let spins = load(&runtime, guests::probe("(loop $l (br $l)) (i32.const 64)")).await.unwrap();
        let recording = cut(&spins, CallScope::default()).await;
        let (outcome, difference) = played_as(EndedBy::Time, SHORT, &spins, &recording).await;
        assert!(ended_in_time(&outcome) && difference.is_none(), "{outcome:?} {difference:?}");
    });
}

fn beyond() {
    run(async {
        let runtime = runtime(2);
        let plugin = reach(&runtime, guests::getter(9)).await;
        let empty = Recording::default();
        for (ended, differs) in
            [(EndedBy::Time, false), (EndedBy::TimeOfOtherCode, true), (EndedBy::Guest, true)]
        {
            let (outcome, difference) = played_as(ended, GENEROUS, &plugin, &empty).await;
            assert!(ended_in_time(&outcome), "{outcome:?}");
            assert_eq!(difference.is_some(), differs, "{difference:?}");
        }
    });
}

fn own_chance() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        std::fs::File::create(home.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        let rule = |source: &str| format!("read {source} at /data").parse().unwrap();
        let request = Request { dirs: vec![rule("{operator}")], ..Request::default() };
        let grant = Grant { dirs: vec![rule(&home.path().display().to_string())], ..Grant::default() };
        let runtime = runtime(2);
        let source = Source { request, ..source("guest", random()) };
        let plugin = runtime.load(source, &grant).await.unwrap();
        let mut said = std::collections::BTreeSet::new();
        for _ in 0..32 {
            let tape = Tape::record();
            let report = tape.around(check(&plugin, GENEROUS)).await;
            assert!(!tape.take().is_whole(), "it is too much");
            let Outcome::Reply(reply) = report.outcome else { panic!("{report:?}") };
            said.insert(reply.summary);
        }
        assert!(said.len() > 1, "chance that could be foreseen: {said:?}");
    });
}
