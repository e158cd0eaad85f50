//! What is known of a failure, as somebody or something writes it down, and the brief that is made of it. Every text goes
//! through the redactor and has a bound; a key nobody knows is an error, so nothing leaves by accident.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use razar_core::failure::FailureClass as Class;
use razar_core::id::{ComponentId, Digest};
use razar_core::incident::{Attempted, End, Incident};
use razar_core::plan::ComponentPlan;
use razar_core::redact::Kind;
use razar_core::time::Timestamp;
use razar_ledger::LedgerReader;
use razar_ledger::views::newest_invocations;
use razar_runtime::contract::agent::{Attempt, Brief, Failure, FailureClass, Situation, SourceFile, Version};
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tools;
use super::tree::Tree;

/// Bytes of a context file.
const DOCUMENT: u64 = 4 << 20;
/// Bytes of the error that opened the incident.
const ERROR: usize = 16 << 10;
/// Bytes of the log's end.
const LOG: u64 = 64 << 10;
/// Attempts that are told, the newest; and bytes of what went wrong in each.
const ATTEMPTS: (usize, usize) = (20, 4 << 10);
/// Records of the invocation log that are told, the newest: as many as the original tells.
const INVOCATIONS: usize = 5;
/// Versions that are offered.
const VERSIONS: usize = 20;
/// Bytes of sources that go along; the rest is reached with tools.
const SOURCES: usize = 1 << 20;

/// A failure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The component that failed.
    pub(crate) component: ComponentId,
    /// The error that opened the incident.
    error: String,
    /// The incident's id.
    #[serde(default)]
    incident: String,
    /// The component's layer.
    #[serde(default)]
    layer: String,
    /// `dependency`, `logic` or `external`; nobody knows without.
    class: Option<Class>,
    /// The end of its log.
    #[serde(default)]
    log: String,
    /// What was tried before, oldest first.
    #[serde(default)]
    history: Vec<Tried>,
    /// Versions that could be restored, newest first.
    #[serde(default)]
    versions: Vec<Known>,
    /// The newest records about the component, in the shape of the original's invocation log, oldest first.
    #[serde(default)]
    invocations: Vec<Map<String, Value>>,
}

/// One attempt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    agent: String,
    outcome: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    at_unix_ms: u64,
}

/// One version.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    id: String,
    #[serde(default)]
    healthy_until_unix_ms: u64,
    #[serde(default)]
    summary: String,
    /// `current` if its files are those that are there, `tried` if an attempt has gone back to it; else nothing.
    #[serde(default)]
    standing: String,
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// The file.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// What is in it.
    #[error("is no failure: {0}; it is a JSON object such as `{{\"component\": \"web\", \"error\": \"…\"}}`")]
    Shape(String),
}

impl Context {
    /// Of an incident.
    pub(crate) fn of(plan: &ComponentPlan, incident: &Incident, standing: &BTreeMap<Digest, &str>) -> Self {
        let tried = |attempt: &Attempted| Tried {
            agent: attempt.who.named(attempt.name.as_deref()),
            outcome: attempt.end.as_ref().map_or("interrupted", End::as_str).to_owned(),
            error: match (&attempt.later, &attempt.end) {
                (Some(later), _) => format!("the patch passed its trial and {later}"),
                (None, Some(end)) => end.why().to_owned(),
                (None, None) => "the host was killed meanwhile".to_owned(),
            },
            at_unix_ms: attempt.at.0,
        };
        let known = |(at, version): &(Timestamp, Digest)| Known {
            id: version.to_string(),
            healthy_until_unix_ms: at.0,
            summary: "its files when it had been well for its canary period".to_owned(),
            standing: standing.get(version).copied().unwrap_or_default().to_owned(),
        };
        Self {
            component: plan.id.clone(),
            error: incident.failure.error.clone(),
            incident: incident.id.to_string(),
            layer: plan.layer.to_string(),
            class: Some(incident.failure.class),
            log: String::new(),
            history: incident.over.iter().map(tried).collect(),
            versions: incident.versions.iter().rev().map(known).collect(),
            invocations: Vec::new(),
        }
    }

    /// With what was recorded of the component before, in this incident and in earlier ones.
    pub(crate) fn with_past(self, state: &Path) -> Self {
        let known = LedgerReader::open(state)
            .and_then(|reader| newest_invocations(&reader, &self.component, INVOCATIONS));
        match known {
            Ok(invocations) => Self { invocations, ..self },
            Err(error) => {
                tracing::warn!(component = %self.component, "agents are not told of earlier incidents: {error}");
                self
            }
        }
    }

    /// Of a file.
    pub(crate) fn read(file: &Path) -> Result<Self, ContextError> {
        let mut text = Vec::new();
        regular(file)?.take(DOCUMENT + 1).read_to_end(&mut text)?;
        if text.len() as u64 > DOCUMENT {
            return Err(ContextError::Shape(format!("more than {DOCUMENT} bytes")));
        }
        serde_json::from_slice(&text).map_err(|error| ContextError::Shape(error.to_string()))
    }

    /// With the end of this log instead of its own.
    pub(crate) fn with_log(mut self, file: &Path) -> Result<Self, ContextError> {
        let mut file = regular(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG)))?;
        let mut bytes = Vec::new();
        file.take(LOG).read_to_end(&mut bytes)?;
        self.log = String::from_utf8_lossy(&bytes).into_owned();
        Ok(self)
    }

    /// What an agent is told. What is taken out of each text, the tree's redactor remembers.
    pub(crate) fn brief(&self, tree: &mut Tree) -> Brief {
        let redactor = tree.redactor_mut();
        let (attempts, bytes) = ATTEMPTS;
        // Cut afterwards: half a secret is not known for one.
        let mut words = |what: &str, text: &str, most: usize| {
            head(&redactor.redact(what, Kind::Words, text), most).to_owned()
        };
        let error = words("error", &self.error, ERROR);
        let log_tail = words("log", end_of_log(&self.log), usize::MAX);
        let left_out = self.history.len().saturating_sub(attempts);
        let history = self.history.iter().enumerate().skip(left_out).map(|(at, tried)| Attempt {
            number: u32::try_from(at + 1).unwrap_or(u32::MAX),
            agent: words("history", &tried.agent, bytes),
            outcome: words("history", &tried.outcome, bytes),
            error: words("history", &tried.error, bytes),
            at_unix_ms: tried.at_unix_ms,
            extensions: Vec::new(),
        });
        let history = history.collect();
        let versions = self.versions.iter().take(VERSIONS).map(|known| Version {
            id: known.id.clone(),
            healthy_until_unix_ms: known.healthy_until_unix_ms,
            summary: words("versions", &known.summary, bytes),
            extensions: Some(known.standing.clone())
                .filter(|standing| !standing.is_empty())
                .map(|standing| (standing, "true".to_owned()))
                .into_iter()
                .collect(),
        });
        let versions = versions.collect();
        let hint = self.class.map(|class| ("hint".to_owned(), class.hint().to_owned()));
        let known = self.invocations.len().saturating_sub(INVOCATIONS);
        let known = self.invocations.iter().skip(known).map(|record| {
            let clean = |(key, value): (&String, &Value)| match value {
                Value::String(text) => (key.clone(), words("invocations", text, bytes).into()),
                other => (key.clone(), other.clone()),
            };
            record.iter().map(clean).collect::<Value>()
        });
        let known: Value = known.collect();
        let known = (!self.invocations.is_empty()).then(|| ("invocations".to_owned(), known.to_string()));
        let extensions: Vec<_> = hint.into_iter().chain(known).collect();
        let failure = Failure {
            incident: self.incident.clone(),
            component: self.component.to_string(),
            layer: self.layer.clone(),
            class: match self.class {
                Some(Class::Dependency) => FailureClass::Dependency,
                Some(Class::Logic) => FailureClass::Logic,
                Some(Class::External) => FailureClass::External,
                None => FailureClass::Unknown,
            },
            error,
            log_tail,
            history,
            sources: sources(tree),
            versions,
            extensions,
        };
        let tools = if tree.files().next().is_some() { tools::schemas() } else { Vec::new() };
        Brief { situation: Situation::Failure(failure), actions: Vec::new(), tools, extensions: Vec::new() }
    }
}

/// Files that fit, the small ones before one that does not.
fn sources(tree: &Tree) -> Vec<SourceFile> {
    let mut left = SOURCES;
    let fits = |(path, text): (&str, &str)| {
        left = left.checked_sub(text.len())?;
        Some(SourceFile { path: path.to_owned(), content: text.as_bytes().to_vec() })
    };
    let mut files: Vec<_> = tree.files().collect();
    files.sort_by_key(|(path, text)| (text.len(), *path));
    let mut fitting: Vec<_> = files.into_iter().map_while(fits).collect();
    fitting.sort_by(|a, b| a.path.cmp(&b.path));
    fitting
}

/// A regular file; neither a FIFO nor a device keeps anybody waiting.
fn regular(file: &Path) -> std::io::Result<std::fs::File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is no regular file")) }
}

/// The beginning of a text.
fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// The end of a log, from the beginning of a line on: half a line may be half a secret.
fn end_of_log(text: &str) -> &str {
    let most = usize::try_from(LOG).unwrap_or(usize::MAX);
    if text.len() < most {
        return text;
    }
    let from = (text.len() - most..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let tail = text.get(from..).unwrap_or_default();
    tail.split_once('\n').map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use razar_core::redact::Redactor;

    use super::*;

    fn context(text: &str) -> Result<Context, ContextError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("failure.json");
        std::fs::write(&file, text).unwrap();
        Context::read(&file)
    }

    fn failure(brief: Brief) -> Failure {
        match brief.situation {
            Situation::Failure(failure) => failure,
            Situation::Alerts(alerts) => panic!("{alerts:?}"),
        }
    }

    #[test]
    fn nothing_secret_is_in_a_brief_whatever_it_came_in() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app.py"), "password = 'c4nary-1'\n# c4nary-env-9\n").unwrap();
        let known = Redactor::new(["c4nary-env-9"]);
        let mut tree = Tree::read(dir.path(), known).unwrap();
        let text = r#"{
            "component": "web", "error": "login as postgres://u:c4nary2x@db failed", "class": "logic",
            "log": "token=c4nary-3a c4nary-env-9\n",
            "history": [{"agent": "k2", "outcome": "refused", "error": "password: c4nary-4"}],
            "versions": [{"id": "v1", "summary": "with api_key=c4nary-5b"}]
        }"#;
        let context = context(text).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("web.log");
        std::fs::write(&log, "Authorization: Bearer c4nary-6c7d8e9f\nlast line\n").unwrap();
        for context in [context.clone(), context.with_log(&log).unwrap()] {
            let brief = context.brief(&mut tree);
            let shown = format!("{brief:?}");
            assert!(!shown.contains("c4nary"), "{shown}");
            let sources = failure(brief.clone()).sources;
            assert!(!sources.iter().any(|file| String::from_utf8_lossy(&file.content).contains("c4nary")));
            assert_eq!((brief.tools.len(), sources.len()), (3, 1));
        }
    }

    #[test]
    fn every_text_has_a_bound() {
        let attempt = format!(r#"{{"agent":"k2","outcome":"x","error":"{}"}}"#, "e".repeat(9_000));
        let text = format!(
            r#"{{"component":"web","error":"{}","log":"{}\nend","history":[{}]}}"#,
            "e".repeat(100_000),
            "l".repeat(200_000),
            [attempt.as_str(); 60].join(",")
        );
        let failure = failure(context(&text).unwrap().brief(&mut Tree::empty(Redactor::default())));
        assert_eq!((failure.error.len(), failure.log_tail.as_str()), (ERROR, "end"));
        assert_eq!((failure.history.len(), failure.history[0].number), (20, 41));
        assert_eq!(failure.history[0].error.len(), 4 << 10);
        assert!(failure.sources.is_empty() && failure.class == FailureClass::Unknown);
    }

    #[test]
    fn the_newest_records_of_the_component_are_told_as_the_original_tells_them() {
        let record = |number: u32| {
            format!(r#"{{"attempt":{number},"error":"password=c4nary-7","event":"attempt","patched":false}}"#)
        };
        let records: Vec<String> = (1..=7).map(record).collect();
        let text = format!(r#"{{"component":"web","error":"boom","invocations":[{}]}}"#, records.join(","));
        let told = failure(context(&text).unwrap().brief(&mut Tree::empty(Redactor::default())));
        let [(key, known)] = &told.extensions[..] else { panic!("{told:?}") };
        assert_eq!(key, "invocations");
        let known: Value = serde_json::from_str(known).unwrap();
        let numbers: Vec<_> = known.as_array().unwrap().iter().map(|one| one["attempt"].as_u64()).collect();
        assert_eq!(numbers, [3, 4, 5, 6, 7].map(Some));
        assert!(known[0]["error"].as_str().unwrap().starts_with("password=[redacted-"), "{known}");
    }

    #[test]
    fn the_class_and_what_usually_helps_are_told() {
        let told = |class: &str| {
            let text = format!(r#"{{"component":"web","error":"boom"{class}}}"#);
            failure(context(&text).unwrap().brief(&mut Tree::empty(Redactor::default())))
        };
        let known = told(r#","class":"dependency""#);
        let hint = "Install missing packages or verify the environment.";
        assert_eq!(known.extensions, [("hint".to_owned(), hint.to_owned())]);
        assert!(told("").extensions.is_empty(), "nobody knows");
    }

    #[test]
    fn what_is_no_failure_is_named() {
        for (text, part) in [
            ("{}", "missing field `component`"),
            (r#"{"component":"web"}"#, "missing field `error`"),
            (r#"{"component":"../x","error":""}"#, "`../x`"),
            (r#"{"component":"web","error":"","environment":{}}"#, "unknown field `environment`"),
            (r#"{"component":"web","error":"","class":"odd"}"#, "unknown variant `odd`"),
            ("x", "expected value"),
        ] {
            let error = context(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(matches!(Context::read(Path::new("/dev/zero")), Err(ContextError::Read(_))));
    }
}
