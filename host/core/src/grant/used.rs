//! What calls used of what they were granted. It only looks back: nothing gets wider or narrower by it.

use super::capability::Capability;
use super::grants::Grant;
use super::host::Host;
use super::method::Method;
use super::net::{NameRule, TcpRule};
use super::scope::Target;
use super::url::HttpUrl;

/// One use that was permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// An HTTP request.
    Http(Method, HttpUrl),
    /// A TCP connection to this host, or to an address that this name had led to.
    Tcp(Host, u16),
    /// A lookup.
    Name(Host),
    /// A key-value store.
    Store(String),
}

impl Grant {
    /// The lines that none of these uses needed; each use comes with what its call was about. Directories, configuration
    /// and environment are handed over whole: nobody sees whether a plugin looks at them, so they are never named here.
    pub fn idle(&self, uses: &[(Use, Option<Target>)]) -> Vec<(Capability, String)> {
        let any = |needs: &dyn Fn(&Use, Option<&Target>) -> bool| {
            uses.iter().any(|(used, target)| needs(used, target.as_ref()))
        };
        let mut idle = Self {
            http: self.http.clone(),
            tcp: self.tcp.clone(),
            names: self.names.clone(),
            keyvalue: self.keyvalue.clone(),
            ..Self::default()
        };
        idle.http.retain(|grant| {
            !any(&|used, target| {
                matches!(used, Use::Http(method, url) if grant.rule.allows(*method, url, target))
            })
        });
        idle.tcp.retain(|rule| !any(&|used, target| connects(rule, used, target)));
        idle.names.retain(|rule| !any(&|used, target| looks_up(rule, used, target)));
        idle.keyvalue.retain(|store, _| !any(&|used, _| matches!(used, Use::Store(name) if name == store)));
        idle.lines()
    }
}

/// Whether a use needed this rule: a lookup of its host is the first half of a connection.
fn connects(rule: &TcpRule, used: &Use, target: Option<&Target>) -> bool {
    match (used, rule) {
        (Use::Tcp(host, port), _) => rule.allows(host, *port, target),
        (Use::Name(host), TcpRule::Port { port, .. }) => rule.allows(host, *port, target),
        _ => false,
    }
}

fn looks_up(rule: &NameRule, used: &Use, target: Option<&Target>) -> bool {
    matches!(used, Use::Name(host) if rule.allows(host, target))
}
