//! Fifty trivial services in five layers: how much longer than their own readiness does the boot take?

use std::time::Duration;

use serde_json::json;

use crate::figure::{Bar, Figure, least, median};
use crate::service::{self, Life};
use crate::stack::{Stack, free_ports};

const LAYERS: [&str; 5] = ["l0", "l1", "l2", "l3", "l4"];
const PER_LAYER: usize = 10;
const READY_AFTER: Duration = Duration::from_millis(250);
const ROUNDS: usize = 5;

pub(crate) fn measure() {
    let (mut ratios, mut boots, mut needs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (boot, need) = once();
        ratios.push(boot / need);
        boots.push(boot);
        needs.push(need);
    }
    Figure {
        name: "boot of 50 services over their own longest path",
        value: median(&ratios),
        unit: "×",
        bar: Bar::AtMost(1.1),
        detail: format!(
            "five layers of ten, ready after {} ms each: boot {:.0} ms, own {:.0} ms (medians), min ratio {:.3}",
            READY_AFTER.as_millis(),
            median(&boots),
            median(&needs),
            least(&ratios)
        ),
    }
    .tell();
}

/// Milliseconds of the boot, and of the longest path through it: the slowest service of each layer, from its first
/// instruction to its listening.
fn once() -> (f64, f64) {
    let mut stack = Stack::new();
    stack.warm();
    let ports = free_ports(LAYERS.len() * PER_LAYER);
    let name = |index: usize| format!("s{index:02}");
    let components = ports.iter().enumerate().map(|(index, port)| {
        json!({
            "id": name(index),
            "layer": LAYERS[index / PER_LAYER],
            "entrypoint": service::command(&stack.path(&name(index)), READY_AFTER, Some(*port)),
            "health": format!("tcp://127.0.0.1:{port}"),
        })
    });
    let components = components.collect();
    stack.run(&LAYERS, components);
    // A service notes its life after it listens.
    let noted = |index: usize| !service::lives(&stack.path(&name(index))).is_empty();
    stack.wait("the services' notes", || (0..ports.len()).all(noted));
    let boot = stack.facts("boot_completed")[0]["fact"]["took"].as_f64().unwrap();
    let own = |life: Life| (life.ready - life.began) * 1e3;
    let slowest = |layer: usize| {
        let services = layer * PER_LAYER..(layer + 1) * PER_LAYER;
        services.map(|index| own(service::lives(&stack.path(&name(index)))[0])).fold(0.0, f64::max)
    };
    (boot, (0..LAYERS.len()).map(slowest).sum())
}
