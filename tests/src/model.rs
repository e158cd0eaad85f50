//! A model that says what a script says: the server of `examples/`, started on a stage of its own port.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::repository;
use crate::scene::Scene;

/// Ended with this value.
pub struct ModelServer {
    server: Child,
    endpoint: String,
    log: std::path::PathBuf,
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl ModelServer {
    /// Listens when this returns. Requests must carry the key.
    pub fn start(scene: &Scene, script: &Value, key: &str) -> Self {
        let script = scene.write("script.json", &script.to_string());
        let log = scene.path("requests.jsonl");
        let mut server = Command::new("python3")
            .args(["-S", "-E"])
            .arg(repository().join("examples/model-server/server.py"))
            .arg(script)
            .args(["--port", "0", "--key", key, "--host", &scene.address().to_string(), "--log"])
            .arg(&log)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the model server starts");
        let mut line = String::new();
        let said = server.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut line).expect("a line");
        let endpoint = line.trim().strip_prefix("listening on ").expect("it listens").to_owned();
        Self { server, endpoint, log }
    }

    /// Where it is asked.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same server at another path, where it speaks another format.
    pub fn at(&self, path: &str) -> String {
        let origin = self.endpoint.trim_end_matches("/v1/chat/completions");
        format!("{origin}{path}")
    }

    /// Lets any agent ask it at a path, with the key of `MODEL_KEY`, as configured.
    pub fn grant_to(&self, scene: &Scene, agent: &str, path: &str, config: &[(&str, &str)]) {
        let url = self.at(path);
        let secret = r#"{ env = "MODEL_KEY", header = "authorization", format = "Bearer {}" }"#;
        let config: String = config.iter().map(|(key, value)| format!(", {key} = '{value}'")).collect();
        scene.write(
            "grants.toml",
            &format!(
                "[{agent}]\nhttp = [{{ url = \"{url}\", methods = [\"POST\"], secret = {secret} }}]\n\
                 config = {{ endpoint = \"{url}\"{config} }}\n"
            ),
        );
    }

    /// Lets `agent-openai` ask it, with the key of `MODEL_KEY`; `endpoint` is where the agent is told to ask.
    pub fn grant(&self, scene: &Scene, endpoint: &str, model: &str) {
        let granted = &self.endpoint;
        let secret = r#"{ env = "MODEL_KEY", header = "authorization", format = "Bearer {}" }"#;
        scene.write(
            "grants.toml",
            &format!(
                "[agent-openai]\nhttp = [{{ url = \"{granted}\", methods = [\"POST\"], secret = {secret} }}]\n\
                 config = {{ endpoint = \"{endpoint}\", model = \"{model}\" }}\n"
            ),
        );
    }

    /// What it was asked, one JSON object a request.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}
