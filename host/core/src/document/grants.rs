//! `config/grants.toml`: what the operator gives, one table per plugin, deny by default. No plugin and no repository
//! can change it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::located::{Path, Source};
use super::plugin::{http_rule, rules, unique_places};
use super::units::Bytes;
use crate::grant::{
    Access, DirRule, DirSource, Grant, HttpGrant, HttpPlace, HttpRule, LimitsOverride, Quota, RuleError,
    SecretRef, SecretSource, config_key, env_name, store_name,
};
use crate::id::PluginId;
use crate::problem::Problem;
use crate::time::Millis;

/// What the operator gives: one table per plugin.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "grants.toml")]
pub struct GrantsDocument(pub BTreeMap<String, GrantDocument>);

/// What one plugin is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrantDocument {
    /// HTTP requests.
    pub http: Vec<HttpGrantDocument>,
    /// TCP connections: `host:port` or `{target}`.
    pub tcp: Vec<String>,
    /// Directories.
    pub dirs: Vec<DirGrantDocument>,
    /// Name lookups beyond the hosts in `tcp`: a name, `*.example.com` or `{target}`.
    pub names: Vec<String>,
    /// Configuration values by key. Never a secret: plugins read them.
    pub config: BTreeMap<String, String>,
    /// Environment variables with the value the plugin sees. Never a secret.
    pub env: BTreeMap<String, String>,
    /// Key-value stores of its own by name, with how much may lie in each.
    pub keyvalue: BTreeMap<String, QuotaDocument>,
    /// An agent's: a scratch copy of the component's files, for a tool of yours that edits files where they are.
    pub workspace: bool,
    /// Changes to the limits of its role.
    pub limits: LimitsDocument,
}

/// HTTP requests that may be sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGrantDocument {
    /// A URL, a URL ending in `/*`, or `{target}`.
    pub url: String,
    /// With these methods: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE.
    pub methods: Vec<String>,
    /// What the host adds to each of them; the plugin never sees it.
    pub secret: Option<SecretDocument>,
}

/// A secret: where it is and the header it travels in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretDocument {
    /// The host's environment variable it is in; this or `file`.
    pub env: Option<String>,
    /// The file it is in, read again when it changes; this or `env`.
    pub file: Option<String>,
    /// The header.
    pub header: String,
    /// The header's value, with `{}` for the secret.
    #[serde(default = "bare")]
    pub format: String,
}

fn bare() -> String {
    "{}".to_owned()
}

/// A directory that may be seen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirGrantDocument {
    /// An absolute path on the host.
    pub source: String,
    /// Where the plugin sees it.
    pub at: String,
    /// `read` or `write`.
    pub access: Access,
}

/// How much may lie in a store; what is left out is what the host gives where nobody says anything.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaDocument {
    /// Keys and values together: 64 KiB unless written.
    pub bytes: Option<String>,
    /// Keys: 256 unless written.
    pub keys: Option<u32>,
    /// One key: 128 B unless written.
    pub key: Option<String>,
    /// One value: 16 KiB unless written.
    pub value: Option<String>,
    /// Keys set, incremented or deleted in one call: 32 unless written.
    pub writes: Option<u32>,
}

/// Changes to the limits of a role: sizes as `64 MiB`, times as `90 s`, counts as numbers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LimitsDocument {
    /// Linear memory of all instances together.
    pub memory: Option<String>,
    /// Elements of all tables together.
    pub table_elements: Option<u32>,
    /// Core instances.
    pub instances: Option<u32>,
    /// Linear memories.
    pub memories: Option<u32>,
    /// Tables.
    pub tables: Option<u32>,
    /// Processor time, waits and queueing, all together.
    pub deadline: Option<String>,
    /// What crosses the border in one host call.
    pub hostcall: Option<String>,
    /// The answer.
    pub reply: Option<String>,
    /// What it may log in one call.
    pub log: Option<String>,
    /// What it may print in one call.
    pub stdout: Option<String>,
    /// HTTP requests, TCP connections and name lookups in one call, all together.
    pub requests: Option<u32>,
    /// One HTTP request from its start to the last byte of its answer.
    pub request_time: Option<String>,
    /// One HTTP request's body, or what one TCP connection sends.
    pub request: Option<String>,
    /// One HTTP answer's body, or what one TCP connection receives.
    pub response: Option<String>,
    /// One message's header block.
    pub headers: Option<String>,
    /// Resources open at one time.
    pub handles: Option<u32>,
    /// One request for random bytes.
    pub random: Option<String>,
    /// Calls at one time.
    pub concurrent: Option<u32>,
    /// What the files of all directories it may write in hold together. What a call frees is free for the next.
    pub disk: Option<String>,
    /// Files, directories and links below the directories it may write in, together.
    pub files: Option<u32>,
    /// Instructions, on the evaluation engine only.
    pub fuel: Option<u64>,
}

/// What every plugin is given. A plugin without an entry is given nothing.
pub type Grants = BTreeMap<PluginId, Grant>;

/// Reads `grants.toml`; `file` is its name in messages. Everything that is wrong is said at once.
pub fn parse(file: &str, text: &str) -> Result<Grants, Vec<Problem>> {
    let mut source = Source::new(file, text);
    let mut grants = Grants::new();
    for key in source.keys() {
        let path = Path::default().key(&key);
        if let Some(value) = source.lone_value(&key) {
            let (message, hint) = nobodys(&key, &value);
            source.problem(&path, message, Some(hint));
            continue;
        }
        let name = source.take(&path, key.parse::<PluginId>(), |_| {
            Some("each table is named as a plugin: `[agent-k2]`".to_owned())
        });
        let grant = source.part::<GrantDocument>(&key).map(|document| grant(&mut source, &path, &document));
        if let (Some(name), Some(grant)) = (name, grant) {
            grants.insert(name, grant);
        }
    }
    if source.problems.is_empty() { Ok(grants) } else { Err(source.problems) }
}

/// What may be said of one plugin.
const KEYS: [&str; 9] = ["http", "tcp", "dirs", "names", "config", "env", "keyvalue", "workspace", "limits"];

/// Something that stands before the first table, and is given to nobody.
fn nobodys(key: &str, value: &str) -> (String, String) {
    if KEYS.contains(&key) {
        let hint = format!(
            "write below the name of the plugin that it is for: `[agent-k2]`, and in the next line `{key} = {value}`"
        );
        return (format!("`{key}` belongs to no plugin: it stands above the first table"), hint);
    }
    let hint =
        format!("write `[{key}]`, and below it what it is given, such as `config = {{ model = \"…\" }}`");
    (format!("`{key}` is not a table, and what a plugin is given is one"), hint)
}

/// The document's JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(GrantsDocument).to_value()
}

fn grant(source: &mut Source<'_>, at: &Path, document: &GrantDocument) -> Grant {
    let http = http(source, &at.key("http"), &document.http);
    let tcp = rules(source, &at.key("tcp"), &document.tcp);
    let dirs = dirs(source, &at.key("dirs"), &document.dirs);
    let names = rules(source, &at.key("names"), &document.names);
    let config = values(source, &at.key("config"), &document.config, config_key);
    let env = values(source, &at.key("env"), &document.env, env_name);
    let keyvalue = stores(source, &at.key("keyvalue"), &document.keyvalue);
    let limits = limits(source, &at.key("limits"), &document.limits);
    Grant { http, tcp, dirs, names, config, env, keyvalue, workspace: document.workspace, limits }
}

fn http(source: &mut Source<'_>, at: &Path, documents: &[HttpGrantDocument]) -> Vec<HttpGrant> {
    let mut grants: Vec<HttpGrant> = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let at = at.index(index);
        let rule = http_rule(source, &at, Some(&document.url), &document.methods);
        let secret = match &document.secret {
            Some(document) => secret(source, &at.key("secret"), document).map(Some),
            None => Some(None),
        };
        let (Some(rule), Some(secret)) = (rule, secret) else { continue };
        if let Some(why) = secret.as_ref().and_then(|_| unfit_for_secret(&rule)) {
            let error = RuleError::SecretPlace { rule: rule.to_string(), why };
            source.problem(&at.key("secret"), error.to_string(), Some(error.hint()));
        }
        let grant = HttpGrant { rule, secret };
        if let Some(other) = grants
            .iter()
            .find(|other| other.secret != grant.secret && other.rule.intersect(&grant.rule).is_some())
        {
            source.problem(
                &at,
                format!(
                    "`{}` and `{}` allow the same request with different secrets",
                    other.rule, grant.rule
                ),
                Some("make the rules disjoint, or give both the same `secret`".to_owned()),
            );
        }
        grants.push(grant);
    }
    grants
}

/// A secret goes to one origin, and never in the clear over a network.
fn unfit_for_secret(rule: &HttpRule) -> Option<&'static str> {
    use crate::grant::{AddressClass, HostPattern, Scheme};
    let HttpPlace::Url(url) = &rule.place else {
        return Some("`{target}` is another component in every call");
    };
    let HostPattern::Exact(host) = &url.host else {
        return Some("a wildcard is many hosts");
    };
    let here = host.address().is_some_and(|address| AddressClass::of(address) == AddressClass::Loopback);
    (url.scheme == Scheme::Http && !here).then_some("`http` would send it in the clear")
}

fn secret(source: &mut Source<'_>, at: &Path, document: &SecretDocument) -> Option<SecretRef> {
    let place = match (&document.env, &document.file) {
        (Some(name), None) => SecretSource::Env(name.clone()),
        (None, Some(path)) => SecretSource::File(path.clone()),
        _ => {
            let hint = Some("write `env = \"API_KEY\"` or `file = \"/run/secrets/api-key\"`".to_owned());
            source.problem(at, "a secret is in `env` or in `file`, in one of them".to_owned(), hint);
            return None;
        }
    };
    let secret = SecretRef::new(place, &document.header, &document.format);
    source.take(at, secret, |error| Some(error.hint()))
}

fn dirs(source: &mut Source<'_>, at: &Path, documents: &[DirGrantDocument]) -> Vec<DirRule> {
    let mut dirs: Vec<DirRule> = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let at = at.index(index);
        let parsed = dir(document);
        let Some(rule) = source.take(&at, parsed, |error| Some(error.hint())) else { continue };
        // The same files once read-only and once writable: a rename or hard link would lift the one into the other.
        let clash = dirs.iter().find(|other| {
            let (DirSource::Path(own), DirSource::Path(theirs)) = (rule.source(), other.source()) else {
                return false;
            };
            rule.access() != other.access() && (own.holds(theirs) || theirs.holds(own))
        });
        if let Some(other) = clash {
            let message =
                format!("`{rule}` and `{other}` give the same files once to read and once to write");
            source.problem(
                &at,
                message,
                Some("give both the same `access`, or move one elsewhere".to_owned()),
            );
        }
        dirs.push(rule);
    }
    unique_places(source, at, &dirs);
    dirs
}

fn dir(document: &DirGrantDocument) -> Result<DirRule, RuleError> {
    let source: DirSource = document.source.parse()?;
    if source == DirSource::Operator {
        return Err(RuleError::Placeholder(source.to_string()));
    }
    DirRule::new(source, document.at.parse()?, document.access)
}

/// Longest value: it is configuration, not data.
const MAX_VALUE: usize = 16 * 1024;

fn values(
    source: &mut Source<'_>,
    at: &Path,
    values: &BTreeMap<String, String>,
    check: fn(&str) -> Result<(), RuleError>,
) -> BTreeMap<String, String> {
    for (key, value) in values {
        let at = at.key(key);
        source.take(&at, check(key), |error| Some(error.hint()));
        if value.len() > MAX_VALUE || value.contains('\0') {
            let hint = Some("put it in a file and grant its directory".to_owned());
            source.problem(&at, "the value is longer than 16 KiB or has a NUL in it".to_owned(), hint);
        }
    }
    values.clone()
}

fn stores(
    source: &mut Source<'_>,
    at: &Path,
    documents: &BTreeMap<String, QuotaDocument>,
) -> BTreeMap<String, Quota> {
    let mut stores = BTreeMap::new();
    for (store, document) in documents {
        let at = at.key(store);
        let named = source.take(&at, store_name(store), |error| Some(error.hint()));
        let mut size = |name: &str, text: &Option<String>, otherwise: Bytes| match text {
            None => Some(otherwise),
            Some(text) => {
                source.take(&at.key(name), text.parse::<Bytes>(), |error| Some(error.hint().to_owned()))
            }
        };
        let usual = Quota::DEFAULT;
        let bytes = size("bytes", &document.bytes, usual.bytes);
        let key = size("key", &document.key, usual.key);
        let value = size("value", &document.value, usual.value);
        let (Some(()), Some(bytes), Some(key), Some(value)) = (named, bytes, key, value) else { continue };
        let keys = document.keys.unwrap_or(usual.keys);
        let quota = Quota { bytes, keys, key, value, writes: document.writes.unwrap_or(usual.writes) };
        if let Some((name, most)) = quota.beyond() {
            let message = format!("`{name}` is above the ceiling of {most}");
            source.problem(&at.key(name), message, Some(format!("write `{name} = {most}` or less")));
        }
        stores.insert(store.clone(), quota);
    }
    stores
}

fn limits(source: &mut Source<'_>, at: &Path, document: &LimitsDocument) -> LimitsOverride {
    let mut size = |name: &str, text: &Option<String>| -> Option<Bytes> {
        let parsed = text.as_ref()?.parse::<Bytes>();
        source.take(&at.key(name), parsed, |error| Some(error.hint().to_owned()))
    };
    let memory = size("memory", &document.memory);
    let hostcall = size("hostcall", &document.hostcall);
    let reply = size("reply", &document.reply);
    let log = size("log", &document.log);
    let stdout = size("stdout", &document.stdout);
    let request = size("request", &document.request);
    let response = size("response", &document.response);
    let headers = size("headers", &document.headers);
    let random = size("random", &document.random);
    let disk = size("disk", &document.disk);
    let mut time = |name: &str, text: &Option<String>| -> Option<Millis> {
        let parsed = text.as_ref()?.parse::<Millis>();
        source.take(&at.key(name), parsed, |_| {
            Some("write for instance `500 ms`, `90 s` or `1 min 30 s`".to_owned())
        })
    };
    let limits = LimitsOverride {
        memory,
        table_elements: document.table_elements,
        instances: document.instances,
        memories: document.memories,
        tables: document.tables,
        deadline: time("deadline", &document.deadline),
        hostcall,
        reply,
        log,
        stdout,
        requests: document.requests,
        request_time: time("request-time", &document.request_time),
        request,
        response,
        headers,
        handles: document.handles,
        random,
        concurrent: document.concurrent,
        disk,
        files: document.files,
        fuel: document.fuel,
    };
    for error in limits.check() {
        source.problem(&at.key(error.field().as_str()), error.to_string(), Some(error.hint()));
    }
    limits
}

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
