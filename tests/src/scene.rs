//! A stage of its own for every test: a directory, a loopback address, a stack, and hosts that run it. Whatever was
//! started on it ends with it. It reads what operators read: exit codes, output, and the files below `--state`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{artifact, process, wait};

/// The service every stack here is made of.
const SERVICE: &str = include_str!("service.py");

/// Marks the services of a state directory in their environment.
const MARKER: &str = "RAZAR_INSTANCE";

/// See the module.
pub struct Scene {
    dir: tempfile::TempDir,
    address: Ipv4Addr,
    ports: RefCell<HashMap<String, u16>>,
    runs: AtomicU32,
}

/// One line that a service wrote about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `start` or `stop`; `twice` when it found another process of its name alive.
    pub word: String,
    /// Which component.
    pub name: String,
    /// Which process.
    pub pid: u32,
    /// What marks the launch: state directory, component, instance.
    pub marker: String,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// The output as JSON, one value a line.
    pub fn json(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(line).collect()
    }

    /// Fails unless all of these texts are said on standard error.
    #[track_caller]
    pub fn complains(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not in: {}", self.err);
        }
    }
}

impl Scene {
    /// An empty stage whose state directory has the shipped plugins compiled already.
    pub fn new() -> Self {
        let scene = Self::bare();
        artifact::warm(&scene.state());
        scene
    }

    /// An empty stage without a state directory.
    pub fn bare() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Nobody else listens on this address, so a port that is free once stays free. 127.0.0.0/16 is left to others.
        let [.., a, b] = std::process::id().to_be_bytes();
        let own = COUNT.fetch_add(1, Ordering::Relaxed) % 254;
        let dir = tempfile::Builder::new().prefix("razar-").tempdir().expect("a temporary directory");
        fs::write(dir.path().join("service.py"), SERVICE).expect("a script");
        Self {
            dir,
            address: Ipv4Addr::new(127, a.max(1), b, u8::try_from(own).unwrap_or(0) + 1),
            ports: RefCell::default(),
            runs: AtomicU32::new(0),
        }
    }

    /// A file of this stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The loopback address that is this stage's alone.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The port of a component, free until it listens there.
    pub fn port(&self, name: &str) -> u16 {
        *self.ports.borrow_mut().entry(name.to_owned()).or_insert_with(|| {
            let listener = TcpListener::bind((self.address, 0)).expect("a free port");
            listener.local_addr().expect("an address").port()
        })
    }

    /// Where a component answers.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}:{}/", self.address, self.port(name))
    }

    /// A component that runs the service; `more` adds keys or replaces them, and its `env` adds to the environment.
    pub fn web(&self, name: &str, more: Value) -> Value {
        let mut env = json!({
            "NAME": name, "SCENE": self.dir.path(), "HOST": self.address, "PORT": self.port(name).to_string()
        });
        let mut component = json!({
            "id": name,
            "entrypoint": ["python3", "-S", "-E", "service.py"],
            "health": { "address": self.url(name), "interval": "100 ms", "deadline": "20 s" },
            "restart": { "backoff": "50 ms", "backoff_max": "200 ms" },
            "stop": { "grace": "20 s" },
        });
        let Value::Object(more) = more else { panic!("not an object: {more}") };
        for (key, value) in more {
            match (key.as_str(), value) {
                ("env", Value::Object(added)) => env.as_object_mut().expect("an object").extend(added),
                (_, value) => component[&key] = value,
            }
        }
        component["env"] = env;
        component
    }

    /// Writes the boot configuration.
    pub fn stack(&self, layers: &[&str], components: &[Value]) {
        self.write("boot_config.json", &json!({ "layers": layers, "components": components }).to_string());
    }

    /// Writes a file of this stage.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    }

    /// Makes an empty file.
    pub fn touch(&self, name: &str) {
        self.write(name, "");
    }

    /// A command line of the host, with this stage as its working directory and an environment of its own.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(artifact::host());
        command
            .args(words)
            .current_dir(self.dir.path())
            .env_remove("RAZAR_STATE")
            .env_remove("RAZAR_LOG")
            .env_remove("RAZAR_WALL");
        command.env("RAZAR_METRICS_PORT", self.port("metrics").to_string()).stdin(Stdio::null());
        command
    }

    /// Runs a command of the host to its end.
    pub fn host(&self, words: &[&str]) -> Ended {
        self.begin(&mut self.command(words)).end()
    }

    /// `run` with the stack of this stage, in the background.
    pub fn run(&self) -> Run<'_> {
        self.run_with(&[])
    }

    /// `run` with more arguments.
    pub fn run_with(&self, more: &[&str]) -> Run<'_> {
        self.begin(&mut self.run_command(more))
    }

    /// The command line of `run`.
    pub fn run_command(&self, more: &[&str]) -> Command {
        self.run_command_as("plain", more)
    }

    /// The same, with another shape of output.
    pub fn run_command_as(&self, output: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["run", "--output", output, "--config", "boot_config.json"]);
        command.arg("--plugins").arg(artifact::plugins()).arg("--state").arg(self.state());
        command.args(["--metrics-address", &self.address.to_string()]).args(more);
        command
    }

    /// A folder with the packages of these agents and no others.
    pub fn agents(&self, names: &[&str]) -> String {
        artifact::warm_agents(&self.state());
        for name in names {
            for file in fs::read_dir(artifact::agents().join(name)).expect("a package").flatten() {
                let own = format!("agents/{name}/{}", file.file_name().to_string_lossy());
                fs::copy(file.path(), self.write(&own, "")).expect("a copy");
            }
        }
        self.path("agents").display().to_string()
    }

    /// Starts a command in the background.
    pub fn begin(&self, command: &mut Command) -> Run<'_> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("{number}.out")), self.path(&format!("{number}.err")));
        command.stdout(File::create(&out).expect("a file")).stderr(File::create(&err).expect("a file"));
        let child = command.spawn().expect("the host starts");
        Run { scene: self, child, out, err }
    }

    /// The whole answer of an HTTP server on this stage, if there is one.
    pub fn get(&self, port: u16, path: &str) -> Option<String> {
        let client = reqwest::blocking::Client::builder().no_proxy().build().expect("an HTTP client");
        let answer = client.get(format!("http://{}:{port}{path}", self.address)).send().ok()?;
        let status = answer.status();
        Some(format!("{status}\n{}", answer.text().ok()?))
    }

    /// What the services wrote about themselves.
    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.path("events")).unwrap_or_default();
        let event = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let (word, name) = (words.next()?, words.next()?);
            let pid = words.next()?.parse().ok()?;
            Some(Event { word, name, pid, marker: words.next()? })
        };
        text.lines().map(|line| event(line).unwrap_or_else(|| panic!("no event: {line}"))).collect()
    }

    /// The processes that a component has had, oldest first.
    pub fn pids(&self, name: &str) -> Vec<u32> {
        self.events()
            .iter()
            .filter(|event| event.word == "start" && event.name == name)
            .map(|e| e.pid)
            .collect()
    }

    /// The newest process of a component.
    #[track_caller]
    pub fn pid(&self, name: &str) -> u32 {
        *self.pids(name).last().unwrap_or_else(|| panic!("`{name}` never started{}", self.story()))
    }

    /// The names with this word, in order.
    pub fn order(&self, word: &str) -> Vec<String> {
        self.events().into_iter().filter(|event| event.word == word).map(|event| event.name).collect()
    }

    /// A file below the state directory, empty when it is not there.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.state().join(name)).unwrap_or_default()
    }

    /// A JSON file below the state directory.
    #[track_caller]
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.file(name))
            .unwrap_or_else(|error| panic!("{name}: {error}{}", self.story()))
    }

    /// The lines of `logs/razar.log` about a component with this event and status.
    pub fn logged(&self, event: &str, component: &str, status: &str) -> Vec<Value> {
        let file = self.file("logs/razar.log");
        // The last line may just be being written.
        let lines = file.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|l| l["event"] == event && l["component"] == component && l["status"] == status)
            .collect()
    }

    /// Waits until `logs/razar.log` has so many of these lines.
    #[track_caller]
    pub fn until_logged(&self, event: &str, component: &str, status: &str, count: usize) {
        self.until(&format!("{count} × {event} {component} {status}"), || {
            self.logged(event, component, status).len() >= count
        });
    }

    /// Waits until `logs/boot_orchestrator.log` says so; each of these files may be a moment behind the others.
    #[track_caller]
    pub fn until_said(&self, text: &str) {
        self.until(text, || self.file("logs/boot_orchestrator.log").contains(text));
    }

    /// Waits for the end of so many boots: everything is ready.
    #[track_caller]
    pub fn until_booted(&self, count: usize) {
        self.until_logged("start", "system", "success", count);
    }

    /// Waits for a condition.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let met = wait::first(|| condition().then_some(())).is_some();
        assert!(met, "waited in vain for: {what}{}", self.story());
    }

    /// The process that owns the services.
    pub fn launcher(&self) -> Option<u32> {
        let state = self.state();
        process::all().into_iter().filter(|pid| process::alive(*pid)).find(|pid| {
            let words = process::words(*pid);
            words.get(1).is_some_and(|word| word == "launcher")
                && words.get(3).is_some_and(|word| Path::new(word) == state)
        })
    }

    /// The marked processes that run: services, and what they have started.
    pub fn running(&self) -> Vec<u32> {
        let Ok(id) = serde_json::from_str::<Value>(&self.file("launcher.id")) else { return Vec::new() };
        let prefix = format!("{}:", id["id"].as_str().expect("an id"));
        let ours =
            |pid: &u32| process::variable(*pid, MARKER).is_some_and(|marker| marker.starts_with(&prefix));
        process::all().into_iter().filter(ours).filter(|pid| process::alive(*pid)).collect()
    }

    /// Everything that helps to understand a failure.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for number in 0..self.runs.load(Ordering::Relaxed) {
            for stream in ["out", "err"] {
                let text = fs::read_to_string(self.path(&format!("{number}.{stream}"))).unwrap_or_default();
                story += &format!("\n--- {stream} of command {number}\n{text}");
            }
        }
        let log = self.file("logs/boot_orchestrator.log");
        format!(
            "{story}\n--- boot_orchestrator.log\n{log}\n--- launcher.log\n{}",
            self.file("logs/launcher.log")
        )
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // The launcher first: it must not be there to report what is killed next.
        self.launcher().into_iter().chain(self.running()).for_each(process::kill);
    }
}

/// A command in the background; killed when it is dropped.
pub struct Run<'s> {
    scene: &'s Scene,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Run<'_> {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error so far.
    pub fn complaints(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// It has ended by itself, or was killed.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Ctrl-C, and its end.
    #[track_caller]
    pub fn interrupt(self) -> Ended {
        process::send(self.pid(), Signal::INT);
        self.end()
    }

    /// SIGTERM, and its end.
    #[track_caller]
    pub fn terminate(self) -> Ended {
        process::send(self.pid(), Signal::TERM);
        self.end()
    }

    /// Its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let status = wait::first(|| self.child.try_wait().expect("a child of ours"));
        let Some(status) = status else { panic!("it does not end{}", self.scene.story()) };
        Ended { code: status.code(), out: self.printed(), err: self.complaints() }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
