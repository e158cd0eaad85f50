//! `plugin.toml`: what a plugin's author says of it and what it would like. Nothing is granted by asking, and nothing
//! here names a digest: wasm bytes depend on the builder.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::located::{Path, Source};
use crate::grant::is_deceptive;
use crate::grant::{
    Access, DirRule, DirSource, GuestPath, HttpPlace, HttpRule, Methods, Request, RuleError, config_key,
    env_name, store_name,
};
use crate::id::PluginId;
use crate::problem::Problem;

/// What a plugin's author says of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "plugin.toml")]
pub struct PluginDocument {
    /// The plugin's name: lower-case letters, digits and `-`.
    pub name: String,
    /// Its version, `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// The component's file, beside this one.
    pub wasm: String,
    /// What it does, in one line.
    pub description: String,
    /// JSON Schema of what `health` entries may say to it, a file beside this one.
    pub settings: Option<String>,
    /// It is an agent that edits files: the host makes it a copy of what an agent may see, and takes over what is different in it.
    #[serde(default)]
    pub workspace: bool,
    /// What it would like.
    #[serde(default)]
    pub request: RequestDocument,
}

/// What a plugin would like.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestDocument {
    /// HTTP requests.
    pub http: Vec<HttpRequestDocument>,
    /// TCP connections: `host:port` or `{target}`.
    pub tcp: Vec<String>,
    /// Directories.
    pub dirs: Vec<DirRequestDocument>,
    /// Name lookups beyond the hosts in `tcp`: a name, `*.example.com` or `{target}`.
    pub names: Vec<String>,
    /// Configuration keys. The operator has to give each, but for `settings`, which a plugin can do without.
    pub config: Vec<String>,
    /// Environment variables.
    pub env: Vec<String>,
    /// Key-value stores of its own, by name.
    pub keyvalue: Vec<String>,
}

/// HTTP requests a plugin would like to send.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequestDocument {
    /// A URL, a URL ending in `/*`, or `{target}`; left out, the operator chooses.
    pub url: Option<String>,
    /// With these methods.
    pub methods: Vec<String>,
}

/// A directory a plugin would like to see.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirRequestDocument {
    /// `{log}`, `{tree}` or `{scratch}`; left out, the operator chooses.
    pub source: Option<String>,
    /// Where it would like to see it; a placeholder has a place of its own.
    pub at: Option<String>,
    /// `read` or `write`.
    pub access: Access,
}

/// A plugin package as its author means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginPackage {
    /// Its name.
    pub name: PluginId,
    /// `MAJOR.MINOR.PATCH`, perhaps with a pre-release.
    pub version: String,
    /// The component's file name.
    pub wasm: FileName,
    /// What it does.
    pub description: String,
    /// The file name of its settings' JSON Schema.
    pub settings: Option<FileName>,
    /// It edits files, in a copy that the host makes.
    pub workspace: bool,
    /// What it would like.
    pub request: Request,
}

/// The name of a file in the package: one part, no path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of a file in the package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the plain name of a file beside `plugin.toml`")]
pub struct FileNameError(String);

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if first && rest && text.len() <= 128 && !text.contains("..") {
            Ok(Self(text.to_owned()))
        } else {
            Err(FileNameError(text.escape_debug().take(200).collect()))
        }
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longest description: it is one line in a table.
const MAX_DESCRIPTION: usize = 200;

/// Reads `plugin.toml`; `file` is its name in messages. Everything that is wrong is said at once.
pub fn parse(file: &str, text: &str) -> Result<PluginPackage, Vec<Problem>> {
    let mut source = Source::new(file, text);
    let package = source.document::<PluginDocument>().and_then(|document| package(&mut source, document));
    match package {
        Some(package) if source.problems.is_empty() => Ok(package),
        _ => Err(source.problems),
    }
}

/// The document's JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(PluginDocument).to_value()
}

fn package(source: &mut Source<'_>, document: PluginDocument) -> Option<PluginPackage> {
    let top = Path::default();
    let name = source.take(&top.key("name"), document.name.parse::<PluginId>(), |_| {
        Some("write a name such as `probe-http`".to_owned())
    });
    if !is_semver(&document.version) {
        let hint = Some("write `version = \"0.1.0\"`".to_owned());
        source.problem(&top.key("version"), "the version is not `MAJOR.MINOR.PATCH`".to_owned(), hint);
    }
    let wasm = file_name(source, &top.key("wasm"), &document.wasm, ".wasm");
    if document.description.chars().count() > MAX_DESCRIPTION
        || document.description.chars().any(is_deceptive)
    {
        let hint = Some("write one line of at most 200 characters".to_owned());
        source.problem(&top.key("description"), "the description is not one short line".to_owned(), hint);
    }
    let settings = match &document.settings {
        Some(name) => Some(file_name(source, &top.key("settings"), name, ".json")?),
        None => None,
    };
    let request = request(source, &top.key("request"), &document.request);
    Some(PluginPackage {
        name: name?,
        version: document.version,
        wasm: wasm?,
        description: document.description,
        settings,
        workspace: document.workspace,
        request,
    })
}

fn file_name(source: &mut Source<'_>, path: &Path, text: &str, ending: &str) -> Option<FileName> {
    let hint = Some(format!("write the name of a file beside `plugin.toml`, such as `plugin{ending}`"));
    let name = source.take(path, text.parse::<FileName>(), |_| hint.clone())?;
    if name.0.ends_with(ending) && name.0.len() > ending.len() {
        return Some(name);
    }
    source.problem(path, format!("`{name}` does not end in `{ending}`"), hint);
    None
}

/// Semantic versioning 2.0.0: three numbers, perhaps a pre-release, perhaps a build.
fn is_semver(text: &str) -> bool {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (text, None),
    };
    let number = |part: &str| {
        let digits = !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| {
        !part.is_empty() && part.len() <= 64 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let ordered = |part: &str| word(part) && (number(part) || !part.bytes().all(|b| b.is_ascii_digit()));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(ordered))
        && build.is_none_or(|build| build.split('.').all(word))
}

fn request(source: &mut Source<'_>, at: &Path, document: &RequestDocument) -> Request {
    let mut request = Request::default();
    for (index, entry) in document.http.iter().enumerate() {
        let rule = http_rule(source, &at.key("http").index(index), entry.url.as_deref(), &entry.methods);
        request.http.extend(rule);
    }
    request.tcp = rules(source, &at.key("tcp"), &document.tcp);
    for (index, entry) in document.dirs.iter().enumerate() {
        let place = at.key("dirs").index(index);
        let rule = dir_request(entry);
        request.dirs.extend(source.take(&place, rule, |error| Some(error.hint())));
    }
    unique_places(source, &at.key("dirs"), &request.dirs);
    request.names = rules(source, &at.key("names"), &document.names);
    for (index, key) in document.config.iter().enumerate() {
        let good = source.take(&at.key("config").index(index), config_key(key), |error| Some(error.hint()));
        request.config.extend(good.map(|()| key.clone()));
    }
    for (index, name) in document.env.iter().enumerate() {
        let good = source.take(&at.key("env").index(index), env_name(name), |error| Some(error.hint()));
        request.env.extend(good.map(|()| name.clone()));
    }
    for (index, store) in document.keyvalue.iter().enumerate() {
        let place = at.key("keyvalue").index(index);
        let good = source.take(&place, store_name(store), |error| Some(error.hint()));
        request.keyvalue.extend(good.map(|()| store.clone()));
    }
    request
}

/// Without a URL, the operator chooses.
pub(super) fn http_rule(
    source: &mut Source<'_>,
    at: &Path,
    url: Option<&str>,
    methods: &[String],
) -> Option<HttpRule> {
    let place = url.map_or(Ok(HttpPlace::Operator), str::parse);
    let place = source.take(&at.key("url"), place, |error| Some(error.hint()));
    let path = at.key("methods");
    let parsed: Result<Methods, RuleError> = methods.iter().map(|method| method.parse()).collect();
    let parsed = parsed.and_then(|parsed: Methods| {
        if parsed.is_empty() {
            let shown = url.unwrap_or("{operator}");
            Err(RuleError::NoMethods(shown.escape_debug().take(200).collect()))
        } else {
            Ok(parsed)
        }
    });
    let methods = source.take(&path, parsed, |error| Some(error.hint()));
    Some(HttpRule { methods: methods?, place: place? })
}

pub(super) fn rules<T: FromStr<Err = RuleError>>(
    source: &mut Source<'_>,
    at: &Path,
    texts: &[String],
) -> Vec<T> {
    let parse = |(index, text): (usize, &String)| {
        source.take(&at.index(index), text.parse::<T>(), |error| Some(error.hint()))
    };
    texts.iter().enumerate().filter_map(parse).collect()
}

pub(super) fn unique_places(source: &mut Source<'_>, at: &Path, dirs: &[DirRule]) {
    for (index, rule) in dirs.iter().enumerate() {
        if dirs.iter().take(index).any(|earlier| earlier.at() == rule.at()) {
            source.problem(
                &at.index(index),
                format!("two directories are at `{}`", rule.at()),
                Some("remove one of them, or choose another `at`".to_owned()),
            );
        }
    }
}

fn dir_request(entry: &DirRequestDocument) -> Result<DirRule, RuleError> {
    let source = match &entry.source {
        Some(text) => text.parse()?,
        None => DirSource::Operator,
    };
    if let DirSource::Path(path) = &source {
        let why = "a plugin cannot name a directory of the host: leave `source` out";
        return Err(RuleError::Path { path: path.to_string(), why });
    }
    let at = entry.at.as_deref().or(source.place()).unwrap_or_default();
    DirRule::new(source, at.parse::<GuestPath>()?, entry.access)
}

#[cfg(test)]
mod tests;
