//! Every end a call can have, each from a real guest, and a good call after each of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use razar_core::grant::{Grant, LimitsOverride};
use razar_runtime::Runtime;
use razar_runtime::contract::Health;
use razar_runtime::outcome::{ExitCode, Limit, LimitHit, Outcome, PluginErrorKind, PluginFailure};
use razar_runtime::plugin::LoadedPlugin;

use crate::setup::{GENEROUS, SHORT, check, expect_healthy, load, run, runtime, source};
use crate::{guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("outcome: a good probe replies and its use is counted", good),
        trial("outcome: a typed plugin error is a refusal", refused),
        trial("outcome: closing cancels who runs and who waits", cancelled),
        trial("outcome: no free place within the deadline is busy", busy),
        trial("outcome: instructions are counted on the metered engine", fuel),
        trial("outcome: a deadline is kept, running and waiting", deadlines),
        trial("outcome: dropping a call frees its place", dropped),
    ];
    trials.extend(failures().into_iter().map(|case| {
        let name = format!("outcome: {}", case.name);
        Trial::test(name, move || {
            run(case.check());
            Ok(())
        })
    }));
    trials
}

/// One guest and the one end it must have.
struct Case {
    name: &'static str,
    wasm: Vec<u8>,
    expected: fn(&PluginFailure) -> bool,
    retriable: bool,
}

impl Case {
    async fn check(self) {
        let runtime = runtime(2);
        let good = load(&runtime, guests::healthy()).await.unwrap();
        let plugin = load(&runtime, self.wasm).await.unwrap();
        let deadline = if self.retriable { SHORT } else { GENEROUS };
        for _ in 0..2 {
            let report = check(&plugin, deadline).await;
            match &report.outcome {
                Outcome::Failed(failure) if (self.expected)(failure) => {
                    assert_eq!(report.outcome.is_retriable(), self.retriable, "{failure:?}");
                    assert!(!failure.to_string().is_empty());
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(runtime.slots_free(), 2);
            expect_healthy(&good).await;
        }
    }
}

fn case(name: &'static str, wasm: Vec<u8>, expected: fn(&PluginFailure) -> bool) -> Case {
    Case { name, wasm, expected, retriable: false }
}

fn failures() -> Vec<Case> {
    let spin = "(loop $l (br $l)) (i32.const 64)";
    let recurse = "(func $r (param i32) (result i32) (i32.add (call $r (local.get 0)) (i32.const 1)))";
    let big = |bytes: u32| {
        // The answer's summary: address 4096, so many bytes.
        let text = format!(
            "(i32.store (i32.const 80) (i32.const 4096)) (i32.store (i32.const 84) (i32.const {bytes})) (i32.const 64)"
        );
        guests::component("probe", &guests::module_with_pages(&text, "", 64))
    };
    let deadline: fn(&PluginFailure) -> bool = |f| *f == PluginFailure::Deadline(SHORT);
    let contract: fn(&PluginFailure) -> bool = |f| matches!(f, PluginFailure::Contract(_));
    let oversize: fn(&PluginFailure) -> bool = |f| *f == PluginFailure::OversizeReply { limit: 64 << 10 };
    vec![
        case("`exit` is not an answer", exits(), |f| *f == PluginFailure::Exited(ExitCode(1))),
        case(
            "unreachable is a trap",
            guests::probe("(unreachable)"),
            |f| matches!(f, PluginFailure::Trap(reason) if reason.starts_with("wasm `unreachable`")),
        ),
        case(
            "division by zero is a trap",
            guests::probe("(i32.div_u (i32.const 1) (i32.const 0))"),
            |f| matches!(f, PluginFailure::Trap(reason) if reason.contains("divide by zero")),
        ),
        case(
            "reading outside memory is a trap",
            guests::probe("(i32.load (i32.const -4))"),
            |f| matches!(f, PluginFailure::Trap(reason) if reason.contains("out of bounds")),
        ),
        case(
            "a trap in a start function is a trap",
            guests::component(
                "probe",
                &guests::module("(i32.const 64)", "(func $s (unreachable)) (start $s)"),
            ),
            |f| matches!(f, PluginFailure::Trap(_)),
        ),
        case(
            "endless recursion exhausts the guest's stack only",
            guests::component("probe", &guests::module("(call $r (i32.const 0))", recurse)),
            |f| matches!(f, PluginFailure::Trap(reason) if reason.contains("stack")),
        ),
        Case { retriable: true, ..case("an endless loop meets the deadline", guests::probe(spin), deadline) },
        Case {
            retriable: true,
            ..case(
                "an endless start function meets the deadline",
                guests::component(
                    "probe",
                    &guests::module("(i32.const 64)", "(func $s (loop $l (br $l))) (start $s)"),
                ),
                deadline,
            )
        },
        Case { retriable: true, ..case("an endless wait meets the deadline", guests::sleeper(), deadline) },
        case(
            "memory is refused beyond its limit",
            greedy(),
            |f| matches!(f, PluginFailure::Memory(LimitHit { limit: Limit::Memory, allowed, .. }) if *allowed == 16 << 20),
        ),
        case("tables are refused beyond their limit", tables(), |f| {
            matches!(f, PluginFailure::Memory(LimitHit { limit: Limit::Table, .. }))
        }),
        case("handles are refused beyond their limit", guests::hoarder(), |f| {
            matches!(f, PluginFailure::Memory(LimitHit { limit: Limit::Handles, .. }))
        }),
        case("an answer above its limit is oversize", big(100_000), oversize),
        case("an answer far above its limit is oversize", big(4_000_000), oversize),
        case("an answer outside memory breaks the contract", big(u32::MAX), contract),
        case("an answer of an unknown kind breaks the contract", answer(64, 9), contract),
        case("an answer that is not text breaks the contract", not_text(), contract),
    ]
}

fn exits() -> Vec<u8> {
    let import = r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#;
    guests::component("exits", &guests::module("(call $exit (i32.const 1)) (unreachable)", import))
}

/// Grows its memory until it is refused, then crashes like a real allocator.
fn greedy() -> Vec<u8> {
    guests::probe("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)")
}

fn tables() -> Vec<u8> {
    let body = "(drop (table.grow $t (ref.null func) (i32.const 1000000))) (unreachable)";
    guests::component("probe", &guests::module(body, "(table $t 1 funcref)"))
}

/// An answer whose byte at `at` has this value.
fn answer(at: u32, value: u32) -> Vec<u8> {
    guests::probe(&format!("(i32.store8 (i32.const {at}) (i32.const {value})) (i32.const 64)"))
}

fn not_text() -> Vec<u8> {
    guests::probe(
        "(i32.store8 (i32.const 200) (i32.const 255)) (i32.store (i32.const 80) (i32.const 200))
         (i32.store (i32.const 84) (i32.const 1)) (i32.const 64)",
    )
}

fn good() {
    run(async {
        let runtime = runtime(4);
        let plugin = load(&runtime, guests::healthy()).await.unwrap();
        let report = check(&plugin, GENEROUS).await;
        match &report.outcome {
            Outcome::Reply(reply) => assert_eq!(reply.health, Health::Healthy),
            other => panic!("{other:?}"),
        }
        assert_eq!(report.usage.memory, 64 << 10);
        assert!(report.usage.wall >= report.usage.busy, "{:?}", report.usage);
        assert_eq!((report.usage.requests, report.usage.network, report.usage.fuel), (0, 0, None));
        assert_eq!(report.outcome.as_str(), "reply");
        assert_eq!(runtime.slots_free(), 4);
    });
}

fn refused() {
    run(async {
        let runtime = runtime(2);
        let plugin = load(&runtime, answer(64, 1)).await.unwrap();
        match check(&plugin, GENEROUS).await.outcome {
            Outcome::Refused(error) => assert_eq!(error.kind, PluginErrorKind::InvalidInput),
            other => panic!("{other:?}"),
        }
    });
}

async fn spinner(runtime: &Runtime) -> Arc<LoadedPlugin> {
    Arc::new(load(runtime, guests::probe("(loop $l (br $l)) (i32.const 64)")).await.unwrap())
}

/// Until the one slot is taken.
async fn until_full(runtime: &Runtime) {
    let began = Instant::now();
    while runtime.slots_free() > 0 {
        assert!(began.elapsed() < GENEROUS, "nobody took the slot");
        tokio::task::yield_now().await;
    }
}

fn cancelled() {
    run(async {
        let runtime = runtime(1);
        let plugin = spinner(&runtime).await;
        let running = tokio::spawn({
            let plugin = Arc::clone(&plugin);
            async move { check(&plugin, GENEROUS).await.outcome }
        });
        until_full(&runtime).await;
        let waiting = tokio::spawn(async move { check(&plugin, GENEROUS).await.outcome });
        tokio::task::yield_now().await;
        runtime.close();
        for call in [running, waiting] {
            assert_eq!(call.await.unwrap(), Outcome::Failed(PluginFailure::Cancelled));
        }
    });
}

fn busy() {
    run(async {
        let runtime = runtime(1);
        let plugin = spinner(&runtime).await;
        let good = load(&runtime, guests::healthy()).await.unwrap();
        let running = tokio::spawn({
            let plugin = Arc::clone(&plugin);
            async move { check(&plugin, Duration::from_millis(600)).await.outcome }
        });
        until_full(&runtime).await;
        let report = check(&good, Duration::from_millis(50)).await;
        assert_eq!(report.outcome, Outcome::Failed(PluginFailure::Busy));
        assert!(report.usage.queued >= Duration::from_millis(50));
        // With more time it only waits.
        let report = check(&good, GENEROUS).await;
        assert!(matches!(report.outcome, Outcome::Reply(_)), "{:?}", report.outcome);
        assert!(report.usage.queued > Duration::ZERO);
        assert!(matches!(running.await.unwrap(), Outcome::Failed(PluginFailure::Deadline(_))));
    });
}

fn fuel() {
    run(async {
        let runtime = runtime(1);
        let grant = Grant {
            limits: LimitsOverride { fuel: Some(1_000_000), ..LimitsOverride::default() },
            ..Grant::default()
        };
        let spinner = guests::probe("(loop $l (br $l)) (i32.const 64)");
        let plugin = runtime.load(source("spinner", spinner), &grant).await.unwrap();
        let report = check(&plugin, GENEROUS).await;
        assert_eq!(report.outcome, Outcome::Failed(PluginFailure::Fuel));
        let good = runtime.load(source("good", guests::healthy()), &grant).await.unwrap();
        let (one, two) = (check(&good, GENEROUS).await, check(&good, GENEROUS).await);
        assert!(matches!(one.outcome, Outcome::Reply(_)), "{:?}", one.outcome);
        assert!(one.usage.fuel.unwrap() > 0);
        assert_eq!(one.usage.fuel, two.usage.fuel);
    });
}

fn deadlines() {
    run(async {
        let runtime = runtime(4);
        for guest in [guests::probe("(loop $l (br $l)) (i32.const 64)"), guests::sleeper()] {
            let plugin = load(&runtime, guest).await.unwrap();
            for _ in 0..5 {
                let report = check(&plugin, SHORT).await;
                assert_eq!(report.outcome, Outcome::Failed(PluginFailure::Deadline(SHORT)));
                // One tick is 10 ms; the rest is for a busy machine.
                assert!(report.usage.wall >= SHORT && report.usage.wall < SHORT * 10, "{:?}", report.usage);
            }
        }
    });
}

fn dropped() {
    run(async {
        let runtime = runtime(1);
        let plugin = spinner(&runtime).await;
        let good = load(&runtime, guests::healthy()).await.unwrap();
        for _ in 0..20 {
            let call = tokio::spawn({
                let plugin = Arc::clone(&plugin);
                async move { check(&plugin, GENEROUS).await.outcome }
            });
            until_full(&runtime).await;
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            assert_eq!(runtime.slots_free(), 1);
            expect_healthy(&good).await;
        }
    });
}
