//! Proof that a rule allowed one use. Fields are private and the check in [`super::EffectiveGrant`] is the only
//! constructor: whoever holds a permit may perform what it says, once it has become a [`Dialable`] where the network
//! is concerned.

use std::net::{IpAddr, SocketAddr};

use super::address::{AddressClass, canonical};
use super::capability::Capability;
use super::denied::{Denied, DenyReason};
use super::dir::{Access, GuestPath};
use super::host::Host;
use super::method::Method;
use super::scope::LogBegin;
use super::secret::SecretRef;
use super::store::Quota;
use super::url::HttpUrl;

/// Which addresses a use may reach. Ordered: later is what its rule names more exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// A name in a rule: public addresses.
    Public,
    /// The name of the component the call is about: also its machine and network.
    Component,
    /// A literal address in a rule or in the component's address: this one.
    Literal(IpAddr),
}

impl Reach {
    pub(super) fn of(host: &Host, is_target: bool) -> Self {
        match host {
            Host::Address(address) => Self::Literal(*address),
            Host::Name(_) if is_target => Self::Component,
            Host::Name(_) => Self::Public,
        }
    }

    fn check(self, address: IpAddr) -> Result<IpAddr, DenyReason> {
        let address = canonical(address);
        let class = AddressClass::of(address);
        let allowed = match self {
            Self::Public => class == AddressClass::Public,
            Self::Component => class.is_for_components(),
            Self::Literal(own) if own != address => return Err(DenyReason::OtherAddress),
            Self::Literal(_) => !class.is_never(),
        };
        if allowed { Ok(address) } else { Err(DenyReason::Address(class)) }
    }
}

/// Where a name may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) capability: Capability,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) reach: Reach,
}

impl Way {
    fn address(&self, address: SocketAddr) -> Result<Dialable, Denied> {
        let denied = |reason| {
            let subject = format!("{}:{} at {address}", self.host, self.port);
            Denied::new(self.capability, reason, &subject)
        };
        if address.port() != self.port {
            return Err(denied(DenyReason::OtherAddress));
        }
        let checked = self.reach.check(address.ip()).map_err(denied)?;
        Ok(Dialable(SocketAddr::new(checked, self.port)))
    }

    fn addresses(&self, addresses: &[SocketAddr]) -> Result<Vec<Dialable>, Denied> {
        if addresses.is_empty() {
            let subject = format!("{}:{}", self.host, self.port);
            return Err(Denied::new(self.capability, DenyReason::NoAddress, &subject));
        }
        addresses.iter().map(|address| self.address(*address)).collect()
    }
}

/// An address that may be dialed: checked, canonical, with the allowed port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialable(pub(super) SocketAddr);

impl Dialable {
    /// The address to dial, and no other.
    pub const fn socket(&self) -> SocketAddr {
        self.0
    }
}

/// One HTTP request may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct HttpPermit {
    pub(super) method: Method,
    pub(super) url: HttpUrl,
    pub(super) rule: String,
    pub(super) secret: Option<SecretRef>,
    pub(super) way: Way,
}

impl HttpPermit {
    /// With this method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// To this URL, exactly as it says: what was checked is what is sent.
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// The rule that allowed it, for the audit line.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What the host adds on the wire.
    pub const fn secret(&self) -> Option<&SecretRef> {
        self.secret.as_ref()
    }

    /// May it be sent to this address?
    pub fn address(&self, address: SocketAddr) -> Result<Dialable, Denied> {
        self.way.address(address)
    }

    /// May it be sent to wherever its name leads? One bad address is enough for no.
    pub fn addresses(&self, addresses: &[SocketAddr]) -> Result<Vec<Dialable>, Denied> {
        self.way.addresses(addresses)
    }
}

/// One TCP connection may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TcpPermit {
    pub(super) rule: String,
    pub(super) way: Way,
}

impl TcpPermit {
    /// To this host.
    pub const fn host(&self) -> &Host {
        &self.way.host
    }

    /// At this port.
    pub const fn port(&self) -> u16 {
        self.way.port
    }

    /// The rule that allowed it, for the audit line.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// May it go to this address?
    pub fn address(&self, address: SocketAddr) -> Result<Dialable, Denied> {
        self.way.address(address)
    }

    /// May it go to wherever its name leads? One bad address is enough for no.
    pub fn addresses(&self, addresses: &[SocketAddr]) -> Result<Vec<Dialable>, Denied> {
        self.way.addresses(addresses)
    }
}

/// One name may be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct NamePermit {
    pub(super) host: Host,
    pub(super) reach: Reach,
}

impl NamePermit {
    /// This one; a literal address needs no lookup and is its own answer.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// May the plugin be told this address?
    pub fn address(&self, address: IpAddr) -> Result<ResolvedName, Denied> {
        match self.reach.check(address) {
            Ok(address) => Ok(ResolvedName { host: self.host.clone(), address }),
            Err(reason) => {
                let subject = format!("{} at {address}", self.host);
                Err(Denied::new(Capability::NameLookup, reason, &subject))
            }
        }
    }

    /// May the plugin be told where this name leads? One bad address is enough for no.
    pub fn addresses(&self, addresses: &[IpAddr]) -> Result<Vec<ResolvedName>, Denied> {
        if addresses.is_empty() {
            let subject = self.host.to_string();
            return Err(Denied::new(Capability::NameLookup, DenyReason::NoAddress, &subject));
        }
        addresses.iter().map(|address| self.address(*address)).collect()
    }
}

/// A name and an address it led to within this call: a later connection to the address counts as one to the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedName {
    host: Host,
    address: IpAddr,
}

impl ResolvedName {
    /// The name that was asked for.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The canonical address to tell the plugin.
    pub const fn address(&self) -> IpAddr {
        self.address
    }
}

/// One directory may be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct DirPermit {
    pub(super) path: String,
    pub(super) at: GuestPath,
    pub(super) access: Access,
    pub(super) begin: Option<LogBegin>,
}

impl DirPermit {
    /// This one, on the host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Seen here.
    pub const fn at(&self) -> &GuestPath {
        &self.at
    }

    /// To do this in it.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Of a log, only what comes after this.
    pub const fn begin(&self) -> Option<LogBegin> {
        self.begin
    }
}

/// One of the plugin's own stores may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct StorePermit {
    pub(super) store: String,
    pub(super) quota: Quota,
}

impl StorePermit {
    /// This one: letters, digits, `_`, `-` and `.`.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// For so much.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }
}

/// A scratch copy of the component's files may be made, and the plugin told where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct WorkspacePermit(pub(super) ());
