//! A runtime as tests want it, and one call through its public path.

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
use razar_runtime::contract::{Health, ProbeCall, ProbeTarget, Report};
use razar_runtime::engine::PoolOptions;
use razar_runtime::load::{LoadError, Source};
use razar_runtime::outcome::{CallReport, Outcome};
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::{Runtime, RuntimeOptions};

/// More than anything good needs, even on a busy machine.
pub(crate) const GENEROUS: Duration = Duration::from_secs(5);
/// For what is expected not to end by itself.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// This binary, as the compiler.
pub(crate) fn compiler() -> CompileCommand {
    CompileCommand { program: std::env::current_exe().unwrap(), args: vec!["compile-plugin".into()] }
}

pub(crate) fn options(slots: u32) -> RuntimeOptions {
    RuntimeOptions {
        pool: Some(PoolOptions { slots, ..PoolOptions::default() }),
        cache: None,
        compiler: compiler().into(),
        scratch: std::env::temp_dir(),
        egress: HttpShared {
            resolver: Arc::new(FixedResolver::default()),
            tls: Tls::public().unwrap(),
            secrets: Secrets::new(|_| None),
        },
        values: Arc::new(MemoryValues::default()),
    }
}

pub(crate) fn runtime(slots: u32) -> Runtime {
    Runtime::new(options(slots)).unwrap()
}

pub(crate) fn source(name: &str, wasm: Vec<u8>) -> Source {
    Source { id: name.parse().unwrap(), request: Request::default(), wasm: wasm.into() }
}

pub(crate) async fn load(runtime: &Runtime, wasm: Vec<u8>) -> Result<LoadedPlugin, LoadError> {
    runtime.load(source("guest", wasm), &Grant::default()).await
}

pub(crate) async fn check(plugin: &LoadedPlugin, deadline: Duration) -> CallReport<Report> {
    check_about(plugin, deadline, CallScope::default()).await
}

/// The same about a component at this address.
pub(crate) async fn check_about(
    plugin: &LoadedPlugin,
    deadline: Duration,
    scope: CallScope,
) -> CallReport<Report> {
    let component: ComponentId = "web".parse().unwrap();
    let target = ProbeTarget {
        component: &component,
        address: Some("http://127.0.0.1:1/"),
        phase: Phase::Liveness,
        settings: "{}",
    };
    plugin.probe().unwrap().check(ProbeCall { target, scope, deadline }).await
}

/// Runs a test's future on threads of its own.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) async fn expect_healthy(plugin: &LoadedPlugin) {
    match check(plugin, GENEROUS).await.outcome {
        Outcome::Reply(reply) => assert_eq!(reply.health, Health::Healthy),
        other => panic!("{other:?}"),
    }
}
