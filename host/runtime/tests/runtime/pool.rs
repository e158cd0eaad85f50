//! Many calls at once: they wait for a place, they do not disturb each other, and nothing of one is seen by another.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use razar_core::grant::{Grant, LimitsOverride};
use razar_runtime::contract::Health;
use razar_runtime::outcome::{Outcome, PluginFailure};
use razar_runtime::{Runtime, RuntimeOptions};

use crate::setup::{GENEROUS, check, expect_healthy, load, options, run, runtime, source};
use crate::{guests, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("pool: calls beyond the last slot wait", waits),
        trial("pool: a plugin's own limit on calls at once is kept", concurrent),
        trial("pool: a good probe is answered beside spinning ones", neighbours),
        trial("pool: nothing of one call is seen by the next", clean),
        trial("pool: without a pool everything works on demand", on_demand),
    ]
}

fn waits() {
    run(async {
        let runtime = runtime(3);
        let plugin = Arc::new(load(&runtime, guests::pause(20)).await.unwrap());
        let calls = (0..60).map(|_| {
            let plugin = Arc::clone(&plugin);
            tokio::spawn(async move { check(&plugin, Duration::from_secs(30)).await })
        });
        let calls = calls.collect::<Vec<_>>();
        let mut queued = 0;
        for call in calls {
            let report = call.await.unwrap();
            assert!(matches!(report.outcome, Outcome::Reply(_)), "{:?}", report.outcome);
            queued += u32::from(report.usage.queued > Duration::ZERO);
        }
        assert!(queued >= 50, "{queued}");
        assert_eq!(runtime.slots_free(), 3);
    });
}

fn concurrent() {
    run(async {
        let runtime = runtime(8);
        let grant = Grant {
            limits: LimitsOverride { concurrent: Some(1), ..LimitsOverride::default() },
            ..Grant::default()
        };
        let plugin = Arc::new(runtime.load(source("one", guests::pause(50)), &grant).await.unwrap());
        let calls = (0..6).map(|_| {
            let plugin = Arc::clone(&plugin);
            tokio::spawn(async move { check(&plugin, GENEROUS).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert!(runtime.slots_free() >= 7, "more than one runs");
            assert!(matches!(call.await.unwrap().outcome, Outcome::Reply(_)));
        }
    });
}

fn neighbours() {
    run(async {
        let runtime = runtime(40);
        let good = load(&runtime, guests::healthy()).await.unwrap();
        let spinner =
            Arc::new(load(&runtime, guests::probe("(loop $l (br $l)) (i32.const 64)")).await.unwrap());
        let spinning = (0..8).map(|_| {
            let spinner = Arc::clone(&spinner);
            tokio::spawn(async move { check(&spinner, Duration::from_millis(800)).await.outcome })
        });
        let spinning = spinning.collect::<Vec<_>>();
        for _ in 0..100 {
            expect_healthy(&good).await;
        }
        for call in spinning {
            assert!(matches!(call.await.unwrap(), Outcome::Failed(PluginFailure::Deadline(_))));
        }
    });
}

/// Writes into memory that it grew, into memory it had, and says `degraded` when either was not zero before.
fn clean() {
    run(async {
        let body = "(i32.store8 (i32.const 68) (i32.ne (i32.const 0) (i32.load (i32.const 32768))))
            (i32.store (i32.const 32768) (i32.const 1))
            (drop (memory.grow (i32.const 4)))
            (if (i32.load (i32.const 200000)) (then (i32.store8 (i32.const 68) (i32.const 1))))
            (i32.store (i32.const 200000) (i32.const 1))
            (i32.const 64)";
        let runtime = Arc::new(runtime(2));
        let plugin = Arc::new(load(&runtime, guests::probe(body)).await.unwrap());
        let calls = (0..2).map(|_| {
            let plugin = Arc::clone(&plugin);
            tokio::spawn(async move {
                for _ in 0..500 {
                    match check(&plugin, GENEROUS).await.outcome {
                        Outcome::Reply(reply) => assert_eq!(reply.health, Health::Healthy),
                        other => panic!("{other:?}"),
                    }
                }
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
    });
}

fn on_demand() {
    run(async {
        let runtime = Runtime::new(RuntimeOptions { pool: None, ..options(1) }).unwrap();
        assert!(runtime.pool_fallback().is_none());
        let plugin = load(&runtime, guests::healthy()).await.unwrap();
        expect_healthy(&plugin).await;
    });
}
