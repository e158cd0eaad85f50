//! A trial of a patch of one file in a tree of a thousand: what it takes besides the judges, which is two sandboxes, two sealed
//! copies, and the report. The files as they are have been judged before, as they have for every patch but the first.

use std::process::Command;

use serde_json::{Value, json};

use crate::figure::{Bar, Figure, least, median};
use crate::stack::{HOST, Stack, plugins};

const FILES: usize = 1_000;
const TRIALS: usize = 60;

pub(crate) fn measure() {
    let stack = Stack::new();
    for index in 0..FILES {
        let dir = stack.path("service").join(format!("part{:02}", index / 50));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("file{:02}.py", index % 50)), "x = 1\n".repeat(300)).unwrap();
    }
    let component = json!({
        "id": "service", "workdir": "service", "entrypoint": ["sleep", "600"], "health": "process",
        "repair": { "evaluators": [], "hold": "0 s" },
    });
    let config = json!({ "layers": ["all"], "components": [component] });
    std::fs::write(stack.path("boot_config.json"), config.to_string()).unwrap();
    let diff = "--- a/part03/file07.py\n+++ b/part03/file07.py\n@@ -1,2 +1,2 @@\n-x = 1\n+x = 2\n x = 1\n";
    std::fs::write(stack.path("fix.diff"), diff).unwrap();
    let mut command = Command::new(HOST);
    command.args(["patch", "check", "--trial", "--component", "service", "--output", "json"]);
    command.arg("--config").arg(stack.path("boot_config.json")).arg("--state").arg(stack.path("state"));
    command.arg("--plugins").arg(plugins()).args(vec![stack.path("fix.diff"); TRIALS + 1]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), TRIALS + 1, "{}", String::from_utf8_lossy(&output.stderr));
    let of = |key: &str| said.iter().skip(1).map(|said| said[key].as_f64().unwrap()).collect::<Vec<f64>>();
    let (took, copies) = (of("took_ms"), of("copy_ms"));
    let judges = said.iter().skip(1).map(|said| {
        // It is well with and without the patch, so nothing is concluded; it was judged all the same.
        assert_eq!(said["verdict"], "infra", "{said}");
        said["judges"].as_array().unwrap().iter().map(|judge| judge["took_ms"].as_f64().unwrap()).sum()
    });
    let judges: Vec<f64> = judges.collect();
    let besides: Vec<f64> = took.iter().zip(&judges).map(|(took, judges)| took - judges).collect();
    Figure {
        name: "trial without its judges, one file of 1,000",
        value: median(&besides),
        unit: "ms",
        bar: Bar::AtMost(30.0),
        detail: format!(
            "min {:.1}; copies {:.1}; a shadow start held for no time {:.0} on top; {TRIALS} trials",
            least(&besides),
            median(&copies),
            median(&judges)
        ),
    }
    .tell();
}
