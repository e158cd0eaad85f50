//! `probe-tcp` and `probe-http` against a server on loopback, ours beside the same component with the network in its hands;
//! and the processor time that the raw side takes for two hundred requests a second.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::figure::{Bar, Figure, least, median};
use crate::ours::{Both, Question, package, runtime, threads};
use crate::raw::{self, Hands};

/// The first word of the server's command line.
pub(crate) const SERVE: &str = "as-server";
const SLOTS: u32 = 512;
const ROUNDS: usize = 15;
const PER_ROUND: u32 = 200;
const DEADLINE: Duration = Duration::from_secs(5);

pub(crate) fn measure() {
    let server = Server::start();
    for (name, scheme) in [("probe-tcp", ""), ("probe-http", "http://")] {
        let address = format!("{scheme}127.0.0.1:{}", server.port);
        compare(name, &address);
    }
}

fn both(name: &str, address: &str) -> (Both, raw::Engine) {
    let package = package(name);
    let engine = raw::Engine::new(Some(SLOTS));
    let raw = engine.compile(&package.wasm);
    let plugin = threads(1).block_on(runtime(Some(SLOTS), None).load(package.source(), &Default::default()));
    (Both { raw, ours: Question::new(plugin.unwrap(), address) }, engine)
}

fn compare(name: &str, address: &str) {
    let (both, _engine) = both(name, address);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut raws, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let raw = each(&tokio, async || both.raw.check(Hands::Network, address).await);
        let our = each(&tokio, async || {
            both.ours.ask(DEADLINE).await;
        });
        raws.push(raw);
        ours.push(our);
        ratios.push(our / raw);
    }
    Figure {
        name: &format!("{name} on loopback over raw"),
        value: median(&ratios),
        unit: "×",
        bar: Bar::AtMost(1.2),
        detail: format!(
            "raw {:.0} µs (min {:.0}), ours {:.0} µs (min {:.0}); of minima {:.2}",
            median(&raws),
            least(&raws),
            median(&ours),
            least(&ours),
            least(&ours) / least(&raws)
        ),
    }
    .tell();
}

/// Microseconds of one, the median of many.
fn each(tokio: &tokio::runtime::Runtime, ask: impl AsyncFn()) -> f64 {
    tokio.block_on(async {
        let mut took = Vec::new();
        for _ in 0..PER_ROUND {
            let begun = Instant::now();
            ask().await;
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        median(&took)
    })
}

/// Two hundred raw requests a second: what they cost, in percent of one core.
pub(crate) fn paced() {
    const TASKS: u32 = 200;
    const TIME: Duration = Duration::from_secs(15);
    let server = Server::start();
    let address: Arc<str> = format!("http://127.0.0.1:{}/healthz", server.port).into();
    let (both, _engine) = both("probe-http", &address);
    let raw = Arc::new(both.raw);
    drop(both.ours);
    let tokio = threads(2);
    let (begun, before) = (Instant::now(), cpu());
    let asking = (0..TASKS).map(|task| {
        let (raw, address) = (Arc::clone(&raw), Arc::clone(&address));
        tokio.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1) * task / TASKS).await;
            while begun.elapsed() < TIME {
                raw.check(Hands::Network, &address).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    });
    for task in asking.collect::<Vec<_>>() {
        tokio.block_on(task).unwrap();
    }
    let used = (cpu() - before) / begun.elapsed().as_secs_f64() * 100.0;
    Figure {
        name: "200 raw HTTP probes a second: CPU",
        value: used,
        unit: "% of a core",
        bar: Bar::None,
        detail: "the raw cost in the figure of 200 watched components".to_owned(),
    }
    .tell();
}

/// Seconds on a processor of this process.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A process that answers HTTP and lets TCP connect.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut process = command.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's life: until whoever started it has gone.
pub(crate) fn serve() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream);
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    loop {
        match lines.next().transpose()? {
            None => return Ok(()),
            Some(line) if line.is_empty() => break,
            Some(_) => {}
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}
