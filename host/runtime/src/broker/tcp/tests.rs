//! What a guest may dial and look up: tables of rules, names and addresses, and real sockets on loopback.

use razar_core::grant::{CallScope, Grant, Request, Role, StandingGrant};

use super::*;
use crate::broker::resolve::FixedResolver;

fn broker(rules: &[&str], target: Option<&str>, names: &[(&str, &[&str])]) -> (TcpBroker, Arc<Journal>) {
    let tcp: Vec<_> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let request = Request { tcp: tcp.clone(), ..Request::default() };
    let grant = Grant { tcp, ..Grant::default() };
    let scope = target.map_or_else(CallScope::default, |target| CallScope::about(target.parse().unwrap()));
    let standing = Arc::new(StandingGrant::new(Role::Probe, &request, &grant));
    let resolver: FixedResolver = names
        .iter()
        .map(|(name, found)| {
            ((*name).to_owned(), found.iter().map(|address| address.parse().unwrap()).collect())
        })
        .collect();
    let journal = Arc::new(Journal::new());
    let limits = Limits::defaults(Role::Probe);
    let broker =
        TcpBroker::new(Arc::new(standing.for_call(scope)), limits, Arc::new(resolver), Arc::clone(&journal));
    (broker, journal)
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// E3: outgoing connections to what a rule or the call names, nothing else of the socket's repertoire.
#[test]
fn what_a_guest_may_do_with_an_address() {
    use SocketAddrUse as Use;
    let rules = ["{target}", "192.168.7.7:5432"];
    for (address, wish, allowed) in [
        ("127.0.0.1:8080", Use::TcpConnect, true),
        ("192.168.7.7:5432", Use::TcpConnect, true),
        ("[::ffff:127.0.0.1]:8080", Use::TcpConnect, true), // the same address in another spelling
        ("127.0.0.1:8081", Use::TcpConnect, false),
        ("127.0.0.2:8080", Use::TcpConnect, false),
        ("192.168.7.7:5433", Use::TcpConnect, false),
        ("169.254.169.254:80", Use::TcpConnect, false),
        ("[::1]:8080", Use::TcpConnect, false),
        ("0.0.0.0:0", Use::TcpBind, true),
        ("[::]:0", Use::TcpBind, true),
        ("0.0.0.0:9000", Use::TcpBind, false),
        ("127.0.0.1:0", Use::TcpBind, false),
        ("127.0.0.1:8080", Use::TcpBind, false),
        ("0.0.0.0:0", Use::TcpListen, false),
        ("127.0.0.1:8080", Use::TcpListen, false),
        ("127.0.0.1:8080", Use::TcpAccept, false),
        ("0.0.0.0:0", Use::UdpBind, false),
        ("127.0.0.1:8080", Use::UdpSend, false),
        ("127.0.0.1:8080", Use::UdpReceive, false),
    ] {
        let (broker, journal) = broker(&rules, Some("127.0.0.1:8080"), &[]);
        assert_eq!(broker.allows(at(address), wish), allowed, "{wish:?} {address}");
        let record = journal.record();
        let connected = matches!(wish, Use::TcpConnect);
        assert_eq!(record.connections, u32::from(allowed && connected), "{address}");
        assert_eq!(record.refusals, u64::from(!allowed && connected), "{address}");
    }
}

/// E1: no grant, no connection.
#[test]
fn nothing_is_dialed_without_a_grant() {
    let (broker, journal) = broker(&[], Some("127.0.0.1:8080"), &[]);
    assert!(!broker.allows(at("127.0.0.1:8080"), SocketAddrUse::TcpConnect));
    assert_eq!(journal.record().denied().count(), 1);
}

/// E2: names that are not granted have no address, and no name server hears of them.
#[tokio::test]
async fn only_granted_names_are_looked_up() {
    let names: &[(&str, &[&str])] =
        &[("db.example", &["93.184.215.14"]), ("other.example", &["93.184.215.15"])];
    let (broker, journal) = broker(&["db.example:5432"], None, names);
    for name in ["other.example", "localhost", "db.example.evil", "2130706433", "0x7f.1", "db.example\0", ""]
    {
        assert_eq!(broker.lookup(name).await, Err(LookupError::Denied), "{name:?}");
    }
    assert!(journal.record().names.is_empty());
    assert_eq!(broker.lookup("DB.example").await, Ok(vec!["93.184.215.14".parse().unwrap()]));
    assert_eq!(journal.record().names, ["db.example"]);
}

/// An address that came from a name is reachable because the name was looked up, at the rule's port, in this call.
#[tokio::test]
async fn only_looked_up_addresses_of_a_name_are_dialed() {
    let names: &[(&str, &[&str])] = &[("db.example", &["93.184.215.14"])];
    let (own, _) = broker(&["db.example:5432"], None, names);
    assert!(!own.allows(at("93.184.215.14:5432"), SocketAddrUse::TcpConnect), "not looked up yet");
    own.lookup("db.example").await.unwrap();
    assert!(own.allows(at("93.184.215.14:5432"), SocketAddrUse::TcpConnect));
    assert!(!own.allows(at("93.184.215.14:22"), SocketAddrUse::TcpConnect));
    assert!(!own.allows(at("93.184.215.15:5432"), SocketAddrUse::TcpConnect));
    let (next_call, _) = broker(&["db.example:5432"], None, names);
    assert!(!next_call.allows(at("93.184.215.14:5432"), SocketAddrUse::TcpConnect));
}

/// E8, E10: a granted name that leads inside is refused as a whole, and its addresses are not remembered.
#[tokio::test]
async fn a_name_that_leads_inside_has_no_address() {
    for bad in ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::ffff:10.1.2.3", "fd00:ec2::254"] {
        let names: &[(&str, &[&str])] = &[("db.example", &["93.184.215.14", bad])];
        let (broker, journal) = broker(&["db.example:5432"], None, names);
        assert_eq!(broker.lookup("db.example").await, Err(LookupError::Denied), "{bad}");
        assert!(!broker.allows(SocketAddr::new(bad.parse().unwrap(), 5432), SocketAddrUse::TcpConnect));
        assert!(!broker.allows(at("93.184.215.14:5432"), SocketAddrUse::TcpConnect));
        assert_eq!(journal.record().refusals, 3);
    }
}

#[tokio::test]
async fn the_target_may_be_on_this_machine() {
    let names: &[(&str, &[&str])] = &[("orders.internal", &["127.0.0.1", "::1"])];
    let (broker, _) = broker(&["{target}"], Some("orders.internal:8080"), names);
    assert_eq!(broker.lookup("orders.internal").await.unwrap().len(), 2);
    assert!(broker.allows(at("127.0.0.1:8080"), SocketAddrUse::TcpConnect));
    assert!(broker.allows(at("[::1]:8080"), SocketAddrUse::TcpConnect));
    assert!(!broker.allows(at("127.0.0.1:22"), SocketAddrUse::TcpConnect));
}

#[test]
fn a_call_has_so_many_connections() {
    let (broker, journal) = broker(&["{target}"], Some("127.0.0.1:8080"), &[]);
    let limit = Limits::defaults(Role::Probe).requests;
    let allowed = (0..100).filter(|_| broker.allows(at("127.0.0.1:8080"), SocketAddrUse::TcpConnect)).count();
    assert_eq!(allowed, limit as usize);
    assert_eq!(journal.record().refused, [Refused::Requests { limit }]);
}
