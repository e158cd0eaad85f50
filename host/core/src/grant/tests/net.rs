//! TCP connections, name lookups and directories.

use super::super::DenyReason as R;
use super::*;

fn both(tcp: &[&str], names: &[&str]) -> EffectiveGrant {
    let tcp: Vec<TcpRule> = tcp.iter().map(|rule| rule.parse().unwrap()).collect();
    let names: Vec<NameRule> = names.iter().map(|rule| rule.parse().unwrap()).collect();
    let request = Request { tcp: tcp.clone(), names: names.clone(), ..Request::default() };
    let grant = Grant { tcp, names, ..Grant::default() };
    Arc::new(StandingGrant::new(Role::Tools, &request, &grant)).for_call(CallScope::default())
}

#[test]
fn connections_follow_their_rules() {
    let grant = both(&["db.example.com:5432", "*.kv.example.com:6379", "10.0.0.5:22", "[::1]:9"], &[]);
    for (host, port) in [
        ("db.example.com", 5432),
        ("DB.Example.com", 5432),
        ("a.kv.example.com", 6379),
        ("10.0.0.5", 22),
        ("[::1]", 9),
    ] {
        assert!(grant.permit_tcp(host, port).is_ok(), "{host}:{port}");
    }
    for (host, port, reason) in [
        ("db.example.com", 5433, R::NotRequested),
        ("xdb.example.com", 5432, R::NotRequested),
        ("kv.example.com", 6379, R::NotRequested),
        ("10.0.0.6", 22, R::NotRequested),
        ("10.5", 22, R::Spelling),
        ("::1", 9, R::Spelling),
        ("db.example.com.", 5432, R::Malformed),
        ("db.example.com/x", 5432, R::Malformed),
        ("a@db.example.com", 5432, R::Malformed),
        ("", 5432, R::Malformed),
    ] {
        assert_eq!(grant.permit_tcp(host, port).unwrap_err().reason(), reason, "{host}:{port}");
    }
}

#[test]
fn a_socket_counts_as_the_name_that_led_there() {
    let grant = both(&["db.example.com:5432", "10.0.0.5:22"], &["other.example.com"]);
    let public = "93.184.215.14:5432".parse().unwrap();
    // Unknown addresses are nobody's.
    assert_eq!(grant.permit_socket(public, &[]).unwrap_err().reason(), R::NotRequested);
    let name =
        grant.permit_name("db.example.com").unwrap().address("93.184.215.14".parse().unwrap()).unwrap();
    assert_eq!(grant.permit_socket(public, std::slice::from_ref(&name)).unwrap().socket(), public);
    // Another port, another address, another name's address.
    for bad in ["93.184.215.14:22", "93.184.215.15:5432"] {
        assert!(grant.permit_socket(bad.parse().unwrap(), std::slice::from_ref(&name)).is_err(), "{bad}");
    }
    let other = grant.permit_name("other.example.com").unwrap().address("1.1.1.1".parse().unwrap()).unwrap();
    assert!(grant.permit_socket("1.1.1.1:5432".parse().unwrap(), &[other]).is_err());
    // A rule's own literal needs no name, in whatever form the guest writes it.
    let literal = "10.0.0.5:22".parse().unwrap();
    assert_eq!(grant.permit_socket(literal, &[]).unwrap().socket(), literal);
    assert_eq!(grant.permit_socket("[::ffff:10.0.0.5]:22".parse().unwrap(), &[]).unwrap().socket(), literal);
}

#[test]
fn names_are_looked_up_when_a_rule_speaks_of_them() {
    let grant = both(&["db.example.com:5432"], &["*.svc.example.com"]);
    for good in ["db.example.com", "a.svc.example.com"] {
        assert!(grant.permit_name(good).is_ok(), "{good}");
    }
    for bad in [
        "example.com",
        "svc.example.com",
        "xdb.example.com",
        "localhost",
        "127.0.0.1",
        "2130706433",
        "a b",
        "",
    ] {
        assert!(grant.permit_name(bad).is_err(), "{bad}");
    }
    let permit = grant.permit_name("db.example.com").unwrap();
    assert!(permit.addresses(&["1.1.1.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]).is_err());
    assert_eq!(permit.addresses(&[]).unwrap_err().reason(), R::NoAddress);
    assert_eq!(
        permit.addresses(&["::ffff:1.1.1.1".parse().unwrap()]).unwrap()[0].address().to_string(),
        "1.1.1.1"
    );
}

#[test]
fn a_probe_connects_to_its_component_by_name_and_by_address() {
    let grant = probe("localhost:5432");
    let name = grant.permit_name("localhost").unwrap().address("127.0.0.1".parse().unwrap()).unwrap();
    let socket = "127.0.0.1:5432".parse().unwrap();
    assert_eq!(grant.permit_socket(socket, &[name]).unwrap().socket(), socket);
    assert_eq!(grant.permit_socket(socket, &[]).unwrap_err().reason(), R::OtherTarget);
    assert_eq!(grant.permit_name("example.com").unwrap_err().reason(), R::OtherTarget);
    let literal = probe("127.0.0.1:5432");
    assert!(literal.permit_socket(socket, &[]).is_ok());
    assert!(literal.permit_socket("127.0.0.1:22".parse().unwrap(), &[]).is_err());
}

#[test]
fn directories_are_there_when_the_call_is_about_them() {
    let grant = probe("localhost:1");
    assert_eq!(grant.permit_dirs(), []);
    let standing = Arc::new(StandingGrant::new(
        Role::Probe,
        &Request { dirs: vec!["read {log} at /log".parse().unwrap()], ..Request::default() },
        &Grant::default(),
    ));
    let scope = CallScope { log: Some("/run/razar/tail-7".into()), ..CallScope::default() };
    let dirs = standing.for_call(scope).permit_dirs();
    let seen: Vec<_> = dirs.iter().map(|dir| (dir.path(), dir.at().as_str(), dir.access())).collect();
    assert_eq!(seen, [("/run/razar/tail-7", "/log", Access::Read)]);

    let request = Request {
        dirs: ["read {tree} at /tree", "write {scratch} at /scratch", "read {operator} at /models"]
            .map(|rule| rule.parse().unwrap())
            .to_vec(),
        ..Request::default()
    };
    let given = Grant { dirs: vec!["write /srv/m at /models".parse().unwrap()], ..Grant::default() };
    let scope = CallScope {
        tree: Some(TreePaths { tree: "/t/1".into(), scratch: "/t/2".into() }),
        ..CallScope::default()
    };
    let evaluator = Arc::new(StandingGrant::new(Role::Evaluator, &request, &given)).for_call(scope.clone());
    let dirs = evaluator.permit_dirs();
    let mut seen: Vec<_> = dirs.iter().map(|dir| (dir.path(), dir.at().as_str(), dir.access())).collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("/srv/m", "/models", Access::Read), // requested to read, granted to write
            ("/t/1", "/tree", Access::Read),
            ("/t/2", "/scratch", Access::Write),
        ]
    );
    // The same request in another role: no tree; and an agent has no directory, granted or not.
    let tools = Arc::new(StandingGrant::new(Role::Tools, &request, &given)).for_call(scope.clone());
    assert_eq!(tools.permit_dirs().len(), 1);
    let agent = Arc::new(StandingGrant::new(Role::Agent, &request, &given)).for_call(scope);
    assert_eq!(agent.permit_dirs(), []);
}

#[test]
fn values_are_there_when_requested_and_granted() {
    let request = Request {
        config: ["model", "absent"].map(String::from).into(),
        env: ["TZ"].map(String::from).into(),
        ..Request::default()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let grant = Grant {
        config: [pair("model", "k2"), pair("other", "x")].into(),
        env: [pair("TZ", "UTC"), pair("PATH", "/bin")].into(),
        ..Grant::default()
    };
    let held = Arc::new(StandingGrant::new(Role::Agent, &request, &grant)).for_call(CallScope::default());
    assert_eq!(*held.config(), [pair("model", "k2")].into());
    assert_eq!(*held.env(), [pair("TZ", "UTC")].into());
}
