//! An agent that edits files where they are: it is told of a copy only if the operator gave it one, and what opencode itself
//! changes in it is judged like any other patch.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use razar_tests::model::ModelServer;
use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN, RIGHT};
use serde_json::{Value, json};

const AGENT: &str = "agent-opencode";

/// Ended with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broken shop that nobody but opencode repairs, reached at this port of the stage.
fn stage(workspace: &str) -> Scene {
    let scene = Scene::new();
    shop::files(&scene, BROKEN);
    let repair =
        json!({ "agents": [AGENT], "attempts": 1, "evaluators": [], "hold": "300 ms", "canary": "500 ms" });
    scene.stack(&["all"], &[shop::component(&scene, &json!({ "repair": repair }))]);
    let endpoint = scene.url("opencode");
    let endpoint = endpoint.trim_end_matches('/');
    scene.write(
        "grants.toml",
        &format!(
            "[{AGENT}]\nhttp = [{{ url = \"{endpoint}/*\", methods = [\"GET\", \"POST\"] }}]\n\
             config = {{ endpoint = \"{endpoint}\", model = \"fake/m-1\" }}\n{workspace}\n"
        ),
    );
    scene
}

/// Opencode with nothing of this machine's user, asking this model.
fn opencode(binary: &str, scene: &Scene, model: &str) -> Ended {
    let provider = json!({ "npm": "@ai-sdk/openai-compatible", "name": "Fake", "options": { "baseURL": model, "apiKey": "k" },
        "models": { "m-1": { "name": "m-1", "limit": { "context": 128_000, "output": 8192 } } } });
    let config = json!({ "autoupdate": false, "share": "disabled", "provider": { "fake": provider },
        "model": "fake/m-1", "small_model": "fake/m-1" });
    let home = scene.path("opencode-home");
    fs::create_dir(&home).unwrap();
    let mut command = Command::new(binary);
    command
        .args(["serve", "--port", &scene.port("opencode").to_string()])
        .args(["--hostname", &scene.address().to_string()])
        .current_dir(&home)
        .env_remove("OPENCODE_SERVER_PASSWORD")
        .env("HOME", &home)
        .env("OPENCODE_CONFIG_CONTENT", config.to_string())
        .envs([("OPENCODE_DISABLE_MODELS_FETCH", "1"), ("OPENCODE_DISABLE_AUTOUPDATE", "1")]);
    for name in ["DATA", "CONFIG", "STATE", "CACHE"] {
        command.env(format!("XDG_{name}_HOME"), home.join(name));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("listening on")), "opencode does not start");
    Ended(child)
}

#[test]
fn nobody_is_told_of_a_copy_who_was_not_given_one() {
    let scene = stage("");
    let plugins = scene.agents(&[AGENT]);
    let ended = scene.host(&["check", "--grants", "grants.toml", "--plugins", &plugins]);
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("workspace = true"), "{said}");
    let scene = stage("workspace = true");
    let plugins = scene.agents(&[AGENT]);
    let ended = scene.host(&["plugin", "inspect", AGENT, "--plugins", &plugins, "--grants", "grants.toml"]);
    assert!(
        ended.code == Some(0) && ended.out.contains("a scratch copy of the component's files"),
        "{}",
        ended.out
    );
}

#[test]
fn an_agent_that_edits_files_is_told_where_and_nothing_of_it_stays() {
    let scene = Scene::new();
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let copy = scene.state().join("workspaces/shop-1-1");
    let (seen, (tell, told)) = (copy.join("shop.py"), channel());
    // It says that it cannot, and notes what it was asked and what lay in the copy at that moment.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).unwrap_or(0) > 0 {
                let _ = tell.send((line, fs::read_to_string(&seen).unwrap_or_default()));
            }
            let _ =
                stream.write_all(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    scene.write(
        "grants.toml",
        &format!(
            "[{AGENT}]\nhttp = [{{ url = \"{url}/*\", methods = [\"GET\", \"POST\"] }}]\n\
             config = {{ endpoint = \"{url}\", model = \"opencode/m\" }}\nworkspace = true\n"
        ),
    );
    shop::files(&scene, BROKEN);
    let repair = json!({ "agents": [AGENT], "attempts": 1, "evaluators": [] });
    scene.stack(&["all"], &[shop::component(&scene, &json!({ "repair": repair }))]);
    let agents = scene.agents(&[AGENT]);
    let host = scene.run_with(&["--grants", "grants.toml", "--plugins", &agents]);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    let (asked, there) = told.try_recv().expect("it was asked");
    let named = Path::new("workspaces").join("shop-1-1").display().to_string();
    assert!(asked.contains("directory=") && asked.replace("%2F", "/").contains(&named), "{asked}");
    assert_eq!(there, BROKEN);
    assert!(!copy.exists());
    assert_eq!(host.interrupt().code, Some(0));
    assert!(!scene.state().join("workspaces").exists());
}

#[test]
fn what_opencode_changes_in_the_copy_is_tried_and_applied() {
    let Ok(binary) = std::env::var("RAZAR_OPENCODE") else {
        // Whoever has it names it: it is neither part of this repository nor fetched by its tests.
        assert!(std::env::var_os("RAZAR_OPENCODE").is_none(), "`RAZAR_OPENCODE` is a path in plain letters");
        return;
    };
    let scene = stage("workspace = true");
    let call = |name: &str, arguments: Value| json!({ "call": [{ "name": name, "arguments": arguments }] });
    let edit = json!({ "filePath": "shop.py", "oldString": "items[1:]", "newString": "items" });
    let turns = json!([
        call("read", json!({ "filePath": "shop.py" })),
        call("bash", json!({ "command": "touch seen", "description": "x" })),
        call("edit", edit),
        { "say": "The first item was left out." },
    ]);
    let model = ModelServer::start(&scene, &json!({ "turns": turns }), "k");
    let _opencode = opencode(&binary, &scene, model.endpoint().trim_end_matches("/chat/completions"));
    let plugins = scene.agents(&[AGENT]);
    let run = scene.begin(&mut scene.run_command(&["--grants", "grants.toml", "--plugins", &plugins]));
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(fs::read_to_string(scene.path("shop/shop.py")).unwrap(), RIGHT);
    assert!(!scene.path("shop/seen").exists(), "it has no shell");
    assert_eq!(run.interrupt().code, Some(0));
    assert!(!scene.state().join("workspaces").exists(), "the copy is gone");
}
