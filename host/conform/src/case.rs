//! One case: which guest does what, with which grants, how that must end, and which guard it is about. As written it is a
//! TOML table; as it is run it is made of the host's own types, parsed by the host's own parsers.
//!
//! Texts may say `<world>`, `<upstream>` and `<elsewhere>`: the directory the case finds, the port of the server that
//! misbehaves, and a port of this machine where nobody listens. A case about a limit may say `<limit>` and `<beyond>`, the
//! number in force and one more, and can be run at any other number.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use razar_core::document::{grants, plugin};
use razar_core::grant::{CallScope, Grant, LimitField, Limits, Request, Role, Target};
use razar_core::id::PluginId;
use razar_core::problem::Problem;
use razar_core::time::Millis;
use serde::Deserialize;
use toml::{Table, Value};

use crate::world::WorldDocument;

/// The plugin's name in every case.
pub const PLUGIN: &str = "hostile";

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file of the corpus.
    #[error("cannot read `{path}`: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// What is written in it.
    #[error("case `{case}`: {reason}")]
    Wrong {
        /// Which.
        case: String,
        /// Why.
        reason: String,
    },
}

impl CaseError {
    pub(crate) fn wrong(case: &str, reason: String) -> Self {
        Self::Wrong { case: case.to_owned(), reason }
    }
}

/// A case as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CaseDocument {
    about: String,
    guest: String,
    #[serde(default)]
    world: WorldDocument,
    #[serde(default)]
    call: CallDocument,
    #[serde(default)]
    request: Table,
    #[serde(default)]
    grant: Table,
    expect: Expect,
    guard: GuardDocument,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct CallDocument {
    deadline: String,
    settings: Table,
    address: Option<String>,
    log: Option<String>,
    tree: Option<String>,
    scratch: Option<String>,
    at_once: usize,
    drop_after: Option<String>,
}

impl Default for CallDocument {
    fn default() -> Self {
        Self {
            deadline: "5 s".to_owned(),
            settings: Table::new(),
            address: None,
            log: None,
            tree: None,
            scratch: None,
            at_once: 1,
            drop_after: None,
        }
    }
}

/// How a case must end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// `load` when it is not loaded, `dropped` when nobody waited for the end, else the outcome's own word.
    pub end: String,
    /// What further calls of the same case may end as; one has to end as `end`.
    #[serde(default)]
    pub others: Option<String>,
    /// Texts that the message says.
    #[serde(default)]
    pub says: Vec<String>,
    /// Texts that nothing the host keeps or tells says.
    #[serde(default)]
    pub never: Vec<String>,
    /// What the host refused, all of it.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Texts in what is kept of what it printed.
    #[serde(default)]
    pub printed: Vec<String>,
    /// Most bytes that are kept of what it printed; more is dropped and counted.
    #[serde(default)]
    pub printed_most: Option<usize>,
    /// Some call has to wait for another one's place.
    #[serde(default)]
    pub waits: bool,
    /// All calls use the same number of instructions.
    #[serde(default)]
    pub same_fuel: bool,
    /// Lines about it in the host's log, where that is not what its end leads to; at most so many where calls may end in
    /// several ways.
    #[serde(default)]
    lines: Option<usize>,
    /// Whether it may change what it was granted; nothing else, ever.
    #[serde(default)]
    pub changes: bool,
}

impl Expect {
    /// Lines about it in the host's log, at least and at most: one for what went wrong or was refused. What is not loaded
    /// is told by whoever loads it.
    pub fn lines(&self) -> RangeInclusive<usize> {
        let quiet = match self.end.as_str() {
            "load" => true,
            "reply" | "plugin-error" => self.refused.is_empty(),
            _ => false,
        };
        let most = self.lines.unwrap_or(usize::from(!quiet));
        if self.others.is_some() { most.min(1)..=most } else { most..=most }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GuardDocument {
    name: String,
    #[serde(default)]
    widen: Option<Table>,
    #[serde(default)]
    switch: Option<String>,
    #[serde(default)]
    control: Option<Table>,
}

/// How the guard of a case is taken away, to see the case fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Off {
    /// The operator's side is wider: these keys of the case are others.
    Widen(Table),
    /// No grant and no limit can: a guard of the runtime is switched off, by name.
    Switch(String),
    /// The guard is wasm itself, and cannot be off: the case without its attack must end otherwise.
    Control(Table),
}

/// One case of a corpus.
#[derive(Debug, Clone)]
pub struct Case {
    name: String,
    table: Table,
    about: String,
    guard: String,
    off: Off,
    limit: Option<AtLimit>,
}

/// The limit a case is about.
#[derive(Debug, Clone, Copy)]
struct AtLimit {
    field: LimitField,
    /// The number it is tried at.
    number: u64,
    /// That number is somebody else's, not the case's own.
    given: bool,
}

/// A case ready to be run.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Its guest, by name.
    pub guest: String,
    /// The plugin's name.
    pub plugin: PluginId,
    /// What the guest's package asks for.
    pub request: Request,
    /// What the operator gives.
    pub grant: Grant,
    /// Time for each call.
    pub deadline: Duration,
    /// What the guest is told, as JSON.
    pub settings: String,
    /// Where the component listens, as the guest is told.
    pub address: Option<String>,
    /// What the call is about.
    pub scope: CallScope,
    /// What an evaluator judges, and where it works; the guest of every other case is a probe.
    pub tree: Option<[PathBuf; 2]>,
    /// Calls at once.
    pub at_once: usize,
    /// The caller goes away after this.
    pub drop_after: Option<Duration>,
    /// How it must end.
    pub expect: Expect,
}

/// What placeholders stand for.
#[derive(Debug, Clone)]
pub struct Places {
    /// `<world>`
    pub world: PathBuf,
    /// `<upstream>`
    pub upstream: u16,
    /// `<elsewhere>`
    pub elsewhere: u16,
}

impl Case {
    /// All cases of one file.
    pub(crate) fn parse_all(path: &Path, text: &str) -> Result<Vec<Self>, CaseError> {
        let file = path.display().to_string();
        let all: Table =
            text.parse().map_err(|error: toml::de::Error| CaseError::wrong(&file, error.to_string()))?;
        all.into_iter().map(|(name, table)| Self::parse(&name, table)).collect()
    }

    fn parse(name: &str, table: Value) -> Result<Self, CaseError> {
        let wrong = |reason: String| CaseError::wrong(name, reason);
        let Value::Table(mut table) = table else { return Err(wrong("is no table".to_owned())) };
        let plain = name.bytes().skip(1).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain || !name.starts_with(|c: char| c.is_ascii_uppercase()) || number(name).is_none() {
            return Err(wrong("the name is not such as `A1_infinite_loop`".to_owned()));
        }
        let limit = limit(&mut table).map_err(wrong)?;
        let document = document(name, &with_limit(&table, limit.as_ref()))?;
        let guard = document.guard;
        let off = match (guard.widen, guard.switch, guard.control) {
            (Some(widen), None, None) => Off::Widen(widen),
            (None, Some(switch), None) => Off::Switch(switch),
            (None, None, Some(control)) => Off::Control(control),
            _ => return Err(wrong("`guard` says one of `widen`, `switch` and `control`".to_owned())),
        };
        Ok(Self { name: name.to_owned(), table, about: document.about, guard: guard.name, off, limit })
    }

    /// Such as `A1_infinite_loop`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its class: `A`.
    pub fn class(&self) -> char {
        self.name.chars().next().unwrap_or_default()
    }

    /// In one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The guard it is about, in words.
    pub fn guard(&self) -> &str {
        &self.guard
    }

    /// How that guard is taken away.
    pub const fn off(&self) -> &Off {
        &self.off
    }

    /// The limit it is about, if it is about one.
    pub fn limit(&self) -> Option<LimitField> {
        self.limit.map(|limit| limit.field)
    }

    /// The same case where that limit is another number.
    pub fn at_limit(&self, number: u64) -> Self {
        let mut other = self.clone();
        other.limit = self.limit.map(|limit| AtLimit { number, given: true, ..limit });
        other
    }

    /// By class and number, not by spelling: A2 comes before A10.
    pub(crate) fn order(&self) -> (char, u32, &str) {
        (self.class(), number(&self.name).unwrap_or_default(), &self.name)
    }

    /// The same case with its guard away, as far as that is written in the case.
    pub fn without_guard(&self) -> Self {
        let mut other = self.clone();
        if let Off::Widen(change) | Off::Control(change) = &self.off {
            merge(&mut other.table, change);
        }
        other
    }

    /// What it finds.
    pub fn world(&self) -> Result<WorldDocument, CaseError> {
        Ok(document(&self.name, &with_limit(&self.table, self.limit.as_ref()))?.world)
    }

    /// Everything parsed, for these places.
    pub fn ready(&self, places: &Places) -> Result<Ready, CaseError> {
        let wrong = |reason: String| CaseError::wrong(&self.name, reason);
        let table =
            fill(&with_limit(&self.table, self.limit.as_ref()), &|text| Value::String(places.fill(text)));
        let document = document(&self.name, &table)?;
        let call = document.call;
        let span = |text: &str| {
            text.parse::<Millis>().map(Duration::from).map_err(|error| wrong(format!("`{text}`: {error}")))
        };
        let target = call.address.as_deref().map(str::parse::<Target>).transpose();
        let scope = CallScope {
            target: target.map_err(|error| wrong(format!("`address`: {error}")))?,
            log: call.log,
            ..CallScope::default()
        };
        let tree = match (call.tree, call.scratch) {
            (Some(tree), Some(scratch)) => Some([tree.into(), scratch.into()]),
            (None, None) => None,
            _ => return Err(wrong("`call` says both or none of `tree` and `scratch`".to_owned())),
        };
        let mut grant = grant(document.grant).map_err(wrong)?;
        if let Some(AtLimit { field, number, .. }) = self.limit.filter(|limit| limit.given) {
            grant.limits.set(field, number);
            // An answer has to pass it; of a role that answers much it is larger as well.
            if field == LimitField::Reply {
                let least = Limits::defaults(Role::Probe).hostcall.0.max(number);
                grant.limits.set(LimitField::Hostcall, least);
            }
        }
        Ok(Ready {
            guest: document.guest,
            plugin: PLUGIN.parse().map_err(|error| wrong(format!("{error}")))?,
            request: request(document.request).map_err(wrong)?,
            grant,
            deadline: span(&call.deadline)?,
            settings: serde_json::to_string(&call.settings).map_err(|error| wrong(error.to_string()))?,
            address: call.address,
            scope,
            tree,
            at_once: call.at_once.clamp(1, 64),
            drop_after: call.drop_after.as_deref().map(span).transpose()?,
            expect: document.expect,
        })
    }
}

fn number(name: &str) -> Option<u32> {
    let (id, _) = name.split_once('_')?;
    id.get(1..)?.trim_end_matches(|c: char| c.is_ascii_lowercase()).parse().ok()
}

fn document(name: &str, table: &Table) -> Result<CaseDocument, CaseError> {
    table.clone().try_into().map_err(|error: toml::de::Error| CaseError::wrong(name, error.to_string()))
}

/// A table of the case as the document it stands for, through that document's own parser.
fn request(table: Table) -> Result<Request, String> {
    let mut document: Table = [("version", "0.1.0"), ("wasm", "guest.wasm"), ("description", "hostile")]
        .map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())))
        .into_iter()
        .collect();
    document.insert("name".to_owned(), Value::String(PLUGIN.to_owned()));
    document.insert("request".to_owned(), Value::Table(table));
    let package = plugin::parse("request", &document.to_string()).map_err(|problems| all(&problems))?;
    Ok(package.request)
}

fn grant(table: Table) -> Result<Grant, String> {
    let document = Table::from_iter([(PLUGIN.to_owned(), Value::Table(table))]);
    let grants = grants::parse("grant", &document.to_string()).map_err(|problems| all(&problems))?;
    Ok(grants.into_values().next().unwrap_or_default())
}

fn all(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Tables into each other, everything else replaced; `false` takes a key away.
fn merge(into: &mut Table, change: &Table) {
    for (key, value) in change {
        match (into.get_mut(key), value) {
            (_, Value::Boolean(false)) => drop(into.remove(key)),
            (Some(Value::Table(inner)), Value::Table(change)) => merge(inner, change),
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

impl Places {
    fn fill(&self, text: &str) -> String {
        text.replace("<world>", &self.world.to_string_lossy())
            .replace("<upstream>", &self.upstream.to_string())
            .replace("<elsewhere>", &self.elsewhere.to_string())
    }
}

/// Which limit a case is about, and the number it has there. It is taken out of the table: everything else is the document.
fn limit(table: &mut Table) -> Result<Option<AtLimit>, String> {
    let Some(name) = table.remove("limit") else { return Ok(None) };
    let field = LimitField::ALL.iter().copied().find(|field| Some(field.as_str()) == name.as_str());
    let field = field.ok_or_else(|| format!("there is no limit {name}"))?;
    let own = table.get("grant").and_then(|grant| grant.get("limits"));
    let own = grant(
        own.map(|limits| Table::from_iter([("limits".to_owned(), limits.clone())])).unwrap_or_default(),
    )?;
    let limits = Limits::defaults(Role::Probe).with(&own.limits).map_err(|errors| format!("{errors:?}"))?;
    let number = limits.get(field).ok_or_else(|| format!("`{field}` is not set"))?;
    Ok(Some(AtLimit { field, number, given: false }))
}

/// The number in place of `<limit>`, and one more in place of `<beyond>`.
fn with_limit(table: &Table, limit: Option<&AtLimit>) -> Table {
    let Some(number) = limit.map(|limit| limit.number) else { return table.clone() };
    let beyond = number.saturating_add(1);
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    fill(table, &|text| match text {
        "<limit>" => whole(number),
        "<beyond>" => whole(beyond),
        text => Value::String(
            text.replace("<limit>", &number.to_string()).replace("<beyond>", &beyond.to_string()),
        ),
    })
}

/// Every text of a table as something else.
fn fill(table: &Table, with: &dyn Fn(&str) -> Value) -> Table {
    fn filled(value: &Value, with: &dyn Fn(&str) -> Value) -> Value {
        match value {
            Value::String(text) => with(text),
            Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, with)).collect()),
            Value::Table(table) => Value::Table(fill(table, with)),
            other => other.clone(),
        }
    }
    table.iter().map(|(key, value)| (key.clone(), filled(value, with))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = r#"
        [A10_spin]
        about = "x"
        guest = "spin"
        call = { deadline = "100 ms", settings = { path = "<world>/a" }, address = "http://127.0.0.1:<upstream>/" }
        request = { tcp = ["{target}"] }
        grant = { limits = { memory = "4 MiB" } }
        expect = { end = "deadline" }
        guard = { name = "the deadline", widen = { call = { deadline = "1 s" }, expect = { says = ["x"] } } }
    "#;

    fn places() -> Places {
        Places { world: "/w".into(), upstream: 8080, elsewhere: 1 }
    }

    fn parsed(text: &str) -> Result<Vec<Case>, CaseError> {
        Case::parse_all(Path::new("a.toml"), text)
    }

    #[test]
    fn a_case_is_read_with_the_hosts_own_parsers() {
        let case = parsed(CASE).unwrap().remove(0);
        let ready = case.ready(&places()).unwrap();
        assert_eq!((ready.settings.as_str(), ready.deadline.as_millis()), (r#"{"path":"/w/a"}"#, 100));
        assert_eq!(ready.address.as_deref(), Some("http://127.0.0.1:8080/"));
        assert_eq!((ready.request.tcp.len(), ready.grant.limits.memory.map(|m| m.0)), (1, Some(4 << 20)));
        assert_eq!(case.order(), ('A', 10, "A10_spin"));
        let wide = case.without_guard().ready(&places()).unwrap();
        assert_eq!((wide.deadline.as_secs(), wide.settings), (1, ready.settings));
    }

    #[test]
    fn a_case_about_a_limit_is_run_at_any_number() {
        let text = CASE
            .replace("about = \"x\"", "about = \"x\"\nlimit = \"memory\"")
            .replace("path = \"<world>/a\"", "n = \"<beyond>\", text = \"<limit> or <beyond>\"");
        let case = parsed(&text).unwrap().remove(0);
        let own = case.ready(&places()).unwrap();
        assert_eq!(own.settings, r#"{"n":4194305,"text":"4194304 or 4194305"}"#);
        let other = case.at_limit(8 << 20).ready(&places()).unwrap();
        assert_eq!(other.settings, r#"{"n":8388609,"text":"8388608 or 8388609"}"#);
        assert_eq!(other.grant.limits.memory.map(|m| m.0), Some(8 << 20));
        let wide = case.without_guard().ready(&places()).unwrap();
        assert_eq!(wide.settings, own.settings, "the attack is the same when the limit is wider");
        let error =
            parsed(&text.replace("limit = \"memory\"", "limit = \"patience\"")).unwrap_err().to_string();
        assert!(error.contains("patience"), "{error}");
    }

    #[test]
    fn what_is_not_a_case_is_refused_with_its_name() {
        for (from, to, reason) in [
            ("about = \"x\"", "", "about"),
            ("about = \"x\"", "about = \"x\"\nnonsense = 1", "nonsense"),
            ("A10_spin", "spin", "such as `A1_infinite_loop`"),
            ("memory", "memroy", "memroy"),
            ("{target}", "*", "tcp"),
            ("call = {", "call = { tree = \"<world>\",", "both or none"),
            ("widen = {", "control = {}, widen = {", "one of"),
            ("100 ms", "soon", "soon"),
        ] {
            let text = CASE.replacen(from, to, 1);
            let error = parsed(&text).and_then(|cases| cases[0].ready(&places())).unwrap_err().to_string();
            assert!(error.contains(reason), "{to}: {error}");
        }
    }
}
