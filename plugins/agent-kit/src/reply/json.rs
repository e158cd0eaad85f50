//! The answer in JSON: exactly one of `patch`, `decline`, `restore` and `act`, and a `rationale`. A key nobody knows is an
//! error, because what it was meant to say would be lost.

use razar_sdk::agent::{Action, Change, FileWrite, Remedy};
use serde_json::{Map, Value};

use super::diff::Patch;
use super::{Offered, Proposed, RATIONALE, ReplyError, files, once_each};
use crate::text::head;

/// Keys that make an object an answer.
const ANSWERS: [&str; 4] = ["patch", "decline", "restore", "act"];
/// Keys that only explain.
const REASONS: [&str; 5] = ["rationale", "explanation", "reason", "reasoning", "summary"];

/// A block's object, if it answers; an error if it is none and seems to.
pub(super) fn answer(body: &str) -> Result<Option<Value>, ReplyError> {
    match serde_json::from_str::<Value>(body) {
        Ok(value) => Ok(Some(value).filter(answers)),
        Err(error) => {
            let seems = ANSWERS.iter().any(|key| body.contains(&format!("\"{key}\"")));
            if seems { Err(ReplyError::Json(format!("its JSON is none: {error}"))) } else { Ok(None) }
        }
    }
}

/// The object that a text begins with, if it answers, and its length.
pub(super) fn leading(text: &str) -> Option<(Value, usize)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = stream.next()?.ok()?;
    let read = stream.byte_offset();
    answers(&value).then_some((value, read))
}

fn answers(value: &Value) -> bool {
    ANSWERS.iter().any(|key| value.get(*key).is_some())
}

/// What the object proposes.
pub(super) fn proposal(answer: &Value, prose: String, offered: &Offered<'_>) -> Result<Proposed, ReplyError> {
    let wrong = |why: String| Err(ReplyError::Json(why));
    let Some(object) = answer.as_object() else { return wrong("its JSON is no object".to_owned()) };
    if let Some(key) =
        object.keys().find(|key| !ANSWERS.contains(&key.as_str()) && !REASONS.contains(&key.as_str()))
    {
        return wrong(format!("its JSON has the key `{}`, which says nothing here", head(key, 60)));
    }
    let said: Vec<_> = ANSWERS.iter().filter_map(|key| Some((*key, object.get(*key)?))).collect();
    let remedy = match said.as_slice() {
        [("patch", patch)] => Remedy::Patch(changes(patch, offered)?),
        [("decline", reason)] => Remedy::Decline(head(text("decline", reason)?, RATIONALE).to_owned()),
        [("restore", id)] => {
            let id = text("restore", id)?;
            if !offered.versions.contains(&id) {
                return Err(ReplyError::NotOffered(id.to_owned()));
            }
            Remedy::Restore(id.to_owned())
        }
        [("act", actions)] => Remedy::Act(acts(actions, offered)?),
        several => {
            let keys: Vec<_> = several.iter().map(|(key, _)| format!("`{key}`")).collect();
            return wrong(format!("its JSON has {}, and only one of them can be meant", keys.join(" and ")));
        }
    };
    let reason = REASONS.iter().find_map(|key| object.get(*key)?.as_str());
    let rationale = reason.map_or(prose, |reason| head(reason, RATIONALE).to_owned());
    Ok(Proposed { remedy, rationale })
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, ReplyError> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
    text.ok_or_else(|| ReplyError::Json(format!("`{key}` is no text")))
}

fn changes(patch: &Value, offered: &Offered<'_>) -> Result<Vec<Change>, ReplyError> {
    let mend = |diff: &str| Ok(Change::UnifiedDiff(Patch::of(diff)?.mended(offered.sources)?));
    let changes = match patch {
        Value::String(diff) => vec![mend(diff)?],
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .map(|item| {
                let object = item
                    .as_object()
                    .ok_or_else(|| ReplyError::Json("`patch` has something that is no object".to_owned()))?;
                let has = |key: &str| object.get(key).and_then(Value::as_str);
                match (object.len(), has("path"), has("content"), has("delete"), has("diff")) {
                    (2, Some(path), Some(content), ..) => Ok(Change::Write(FileWrite {
                        path: files::bare(path).to_owned(),
                        content: content.as_bytes().to_vec(),
                    })),
                    (1, _, _, Some(path), _) => Ok(Change::Delete(files::bare(path).to_owned())),
                    (1, _, _, _, Some(diff)) => mend(diff),
                    _ => Err(ReplyError::Json(
                        "a change in `patch` has either `path` and `content`, or `delete`, or `diff`"
                            .to_owned(),
                    )),
                }
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(ReplyError::Json("`patch` is no list of changes".to_owned())),
    };
    once_each(&changes)?;
    Ok(changes)
}

fn acts(actions: &Value, offered: &Offered<'_>) -> Result<Vec<Action>, ReplyError> {
    let wrong = || ReplyError::Json("`act` is no list of `{\"name\": …, \"parameters\": {…}}`".to_owned());
    let list = actions.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    list.iter()
        .map(|item| {
            let object = item.as_object().ok_or_else(wrong)?;
            let name = object.get("name").and_then(Value::as_str).ok_or_else(wrong)?;
            let none = Value::Object(Map::new());
            let parameters = object.get("parameters").unwrap_or(&none);
            let known = object.keys().all(|key| matches!(key.as_str(), "name" | "parameters"));
            if !known || !parameters.is_object() {
                return Err(wrong());
            }
            if !offered.actions.contains(&name) {
                return Err(ReplyError::NotOffered(name.to_owned()));
            }
            Ok(Action { name: name.to_owned(), parameters: parameters.to_string() })
        })
        .collect()
}
