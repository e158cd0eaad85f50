//! What kind of address an address is. Every resolved address is brought into canonical form and classified before
//! it is dialled: an IPv4 address hidden in an IPv6 one is still that IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address an address is: closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressClass {
    /// Reachable by and meant for everybody.
    Public,
    /// This machine.
    Loopback,
    /// RFC 1918 and IPv6 unique local: somebody's own network.
    Private,
    /// 100.64.0.0/10: behind a carrier's address translation.
    Shared,
    /// 169.254.0.0/16 and fe80::/10: this wire only.
    LinkLocal,
    /// Where clouds hand out credentials to whoever asks.
    Metadata,
    /// Many receivers.
    Multicast,
    /// All of this wire.
    Broadcast,
    /// 0.0.0.0/8 and `::`: means this machine to many kernels.
    Unspecified,
    /// Networks that exist in books only.
    Documentation,
    /// For measuring equipment.
    Benchmarking,
    /// An IPv6 address that carries packets to an address of somebody else's choice: 6to4, Teredo, local NAT64.
    Tunnel,
    /// Set aside by the IETF.
    Reserved,
}

impl AddressClass {
    /// The word in logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Unspecified => "unspecified",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Tunnel => "tunnel",
            Self::Reserved => "reserved",
        }
    }

    /// For a sentence: "`10.0.0.1` is …".
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine's loopback address",
            Self::Private => "an address of a private network",
            Self::Shared => "a carrier's shared address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Unspecified => "the unspecified address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Tunnel => "an address that hides another one",
            Self::Reserved => "a reserved address",
        }
    }

    /// Which kind this is, in canonical form.
    pub fn of(address: IpAddr) -> Self {
        match canonical(address) {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }

    /// No rule may name it: nothing sensible listens there, or it means another address.
    pub const fn is_never(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast | Self::Tunnel)
    }

    /// What a component's own name may resolve to: its machine or its network, never a metadata service.
    pub const fn is_for_components(self) -> bool {
        matches!(self, Self::Public | Self::Loopback | Self::Private | Self::Shared)
    }
}

/// Whether everybody may be asked to connect there.
pub fn address_is_public(address: IpAddr) -> bool {
    AddressClass::of(address) == AddressClass::Public
}

/// The one form of an address: IPv4-mapped (`::ffff:0:0/96`, `::ffff:0:0:0/96`) and IPv4-compatible (`::/96`) become
/// IPv4. `::` and `::1` stay what they are.
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            IpAddr::V4(embedded(high, low))
        }
        _ => address,
    }
}

const fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// First match counts; the table is IANA's special-purpose registry with the metadata services in front.
fn v4(address: Ipv4Addr) -> AddressClass {
    use AddressClass as C;
    match address.octets() {
        // AWS, Azure, GCP and most others; AWS's task metadata; AWS's own time and DNS live beside it.
        [169, 254, 169, 254] | [169, 254, 170, 2] => C::Metadata,
        // Alibaba Cloud; Oracle Cloud; Azure's wire server, which is in public space.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => C::Metadata,
        [0, ..] => C::Unspecified,
        [10, ..] | [192, 168, ..] => C::Private,
        [172, 16..=31, ..] => C::Private,
        [100, 64..=127, ..] => C::Shared,
        [127, ..] => C::Loopback,
        [169, 254, ..] => C::LinkLocal,
        [192, 0, 0, _] => C::Reserved,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [233, 252, 0, _] => C::Documentation,
        // 6to4 relays (withdrawn), AMT relays, AS112 sinks.
        [192, 88, 99, _] => C::Tunnel,
        [192, 52, 193, _] | [192, 31, 196, _] | [192, 175, 48, _] => C::Reserved,
        [198, 18..=19, ..] => C::Benchmarking,
        [224..=239, ..] => C::Multicast,
        [255, 255, 255, 255] => C::Broadcast,
        [240..=255, ..] => C::Reserved,
        _ => C::Public,
    }
}

fn v6(address: Ipv6Addr) -> AddressClass {
    use AddressClass as C;
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => C::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => C::Loopback,
        // AWS's metadata and DNS over IPv6; GCP's.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x253 | 0x23] => C::Metadata,
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => C::Metadata,
        // NAT64 is how IPv6-only networks reach IPv4: what counts is the address behind it.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(embedded(high, low)),
        [0x64, 0xff9b, ..] => C::Tunnel,
        [0x2001, 0, ..] | [0x2002, ..] => C::Tunnel,
        [0x2001, 2, 0, ..] => C::Benchmarking,
        [0x2001, 0xdb8, ..] => C::Documentation,
        [0x3fff, 0..=0xfff, ..] => C::Documentation,
        // The rest of the IETF's own 2001::/23: ORCHID, drone identifiers, AMT, AS112.
        [0x2001, 0..=0x1ff, ..] => C::Reserved,
        [0xfc00..=0xfdff, ..] => C::Private,
        [0xfe80..=0xfebf, ..] => C::LinkLocal,
        // Site-local: withdrawn, still somebody's own network where it is in use.
        [0xfec0..=0xfeff, ..] => C::Private,
        [0xff00..=0xffff, ..] => C::Multicast,
        // Only 2000::/3 has been given out.
        [0x2000..=0x3fff, ..] => C::Public,
        _ => C::Reserved,
    }
}
