//! One stack under the real host: a directory of its own, the configuration, the process, its end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// The release binary that is measured.
pub(crate) const HOST: &str = env!("CARGO_BIN_EXE_razar-host");

/// A running host with its stack; dropping it stops both.
pub(crate) struct Stack {
    pub(crate) dir: tempfile::TempDir,
    host: Option<Child>,
}

impl Stack {
    /// A place for a stack.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), host: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Compiles the plugins into the cache of the coming host: a boot is measured as every boot but the first is.
    pub(crate) fn warm(&self) {
        let mut command = Command::new(HOST);
        command.args(["plugin", "run", "probe-tcp", "--address", "127.0.0.1:1", "--plugins"]);
        command.arg(plugins()).arg("--state").arg(self.state());
        let output = command.output().unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    }

    /// Starts the host with these components, and waits until they are up.
    pub(crate) fn run(&mut self, layers: &[&str], components: Vec<Value>) {
        self.begin(layers, components, &[]);
        self.wait("the boot to complete", || self.facts("boot_completed").pop().is_some());
    }

    /// Starts the host with these components and more arguments.
    pub(crate) fn begin(&mut self, layers: &[&str], components: Vec<Value>, more: &[&str]) {
        let config = self.path("boot_config.json");
        let document = json!({ "mission": "bench", "layers": layers, "components": components });
        std::fs::write(&config, document.to_string()).unwrap();
        let mut command = Command::new(HOST);
        command.args(["run", "--output", "json", "--plugins"]).arg(plugins());
        command.arg("--config").arg(config).arg("--state").arg(self.state()).args(more);
        command.env("RAZAR_METRICS_PORT", free_ports(1)[0].to_string());
        let out = std::fs::File::create(self.path("out")).unwrap();
        let complaints = std::fs::File::create(self.path("err")).unwrap();
        self.host = Some(command.stdin(Stdio::null()).stdout(out).stderr(complaints).spawn().unwrap());
    }

    /// Process number of the host.
    pub(crate) fn pid(&self) -> u32 {
        self.host.as_ref().unwrap().id()
    }

    /// Process number of the launcher.
    pub(crate) fn launcher(&self) -> Option<u32> {
        let state = self.state();
        processes().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(" launcher ") && line.contains(&*state.to_string_lossy())
        })
    }

    /// Facts of a kind, as the host printed them.
    pub(crate) fn facts(&self, kind: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("out")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["fact"]["fact"] == kind).collect()
    }

    /// Waits until it holds.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {} s for {what}: {}",
                PATIENCE.as_secs(),
                std::fs::read_to_string(self.path("err")).unwrap_or_default()
            );
            // Moments are noted by those they concern: looking more often would only take their time.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(mut host) = self.host.take() {
            let _ = Command::new(HOST).arg("stop").arg("--state").arg(self.state()).output();
            let begun = Instant::now();
            while host.try_wait().unwrap().is_none() {
                if begun.elapsed() > PATIENCE {
                    let _ = host.kill();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Where the built plugins lie.
pub(crate) fn plugins() -> PathBuf {
    let dir = std::env::var_os("RAZAR_BENCH_PLUGINS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from);
    assert!(dir.is_dir(), "no plugins in `{}`: run `cargo xtask plugins`", dir.display());
    dir
}

/// Ports nobody listens on at this moment.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
