//! What a patch service's answer proposes: the changes in all its suggestions, or a decline that says what is missing.

use razar_agent_kit::reply::{self, Offered};
use razar_agent_kit::text::head;
use razar_sdk::agent::{Answer, Change, Failure, FileWrite, Remedy};
use razar_sdk::{PluginError, PluginErrorKind, one_line};
use serde_json::Value;

/// Suggestions that one answer may have.
const SUGGESTIONS: usize = 64;

/// The proposal in a body.
pub(crate) fn read(body: &[u8], failure: &Failure, offered: &Offered<'_>) -> Result<Answer, PluginError> {
    let suggestions = match serde_json::from_slice(body) {
        Ok(Value::Array(several)) => several,
        Ok(one) => vec![one],
        Err(_) => vec![Value::String(String::from_utf8_lossy(body).into_owned())],
    };
    if suggestions.len() > SUGGESTIONS {
        return Err(bad(&format!("{} suggestions", suggestions.len())));
    }
    let mut all = All::default();
    for suggestion in &suggestions {
        all.add(suggestion, failure, offered)?;
    }
    all.answer()
}

#[derive(Default)]
struct All {
    changes: Vec<Change>,
    reasons: Vec<String>,
    /// Files that are named without a change.
    unchanged: Vec<String>,
    /// What a model said, if one was asked.
    said: Vec<(Remedy, String)>,
}

impl All {
    fn add(
        &mut self,
        suggestion: &Value,
        failure: &Failure,
        offered: &Offered<'_>,
    ) -> Result<(), PluginError> {
        let text = |key: &str| suggestion.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if suggestion.is_null() || suggestion.get("handover").is_some() {
            return Ok(());
        }
        let words = suggestion.as_str().or_else(|| text("text")).or_else(|| text("response"));
        if let Some(words) = words {
            return self.words(words, offered);
        }
        if !suggestion.is_object() {
            return Err(bad("a suggestion is an object with a `module`"));
        }
        // An answer in the words of a model's answer is one.
        let own = ["decline", "restore", "act"].iter().any(|key| suggestion.get(*key).is_some());
        if own || suggestion.get("patch").is_some_and(Value::is_array) {
            return self.words(&suggestion.to_string(), offered);
        }
        let module = text("module").map(|module| own_path(module, failure));
        if let Some(diff) = text("diff").or_else(|| text("patch")) {
            // Read as a model's is: fences off, and hunks where they belong.
            match reply::parse(diff, offered).map_err(|error| error.refusal(diff))?.remedy {
                Remedy::Patch(changes) => self.changes.extend(changes),
                _ => return Err(bad("`diff` is no diff")),
            }
        } else if let Some(files) = suggestion.get("files") {
            self.files(files)?;
        } else if let (Some(path), Some(content)) = (&module, text("content")) {
            self.changes.push(write(path, content));
        } else {
            let named = module.ok_or_else(|| bad("a suggestion has no `module` and no change"))?;
            self.unchanged.push(one_line(&named));
        }
        self.reasons.extend(["rationale", "reason", "error"].iter().find_map(|key| text(key)).map(one_line));
        Ok(())
    }

    /// A model's words.
    fn words(&mut self, text: &str, offered: &Offered<'_>) -> Result<(), PluginError> {
        let proposed = reply::parse(text, offered).map_err(|error| error.refusal(text))?;
        self.said.push((proposed.remedy, proposed.rationale));
        Ok(())
    }

    fn files(&mut self, files: &Value) -> Result<(), PluginError> {
        let unfit = || bad("`files` is an object of paths and contents, or a list of `path` and `content`");
        let pairs: Option<Vec<(&str, &str)>> = match files {
            Value::Object(files) => {
                files.iter().map(|(path, content)| Some((path.as_str(), content.as_str()?))).collect()
            }
            Value::Array(files) => files
                .iter()
                .map(|file| Some((file.get("path")?.as_str()?, file.get("content")?.as_str()?)))
                .collect(),
            _ => None,
        };
        self.changes.extend(pairs.ok_or_else(unfit)?.into_iter().map(|(path, content)| write(path, content)));
        Ok(())
    }

    fn answer(self) -> Result<Answer, PluginError> {
        let reason = head(&self.reasons.join("; "), 4 << 10).to_owned();
        match (self.said.len(), self.changes.is_empty()) {
            (0, false) => Ok(Answer::propose(Remedy::Patch(self.changes), reason)),
            (1, true) => {
                let (remedy, rationale) = self.said.into_iter().next().ok_or_else(|| bad("nothing"))?;
                Ok(match remedy {
                    Remedy::Decline(reason) => Answer::decline(reason),
                    remedy => Answer::propose(remedy, rationale),
                })
            }
            (0, true) if self.unchanged.is_empty() => Ok(Answer::decline("the service suggests nothing")),
            (0, true) => Ok(Answer::decline(format!(
                "the service names `{}` and no change to it, and this host writes none itself: a service says `diff`, `content` or \
                 `files`",
                head(&self.unchanged.join("`, `"), 1 << 10)
            ))),
            _ => Err(bad("it mixes suggestions with a model's words, or has several of the latter")),
        }
    }
}

fn write(path: &str, content: &str) -> Change {
    Change::Write(FileWrite { path: path.to_owned(), content: content.as_bytes().to_vec() })
}

/// A path as the component has it. Services of old name files of the whole machine: if exactly one of the component's own files
/// ends such a path, it is meant; otherwise it stays as it is, and the host refuses it by name.
fn own_path(module: &str, failure: &Failure) -> String {
    if !module.starts_with('/') {
        return module.to_owned();
    }
    let mut own = failure.sources.iter().map(|source| source.path.as_str());
    let ends = |path: &&str| module.strip_suffix(*path).is_some_and(|before| before.ends_with('/'));
    match (own.clone().filter(ends).count(), own.find(ends)) {
        (1, Some(path)) => path.to_owned(),
        _ => module.to_owned(),
    }
}

fn bad(what: &str) -> PluginError {
    let kind = PluginErrorKind::Other("bad-answer".to_owned());
    PluginError::new(kind, format!("the service's answer is no suggestion: {what}"))
}
