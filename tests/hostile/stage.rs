//! The runtime that all cases share, as a host would have it; a well-behaved plugin that is asked all the time; the log as
//! an operator reads it; and the counters of this process.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use razar_conform::names::{egress, hush};
use razar_conform::upstream::Upstream;
use razar_core::document::{grants, plugin};
use razar_core::fact::Phase;
use razar_core::grant::CallScope;
use razar_core::id::ComponentId;
use razar_runtime::broker::keyvalue::MemoryValues;
use razar_runtime::compile::CompileCommand;
use razar_runtime::contract::{Health, ProbeCall, ProbeTarget};
use razar_runtime::engine::PoolOptions;
use razar_runtime::load::Source;
use razar_runtime::outcome::Outcome;
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::{Runtime, RuntimeOptions};
use tokio::task::JoinHandle;

use crate::corpus;

/// More than any good call needs on a busy machine.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);

/// Between two questions to the well-behaved plugin.
const PAUSE: Duration = Duration::from_millis(5);

/// See the module.
pub(crate) struct Stage {
    pub(crate) tokio: tokio::runtime::Runtime,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) upstream: Upstream,
    pub(crate) good: Arc<LoadedPlugin>,
}

impl Stage {
    /// The one of this process.
    pub(crate) fn shared() -> &'static Arc<Self> {
        static STAGE: OnceLock<Arc<Stage>> = OnceLock::new();
        STAGE.get_or_init(|| Arc::new(Self::new(None)))
    }

    /// A new one; its compiler has a guard off when it is told so.
    pub(crate) fn new(off: Option<&str>) -> Self {
        Log::listen();
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        // Code that a compiler without its guard has made is nobody else's.
        let cache = off.is_none().then(|| corpus::folder().join("code"));
        let runtime = Arc::new(Runtime::new(options(cache.as_deref(), off)).expect("a runtime"));
        let upstream = Upstream::start().expect("a server");
        let good = tokio.block_on(well_behaved(&runtime));
        Self { tokio, runtime, upstream, good }
    }

    /// Asks the well-behaved plugin all the time, until the answer is dropped or awaited.
    pub(crate) fn neighbours(&self) -> Neighbours {
        let (good, stop) = (Arc::clone(&self.good), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let task = self.tokio.spawn(async move {
            let mut served = Served::default();
            while !stopped.load(Ordering::Relaxed) || served.calls == 0 {
                let begun = Instant::now();
                let answer = healthy(&good).await;
                served.calls += 1;
                served.slowest = served.slowest.max(begun.elapsed());
                if let Err(answer) = answer {
                    served.wrong.get_or_insert(answer);
                }
                tokio::time::sleep(PAUSE).await;
            }
            served
        });
        Neighbours { stop, task }
    }
}

/// How a runtime of this stage is made.
pub(crate) fn options(cache: Option<&Path>, off: Option<&str>) -> RuntimeOptions {
    let mut args = vec!["compile-plugin".into()];
    args.extend(off.map(Into::into));
    RuntimeOptions {
        pool: Some(PoolOptions { slots: 64, ..PoolOptions::default() }),
        cache: cache.map(Path::to_owned),
        compiler: CompileCommand { program: std::env::current_exe().expect("this program"), args }.into(),
        scratch: std::env::temp_dir(),
        egress: egress().expect("TLS"),
        values: Arc::new(MemoryValues::default()),
    }
}

/// It may see its component's log, so that what the runtime keeps for such plugins is there before anything is counted.
async fn well_behaved(runtime: &Runtime) -> Arc<LoadedPlugin> {
    let manifest = "name = \"good\"\nversion = \"0.1.0\"\nwasm = \"good.wasm\"\ndescription = \"good\"\n
        [request]\ndirs = [{ source = \"{log}\", access = \"read\" }]";
    let manifest = plugin::parse("plugin.toml", manifest).expect("a manifest");
    let wasm = corpus::corpus().guest("healthy").expect("a guest").into();
    let source = Source { id: manifest.name, request: manifest.request, wasm };
    let grants = grants::parse("grants.toml", "[good]").expect("grants");
    let grant = grants.into_values().next().expect("one");
    Arc::new(runtime.load(source, &grant).await.expect("the good guest loads"))
}

/// Asks once.
pub(crate) async fn healthy(plugin: &LoadedPlugin) -> Result<(), String> {
    let component: ComponentId = "good".parse().expect("a name");
    let target = ProbeTarget { component: &component, address: None, phase: Phase::Liveness, settings: "{}" };
    let call = ProbeCall { target, scope: CallScope::default(), deadline: GENEROUS };
    match plugin.probe().expect("a probe").check(call).await.outcome {
        Outcome::Reply(reply) if reply.health == Health::Healthy => Ok(()),
        other => Err(format!("a well-behaved plugin's call ended as {other:?}")),
    }
}

/// Calls of the well-behaved plugin under way.
pub(crate) struct Neighbours {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Served>,
}

/// How the well-behaved plugin was served.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) calls: u32,
    pub(crate) slowest: Duration,
    pub(crate) wrong: Option<String>,
}

impl Neighbours {
    /// After at least one more call.
    pub(crate) async fn served(self) -> Served {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("it asks until it is told to stop")
    }
}

/// What the host logs, in the form in which operators read it.
pub(crate) struct Log;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Log {
    fn listen() {
        static ONCE: OnceLock<()> = OnceLock::new();
        ONCE.get_or_init(|| {
            let lines = tracing_subscriber::fmt().with_ansi(false).with_target(false).without_time();
            lines.with_max_level(tracing_subscriber::filter::LevelFilter::WARN).with_writer(|| Log).init();
            hush();
        });
    }

    /// What was written since the last time, as bytes between line ends.
    pub(crate) fn take() -> Vec<String> {
        let bytes = std::mem::take(&mut *LINES.lock().expect("nobody panics with it"));
        String::from_utf8_lossy(&bytes).split_terminator('\n').map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Open descriptors of this process, and what they are.
pub(crate) fn descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("a kernel that tells").flatten();
    let name = |entry: std::fs::DirEntry| std::fs::read_link(entry.path()).ok();
    let mut found: Vec<String> =
        entries.filter_map(name).map(|path| path.to_string_lossy().into_owned()).collect();
    // The directory that was just being read.
    found.retain(|name| !name.starts_with("/proc/"));
    found.sort();
    found
}

/// Resident memory of this process, in KiB.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a kernel that tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
