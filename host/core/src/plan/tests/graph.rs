//! Properties of dependency graphs and of arbitrary input, and the size this must stay quick at.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document(edges: &[Vec<usize>]) -> Value {
    let component = |(index, targets): (usize, &Vec<usize>)| {
        let depends_on: Vec<String> = targets.iter().map(|target| format!("c{target}")).collect();
        json!({ "id": format!("c{index}"), "entrypoint": "x", "health": "process", "depends_on": depends_on })
    };
    json!({ "components": edges.iter().enumerate().map(component).collect::<Vec<_>>() })
}

/// Every component depends on some of those before it.
fn acyclic() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 2..40).prop_map(|sets| {
        let edges = |(index, set): (usize, Vec<prop::sample::Index>)| match index {
            0 => Vec::new(),
            _ => {
                let targets: std::collections::BTreeSet<usize> =
                    set.iter().map(|pick| pick.index(index)).collect();
                targets.into_iter().collect()
            }
        };
        sets.into_iter().enumerate().map(edges).collect()
    })
}

/// The names of `message`'s circle, which must close.
fn circle(message: &str) -> Option<Vec<usize>> {
    let (_, path) = message.split_once("in a circle: ")?;
    path.split(" -> ").map(|name| name.strip_prefix('c')?.parse().ok()).collect()
}

proptest! {
    #[test]
    fn graphs_without_a_circle_are_accepted(edges in acyclic()) {
        let plan = read(document(&edges).to_string().as_bytes());
        prop_assert!(plan.is_ok(), "{:?}", plan.err());
    }

    #[test]
    fn a_planted_circle_is_refused_and_named(edges in acyclic(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8)) {
        let mut edges = edges;
        let mut ring: Vec<usize> = picks.iter().map(|pick| pick.index(edges.len())).collect();
        ring.sort_unstable();
        ring.dedup();
        for (step, from) in ring.iter().enumerate() {
            let to = ring[(step + 1) % ring.len()];
            if !edges[*from].contains(&to) {
                edges[*from].push(to);
            }
        }
        let found = read(document(&edges).to_string().as_bytes()).expect_err("a circle was accepted");
        prop_assert!(!found.is_empty());
        for problem in found {
            let path = circle(&problem.message);
            if problem.message.contains('…') {
                continue;
            }
            let path = path.ok_or_else(|| TestCaseError::fail(problem.to_string()))?;
            prop_assert_eq!(path.first(), path.last());
            for step in path.windows(2) {
                prop_assert!(edges[step[0]].contains(&step[1]), "{} is no step of {}", step[1], problem.message);
            }
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_value_in_any_place_is_answered(
        key in prop::sample::select(vec![
            "id", "name", "layer", "entrypoint", "command", "health", "health_check", "probes", "depends_on", "vital",
            "restart", "env", "workdir", "user", "stop",
        ]),
        text in any::<String>(),
        number in any::<f64>(),
        shape in 0..6,
    ) {
        let value = match shape {
            0 => json!(text),
            1 => json!([text]),
            2 => json!(number),
            3 => json!({ "address": text, "probe": "probe-http", "interval": text, "timeout": number }),
            4 => json!({ "startup": text, "signal": text, "grace": number, "retries": number, "env": { text.clone(): text } }),
            _ => json!([[text], { "log": number }]),
        };
        let mut component = json!({ "id": "a", "entrypoint": "x", "health": "process" });
        component[key] = value;
        let _ = read(json!({ "components": [component] }).to_string().as_bytes());
    }

    #[test]
    fn a_damaged_document_is_answered(cut in 0_usize..4096, byte in any::<u8>()) {
        let mut text = include_bytes!("../../../../../examples/demo/boot_config.json").to_vec();
        let at = cut % text.len();
        text[at] = byte;
        let _ = read(&text);
        let _ = read(&text[..at]);
    }
}

#[test]
fn ten_thousand_components_are_read_within_a_second() {
    const COUNT: usize = 10_000;
    // A chain is the deepest graph there is, and its last component plants the longest circle.
    let mut edges: Vec<Vec<usize>> =
        (0..COUNT).map(|index| index.checked_sub(1).into_iter().collect()).collect();
    let good = document(&edges).to_string();
    let began = Instant::now();
    assert_eq!(read(good.as_bytes()).unwrap().components.len(), COUNT);
    // An unoptimized build on a machine that is busy with other tests gets some slack.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    edges[0].push(COUNT - 1);
    let found = problems(&document(&edges).to_string());
    assert_eq!(found.len(), 1);
    assert!(found[0].message.len() < 300 && found[0].message.contains("circle"), "{}", found[0]);

    // Every dependency mistyped: the search for what was meant must not take minutes.
    let broken = good.replace("\"depends_on\":[\"c", "\"depends_on\":[\"k");
    let began = Instant::now();
    assert!(problems(&broken).len() > 100);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
