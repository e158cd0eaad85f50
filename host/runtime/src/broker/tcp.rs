//! TCP for guests: outgoing connections to permitted addresses, and names that lead to them.
//!
//! A guest cannot listen, accept, bind a port of its choice, or use UDP. A name that is not granted has no address. An
//! address that came from a name can be dialed only because this call looked that name up.

mod meter;
mod names;
mod taped;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use razar_core::grant::{EffectiveGrant, Host, Limits, ResolvedName, Use};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

pub use self::meter::{MeterView, add_meter_to_linker};
pub use self::names::{NamesView, add_names_to_linker};
use super::journal::{Journal, Refused};
use super::resolve::{self, ResolveError, Resolver};
use crate::tape::recording::{self, NoName};
use crate::tape::{Playing, Tape};

/// How many answers are remembered: a guest that looks up more names than this talks to nobody in particular.
const MAX_RESOLVED: usize = 256;

/// What a lookup takes of a tape's room, besides the name.
const LOOKUP: usize = 128;

/// The gate of one call. Cheap to clone.
#[derive(Clone)]
pub struct TcpBroker(Arc<Call>);

struct Call {
    grant: Arc<EffectiveGrant>,
    limits: Limits,
    journal: Arc<Journal>,
    resolver: Arc<dyn Resolver>,
    resolved: Mutex<Vec<ResolvedName>>,
}

/// Why a name has no address for this guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupError {
    /// It is not granted, or leads where it may not.
    Denied,
    /// It has none.
    Unknown,
    /// Nobody answered in time.
    Timeout,
    /// More than one call may look up.
    Quota,
}

impl TcpBroker {
    /// A gate that knows no address yet.
    pub fn new(
        grant: Arc<EffectiveGrant>,
        limits: Limits,
        resolver: Arc<dyn Resolver>,
        journal: Arc<Journal>,
    ) -> Self {
        Self(Arc::new(Call { grant, limits, journal, resolver, resolved: Mutex::default() }))
    }

    /// Puts the gate in front of the guest's sockets.
    pub fn guard(&self, wasi: &mut WasiCtxBuilder) {
        if let Some(playing) = self.0.journal.tape().and_then(Tape::playing) {
            // Nothing is connected; our own functions answer from the tape.
            wasi.allow_ip_name_lookup(false).allow_udp(false).allow_tcp(playing.recording.tcp);
            wasi.socket_addr_check(|_, _| Box::pin(std::future::ready(false)));
            return;
        }
        if let Some(tape) = self.0.journal.tape() {
            tape.write(0, |writing| writing.recording.tcp = self.0.grant.has_tcp());
        }
        // Our own lookup replaces the one behind this switch, which would answer every name.
        wasi.allow_ip_name_lookup(false).allow_udp(false).allow_tcp(self.0.grant.has_tcp());
        let broker = self.clone();
        wasi.socket_addr_check(move |address, wish| {
            let allowed = broker.allows(address, wish);
            Box::pin(std::future::ready(allowed))
        });
    }

    /// Whether the guest may do this with this address.
    pub fn allows(&self, address: SocketAddr, wish: SocketAddrUse) -> bool {
        match wish {
            SocketAddrUse::TcpConnect => {
                self.connect(address).map_err(|refused| self.0.journal.refuse(refused)).is_ok()
            }
            // What the system does before it connects: any address, any port.
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpListen
            | SocketAddrUse::TcpAccept
            | SocketAddrUse::UdpBind
            | SocketAddrUse::UdpSend
            | SocketAddrUse::UdpReceive => false,
        }
    }

    fn connect(&self, address: SocketAddr) -> Result<(), Refused> {
        let permitted = self.0.grant.permit_socket(address, &self.resolved()).map_err(Refused::Denied)?;
        let (ip, port) = (permitted.socket().ip(), address.port());
        let names: Vec<Host> = self
            .resolved()
            .iter()
            .filter(|name| name.address() == ip)
            .map(|name| name.host().clone())
            .collect();
        for host in names.into_iter().chain([Host::Address(ip)]) {
            self.0.journal.uses(Use::Tcp(host, port));
        }
        self.0.journal.connection(self.0.limits.requests)
    }

    /// The addresses of a granted name, all of them checked; they may be dialed from now on.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let Some(tape) = self.0.journal.tape() else { return self.looked_up(name).await };
        if let Some(playing) = tape.playing() {
            return looked_up_then(playing, name).await;
        }
        let mut index = usize::MAX;
        tape.write(LOOKUP + name.len(), |writing| {
            index = writing.recording.lookups.len();
            writing.recording.lookups.push(recording::Lookup { name: name.to_owned(), answer: None });
        });
        let answer = self.looked_up(name).await;
        tape.write(size_of::<IpAddr>() * answer.as_ref().map_or(0, Vec::len), |writing| {
            if let Some(lookup) = writing.recording.lookups.get_mut(index) {
                lookup.answer = Some(answer.clone().map_err(NoName::from));
            }
        });
        answer
    }

    async fn looked_up(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let denied = |denied| {
            self.0.journal.refuse(Refused::Denied(denied));
            LookupError::Denied
        };
        let permit = self.0.grant.permit_name(name).map_err(denied)?;
        self.0.journal.uses(Use::Name(permit.host().clone()));
        let found = match permit.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                self.0.journal.lookup(self.0.limits.requests).map_err(|refused| {
                    self.0.journal.refuse(refused);
                    LookupError::Quota
                })?;
                self.0.journal.name(name);
                let found = resolve::addresses_of(self.0.resolver.as_ref(), name).await;
                found.map_err(|error| match error {
                    ResolveError::Timeout => LookupError::Timeout,
                    ResolveError::Unknown => LookupError::Unknown,
                })?
            }
        };
        let checked = permit.addresses(&found).map_err(denied)?;
        let mut resolved = self.resolved();
        for name in &checked {
            if resolved.len() < MAX_RESOLVED && !resolved.contains(name) {
                resolved.push(name.clone());
            }
        }
        Ok(checked.iter().map(ResolvedName::address).collect())
    }

    fn resolved(&self) -> MutexGuard<'_, Vec<ResolvedName>> {
        self.0.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a name led to when it was recorded: the first of that name that nobody has asked for again.
async fn looked_up_then(playing: &Playing, name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let found = {
        let mut at = playing.at();
        let next = at.lookups.entry(name.to_owned()).or_default();
        let mut left = playing.recording.lookups.iter().enumerate().skip(*next);
        let found = left.find(|(_, then)| then.name == name);
        *next = found.map_or(usize::MAX, |(index, _)| index + 1);
        found.map(|(_, then)| then)
    };
    match found.map(|then| &then.answer) {
        None => playing.never_beyond(|| format!("it looks up `{name}`, which it had not done")).await,
        Some(None) => std::future::pending().await,
        Some(Some(answer)) => answer.clone().map_err(LookupError::from),
    }
}

impl From<LookupError> for NoName {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Denied => Self::Denied,
            LookupError::Unknown => Self::Unknown,
            LookupError::Timeout => Self::Timeout,
            LookupError::Quota => Self::Quota,
        }
    }
}

impl From<NoName> for LookupError {
    fn from(error: NoName) -> Self {
        match error {
            NoName::Denied => Self::Denied,
            NoName::Unknown => Self::Unknown,
            NoName::Timeout => Self::Timeout,
            NoName::Quota => Self::Quota,
        }
    }
}

#[cfg(test)]
mod tests;
