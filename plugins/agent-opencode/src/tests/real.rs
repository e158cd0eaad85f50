//! The same with opencode itself: wherever `RAZAR_OPENCODE` names its binary, and the model behind it is the example server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// Ended with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example model server with a script, and where its completions are.
fn model(dir: &Path, script: &Value) -> (Ended, String) {
    let file = dir.join("script.json");
    std::fs::write(&file, script.to_string()).unwrap();
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/model-server/server.py");
    let mut command = Command::new("python3");
    command.args(["-S", "-E"]).arg(server).arg(file).args(["--port", "0"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    (Ended(child), address.trim_end_matches("/chat/completions").to_owned())
}

/// Opencode with nothing of this machine's user, listening on a port of its own.
fn opencode(binary: &str, dir: &Path, model: &str) -> (Ended, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let provider = json!({ "npm": "@ai-sdk/openai-compatible", "name": "Fake",
        "options": { "baseURL": model, "apiKey": "k" },
        "models": { "m-1": { "name": "m-1", "limit": { "context": 128_000, "output": 8192 } } } });
    let config = json!({ "autoupdate": false, "share": "disabled", "provider": { "fake": provider },
        "model": "fake/m-1", "small_model": "fake/m-1" });
    let mut command = Command::new(binary);
    command
        .args(["serve", "--port", &port.to_string()])
        .current_dir(dir)
        .env_remove("OPENCODE_SERVER_PASSWORD");
    command.env("HOME", dir).env("OPENCODE_CONFIG_CONTENT", config.to_string());
    for (name, value) in [("OPENCODE_DISABLE_MODELS_FETCH", "1"), ("OPENCODE_DISABLE_AUTOUPDATE", "1")] {
        command.env(name, value);
    }
    for name in ["DATA", "CONFIG", "STATE", "CACHE"] {
        command.env(format!("XDG_{name}_HOME"), dir.join(name));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("listening on")), "opencode does not start");
    (Ended(child), format!("http://127.0.0.1:{port}"))
}

/// One turn in a copy with one file, and the file afterwards.
fn turn(binary: &str, script: impl Fn(&str) -> Value) -> (Result<Answer, PluginError>, String, bool) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy of web");
    std::fs::create_dir(&copy).unwrap();
    let file = copy.join("app.py");
    std::fs::write(&file, "nane = 1\n").unwrap();
    let (_model, url) = model(dir.path(), &script(&file.display().to_string()));
    let (_opencode, endpoint) = opencode(binary, dir.path(), &url);
    let configured = Configured { endpoint, model: Some("fake/m-1".into()), settings: None };
    let mut brief = brief(copy.to_str());
    brief.extensions[0].1 = "240000".into();
    let answer = propose(&configured, &brief, Duration::from_millis(250));
    let outside = dir.path().join("outside.txt").exists();
    (answer, std::fs::read_to_string(&file).unwrap(), outside)
}

#[test]
fn opencode_edits_the_copy_and_nothing_else() {
    let Ok(binary) = std::env::var("RAZAR_OPENCODE") else {
        // Whoever has it names it: it is neither part of this repository nor fetched by its tests.
        assert!(std::env::var_os("RAZAR_OPENCODE").is_none(), "`RAZAR_OPENCODE` is a path in plain letters");
        return;
    };
    let call = |name: &str, arguments: Value| json!({ "call": [{ "name": name, "arguments": arguments }] });
    let (answer, file, outside) = turn(&binary, |file| {
        let out = file.replace("copy of web/app.py", "outside.txt");
        let edit = json!({ "filePath": file, "oldString": "nane", "newString": "name" });
        json!({ "turns": [
            call("read", json!({ "filePath": file })),
            call("write", json!({ "filePath": out, "content": "x" })),
            call("bash", json!({ "command": format!("touch {out}"), "description": "x" })),
            call("edit", edit),
            { "say": "The name was misspelt." },
        ] })
    });
    let answer = answer.unwrap();
    assert_eq!((file.as_str(), outside), ("name = 1\n", false));
    let Step::Propose(proposal) = &answer.step else { panic!("no proposal") };
    assert_eq!(proposal.extensions[0].0, "workspace-changed");
    assert!(answer.usage.is_some_and(|usage| usage.input_tokens > 0 && usage.model == "fake/m-1"));

    let (answer, file, _) = turn(&binary, |_| json!({ "turns": [{ "fault": "quota" }] }));
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind, file.as_str()),
        (PluginErrorKind::QuotaExhausted, "nane = 1\n"),
        "{}",
        error.message
    );

    let (answer, _, _) = turn(&binary, |_| json!({ "turns": [{ "fault": "bad-key" }] }));
    assert_eq!(answer.unwrap_err().kind, PluginErrorKind::Unauthenticated);
}
