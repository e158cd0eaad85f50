//! What real components reach through the brokers: messages, values of their own, and names that move.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::Trial;
use razar_core::document::units::Bytes;
use razar_core::grant::{CallScope, Capability, DenyReason, Grant, Quota, Request};
use razar_runtime::Runtime;
use razar_runtime::broker::journal::Refused;
use razar_runtime::broker::keyvalue::MemoryValues;
use razar_runtime::broker::log::{LogLevel, LogStream};
use razar_runtime::broker::resolve::{Lookup, Resolver};
use razar_runtime::contract::{Health, Report};
use razar_runtime::load::Source;
use razar_runtime::outcome::{CallReport, Outcome};

use crate::setup::{GENEROUS, check, check_about, load, options, run, runtime, source};
use crate::{guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("broker: a message of either interface is one escaped line with its level", messages),
        trial("broker: values are kept from call to call, within a quota, by grant", values),
        trial("broker: only granted names have addresses", names),
        trial("broker: a name that leads inside has no address and is not dialed", names_that_lead_inside),
        trial("broker: a name that moves between lookup and connect is not followed", names_that_move),
    ]
}

fn messages() {
    run(async {
        let runtime = runtime(2);
        for (world, level, expected) in [
            ("logs", 0, LogLevel::Trace),
            ("logs", 3, LogLevel::Warn),
            ("logs", 5, LogLevel::Critical),
            ("old-logs", 4, LogLevel::Error),
        ] {
            let plugin = load(&runtime, guests::logger(world, level, 18, 2)).await.unwrap();
            let report = check(&plugin, GENEROUS).await;
            assert!(matches!(report.outcome, Outcome::Reply(_)), "{:?}", report.outcome);
            assert_eq!(report.log.lines.len(), 2);
            for line in &report.log.lines {
                assert_eq!(line.stream, LogStream::Message(expected));
                assert_eq!(line.text, r"db: slow\n\u{1b}[2K and more");
            }
        }
    });
}

fn health(report: &CallReport<Report>) -> (Health, &str) {
    match &report.outcome {
        Outcome::Reply(reply) => (reply.health.clone(), &reply.summary),
        other => panic!("{other:?}"),
    }
}

fn values() {
    run(async {
        let values = Arc::new(MemoryValues::default());
        let request = || Request { keyvalue: ["counts".to_owned()].into(), ..Request::default() };
        let load = async |id: &str, quota: Option<Quota>| {
            let mut options = options(2);
            options.values = Arc::<MemoryValues>::clone(&values);
            let source = Source { request: request(), ..source(id, guests::counter()) };
            let keyvalue = quota.into_iter().map(|quota| ("counts".to_owned(), quota)).collect();
            let grant = Grant { keyvalue, ..Grant::default() };
            Runtime::new(options).unwrap().load(source, &grant).await.unwrap()
        };
        // Over two runtimes: what is kept is the store's, not the engine's.
        for sums in [["1", "2"], ["3", "4"]] {
            let plugin = load("one", Some(Quota::DEFAULT)).await;
            for sum in sums {
                let report = check(&plugin, GENEROUS).await;
                assert_eq!(health(&report), (Health::Healthy, sum));
                assert_eq!((report.record.writes, report.record.refusals), (1, 0));
            }
        }
        let other = load("two", Some(Quota::DEFAULT)).await;
        assert_eq!(health(&check(&other, GENEROUS).await), (Health::Healthy, "1"));

        let report = check(&load("one", None).await, GENEROUS).await;
        assert_eq!(health(&report), (Health::Unhealthy, ""));
        let denied: Vec<_> = report.record.denied().collect();
        assert_eq!((report.record.refusals, denied.len()), (1, 1));
        assert_eq!(
            (denied[0].capability(), denied[0].reason()),
            (Capability::KeyValue, DenyReason::NotGranted)
        );
        assert!(denied[0].line().unwrap().starts_with("keyvalue = { \"counts\" = {"));

        for quota in [
            Quota { keys: 0, ..Quota::DEFAULT },
            Quota { bytes: Bytes(1), ..Quota::DEFAULT },
            Quota { key: Bytes(0), ..Quota::DEFAULT },
            Quota { writes: 0, ..Quota::DEFAULT },
        ] {
            let report = check(&load("full", Some(quota)).await, GENEROUS).await;
            assert_eq!(health(&report), (Health::Degraded, ""), "{quota:?}");
            assert!(matches!(report.record.refused.as_slice(), [Refused::Quota(_)]), "{:?}", report.record);
        }
    });
}

/// A name server that says something else each time it is asked, and counts.
#[derive(Clone)]
struct Moving(Arc<(Vec<Vec<IpAddr>>, AtomicUsize)>);

impl Moving {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Self(Arc::new((answers.iter().map(parse).collect(), AtomicUsize::new(0))))
    }

    fn asked(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Resolver for Moving {
    fn lookup(&self, _: &str) -> Lookup {
        let turn = self.0.1.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.0.get(turn).or(self.0.0.last()).cloned().unwrap_or_default();
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// Runs a guest that requests and is granted one TCP rule.
async fn meet(wasm: Vec<u8>, rule: &str, target: Option<&str>, resolver: &Moving) -> CallReport<Report> {
    let mut options = options(2);
    options.egress.resolver = Arc::new(resolver.clone());
    let runtime = Runtime::new(options).unwrap();
    let tcp = vec![rule.parse().unwrap()];
    let request = Request { tcp: tcp.clone(), ..Request::default() };
    let grant = Grant { tcp, ..Grant::default() };
    let plugin = runtime.load(Source { request, ..source("guest", wasm) }, &grant).await.unwrap();
    let scope = target.map_or_else(CallScope::default, |target| CallScope::about(target.parse().unwrap()));
    check_about(&plugin, GENEROUS, scope).await
}

/// E2: `b` is `access-denied`.
fn names() {
    run(async {
        let public = Moving::new(&[&["93.184.215.14"]]);
        let granted = meet(guests::resolver("DB.example", 1), "db.example:5432", None, &public).await;
        assert_eq!(health(&granted), (Health::Healthy, ""));
        assert_eq!(granted.record.names, ["db.example"]);
        let asked = public.asked();
        for name in ["other.example", "localhost", "db.example.evil", "2130706433", "0x7f.1", "*"] {
            let report = meet(guests::resolver(name, 1), "db.example:5432", None, &public).await;
            assert_eq!(health(&report), (Health::Degraded, "b"), "{name}");
            assert_eq!((report.record.denied().count(), report.record.lookups), (1, 0), "{name}");
        }
        assert_eq!(public.asked(), asked, "no name server hears of a name that is not granted");
    });
}

/// E8, E10: one bad address among good ones is enough, and what was refused to be told is refused to be dialed.
fn names_that_lead_inside() {
    run(async {
        for inside in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::ffff:10.1.2.3", "fd00:ec2::254"] {
            let resolver = Moving::new(&[&["93.184.215.14", inside]]);
            let report = meet(guests::resolver("db.example", 1), "db.example:5432", None, &resolver).await;
            assert_eq!(health(&report), (Health::Degraded, "b"), "{inside}");
            let denied: Vec<_> = report.record.denied().collect();
            assert!(matches!(denied[0].reason(), DenyReason::Address(_)), "{:?}", denied[0]);
        }
    });
}

/// Rebinding: a second lookup says something else. What is dialed is an address that a lookup of this call gave and
/// that was checked; nothing is asked again when it connects.
fn names_that_move() {
    run(async {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let rule = format!("db.example:{port}");
        // First outside, then inside: the second lookup fails, and the inside is never dialed.
        let resolver = Moving::new(&[&["93.184.215.14"], &["127.0.0.1"]]);
        let report = meet(guests::caller("db.example", 2, port), &rule, None, &resolver).await;
        assert_eq!(health(&report), (Health::Unhealthy, ""));
        assert_eq!((report.record.connections, resolver.asked()), (0, 2));
        // The component's own name may lead to this machine; connecting asks no name server.
        let target = format!("orders.internal:{port}");
        let resolver = Moving::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
        let report =
            meet(guests::caller("orders.internal", 1, port), "{target}", Some(&target), &resolver).await;
        assert_eq!(health(&report), (Health::Healthy, ""));
        assert_eq!((report.record.connections, resolver.asked()), (1, 1));
        // Another call begins without what this one looked up: its own lookup decides.
        let resolver = Moving::new(&[&["169.254.169.254"]]);
        let report =
            meet(guests::caller("orders.internal", 1, port), "{target}", Some(&target), &resolver).await;
        assert_eq!(health(&report), (Health::Unhealthy, ""));
        assert_eq!(report.record.connections, 0);
    });
}
