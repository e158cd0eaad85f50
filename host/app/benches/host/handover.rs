//! A failure is handed over to an agent: what the host takes for it besides the model. A model server that answers at once notes
//! when it is asked. First from the request on the control socket to the question at the model: the incident is recorded, the
//! component's files are read, secrets are taken out, the agent is asked and asks its model. Then from the model's answer to its
//! next question: the answer is read, the gate judges it against the files as they are, the refusal is recorded, and all of it
//! begins anew.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figure::{Bar, Figure, median, quantile};
use crate::model::{self, Asked};
use crate::stack::Stack;

const HANDOVERS: usize = 200;
const FILES: usize = 100;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A test is no business of a patch: the gate refuses it, and the next attempt is asked for.
const ANSWER: &str = "FILE: tests/test_shop.py\n```python\nx = 1\n```\n";

pub(crate) fn measure() {
    let (tell, told) = channel();
    let tell = move |asked| {
        // Nobody may be measuring any more.
        let _ = tell.send(asked);
    };
    let address = model::serve(|_| model::chat(ANSWER), tell);
    let endpoint = format!("http://{address}/v1/chat/completions");
    let mut stack = Stack::new();
    let grant = format!(
        "[agent-openai]\nhttp = [{{ url = \"{endpoint}\", methods = [\"POST\"] }}]\nconfig = {{ endpoint = \"{endpoint}\", model = \"m\" }}\n"
    );
    std::fs::write(stack.path("grants.toml"), grant).unwrap();
    std::fs::create_dir_all(stack.path("shop/tests")).unwrap();
    std::fs::write(stack.path("shop/tests/test_shop.py"), "x = 0\n").unwrap();
    for file in 0..FILES {
        let text = format!("def number():\n    return {file}\n").repeat(20);
        std::fs::write(stack.path(&format!("shop/m{file:03}.py")), text).unwrap();
    }
    let component = json!({
        "id": "shop", "layer": "only", "workdir": "shop", "entrypoint": ["false"], "health": "process",
        "restart": { "retries": 0 },
        "repair": { "agents": ["agent-openai"], "attempts": 2, "evaluators": [] },
    });
    let grants = stack.path("grants.toml").display().to_string();
    stack.begin(&["only"], vec![component], &["--grants", &grants]);
    quarantined(&stack, &told);
    let (mut firsts, mut seconds, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..HANDOVERS {
        let begun = Instant::now();
        let said = control(&stack, &json!({ "kind": "hand_over", "component": "shop" }));
        assert_eq!(said["kind"], "done", "{said}");
        let one = told.recv_timeout(PATIENCE).expect("the model is asked");
        let two = told.recv_timeout(PATIENCE).expect("the model is asked again");
        let first = one.0.duration_since(begun).as_secs_f64() * 1e3;
        let second = two.0.duration_since(one.1).as_secs_f64() * 1e3;
        firsts.push(first);
        seconds.push(second);
        sums.push(first + second);
        quarantined(&stack, &told);
    }
    Figure {
        name: "handover without the model, p50",
        value: median(&sums),
        unit: "ms",
        bar: Bar::AtMost(20.0),
        detail: format!(
            "{FILES} files, {HANDOVERS} times: to the first question {:.1}, from its answer through the gate to the next {:.1} \
             (medians); p99 {:.1}, min {:.1}",
            median(&firsts),
            median(&seconds),
            quantile(&sums, 0.99),
            quantile(&sums, 0.0)
        ),
    }
    .tell();
}

/// Until nobody is asked any more; what was asked meanwhile is of no interest.
fn quarantined(stack: &Stack, told: &Receiver<Asked>) {
    stack.wait("the end of the incident", || {
        let said = control(stack, &json!({ "kind": "status" }));
        said["status"]["components"][0]["state"] == "quarantined"
    });
    while told.try_recv().is_ok() {}
}

/// The host's answer; nothing while there is no host yet.
fn control(stack: &Stack, request: &Value) -> Value {
    let ask = || -> std::io::Result<Value> {
        let mut stream = UnixStream::connect(stack.path("state/control.sock"))?;
        stream.write_all(format!("{}\n", json!({ "version": 1, "request": request })).as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    };
    ask().unwrap_or_default()
}
