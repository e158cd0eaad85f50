//! The intersection: what is requested, granted and meant by this call. Made once per plugin and role, narrowed per
//! call, never widened. All permits are issued here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::address::canonical;
use super::capability::{Capability, Role};
use super::denied::{self, Denied, DenyReason};
use super::dir::{DirRule, DirSource};
use super::error::RuleError;
use super::grants::{Grant, HttpGrant, Request, role_defaults};
use super::host::{Host, HostPattern};
use super::http::{HttpPlace, HttpRule, PathPattern, UrlPattern};
use super::method::{Method, Methods};
use super::net::{NameRule, TcpRule};
use super::permit::{
    Dialable, DirPermit, HttpPermit, NamePermit, Reach, ResolvedName, StorePermit, TcpPermit, Way,
    WorkspacePermit,
};
use super::scope::CallScope;
use super::store::{Quota, store_name};
use super::url::HttpUrl;

/// What a plugin in one role has for as long as it is loaded, before it is known what a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingGrant {
    role: Role,
    request: Request,
    http: Vec<HttpGrant>,
    tcp: Vec<TcpRule>,
    dirs: Vec<DirRule>,
    names: Vec<NameRule>,
    config: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    keyvalue: BTreeMap<String, Quota>,
    workspace: bool,
}

/// What both lists allow, pair by pair.
fn pairs<'a, A: 'a, B: 'a, C>(
    wanted: &'a [A],
    given: &'a [B],
    both: impl Fn(&A, &B) -> Option<C> + Copy,
) -> Vec<C> {
    given.iter().flat_map(|given| wanted.iter().filter_map(move |wanted| both(wanted, given))).collect()
}

impl StandingGrant {
    /// What is requested and either granted or every plugin's of this role.
    pub fn new(role: Role, request: &Request, grant: &Grant) -> Self {
        let defaults = role_defaults(role);
        let http = |given: &[HttpGrant]| {
            pairs(&request.http, given, |wanted, given| {
                Some(HttpGrant { rule: wanted.intersect(&given.rule)?, secret: given.secret.clone() })
            })
        };
        let tcp = |given: &[TcpRule]| pairs(&request.tcp, given, TcpRule::intersect);
        let dirs = |given: &[DirRule]| pairs(&request.dirs, given, DirRule::intersect);
        let names = |given: &[NameRule]| pairs(&request.names, given, NameRule::intersect);
        let values = |given: &BTreeMap<String, String>, wanted: &std::collections::BTreeSet<String>| {
            given
                .iter()
                .filter(|(key, _)| wanted.contains(*key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        // The operator's rules come first: they may carry a secret.
        Self {
            role,
            http: [http(&grant.http), http(&defaults.http)].concat(),
            tcp: [tcp(&grant.tcp), tcp(&defaults.tcp)].concat(),
            dirs: if role.may_hold(Capability::Dir) {
                [dirs(&grant.dirs), dirs(&defaults.dirs)].concat()
            } else {
                Vec::new()
            },
            names: [names(&grant.names), names(&defaults.names)].concat(),
            config: values(&grant.config, &request.config),
            env: values(&grant.env, &request.env),
            keyvalue: grant
                .keyvalue
                .iter()
                .filter(|(store, _)| request.keyvalue.contains(*store))
                .map(|(store, quota)| (store.clone(), *quota))
                .collect(),
            workspace: role.may_hold(Capability::Workspace) && request.workspace && grant.workspace,
            request: request.clone(),
        }
    }

    /// Whose.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// May a scratch copy be made for it?
    pub fn permit_workspace(&self) -> Option<WorkspacePermit> {
        self.workspace.then_some(WorkspacePermit(()))
    }

    /// Narrowed to what one call is about. Cheap: it is done for every call.
    pub fn for_call(self: &Arc<Self>, scope: CallScope) -> EffectiveGrant {
        EffectiveGrant { standing: Arc::clone(self), scope }
    }

    /// Each thing held, as text: what `plugin inspect` prints. Values are not shown.
    pub fn lines(&self) -> Vec<(Capability, String)> {
        Grant {
            http: self.http.clone(),
            tcp: self.tcp.clone(),
            dirs: self.dirs.clone(),
            names: self.names.clone(),
            config: self.config.clone(),
            env: self.env.clone(),
            keyvalue: self.keyvalue.clone(),
            workspace: self.workspace,
            ..Grant::default()
        }
        .lines()
    }
}

/// What a plugin may do within one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveGrant {
    standing: Arc<StandingGrant>,
    scope: CallScope,
}

impl EffectiveGrant {
    /// What the call is about.
    pub const fn scope(&self) -> &CallScope {
        &self.scope
    }

    /// Whether any HTTP request can be allowed.
    pub fn has_http(&self) -> bool {
        !self.standing.http.is_empty()
    }

    /// Whether any TCP connection can be allowed.
    pub fn has_tcp(&self) -> bool {
        !self.standing.tcp.is_empty()
    }

    /// May this request be made? The text is the guest's own, before any URL parser has been kind to it.
    pub fn permit_http(&self, method: &str, url: &str) -> Result<HttpPermit, Denied> {
        let subject = || format!("{method} {url}");
        let unfit = |error: RuleError| Denied::new(Capability::Http, DenyReason::of(&error), &subject());
        let method: Method = method.parse().map_err(unfit)?;
        let url: HttpUrl = url.parse().map_err(unfit)?;
        let target = self.scope.target.as_ref();

        let mut granted =
            self.standing.http.iter().filter(|grant| grant.rule.allows(method, &url, target)).peekable();
        let Some(first) = granted.peek().copied() else {
            let (reason, line) = self.why_not_http(method, &url);
            return Err(Denied::new(Capability::Http, reason, &subject()).with_line(line));
        };
        let (rule, mut secret) = (first.rule.to_string(), first.secret.clone());
        let mut reach = Reach::Public;
        for grant in granted {
            let is_target = grant.rule.place == HttpPlace::Target;
            reach = reach.max(Reach::of(url.host(), is_target));
            secret = secret.or_else(|| grant.secret.clone());
        }
        let way = Way { capability: Capability::Http, host: url.host().clone(), port: url.port(), reach };
        Ok(HttpPermit { method, url, rule, secret, way })
    }

    fn why_not_http(&self, method: Method, url: &HttpUrl) -> (DenyReason, Option<String>) {
        let target = self.scope.target.as_ref();
        let request = &self.standing.request.http;
        let methods = Methods::NONE.with(method);
        if let Some(wanted) = request.iter().find(|wanted| wanted.allows(method, url, target)) {
            let place = match &wanted.place {
                HttpPlace::Target => HttpPlace::Target,
                HttpPlace::Url(pattern) => HttpPlace::Url(UrlPattern {
                    scheme: url.scheme(),
                    host: HostPattern::Exact(url.host().clone()),
                    port: url.port(),
                    // A grant of all the plugin asked for there is what an operator means.
                    path: pattern.path.clone(),
                }),
                HttpPlace::Operator => HttpPlace::Url(UrlPattern {
                    scheme: url.scheme(),
                    host: HostPattern::Exact(url.host().clone()),
                    port: url.port(),
                    path: PathPattern::Exact(url.path().to_owned()),
                }),
            };
            return (DenyReason::NotGranted, Some(denied::http_line(&HttpRule { methods, place })));
        }
        let about_target = request.iter().any(|wanted| wanted.place == HttpPlace::Target);
        let here = target.is_some_and(|target| target.serves(url));
        if about_target && !here { (DenyReason::OtherTarget, None) } else { (DenyReason::NotRequested, None) }
    }

    /// May this connection be opened? The host is a name, or an address in its canonical spelling.
    pub fn permit_tcp(&self, host: &str, port: u16) -> Result<TcpPermit, Denied> {
        let host = host.parse::<Host>().map_err(|error| {
            Denied::new(Capability::Tcp, DenyReason::of(&error), &format!("{host}:{port}"))
        })?;
        self.tcp(host, port)
    }

    fn tcp(&self, host: Host, port: u16) -> Result<TcpPermit, Denied> {
        let target = self.scope.target.as_ref();
        let mut granted = self.standing.tcp.iter().filter(|rule| rule.allows(&host, port, target)).peekable();
        let Some(rule) = granted.peek().map(ToString::to_string) else {
            return Err(self.why_not_tcp(&host, port));
        };
        let is_target = granted.any(|rule| *rule == TcpRule::Target);
        let reach = Reach::of(&host, is_target);
        Ok(TcpPermit { rule, way: Way { capability: Capability::Tcp, host, port, reach } })
    }

    fn why_not_tcp(&self, host: &Host, port: u16) -> Denied {
        let target = self.scope.target.as_ref();
        let request = &self.standing.request.tcp;
        let subject = format!("{host}:{port}");
        let (reason, line) = match request.iter().find(|wanted| wanted.allows(host, port, target)) {
            Some(TcpRule::Target) => (DenyReason::NotGranted, Some("{target}".to_owned())),
            Some(TcpRule::Port { .. }) => (DenyReason::NotGranted, Some(subject.clone())),
            None if request.contains(&TcpRule::Target) => (DenyReason::OtherTarget, None),
            None => (DenyReason::NotRequested, None),
        };
        let line = line.map(|rule| denied::list_line(Capability::Tcp, &rule));
        Denied::new(Capability::Tcp, reason, &subject).with_line(line)
    }

    /// May the guest connect to this address? Either a rule names it, or one of the names it looked up within this
    /// call led to it and a rule names that.
    pub fn permit_socket(&self, address: SocketAddr, resolved: &[ResolvedName]) -> Result<Dialable, Denied> {
        let ip: IpAddr = canonical(address.ip());
        let socket = SocketAddr::new(ip, address.port());
        let literal = self.tcp(Host::Address(ip), address.port()).and_then(|permit| permit.address(socket));
        resolved
            .iter()
            .filter(|name| name.address() == ip)
            .filter_map(|name| self.tcp(name.host().clone(), address.port()).ok())
            .find_map(|permit| permit.address(socket).ok())
            .map_or(literal, Ok)
    }

    /// May this name be looked up? Hosts of TCP rules may be, without a rule of their own.
    pub fn permit_name(&self, name: &str) -> Result<NamePermit, Denied> {
        let host: Host = name
            .parse()
            .map_err(|error| Denied::new(Capability::NameLookup, DenyReason::of(&error), name))?;
        let target = self.scope.target.as_ref();
        let of_tcp = |rule: &TcpRule| match rule {
            TcpRule::Target => NameRule::Target,
            TcpRule::Port { host, .. } => NameRule::Host(host.clone()),
        };
        let mut granted = self
            .standing
            .names
            .iter()
            .cloned()
            .chain(self.standing.tcp.iter().map(of_tcp))
            .filter(|rule| rule.allows(&host, target))
            .peekable();
        if granted.peek().is_none() {
            return Err(self.why_not_name(&host));
        }
        let is_target = granted.any(|rule| rule == NameRule::Target);
        let reach = Reach::of(&host, is_target);
        Ok(NamePermit { host, reach })
    }

    fn why_not_name(&self, host: &Host) -> Denied {
        let target = self.scope.target.as_ref();
        let request = &self.standing.request;
        let of_tcp = |rule: &TcpRule| match rule {
            TcpRule::Port { host: pattern, port } if pattern.allows(host) => Some(format!("{host}:{port}")),
            _ => None,
        };
        let names = |rule: String| denied::list_line(Capability::NameLookup, &rule);
        let (reason, line) = match request.names.iter().find(|wanted| wanted.allows(host, target)) {
            Some(NameRule::Target) => (DenyReason::NotGranted, Some(names("{target}".to_owned()))),
            Some(NameRule::Host(_)) => (DenyReason::NotGranted, Some(names(host.to_string()))),
            None => match request.tcp.iter().find_map(of_tcp) {
                Some(rule) => (DenyReason::NotGranted, Some(denied::list_line(Capability::Tcp, &rule))),
                None if request.names.contains(&NameRule::Target)
                    || request.tcp.contains(&TcpRule::Target) =>
                {
                    (DenyReason::OtherTarget, None)
                }
                None => (DenyReason::NotRequested, None),
            },
        };
        Denied::new(Capability::NameLookup, reason, &host.to_string()).with_line(line)
    }

    /// The directories to mount for this call: what the call is not about is not there.
    pub fn permit_dirs(&self) -> Vec<DirPermit> {
        let path = |rule: &DirRule| match rule.source() {
            DirSource::Operator => None,
            DirSource::Path(path) => Some(path.as_str().to_owned()),
            DirSource::Log => self.scope.log.clone(),
            DirSource::Tree => self.scope.tree.as_ref().map(|tree| tree.tree.clone()),
            DirSource::Scratch => self.scope.tree.as_ref().map(|tree| tree.scratch.clone()),
        };
        let mut permits: Vec<DirPermit> = Vec::new();
        for rule in &self.standing.dirs {
            if let Some(path) = path(rule)
                && permits.iter().all(|permit| permit.at != *rule.at())
            {
                let begin = self.scope.log_begin.filter(|_| *rule.source() == DirSource::Log);
                permits.push(DirPermit { path, at: rule.at().clone(), access: rule.access(), begin });
            }
        }
        permits
    }

    /// May this store be opened? It is the plugin's own or it is nobody's.
    pub fn permit_store(&self, store: &str) -> Result<StorePermit, Denied> {
        let denied = |reason| Denied::new(Capability::KeyValue, reason, store);
        store_name(store).map_err(|error| denied(DenyReason::of(&error)))?;
        match self.standing.keyvalue.get(store) {
            Some(quota) => Ok(StorePermit { store: store.to_owned(), quota: *quota }),
            None if self.standing.request.keyvalue.contains(store) => {
                Err(denied(DenyReason::NotGranted).with_line(Some(denied::store_line(store))))
            }
            None => Err(denied(DenyReason::NotRequested)),
        }
    }

    /// The configuration the plugin sees.
    pub fn config(&self) -> &BTreeMap<String, String> {
        &self.standing.config
    }

    /// The environment the plugin sees.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.standing.env
    }
}
