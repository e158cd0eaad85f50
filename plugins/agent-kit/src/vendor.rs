//! What a vendor's error answer means, as tables that are read from the top. Vendors differ in words, not in what can go
//! wrong; an agent with words of its own puts a table before the common one.

mod tables;
mod wait;

use razar_sdk::{PluginError, PluginErrorKind, one_line};
use serde_json::Value;

pub use tables::{GLM, MOONSHOT};

use crate::text::head;

/// What went wrong, for whoever decides what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The key is missing, wrong or expired.
    BadKey,
    /// The key is right and may not do this.
    Forbidden,
    /// The server has no such model.
    NoModel,
    /// The server has nothing at this address.
    NoEndpoint,
    /// What was paid for is used up: a moment's wait does not help.
    Quota,
    /// Too many requests at this moment.
    RateLimited,
    /// The server has too much to do, or is broken at this moment.
    Overloaded,
    /// The prompt is longer than the model reads.
    TooLong,
    /// The vendor does not answer this.
    Filtered,
    /// The server or one behind it waited too long.
    TimedOut,
    /// The server does not understand the request.
    Misunderstood,
    /// The server points elsewhere. Nobody follows.
    Moved,
}

/// One row: an answer with one of these statuses that has one of these words means this.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The statuses.
    pub status: (u16, u16),
    /// What has to be in it.
    pub words: Words,
    /// What it means.
    pub meaning: Meaning,
}

/// Where words are looked for, in lower case.
#[derive(Debug, Clone, Copy)]
pub enum Words {
    /// Nowhere: the status says it.
    Any,
    /// The error's `type` or `code` is one of these.
    Code(&'static [&'static str]),
    /// The error's message contains one of these.
    Says(&'static [&'static str]),
}

const fn row(from: u16, to: u16, words: Words, meaning: Meaning) -> Rule {
    Rule { status: (from, to), words, meaning }
}

/// What servers that speak OpenAI's format say: OpenAI, Moonshot, GLM, vLLM, Ollama, LM Studio, llama.cpp, LiteLLM. A code
/// decides before a message: a vendor's note on rate limits may well mention billing.
pub const COMMON: &[Rule] = &[
    row(402, 402, Words::Any, Meaning::Quota),
    row(
        400,
        599,
        Words::Code(&[
            "insufficient_quota",
            "exceeded_current_quota_error",
            "billing_hard_limit_reached",
            "1113",
        ]),
        Meaning::Quota,
    ),
    row(
        429,
        429,
        Words::Code(&[
            "rate_limit_exceeded",
            "rate_limit_reached_error",
            "requests",
            "tokens",
            "1302",
            "1303",
        ]),
        Meaning::RateLimited,
    ),
    row(
        400,
        599,
        Words::Code(&["engine_overloaded_error", "overloaded_error", "server_overloaded", "1305"]),
        Meaning::Overloaded,
    ),
    row(400, 599, Words::Code(&["model_not_found", "1211"]), Meaning::NoModel),
    row(400, 599, Words::Code(&["context_length_exceeded"]), Meaning::TooLong),
    row(400, 599, Words::Code(&["content_filter", "content_policy_violation"]), Meaning::Filtered),
    row(401, 401, Words::Any, Meaning::BadKey),
    row(429, 429, Words::Says(&["overloaded", "engine is busy", "try again shortly"]), Meaning::Overloaded),
    row(
        403,
        429,
        Words::Says(&[
            "exceeded your current quota",
            "insufficient balance",
            "insufficient_quota",
            "quota exceeded",
            "quota exhausted",
            "out of credits",
            "account balance",
            "account is suspended",
        ]),
        Meaning::Quota,
    ),
    row(429, 429, Words::Any, Meaning::RateLimited),
    row(403, 403, Words::Any, Meaning::Forbidden),
    row(
        400,
        422,
        Words::Says(&[
            "context length",
            "context window",
            "model token limit",
            "maximum context",
            "too many tokens",
            "prompt is too long",
        ]),
        Meaning::TooLong,
    ),
    row(413, 413, Words::Any, Meaning::TooLong),
    row(404, 404, Words::Code(&["resource_not_found", "resource_not_found_error"]), Meaning::NoModel),
    row(404, 404, Words::Says(&["model"]), Meaning::NoModel),
    row(
        400,
        400,
        Words::Says(&[
            "model not found",
            "no models loaded",
            "unknown model",
            "invalid model",
            "not a valid model",
            "model does not exist",
        ]),
        Meaning::NoModel,
    ),
    row(404, 405, Words::Any, Meaning::NoEndpoint),
    row(408, 408, Words::Any, Meaning::TimedOut),
    row(504, 504, Words::Any, Meaning::TimedOut),
    row(524, 524, Words::Any, Meaning::TimedOut),
    row(500, 599, Words::Any, Meaning::Overloaded),
    row(300, 399, Words::Any, Meaning::Moved),
];

/// An error answer, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaint {
    /// `type` and `code`, in lower case.
    pub codes: Vec<String>,
    /// What it says, at most 2,000 bytes.
    pub message: String,
}

impl Complaint {
    /// Of a body: `{"error": {"message", "type", "code"}}`, `{"error": "…"}`, `{"message": "…"}`, `{"detail": "…"}`, or text.
    pub fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return Self { codes: Vec::new(), message: head(text.trim(), LONGEST).to_owned() };
        };
        let error = document.get("error").unwrap_or(&document);
        let word = |value: &Value| match value {
            Value::String(text) => Some(text.to_lowercase()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let codes = ["type", "code"].iter().filter_map(|key| word(error.get(*key)?)).collect();
        let said = error
            .as_str()
            .or_else(|| ["message", "detail"].iter().find_map(|key| error.get(*key).and_then(Value::as_str)));
        let message =
            said.map_or_else(|| head(&text, LONGEST).to_owned(), |said| head(said, LONGEST).to_owned());
        Self { codes, message }
    }
}

/// Bytes of a message that are looked at.
const LONGEST: usize = 2_000;

/// The first row that fits, table by table; what no row knows is a request that the server does not understand.
pub fn meaning(tables: &[&[Rule]], status: u16, complaint: &Complaint) -> Meaning {
    let said = complaint.message.to_lowercase();
    let fits = |rule: &&Rule| {
        let (from, to) = rule.status;
        (from..=to).contains(&status)
            && match rule.words {
                Words::Any => true,
                Words::Code(codes) => complaint.codes.iter().any(|code| codes.contains(&code.as_str())),
                Words::Says(words) => words.iter().any(|word| said.contains(word)),
            }
    };
    let rule = tables.iter().flat_map(|table| table.iter()).find(fits);
    rule.map_or(Meaning::Misunderstood, |rule| rule.meaning)
}

/// An error answer in the contract's words. `retry_after` is the header as it came; some vendors only say it in words.
pub fn refusal(
    tables: &[&[Rule]],
    status: u16,
    body: &[u8],
    retry_after: Option<&str>,
    model: &str,
) -> PluginError {
    use Meaning as M;
    let complaint = Complaint::of(body);
    let meaning = meaning(tables, status, &complaint);
    let said = one_line(&complaint.message);
    let (kind, text) = match meaning {
        M::BadKey => (
            PluginErrorKind::Unauthenticated,
            "the server does not take the key: check the `secret` in the grant and its value".to_owned(),
        ),
        M::Forbidden => (PluginErrorKind::Denied, "the key may not do this".to_owned()),
        M::NoModel => (
            PluginErrorKind::NotFound,
            format!("the server has no model `{model}` for this key: change `model`, or load it there"),
        ),
        M::NoEndpoint => (
            PluginErrorKind::NotFound,
            "the server has nothing at this address: `endpoint` is the whole URL".to_owned(),
        ),
        M::Quota => (PluginErrorKind::QuotaExhausted, "the quota is used up".to_owned()),
        M::RateLimited => (PluginErrorKind::RateLimited, "too many requests".to_owned()),
        M::Overloaded => (PluginErrorKind::Unavailable, "the server cannot answer now".to_owned()),
        M::TooLong => (
            PluginErrorKind::InvalidInput,
            "the prompt is longer than the model reads: lower `prompt_bytes`".to_owned(),
        ),
        M::Filtered => (PluginErrorKind::Denied, "the vendor does not answer this".to_owned()),
        M::TimedOut => (PluginErrorKind::Timeout, "the server waited too long for its model".to_owned()),
        M::Misunderstood => {
            (PluginErrorKind::InvalidInput, "the server does not understand the request".to_owned())
        }
        M::Moved => (
            PluginErrorKind::InvalidInput,
            "the server points to another address, and nobody follows: correct `endpoint`".to_owned(),
        ),
    };
    let mut error = PluginError::new(kind, format!("{text} (status {status}: {said})"));
    if matches!(meaning, M::RateLimited | M::Overloaded) {
        error.retry_after_ms = retry_after.and_then(wait::header).or_else(|| wait::said(&complaint.message));
    }
    error.extensions = vec![("status".to_owned(), status.to_string())];
    error
}

#[cfg(test)]
mod tests;
