//! Components nobody sane built: refused with a reason, or loaded and then called under a deadline.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::grant::{CallScope, Grant, Request};
use razar_core::id::ComponentId;
use razar_runtime::broker::http::{HttpShared, Tls};
use razar_runtime::broker::keyvalue::MemoryValues;
use razar_runtime::broker::resolve::FixedResolver;
use razar_runtime::broker::secret::Secrets;
use razar_runtime::compile::CompileCommand;
use razar_runtime::contract::{ProbeCall, ProbeTarget};
use razar_runtime::load::Source;
use razar_runtime::{Runtime, RuntimeOptions};

/// One call of what could be loaded.
const DEADLINE: Duration = Duration::from_millis(50);

/// The compiler in the directory this program is in.
pub fn compiler_beside_this() -> CompileCommand {
    let program: PathBuf = std::env::current_exe().expect("this program").with_file_name("fuzz-compiler");
    CompileCommand { program, args: Vec::new() }
}

/// Loads a component with nothing granted and asks it once.
pub fn load(data: &[u8], compiler: &CompileCommand) {
    thread_local! {
        static HOST: OnceCell<(tokio::runtime::Runtime, Runtime)> = const { OnceCell::new() };
    }
    HOST.with(|host| {
        let (executor, runtime) = host.get_or_init(|| (executor(), runtime(compiler.clone())));
        executor.block_on(once(runtime, data));
    });
}

async fn once(runtime: &Runtime, data: &[u8]) {
    let source =
        Source { id: "guest".parse().unwrap(), request: Request::default(), wasm: data.to_vec().into() };
    let plugin = match runtime.load(source, &Grant::default()).await {
        Ok(plugin) => plugin,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 64 << 10, "an error of {} bytes", text.len());
            return;
        }
    };
    let Some(probe) = plugin.probe() else { return };
    let component: ComponentId = "web".parse().unwrap();
    let target = ProbeTarget { component: &component, address: None, phase: Phase::Liveness, settings: "{}" };
    let report = probe.check(ProbeCall { target, scope: CallScope::default(), deadline: DEADLINE }).await;
    assert!(report.record.denied().all(|denied| denied.to_string().len() < 64 << 10));
}

fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an executor")
}

fn runtime(compiler: CompileCommand) -> Runtime {
    let options = RuntimeOptions {
        pool: None,
        cache: None,
        compiler: compiler.into(),
        scratch: std::env::temp_dir(),
        egress: HttpShared {
            resolver: Arc::new(FixedResolver::default()),
            tls: Tls::public().expect("TLS"),
            secrets: Secrets::new(|_| None),
        },
        values: Arc::new(MemoryValues::default()),
    };
    Runtime::new(options).expect("a runtime")
}
