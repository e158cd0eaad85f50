//! Two hundred components, each asked over HTTP every second: what the host and its launcher take beyond the raw cost of
//! the same requests, and whether their memory stays where it is. The raw cost comes from the runtime's bench, in
//! `RAZAR_BENCH_RAW_CPU` (percent of one core), because nothing but the runtime may name wasmtime.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::figure::{Bar, Figure, quantile};
use crate::stack::Stack;

const COMPONENTS: usize = 200;
/// Ticks of a second in `/proc`, whatever the kernel counts in.
const TICKS: f64 = 100.0;
/// Until every question has been asked several times.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(time: Duration) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One at a time: each is answered in microseconds.
            let _ = answer(stream);
        }
    });
    let mut stack = Stack::new();
    let components = (0..COMPONENTS).map(|index| {
        let address = format!("http://127.0.0.1:{port}/healthz");
        json!({
            "id": format!("s{index:03}"),
            "layer": "only",
            "entrypoint": ["sleep", "100000"],
            "health": { "address": address, "interval": "1 s", "timeout": "1 s", "listener": "any" },
        })
    });
    stack.run(&["only"], components.collect());
    std::thread::sleep(SETTLE);
    let pids = [Some(stack.pid()), stack.launcher()];
    let processes = || pids.into_iter().flatten();
    let cpu = || processes().map(cpu_seconds).sum::<f64>();
    let (begun, before) = (Instant::now(), cpu());
    let mut resident = Vec::new();
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(500));
        resident.push(resident_mb(stack.pid()));
    }
    let used = (cpu() - before) / begun.elapsed().as_secs_f64() * 100.0;
    let raw = std::env::var("RAZAR_BENCH_RAW_CPU").ok().and_then(|raw| raw.parse::<f64>().ok());
    Figure {
        name: "200 components a second: CPU beyond the raw cost",
        value: used - raw.unwrap_or(0.0),
        unit: "% of a core",
        bar: Bar::AtMost(3.0),
        detail: match raw {
            Some(raw) => format!("host and launcher {used:.2} %, raw {raw:.2} %, over {} s", time.as_secs()),
            None => format!("{used:.2} % with nothing subtracted: the raw cost was not given"),
        },
    }
    .tell();
    let (first, second) = resident.split_at(resident.len() / 2);
    let (early, late) = (quantile(first, 1.0), quantile(second, 1.0));
    Figure {
        name: "200 components a second: RSS",
        value: late.max(early),
        unit: "MB",
        bar: Bar::AtMost(120.0),
        detail: format!("launcher beside it {:.1} MB", stack.launcher().map_or(0.0, resident_mb)),
    }
    .tell();
    Figure {
        name: "200 components a second: RSS growth, second half over first",
        value: late / early,
        unit: "×",
        bar: Bar::AtMost(1.02),
        detail: format!("{early:.1} MB, then {late:.1} MB"),
    }
    .tell();
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}

/// User and system time of a process, from its `stat`.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / TICKS
}

fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
