//! A ready service is killed: how long until its successor runs its first instruction? One hundred and fifty services, each
//! killed once, because the back-off of a second failure is wanted and no part of the figure.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::Duration;

use crate::figure::{Bar, Figure, median, quantile};
use crate::service;
use crate::stack::Stack;

const SERVICES: usize = 150;

pub(crate) fn measure() {
    let mut stack = Stack::new();
    let name = |index: usize| format!("s{index:03}");
    let components = (0..SERVICES).map(|index| {
        let entrypoint = service::command(&stack.path(&name(index)), Duration::ZERO, None);
        json!({ "id": name(index), "layer": "only", "entrypoint": entrypoint, "health": "process" })
    });
    let components = components.collect();
    stack.run(&["only"], components);
    let mut took = Vec::new();
    for index in 0..SERVICES {
        let notes = stack.path(&name(index));
        stack.wait("a service to begin", || service::lives(&notes).len() == 1);
        let before = service::lives(&notes)[0];
        let killed = service::now();
        kill_process(Pid::from_raw(before.pid).unwrap(), Signal::KILL).unwrap();
        stack.wait("its successor", || service::lives(&notes).len() == 2);
        took.push((service::lives(&notes)[1].began - killed) * 1e3);
        // Services do not die in a row; and each death should find the host idle.
        std::thread::sleep(Duration::from_millis(20));
    }
    Figure {
        name: "service exit to relaunch started, p99",
        value: quantile(&took, 0.99),
        unit: "ms",
        bar: Bar::AtMost(50.0),
        detail: format!(
            "SIGKILL to first instruction, {SERVICES} times: median {:.1} ms, min {:.1}, max {:.1}",
            median(&took),
            quantile(&took, 0.0),
            quantile(&took, 1.0)
        ),
    }
    .tell();
}
