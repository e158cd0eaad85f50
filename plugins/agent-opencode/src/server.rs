//! A running `opencode serve`: one session, one message, and waiting for its end. A session may read and edit files below its
//! directory and nothing else. It is given up as soon as it is clear that waiting does not help.

use std::thread::sleep;
use std::time::{Duration, Instant};

use razar_agent_kit::server::unanswered;
use razar_agent_kit::vendor::{COMMON, Complaint, GLM, MOONSHOT, Meaning, Rule, meaning, refusal};
use razar_sdk::agent::Usage;
use razar_sdk::http::{self, Method, Post, Request, Response};
use razar_sdk::{PluginError, PluginErrorKind, one_line};
use serde_json::{Value, json};

/// What opencode's providers say when something is wrong.
const TABLES: &[&[Rule]] = &[MOONSHOT, GLM, COMMON];

/// The longest answer of the server.
const MAX_ANSWER: usize = 3 << 20;
/// Kept for telling it to stop.
const RESERVE: Duration = Duration::from_secs(2);
/// Looks at a session that does nothing and has no answer before it is taken for given up.
const IDLE: u32 = 5;

/// Tools that a session may use; all others it is not even told of.
const MAY: [&str; 5] = ["read", "edit", "glob", "grep", "list"];

/// One server, for one call.
pub(crate) struct Opencode {
    pub(crate) endpoint: String,
    pub(crate) workspace: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) agent: Option<String>,
    /// Between two looks.
    pub(crate) pause: Duration,
    pub(crate) until: Instant,
}

/// What it said at the end.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) usage: Option<Usage>,
}

impl Opencode {
    /// Lets it work, and waits until it is done.
    pub(crate) fn work(&self, task: &str) -> Result<Said, PluginError> {
        self.look_for_model()?;
        let session = self.post("/session", &json!({ "title": "repair", "permission": permission() }))?;
        let id = session.get("id").and_then(Value::as_str).filter(|id| is_id(id));
        let id = id.ok_or_else(|| bad("a session without an id"))?;
        let mut message = json!({
            "model": { "providerID": self.provider, "modelID": self.model },
            "parts": [{ "type": "text", "text": task }],
        });
        if let (Some(agent), Some(message)) = (&self.agent, message.as_object_mut()) {
            message.insert("agent".to_owned(), json!(agent));
        }
        self.post(&format!("/session/{id}/prompt_async"), &message)?;
        let ended = self.wait(id);
        if ended.is_err() {
            // It would go on without anybody who waits for it. If it cannot be told, its own deadline is all there is.
            drop(self.post(&format!("/session/{id}/abort"), &json!({})));
        }
        let text = ended?;
        Ok(Said { text, usage: self.usage(id) })
    }

    /// A model that opencode does not know is not missed in silence.
    fn look_for_model(&self) -> Result<(), PluginError> {
        let known = self.get("/config/providers")?;
        let providers =
            known.get("providers").and_then(Value::as_array).ok_or_else(|| bad("no `providers`"))?;
        let own = |provider: &&Value| provider.get("id").and_then(Value::as_str) == Some(&self.provider);
        let models = providers.iter().find(own).and_then(|provider| provider.get("models"));
        match models.and_then(|models| models.get(&self.model)) {
            Some(_) => Ok(()),
            None => {
                let (provider, model) = (&self.provider, &self.model);
                let message = format!(
                    "opencode has no model `{provider}/{model}`: change `model`, or configure it there"
                );
                Err(PluginError::new(PluginErrorKind::NotFound, message))
            }
        }
    }

    /// Looks until the last message is an answer.
    fn wait(&self, id: &str) -> Result<String, PluginError> {
        let reserve = RESERVE.min(self.left() / 10);
        let mut idle = 0;
        loop {
            if self.left() <= self.pause + reserve {
                return Err(PluginError::new(PluginErrorKind::Timeout, "opencode was not done in time"));
            }
            sleep(self.pause);
            let states = self.get("/session/status")?;
            let state = states.get(id).cloned().unwrap_or_default();
            match state.get("type").and_then(Value::as_str) {
                Some("retry") => self.worth_waiting(&state)?,
                Some("busy") => {}
                _ => {
                    if let Some(text) = self.last_word(id)? {
                        return Ok(text);
                    }
                    idle += 1;
                    if idle == IDLE {
                        let message = "opencode gave up without an answer; its own log says why";
                        return Err(PluginError::new(PluginErrorKind::Unavailable, message));
                    }
                }
            }
        }
    }

    /// Opencode repeats by itself whatever its model's server refuses for now, a used-up quota too.
    fn worth_waiting(&self, state: &Value) -> Result<(), PluginError> {
        let said = state.get("message").and_then(Value::as_str).unwrap_or_default();
        let complaint = Complaint { codes: Vec::new(), message: said.to_owned() };
        match meaning(TABLES, 429, &complaint) {
            Meaning::Quota => {
                let message = format!("the quota of opencode's model is used up ({})", one_line(said));
                Err(PluginError::new(PluginErrorKind::QuotaExhausted, message))
            }
            _ => Ok(()),
        }
    }

    /// What the newest message says, if it is an answer.
    fn last_word(&self, id: &str) -> Result<Option<String>, PluginError> {
        let messages = self.get(&format!("/session/{id}/message?limit=1"))?;
        let Some(message) = messages.as_array().and_then(|all| all.last()) else { return Ok(None) };
        let info = message.get("info").cloned().unwrap_or_default();
        if info.get("role").and_then(Value::as_str) != Some("assistant") {
            return Ok(None);
        }
        if let Some(error) = info.get("error").filter(|error| !error.is_null()) {
            return Err(self.failed(error));
        }
        match info.get("finish").and_then(Value::as_str) {
            None | Some("tool-calls") => return Ok(None),
            Some("length") => {
                let kind = PluginErrorKind::Other("unusable-reply".to_owned());
                return Err(PluginError::new(kind, "opencode's model was cut off: raise its output limit"));
            }
            Some(_) => {}
        }
        let parts = message.get("parts").and_then(Value::as_array).into_iter().flatten();
        let texts = parts.filter(|part| part.get("type").and_then(Value::as_str) == Some("text"));
        let texts: Vec<&str> = texts.filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
        Ok(Some(texts.join("\n")))
    }

    /// An error of the model's server, as opencode tells of it.
    fn failed(&self, error: &Value) -> PluginError {
        let data = error.get("data").cloned().unwrap_or_default();
        let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = error.get("name").and_then(Value::as_str).unwrap_or_default();
        let status = data.get("statusCode").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let said = format!("opencode: {name}: {}", text("message"));
        match (name, status) {
            (_, Some(status)) => {
                let retry_after = data.pointer("/responseHeaders/retry-after").and_then(Value::as_str);
                let body =
                    if text("responseBody").is_empty() { text("message") } else { text("responseBody") };
                let model = format!("{}/{}", self.provider, self.model);
                refusal(TABLES, status, body.as_bytes(), retry_after, &model)
            }
            ("ProviderAuthError", None) => PluginError::new(PluginErrorKind::Unauthenticated, said),
            ("ContextOverflowError", None) => PluginError::invalid_input(said),
            ("MessageOutputLengthError", None) => {
                PluginError::new(PluginErrorKind::Other("unusable-reply".to_owned()), said)
            }
            _ => PluginError::new(PluginErrorKind::Unavailable, said),
        }
    }

    /// What the session cost. An answer is an answer without it, too.
    fn usage(&self, id: &str) -> Option<Usage> {
        let session = self.get(&format!("/session/{id}")).ok()?;
        let tokens = |key: &str| session.pointer(&format!("/tokens/{key}")).and_then(Value::as_u64);
        Some(Usage {
            model: format!("{}/{}", self.provider, self.model),
            input_tokens: tokens("input")?.saturating_add(tokens("cache/read").unwrap_or(0)),
            output_tokens: tokens("output")?.saturating_add(tokens("reasoning").unwrap_or(0)),
        })
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn url(&self, path: &str) -> String {
        let (endpoint, mark) = (&self.endpoint, if path.contains('?') { '&' } else { '?' });
        format!("{endpoint}{path}{mark}directory={}", encoded(&self.workspace))
    }

    fn get(&self, path: &str) -> Result<Value, PluginError> {
        let url = self.url(path);
        let request = Request { method: Method::Get, url: &url, timeout: self.left(), max_body: MAX_ANSWER };
        document(&http::send(&request).map_err(unanswered)?)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, PluginError> {
        let (url, body) = (self.url(path), body.to_string());
        let post = Post {
            url: &url,
            content_type: "application/json",
            body: body.as_bytes(),
            wanted: &[],
            timeout: self.left(),
            max_body: MAX_ANSWER,
        };
        document(&http::post(&post).map_err(unanswered)?)
    }
}

/// The body of a good answer; none is null.
fn document(response: &Response) -> Result<Value, PluginError> {
    match response.status {
        200..=299 if response.truncated => Err(bad("too large an answer")),
        200..=299 if response.body.trim_ascii().is_empty() => Ok(Value::Null),
        200..=299 => {
            serde_json::from_slice(&response.body).map_err(|error| bad(&format!("no JSON ({error})")))
        }
        status => Err(refusal(TABLES, status, &response.body, None, "opencode's")),
    }
}

/// All that is not allowed is forbidden, also what a later opencode learns. The last rule that fits decides.
fn permission() -> Value {
    let rule = |(permission, action)| json!({ "permission": permission, "pattern": "*", "action": action });
    let may = MAY.map(|permission| (permission, "allow"));
    [("*", "deny")].into_iter().chain(may).chain([("external_directory", "deny")]).map(rule).collect()
}

/// It becomes part of a path.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A path as part of a query.
fn encoded(path: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    path.bytes().map(one).collect()
}

fn bad(what: &str) -> PluginError {
    let kind = PluginErrorKind::Other("bad-answer".to_owned());
    PluginError::new(kind, format!("this is no `opencode serve`: {what}"))
}
