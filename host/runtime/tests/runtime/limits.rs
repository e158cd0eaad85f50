//! Every limit that can be written is enforced: for each there is a guest that runs into exactly it, and exactly one
//! way in which that ends. A limit without a case does not compile.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use razar_core::document::units::Bytes;
use razar_core::grant::{CallScope, Grant, LimitField, LimitsOverride, Request, Role};
use razar_core::time::Millis;
use razar_runtime::Runtime;
use razar_runtime::broker::journal::Refused;
use razar_runtime::broker::resolve::FixedResolver;
use razar_runtime::contract::Report;
use razar_runtime::load::{LoadError, Source};
use razar_runtime::outcome::{CallReport, Limit, LimitHit, Outcome, PluginFailure};

use crate::setup::{GENEROUS, check, check_about, options, run, runtime, source};
use crate::{guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let case = |field: &LimitField| {
        let field = *field;
        trial(&format!("limit: `{field}` is enforced"), move || run(enforced(field)))
    };
    let mut trials: Vec<Trial> = LimitField::ALL.iter().map(case).collect();
    trials.push(trial("limit: the cases would pass without their limit being hit", control));
    trials
}

type Change = LimitsOverride;

const LOOP: &str = "(loop $l (br $l)) (i32.const 64)";

async fn enforced(field: LimitField) {
    let none = Change::default();
    match field {
        LimitField::Memory => {
            let grow =
                "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
            let change = Change { memory: Some(Bytes::mib(2)), ..none };
            hits(guests::probe(grow), change, Limit::Memory, 2 << 20).await;
        }
        LimitField::TableElements => {
            // Together: each of the two tables alone would fit.
            let grow = |table| format!("(drop (table.grow {table} (ref.null func) (i32.const 600)))");
            let body = format!("{} {} (unreachable)", grow("$t"), grow("$u"));
            let tables = "(table $t 1 funcref) (table $u 1 funcref)";
            let wasm = guests::component("probe", &guests::module(&body, tables));
            hits(wasm, Change { table_elements: Some(1_000), ..none }, Limit::Table, 1_000).await;
        }
        LimitField::Instances => {
            refused_at_load("", Change { instances: Some(4), ..none }, "instances").await;
        }
        LimitField::Memories => {
            refused_at_load("(memory 1)", Change { memories: Some(1), ..none }, "memories").await;
        }
        LimitField::Tables => {
            refused_at_load("(table 1 funcref)", Change { tables: Some(1), ..none }, "tables").await;
        }
        LimitField::Deadline => {
            let change = Change { deadline: Some(Millis(50)), ..none };
            let failure = PluginFailure::Deadline(Duration::from_millis(50));
            assert_eq!(call(guests::probe(LOOP), change).await.outcome, Outcome::Failed(failure));
        }
        LimitField::Hostcall => {
            let change = Change { hostcall: Some(Bytes::kib(64)), ..none };
            hits(guests::logger("logs", 2, 70_000, 1), change, Limit::Hostcall, 64 << 10).await;
        }
        LimitField::Reply => {
            let body = "(i32.store (i32.const 80) (i32.const 4096)) (i32.store (i32.const 84) (i32.const 1025)) (i32.const 64)";
            let change = Change { reply: Some(Bytes::kib(1)), ..none };
            let outcome = call(guests::probe(body), change).await.outcome;
            assert_eq!(outcome, Outcome::Failed(PluginFailure::OversizeReply { limit: 1 << 10 }));
        }
        LimitField::Log => {
            let report =
                call(guests::logger("logs", 2, 500, 9), Change { log: Some(Bytes::kib(1)), ..none }).await;
            replied(&report);
            // A line costs a little beside its text.
            assert_eq!(report.log.lines.len(), 2);
            assert!((9 * 502 - 1_024..9 * 502).contains(&report.log.dropped), "{}", report.log.dropped);
        }
        LimitField::Stdout => {
            let report = call(guests::printer(3), Change { stdout: Some(Bytes(100)), ..none }).await;
            replied(&report);
            assert_eq!(report.log.dropped, 3 * 4_096 - 100);
        }
        LimitField::Requests => {
            let report =
                reach(guests::resolver("web.example", 3), Change { requests: Some(2), ..none }, None).await;
            replied(&report);
            assert_eq!(report.record.refused, [Refused::Requests { limit: 2 }]);
            assert_eq!((report.record.lookups, report.usage.requests), (2, 2));
        }
        LimitField::RequestTime => {
            let port = listen(|_| std::thread::park());
            let change = Change { request_time: Some(Millis(100)), ..none };
            let report = reach(guests::getter(port), change, Some(port)).await;
            // The server never answers: only the request's own time ends the wait before the call's.
            replied(&report);
            assert_eq!(report.record.requests, 1, "{report:?}");
            assert!(report.usage.wall >= Duration::from_millis(100));
        }
        LimitField::Request => {
            let port = listen(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())));
            let change = Change { request: Some(Bytes(10_000)), ..none };
            let report = reach(guests::sender(port), change, Some(port)).await;
            replied(&report);
            assert_eq!(report.record.refused, [Refused::RequestBody { limit: 10_000 }]);
            assert_eq!(report.record.sent, 2 * 4_096);
        }
        LimitField::Response => {
            let port = listen(|mut stream| while stream.write_all(&[b'x'; 4_096]).is_ok() {});
            let change = Change { response: Some(Bytes(10_000)), ..none };
            let report = reach(guests::receiver(port), change, Some(port)).await;
            replied(&report);
            assert_eq!(report.record.refused, [Refused::ResponseBody { limit: 10_000 }]);
            assert!(report.record.received <= 10_000, "{}", report.record.received);
        }
        LimitField::Headers => {
            let change = Change { headers: Some(Bytes::kib(4)), ..none };
            hits(guests::verbose_header(), change, Limit::Headers, 4 << 10).await;
        }
        LimitField::Handles => {
            hits(guests::hoarder(), Change { handles: Some(16), ..none }, Limit::Handles, 16).await;
        }
        LimitField::Random => {
            let import =
                r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#;
            let body = "(call $random (i64.const 65) (i32.const 200)) (i32.const 64)";
            let wasm = guests::component("random", &guests::module(body, import));
            hits(wasm, Change { random: Some(Bytes(64)), ..none }, Limit::Random, 64).await;
        }
        LimitField::Concurrent => concurrent().await,
        LimitField::Disk => {
            let guest = guests::sizes(&[1_000, 1_001, 1 << 40, 10]);
            let report = write(guest, Change { disk: Some(Bytes(1_000)), ..none }).await;
            assert_eq!(said(&report), ".gg.");
            assert_eq!(report.record.refused, [Refused::Disk { limit: 1_000 }]);
            assert_eq!(report.record.refusals, 2);
        }
        LimitField::Files => {
            let report = write(guests::directories(4), Change { files: Some(2), ..none }).await;
            assert_eq!(said(&report), "..gg");
            assert_eq!(report.record.refused, [Refused::Files { limit: 2 }]);
        }
        LimitField::Fuel => {
            let report = call(guests::probe(LOOP), Change { fuel: Some(1_000_000), ..none }).await;
            assert_eq!(report.outcome, Outcome::Failed(PluginFailure::Fuel));
        }
    }
}

/// The same guests with the limits of their role, where they get what they ask for.
fn control() {
    run(async {
        let none = Change::default();
        let report = call(guests::logger("logs", 2, 70_000, 1), none).await;
        replied(&report);
        let report = reach(guests::resolver("web.example", 3), none, None).await;
        replied(&report);
        assert_eq!((report.record.lookups, report.record.refusals), (3, 0));
        let report = call(guests::printer(3), none).await;
        assert_eq!((report.log.dropped, report.log.lines.len()), (0, 3));
        let report = call(guests::logger("logs", 2, 500, 9), none).await;
        assert_eq!((report.log.dropped, report.log.lines.len()), (0, 9));
        let port = listen(|mut stream| drop(stream.write_all(&[b'x'; 20_000])));
        let report = reach(guests::receiver(port), none, Some(port)).await;
        replied(&report);
        assert_eq!((report.record.received, report.record.refusals), (20_000, 0));
        for (guest, told) in [(guests::sizes(&[1_001, 64 << 20]), ".."), (guests::directories(4), "....")] {
            let report = write(guest, none).await;
            assert_eq!((said(&report), report.record.refusals), (told, 0));
        }
    });
}

fn replied(report: &CallReport<Report>) {
    assert!(matches!(report.outcome, Outcome::Reply(_)), "{report:?}");
}

async fn call(wasm: Vec<u8>, limits: Change) -> CallReport<Report> {
    let plugin = runtime(2).load(source("guest", wasm), &Grant { limits, ..Grant::default() }).await.unwrap();
    check(&plugin, GENEROUS).await
}

async fn hits(wasm: Vec<u8>, limits: Change, limit: Limit, allowed: u64) {
    match call(wasm, limits).await.outcome {
        Outcome::Failed(PluginFailure::Memory(hit)) => {
            let LimitHit { wanted, .. } = hit;
            assert_eq!(hit, LimitHit { limit, wanted, allowed });
            assert!(wanted > allowed, "{hit:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// A component with five of something is refused before it runs.
async fn refused_at_load(item: &str, limits: Change, expected: &str) {
    let instances = "(core instance (instantiate $m))".repeat(5);
    let text = format!(
        r#"(component
            (core module $m {item} (func (export "check")))
            {instances}
            (core instance $i (instantiate $m))
            (func $check (canon lift (core func $i "check")))
            (instance $probe (export "check" (func $check)))
            (export "razar:plugin/probe@0.1.0" (instance $probe)))"#
    );
    let source = source("wide", wat::parse_str(text).unwrap());
    match runtime(4).load(source, &Grant { limits, ..Grant::default() }).await {
        Err(LoadError::Declared { what, needs, .. }) => assert_eq!((what, needs), (expected, 6)),
        other => panic!("{other:?}"),
    }
}

/// A guest that may look `web.example` up and talk to this machine, about which it is asked.
async fn reach(wasm: Vec<u8>, limits: Change, port: Option<u16>) -> CallReport<Report> {
    let mut options = options(2);
    let names = [("web.example".to_owned(), vec!["93.184.215.14".parse().unwrap()])];
    options.egress.resolver = Arc::new(names.into_iter().collect::<FixedResolver>());
    let runtime = Runtime::new(options).unwrap();
    let request = Request {
        http: vec!["GET {target}".parse().unwrap()],
        tcp: vec!["{target}".parse().unwrap()],
        names: vec!["web.example".parse().unwrap()],
        ..Request::default()
    };
    let grant = Grant { limits, names: request.names.clone(), ..Grant::default() };
    let source = Source { request, ..source("guest", wasm) };
    let plugin = runtime.load(source, &grant).await.unwrap();
    assert!(plugin.limits(Role::Probe).is_some());
    let scope = port.map_or_else(CallScope::default, |port| {
        CallScope::about(format!("http://127.0.0.1:{port}/").parse().unwrap())
    });
    check_about(&plugin, GENEROUS, scope).await
}

/// A guest that may write in a directory of its own.
async fn write(wasm: Vec<u8>, limits: Change) -> CallReport<Report> {
    let home = tempfile::tempdir().unwrap();
    let rule = |source: &str| format!("write {source} at /data").parse().unwrap();
    let request = Request { dirs: vec![rule("{operator}")], ..Request::default() };
    let grant = Grant { dirs: vec![rule(&home.path().display().to_string())], limits, ..Grant::default() };
    let source = Source { request, ..source("guest", wasm) };
    check(&runtime(2).load(source, &grant).await.unwrap(), GENEROUS).await
}

fn said(report: &CallReport<Report>) -> &str {
    match &report.outcome {
        Outcome::Reply(reply) => &reply.summary,
        other => panic!("{other:?}"),
    }
}

/// A server on this machine for as long as the test runs.
fn listen(talk: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(talk);
    });
    port
}

async fn concurrent() {
    let runtime = runtime(4);
    let limits = Change { concurrent: Some(1), ..Change::default() };
    let grant = Grant { limits, ..Grant::default() };
    let plugin = Arc::new(runtime.load(source("guest", guests::pause(2_000)), &grant).await.unwrap());
    let first = tokio::spawn({
        let plugin = Arc::clone(&plugin);
        async move { check(&plugin, GENEROUS).await }
    });
    let began = Instant::now();
    while runtime.slots_free() == 4 {
        assert!(began.elapsed() < GENEROUS, "the first call never began");
        tokio::task::yield_now().await;
    }
    // There are places enough; this plugin may not have another.
    let second = check(&plugin, Duration::from_millis(50)).await;
    assert_eq!((second.outcome, runtime.slots_free()), (Outcome::Failed(PluginFailure::Busy), 3));
    replied(&first.await.unwrap());
}
