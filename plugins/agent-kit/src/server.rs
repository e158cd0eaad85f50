//! One server, for one call: what is posted to it, how long it is waited for, what is asked again, and what its refusals mean. It
//! asks the configured address and no other, and follows no redirect. Keys are put on the wire by the host; none is ever here.

use std::time::{Duration, Instant};

use razar_sdk::http::{self, HttpError, Post};
use razar_sdk::{PluginError, PluginErrorKind};
use serde_json::Value;

use crate::retry::Retry;
use crate::vendor::{Rule, refusal};
use crate::{openai, sse};

/// A model's longest answer with its thoughts; what is longer is no answer.
pub const MAX_ANSWER: usize = 3 << 20;
/// The same in pieces, each of which says again who it is from.
const MAX_STREAM: usize = 8 << 20;

/// Where is asked, and how patiently.
#[derive(Debug, Clone)]
pub struct Server {
    /// The whole URL.
    pub endpoint: String,
    /// The model, as refusals name it.
    pub model: String,
    /// What refusals mean.
    pub tables: &'static [&'static [Rule]],
    /// Whether an `error` in an answer with a good status is one: in a patch service's it says what the patch is for.
    pub errors: bool,
    /// Repeats after the first try.
    pub retries: u32,
    /// When the time is up.
    pub until: Instant,
}

impl Server {
    /// What time is left.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Posts a document, again if that may help, and reads what comes back.
    pub fn ask<T>(
        &self,
        document: &Value,
        read: impl Fn(&[u8]) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let streamed = document.get("stream") == Some(&Value::Bool(true));
        let body = document.to_string();
        let once = || read(&self.once(body.as_bytes(), if streamed { MAX_STREAM } else { MAX_ANSWER })?);
        Retry { times: self.retries }.run(|| self.left(), std::thread::sleep, once)
    }

    /// One request, and the body of a good answer.
    fn once(&self, body: &[u8], max_body: usize) -> Result<Vec<u8>, PluginError> {
        let post = Post {
            url: &self.endpoint,
            content_type: "application/json",
            body,
            wanted: &["retry-after", "content-type"],
            timeout: self.left(),
            max_body,
        };
        let response = http::post(&post).map_err(unanswered)?;
        if response.status / 100 == 2 && response.truncated {
            return Err(too_large());
        }
        let stream = sse::is_stream(response.header("content-type"), &response.body);
        let whole = match response.status {
            200..=299 if stream => sse::whole(&response.body)?.to_string().into_bytes(),
            _ => response.body.clone(),
        };
        let status = match response.status {
            200..=299 if self.errors => openai::error_in(&whole),
            200..=299 => None,
            status => Some(status),
        };
        match status {
            None => Ok(whole),
            Some(status) => {
                Err(refusal(self.tables, status, &whole, response.header("retry-after"), &self.model))
            }
        }
    }
}

/// No answer, in the contract's words.
pub fn unanswered(error: HttpError) -> PluginError {
    let kind = match &error {
        HttpError::Denied => {
            return PluginError::denied("the host denied the request; see its log for the grant");
        }
        HttpError::Url(problem) => return PluginError::invalid_input(format!("`endpoint`: {problem}")),
        HttpError::Timeout => PluginErrorKind::Timeout,
        HttpError::Secret => PluginErrorKind::Unauthenticated,
        HttpError::TooLarge => return too_large(),
        HttpError::Refused
        | HttpError::Unresolved
        | HttpError::Unreachable
        | HttpError::Tls
        | HttpError::Closed
        | HttpError::Protocol
        | HttpError::Other(_) => PluginErrorKind::Unavailable,
    };
    PluginError::new(kind, format!("the model's server: {error}"))
}

fn too_large() -> PluginError {
    let kind = PluginErrorKind::Other("bad-answer".to_owned());
    PluginError::new(kind, "the server's answer is larger than a model's answer can be")
}
