//! The two sides of a grant, what every role has without one, and how the sides meet.

use std::collections::{BTreeMap, BTreeSet};

use super::capability::{Capability, Role};
use super::denied;
use super::dir::{Access, DirRule, DirSource};
use super::http::{HttpPlace, HttpRule};
use super::limits::LimitsOverride;
use super::method::Methods;
use super::net::{NameRule, TcpRule};
use super::secret::SecretRef;
use super::store::Quota;
use crate::id::PluginId;

/// What a plugin would like. Nothing is granted by asking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// HTTP requests.
    pub http: Vec<HttpRule>,
    /// TCP connections.
    pub tcp: Vec<TcpRule>,
    /// Directories.
    pub dirs: Vec<DirRule>,
    /// Name lookups beyond the hosts in `tcp`, which need none of their own.
    pub names: Vec<NameRule>,
    /// Configuration keys.
    pub config: BTreeSet<String>,
    /// Environment variables.
    pub env: BTreeSet<String>,
    /// Key-value stores of its own.
    pub keyvalue: BTreeSet<String>,
    /// A scratch copy of the component's files.
    pub workspace: bool,
}

/// An HTTP rule and the secret its requests carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// What is allowed.
    pub rule: HttpRule,
    /// What the host adds on the wire.
    pub secret: Option<SecretRef>,
}

/// What the operator gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// HTTP requests.
    pub http: Vec<HttpGrant>,
    /// TCP connections.
    pub tcp: Vec<TcpRule>,
    /// Directories.
    pub dirs: Vec<DirRule>,
    /// Name lookups beyond the hosts in `tcp`.
    pub names: Vec<NameRule>,
    /// Configuration values by key.
    pub config: BTreeMap<String, String>,
    /// Environment variables by name, with the value the plugin sees; never the host's own.
    pub env: BTreeMap<String, String>,
    /// Key-value stores of its own, with how much may lie in each.
    pub keyvalue: BTreeMap<String, Quota>,
    /// A scratch copy of the component's files, which lies on the host's disk while it is asked.
    pub workspace: bool,
    /// Changes to the role's limits.
    pub limits: LimitsOverride,
}

impl Grant {
    /// Each thing given, as text: what `plugin inspect` prints. Values of configuration and environment are not shown.
    pub fn lines(&self) -> Vec<(Capability, String)> {
        let mut lines = Vec::new();
        lines.extend(self.http.iter().map(|grant| (Capability::Http, grant.rule.to_string())));
        lines.extend(self.tcp.iter().map(|rule| (Capability::Tcp, rule.to_string())));
        lines.extend(self.dirs.iter().map(|rule| (Capability::Dir, rule.to_string())));
        lines.extend(self.names.iter().map(|rule| (Capability::NameLookup, rule.to_string())));
        lines.extend(self.config.keys().map(|key| (Capability::Config, key.clone())));
        lines.extend(self.env.keys().map(|key| (Capability::Env, key.clone())));
        lines.extend(self.keyvalue.iter().map(|(store, quota)| {
            (Capability::KeyValue, format!("{store}: {} under {} keys", quota.bytes, quota.keys))
        }));
        lines.extend(self.workspace.then(|| (Capability::Workspace, COPY.to_owned())));
        lines
    }
}

/// What the capability is called that is there or not.
const COPY: &str = "a scratch copy of the component's files";

/// What a role has without a grant, each only within a call that is about it. It must still be requested.
pub fn role_defaults(role: Role) -> Grant {
    let dir = |source: DirSource, access| {
        let at = source.place()?.parse().ok()?;
        DirRule::new(source, at, access).ok()
    };
    match role {
        // The component being probed, and its log. Methods that change something need a grant.
        Role::Probe => Grant {
            http: vec![HttpGrant {
                rule: HttpRule { methods: Methods::READING, place: HttpPlace::Target },
                secret: None,
            }],
            tcp: vec![TcpRule::Target],
            names: vec![NameRule::Target],
            dirs: dir(DirSource::Log, Access::Read).into_iter().collect(),
            ..Grant::default()
        },
        // The tree being judged, and room to work in.
        Role::Evaluator => Grant {
            dirs: [dir(DirSource::Tree, Access::Read), dir(DirSource::Scratch, Access::Write)]
                .into_iter()
                .flatten()
                .collect(),
            ..Grant::default()
        },
        // Sources and tools reach an agent through the contract; a tool has its arguments.
        Role::Agent | Role::Tools => Grant::default(),
    }
}

/// Something a plugin wants and does not get, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What it is about.
    pub capability: Capability,
    /// The rule, key or name as requested.
    pub wanted: String,
    line: Option<String>,
}

impl Unmet {
    /// The line that would give it, or why none can. `grants` is the file that was given.
    pub fn remedy(&self, plugin: &PluginId, grants: Option<&str>) -> String {
        match &self.line {
            Some(line) => denied::paste(plugin, line, grants),
            None => format!("no line in a grants file can give {} to this role", self.capability),
        }
    }

    /// What to paste below `[plugin]`.
    pub fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }
}

/// Something an operator gives that the plugin never asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// What it is about.
    pub capability: Capability,
    /// The rule, key or name as granted.
    pub granted: String,
}

/// How the two sides meet: both lists empty is agreement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meeting {
    /// Wanted and not given: such a plugin is not loaded.
    pub unmet: Vec<Unmet>,
    /// Given and not wanted: nothing gets wider by it, but somebody believes something that is not so.
    pub unused: Vec<Unused>,
}

/// The one thing that a plugin asks for and can do without: how it is set where nobody says anything else for a call.
pub const SETTINGS: &str = "settings";

/// Compares what a plugin in these roles wants with what it is given.
pub fn meet(roles: &[Role], request: &Request, grant: &Grant) -> Meeting {
    let mut meeting = Meeting::default();
    let defaults: Vec<Grant> = roles.iter().map(|role| role_defaults(*role)).collect();
    let given: Vec<&Grant> = defaults.iter().chain([grant]).collect();

    for wanted in &request.http {
        // Methods may come from different rules.
        let missing: Methods = wanted
            .methods
            .iter()
            .filter(|method| {
                let one = HttpRule { methods: Methods::NONE.with(*method), place: wanted.place.clone() };
                !given.iter().any(|grant| grant.http.iter().any(|grant| grant.rule.gives(&one)))
            })
            .collect();
        if !missing.is_empty() {
            let wanted = HttpRule { methods: missing, place: wanted.place.clone() };
            meeting.unmet(Capability::Http, wanted.to_string(), Some(denied::http_line(&wanted)));
        }
    }
    for wanted in &request.tcp {
        if !given.iter().any(|grant| grant.tcp.iter().any(|rule| rule.covers(wanted))) {
            let line = denied::list_line(Capability::Tcp, &wanted.to_string());
            meeting.unmet(Capability::Tcp, wanted.to_string(), Some(line));
        }
    }
    let dirs_possible = roles.iter().any(|role| role.may_hold(Capability::Dir));
    for wanted in &request.dirs {
        let met =
            |rule: &DirRule| rule.intersect(wanted).is_some_and(|both| both.access() == wanted.access());
        if !dirs_possible || !given.iter().any(|grant| grant.dirs.iter().any(met)) {
            let possible = dirs_possible && *wanted.source() == DirSource::Operator;
            let line = possible.then(|| denied::dir_line(wanted.at(), wanted.access()));
            meeting.unmet(Capability::Dir, wanted.to_string(), line);
        }
    }
    for wanted in &request.names {
        if !given.iter().any(|grant| grant.names.iter().any(|rule| rule.covers(wanted))) {
            let line = denied::list_line(Capability::NameLookup, &wanted.to_string());
            meeting.unmet(Capability::NameLookup, wanted.to_string(), Some(line));
        }
    }
    for (capability, wanted, given) in
        [(Capability::Config, &request.config, &grant.config), (Capability::Env, &request.env, &grant.env)]
    {
        let may_lack = |key: &str| capability == Capability::Config && key == SETTINGS;
        for key in wanted.iter().filter(|key| !given.contains_key(*key) && !may_lack(key)) {
            meeting.unmet(capability, key.clone(), Some(denied::value_line(capability, key)));
        }
        for key in given.keys().filter(|key| !wanted.contains(*key)) {
            meeting.unused(capability, key.clone());
        }
    }
    for store in request.keyvalue.iter().filter(|store| !grant.keyvalue.contains_key(*store)) {
        meeting.unmet(Capability::KeyValue, store.clone(), Some(denied::store_line(store)));
    }
    for store in grant.keyvalue.keys().filter(|store| !request.keyvalue.contains(*store)) {
        meeting.unused(Capability::KeyValue, store.clone());
    }

    let copy_possible = roles.iter().any(|role| role.may_hold(Capability::Workspace));
    if request.workspace && !(copy_possible && grant.workspace) {
        let line = copy_possible.then(|| "workspace = true".to_owned());
        meeting.unmet(Capability::Workspace, COPY.to_owned(), line);
    }
    if grant.workspace && !(copy_possible && request.workspace) {
        meeting.unused(Capability::Workspace, COPY.to_owned());
    }

    for given in &grant.http {
        if !request.http.iter().any(|wanted| wanted.intersect(&given.rule).is_some()) {
            meeting.unused(Capability::Http, given.rule.to_string());
        }
    }
    for given in &grant.tcp {
        if !request.tcp.iter().any(|wanted| wanted.intersect(given).is_some()) {
            meeting.unused(Capability::Tcp, given.to_string());
        }
    }
    for given in &grant.dirs {
        if !dirs_possible || !request.dirs.iter().any(|wanted| wanted.intersect(given).is_some()) {
            meeting.unused(Capability::Dir, given.to_string());
        }
    }
    for given in &grant.names {
        if !request.names.iter().any(|wanted| wanted.intersect(given).is_some()) {
            meeting.unused(Capability::NameLookup, given.to_string());
        }
    }
    meeting
}

impl Meeting {
    fn unmet(&mut self, capability: Capability, wanted: String, line: Option<String>) {
        self.unmet.push(Unmet { capability, wanted, line });
    }

    fn unused(&mut self, capability: Capability, granted: String) {
        self.unused.push(Unused { capability, granted });
    }
}
