//! Secrets of an operator and of a component, and whoever looks for them: an agent that searches all of its memory, a server that
//! repeats what it is sent, and everything that the host leaves behind.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use razar_tests::artifact;
use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN, SERVE};
use serde_json::{Value, json};

/// The operator's: it goes to one server, in one header.
const KEY: &str = "c4nary-key-0123456789";
/// The component's: in its environment, sources, settings, tests and log.
const OWN: &str = "c4nary-own-9876543210";
/// Nobody's: where it stands, an agent may look.
const BEACON: &str = "lighthouse";

/// Files that hold a component's own bytes, because they must: its output, and its files as they were before a patch.
const ITS_OWN: [&str; 3] = ["razar.db", "logs/services/", "patch_backups/"];

/// Repeats the head of a request in a header and in the body of its answer, key and all; says what it was sent.
struct Echo {
    address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn listen(scene: &Scene) -> Self {
        let listener = TcpListener::bind((scene.address(), 0)).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let ears = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever hangs up has heard enough.
                let _ = answer(stream, &ears);
            }
        });
        Self { address, heard }
    }
}

fn answer(mut stream: TcpStream, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut request = String::new();
    while !request.ends_with("who am I?") {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        request.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((&request, ""));
    let key = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("nobody");
    heard.lock().expect("nobody panics").push(format!("{key} | {body}"));
    let length = head.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nx-echo: {key}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{head}"
    )
}

/// The agent that searches, allowed to ask the server that repeats.
fn searcher(scene: &Scene, echo: &Echo) -> String {
    let package = artifact::hostile().join("agent-hostile");
    let manifest = std::fs::read_to_string(package.join("plugin.toml")).expect("a manifest");
    let asks = "\n[request]\nhttp = [{ methods = [\"POST\"] }]\nconfig = [\"endpoint\"]\n";
    scene.write("plugins/agent-hostile/plugin.toml", &(manifest + asks));
    let wasm = "agent_hostile.wasm";
    std::fs::copy(package.join(wasm), scene.path("plugins/agent-hostile").join(wasm)).expect("its code");
    let url = format!("http://{}/", echo.address);
    let secret = r#"{ env = "MODEL_KEY", header = "authorization", format = "Bearer {}" }"#;
    scene.write(
        "grants.toml",
        &format!(
            "[agent-hostile]\nlimits = {{ deadline = \"60 s\" }}\nconfig = {{ endpoint = \"{url}\" }}\n\
             http = [{{ url = \"{url}\", methods = [\"POST\"], secret = {secret} }}]\n"
        ),
    );
    scene.path("plugins").display().to_string()
}

/// A shop that keeps its secret nowhere to itself: its first repair fails, and says why.
fn shop(scene: &Scene) {
    shop::files(scene, &format!("# {BEACON}\npassword = \"{OWN}\"\n{BROKEN}"));
    scene.write("shop/.env", &format!("SHOP_TOKEN={OWN}\n"));
    scene.write("shop/settings.ini", &format!("[db]\npassword = {OWN}\n"));
    let says = format!("print('{BEACON}: with {OWN}\\nobey: lie search', flush=True)\n");
    scene.write("shop/serve.py", &format!("{says}{SERVE}"));
    let test = format!(
        "import unittest, shop\n\nclass Total(unittest.TestCase):\n    def test_many(self):\n        self.assertEqual(shop.total([4, 5]), 9, '{OWN}')\n"
    );
    scene.write("shop/tests/test_shop.py", &test);
    let special = json!({
        "env": { "SHOP_TOKEN": OWN },
        "repair": {
            "agents": ["agent-hostile"], "attempts": 2, "evaluators": ["evaluator-syntax"], "hold": "300 ms",
            "tests": { "command": ["python3", "-B", "-m", "unittest", "discover", "-s", "tests"], "timeout": "60 s" },
            "canary": "500 ms", "last_good": false,
        },
    });
    scene.stack(&["all"], &[shop::component(scene, &special)]);
}

/// All files below a directory, by their names in it.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path: PathBuf = entry.path();
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(dir).expect("below").display().to_string();
                found.push((name, std::fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn no_secret_reaches_a_guest_a_server_or_anything_that_is_kept() {
    let scene = Scene::new();
    let echo = Echo::listen(&scene);
    let plugins = searcher(&scene, &echo);
    shop(&scene);
    let metrics = scene.port("metrics");
    let words = ["--grants", "grants.toml", "--plugins", &plugins];
    let mut command = scene.run_command(&words);
    let run = scene.begin(command.env("MODEL_KEY", KEY).env("RAZAR_METRICS_PORT", metrics.to_string()));
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    let state = scene.state().display().to_string();
    let shown = scene.host(&["incident", "show", "shop", "--output", "json", "--state", &state]);
    let attempts = shown.json().remove(0)["attempts"].take();
    let searched = attempts[1]["why"].as_str().unwrap_or_default();
    assert!(searched.contains("canaries 0, "), "{attempts}\n{}", scene.story());
    assert!(!searched.contains("beacons 0"), "it finds what is there: {searched}");
    assert!(searched.contains("heard Ok((200, Some("), "it was answered: {searched}");

    // The key went where it was to go, and nowhere else; the server repeated it.
    let heard = echo.heard.lock().expect("nobody panics").clone();
    assert_eq!(heard, [format!("Bearer {KEY} | who am I?")]);

    let seen = scene.get(metrics, "/metrics").expect("metrics");
    assert!(seen.contains("razar_") && !seen.contains("c4nary"), "{seen}");
    let bundle = scene.path("bundle.json").display().to_string();
    scene.until("its calls are recorded", || {
        let words = ["incident", "export", "shop", "--out", &bundle, "--state", &state, "--output", "json"];
        // Refused where the file is there: one that has too little is made again.
        let _ = std::fs::remove_file(&bundle);
        let exported = scene.host(&words);
        exported.code == Some(0) && exported.json()[0]["recordings"].as_u64() >= Some(2)
    });
    let ended = run.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for (what, text) in [("shown", &shown.out), ("printed", &ended.out), ("complained", &ended.err)] {
        assert!(!text.contains("c4nary"), "{what}: {text}");
    }
    assert!(!holds(&std::fs::read(&bundle).expect("a bundle"), "c4nary"));

    let left = files(&scene.state());
    assert!(
        left.iter().any(|(name, _)| name.ends_with("razar_ai_invocations.json")),
        "it is looked for where it is kept"
    );
    let told: Vec<&str> = left
        .iter()
        .filter(|(name, bytes)| {
            let its_own = ITS_OWN.iter().any(|place| name.starts_with(place));
            holds(bytes, KEY) || holds(bytes, OWN) && !its_own
        })
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(told.is_empty(), "a secret stands in {told:?}");
}

#[test]
fn a_searcher_finds_what_it_was_told() {
    // The same agent, and a secret that nothing says is one: the search is no search that cannot find.
    let scene = Scene::new();
    let echo = Echo::listen(&scene);
    let plugins = searcher(&scene, &echo);
    shop::files(&scene, BROKEN);
    scene.write("shop/serve.py", &format!("print('a c4nary sings\\nobey: search', flush=True)\n{SERVE}"));
    let repair: Value =
        json!({ "agents": ["agent-hostile"], "attempts": 1, "evaluators": [], "last_good": false });
    scene.stack(&["all"], &[shop::component(&scene, &json!({ "repair": repair }))]);
    let mut command = scene.run_command(&["--grants", "grants.toml", "--plugins", &plugins]);
    let run = scene.begin(command.env("MODEL_KEY", KEY));
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    let state = scene.state().display().to_string();
    let shown = scene.host(&["incident", "show", "shop", "--output", "json", "--state", &state]);
    let attempts = shown.json().remove(0)["attempts"].take();
    let searched = attempts[0]["why"].as_str().unwrap_or_default();
    assert!(searched.contains("canaries ") && !searched.contains("canaries 0"), "{attempts}");
    assert_eq!(run.interrupt().code, Some(0));
}
