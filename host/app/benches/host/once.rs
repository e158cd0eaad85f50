//! `plugin run` with a cached plugin: from starting the process to its verdict and to its end.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::figure::{Bar, Figure, least, median};
use crate::stack::{HOST, Stack, plugins};

const RUNS: usize = 200;

pub(crate) fn measure() {
    let stack = Stack::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let run = || {
        let mut command = Command::new(HOST);
        command.args(["plugin", "run", "probe-tcp", "--address", &address, "--plugins"]).arg(plugins());
        command.arg("--state").arg(stack.path("state")).stdin(Stdio::null()).stdout(Stdio::piped());
        time(command)
    };
    run(); // compiles
    let nothing = || {
        let mut command = Command::new(HOST);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped());
        time(command)
    };
    let (mut verdicts, mut exits, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (verdict, exit) = run();
        verdicts.push(verdict);
        exits.push(exit);
        bare.push(nothing().1);
    }
    Figure {
        name: "`plugin run`, cached: first verdict after process start",
        value: median(&verdicts),
        unit: "ms",
        bar: Bar::AtMost(5.0),
        detail: format!(
            "min {:.2}; to exit {:.2} (min {:.2}); `--version` to exit {:.2} (min {:.2}); {RUNS} runs",
            least(&verdicts),
            median(&exits),
            least(&exits),
            median(&bare),
            least(&bare)
        ),
    }
    .tell();
}

/// Milliseconds to the first byte of output, and to the end.
fn time(mut command: Command) -> (f64, f64) {
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut byte = [0];
    output.read_exact(&mut byte).unwrap();
    let verdict = begun.elapsed();
    output.read_to_end(&mut Vec::new()).unwrap();
    let status = child.wait().unwrap();
    let end = begun.elapsed();
    assert!(status.success(), "{status}");
    (verdict.as_secs_f64() * 1e3, end.as_secs_f64() * 1e3)
}
