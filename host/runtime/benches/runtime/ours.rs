//! Our side: the public path and nothing else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::grant::{CallScope, Grant, LimitsOverride, Request};
use razar_core::id::ComponentId;
use razar_runtime::broker::http::{HttpShared, Tls};
use razar_runtime::broker::keyvalue::MemoryValues;
use razar_runtime::broker::resolve::SystemResolver;
use razar_runtime::broker::secret::Secrets;
use razar_runtime::compile::CompileCommand;
use razar_runtime::contract::{Health, ProbeCall, ProbeTarget};
use razar_runtime::engine::PoolOptions;
use razar_runtime::load::Source;
use razar_runtime::outcome::{Outcome, Usage};
use razar_runtime::package::Package;
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::{Runtime, RuntimeOptions};

use crate::raw;

/// What the compiler process is started with.
pub(crate) const COMPILE: &str = "compile-plugin";

/// A runtime; this program compiles for it.
pub(crate) fn runtime(slots: Option<u32>, cache: Option<PathBuf>) -> Arc<Runtime> {
    let options = RuntimeOptions {
        pool: slots.map(|slots| PoolOptions { slots, ..PoolOptions::default() }),
        cache,
        compiler: CompileCommand { program: std::env::current_exe().unwrap(), args: vec![COMPILE.into()] }
            .into(),
        scratch: std::env::temp_dir(),
        egress: HttpShared {
            resolver: Arc::new(SystemResolver),
            tls: Tls::public().unwrap(),
            secrets: Secrets::new(|_| None),
        },
        values: Arc::new(MemoryValues::default()),
    };
    let runtime = Runtime::new(options).unwrap();
    assert!(runtime.pool_fallback().is_none(), "{:?}", runtime.pool_fallback());
    Arc::new(runtime)
}

/// A guest without requests that may run as often at once as the pool allows.
pub(crate) fn source(name: &str, wasm: Vec<u8>) -> (Source, Grant) {
    let source = Source { id: name.parse().unwrap(), request: Request::default(), wasm: wasm.into() };
    let limits = LimitsOverride {
        concurrent: Some(10_000),
        deadline: Some(razar_core::time::Millis::seconds(120)),
        ..LimitsOverride::default()
    };
    (source, Grant { limits, ..Grant::default() })
}

/// Where the built plugins of this repository lie.
pub(crate) fn plugins() -> PathBuf {
    std::env::var_os("RAZAR_BENCH_PLUGINS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from)
}

/// One of them.
pub(crate) fn package(name: &str) -> Package {
    Package::read(&plugins().join(name)).unwrap_or_else(|error| panic!("{error}: run `cargo xtask plugins`"))
}

/// One question, as the host asks it: the scope is made once, the call each time.
pub(crate) struct Question {
    pub(crate) plugin: LoadedPlugin,
    component: ComponentId,
    address: String,
    scope: CallScope,
}

impl Question {
    pub(crate) fn new(plugin: LoadedPlugin, address: &str) -> Self {
        let scope = CallScope::about(address.parse().unwrap());
        Self { plugin, component: "web".parse().unwrap(), address: address.to_owned(), scope }
    }

    /// Asks it.
    pub(crate) async fn ask(&self, deadline: Duration) -> Usage {
        let target = ProbeTarget {
            component: &self.component,
            address: Some(&self.address),
            phase: Phase::Liveness,
            settings: "{}",
        };
        let call = ProbeCall { target, scope: self.scope.clone(), deadline };
        let report = self.plugin.probe().unwrap().check(call).await;
        match report.outcome {
            Outcome::Reply(reply) => assert_eq!(reply.health, Health::Healthy, "{}", reply.summary),
            other => panic!("{other:?}"),
        }
        report.usage
    }
}

/// The same guest on both sides.
pub(crate) struct Both {
    pub(crate) raw: raw::Probe,
    pub(crate) ours: Question,
}

/// Threads for whatever waits.
pub(crate) fn threads(count: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}
