//! Which requests are allowed, as a table over one grant, and what a permit then lets be dialed.

use std::net::SocketAddr;

use super::super::DenyReason as R;
use super::*;

const RULES: &[&str] = &[
    "POST https://api.example.com/v1/chat",
    "GET,HEAD https://api.example.com/v1/files/*",
    "GET https://*.cdn.example.com/*",
    "GET http://127.0.0.1:8080/v1/*",
    "GET http://[2001:4860:4860::8888]/x",
    "GET https://xn--bcher-kva.example/",
    "GET https://git.example.com/a%2Fb",
    "GET https://plain.example.com:8443/",
];

const ALLOWED: &[(&str, &str)] = &[
    ("POST", "https://api.example.com/v1/chat"),
    ("POST", "https://api.example.com:443/v1/chat"),
    ("POST", "HTTPS://API.EXAMPLE.COM/v1/chat"),
    ("POST", "https://api.example.com/v1/chat?stream=true&x=%0a"),
    ("POST", "https://api.example.com/v1/./chat"),
    ("POST", "https://api.example.com/v1/x/../chat"),
    ("POST", "https://api.example.com/v1/%63hat"),
    ("POST", "https://api.example.com/%2e%2e/v1/chat"),
    ("GET", "https://api.example.com/v1/files/"),
    ("HEAD", "https://api.example.com/v1/files/a/b.json"),
    ("GET", "https://api.example.com/v1/files/a%2Fb"),
    ("GET", "https://api.example.com/v1/files/a%20b"),
    ("GET", "https://api.example.com/v1/files/a..b"),
    ("GET", "https://api.example.com/v1/files/..."),
    ("GET", "https://a.cdn.example.com/"),
    ("GET", "https://a.b.cdn.example.com/x/y?z"),
    ("GET", "http://127.0.0.1:8080/v1/health"),
    ("GET", "http://[2001:4860:4860::8888]/x"),
    ("GET", "http://[2001:4860:4860::8888]:80/x"),
    ("GET", "https://xn--bcher-kva.example/"),
    ("GET", "https://xn--bcher-kva.example"),
    ("GET", "https://bücher.example/"),
    ("GET", "https://git.example.com/a%2fb"),
    ("GET", "https://plain.example.com:8443"),
];

const DENIED: &[(&str, &str, R)] = &[
    // methods
    ("GET", "https://api.example.com/v1/chat", R::NotRequested),
    ("DELETE", "https://api.example.com/v1/files/a", R::NotRequested),
    ("CONNECT", "https://api.example.com/v1/chat", R::Method),
    ("TRACE", "https://api.example.com/v1/chat", R::Method),
    ("post", "https://api.example.com/v1/chat", R::Method),
    ("POST ", "https://api.example.com/v1/chat", R::Method),
    ("GET\r\nX: y", "https://api.example.com/v1/files/a", R::Method),
    ("", "https://api.example.com/v1/chat", R::Method),
    ("PROPFIND", "https://api.example.com/v1/chat", R::Method),
    // schemes and ports
    ("POST", "http://api.example.com/v1/chat", R::NotRequested),
    ("POST", "https://api.example.com:80/v1/chat", R::NotRequested),
    ("POST", "https://api.example.com:8443/v1/chat", R::NotRequested),
    ("POST", "https://api.example.com:0/v1/chat", R::Malformed),
    ("POST", "https://api.example.com:/v1/chat", R::Malformed),
    ("POST", "https://api.example.com:0443/v1/chat", R::Malformed),
    ("POST", "https://api.example.com:65979/v1/chat", R::Malformed),
    ("POST", "https://api.example.com:+443/v1/chat", R::Malformed),
    ("POST", "https:api.example.com/v1/chat", R::Malformed),
    ("POST", "//api.example.com/v1/chat", R::Malformed),
    ("POST", "/v1/chat", R::Malformed),
    ("POST", "file:///etc/passwd", R::Malformed),
    ("POST", "ftp://api.example.com/v1/chat", R::Malformed),
    ("POST", "javascript:alert(1)", R::Malformed),
    ("POST", "", R::Malformed),
    // hosts that look like another
    ("POST", "https://evil-api.example.com/v1/chat", R::NotRequested),
    ("POST", "https://api.example.com.evil.com/v1/chat", R::NotRequested),
    ("POST", "https://evilapi.example.com/v1/chat", R::NotRequested),
    ("POST", "https://example.com/v1/chat", R::NotRequested),
    ("POST", "https://api.example.co/v1/chat", R::NotRequested),
    ("POST", "https://api.example.com./v1/chat", R::Malformed),
    ("POST", "https://.api.example.com/v1/chat", R::Malformed),
    ("POST", "https://api..example.com/v1/chat", R::Malformed),
    ("POST", "https://аpi.example.com/v1/chat", R::NotRequested), // Cyrillic a
    ("POST", "https://api%2eexample.com/v1/chat", R::Malformed),
    ("POST", "https://api.example.com%00.evil.com/v1/chat", R::Malformed),
    ("POST", "https://*.example.com/v1/chat", R::Malformed),
    ("GET", "https://cdn.example.com/", R::NotRequested),
    ("GET", "https://evilcdn.example.com/", R::NotRequested),
    ("GET", "https://a.cdn.example.com.evil.com/", R::NotRequested),
    ("GET", "https://.cdn.example.com/", R::Malformed),
    // user names
    ("POST", "https://api.example.com@evil.com/v1/chat", R::UserInfo),
    ("POST", "https://evil.com@api.example.com/v1/chat", R::UserInfo),
    ("POST", "https://a:b@api.example.com/v1/chat", R::UserInfo),
    ("POST", "https://@api.example.com/v1/chat", R::UserInfo),
    ("POST", "https://api.example.com:443@evil.com/v1/chat", R::UserInfo),
    // white space, control characters, backslashes, fragments
    ("POST", "https://api.example.com/v1/chat\r\nHost: evil.com", R::Malformed),
    ("POST", "https://api.example.com/v1/ch\tat", R::Malformed),
    ("POST", " https://api.example.com/v1/chat", R::Malformed),
    ("POST", "https://api.example.com/v1/chat\n", R::Malformed),
    ("POST", "https://api.example.com/v1/chat\0", R::Malformed),
    ("POST", "https://api.example.com/v1/chat%00", R::Malformed),
    ("POST", "https://api.example.com/v1/chat%0d%0aHost:evil.com", R::Malformed),
    ("POST", "https://evil.com\\@api.example.com/v1/chat", R::Malformed),
    ("POST", "https://api.example.com\\v1\\chat", R::Malformed),
    ("POST", "https:\\\\api.example.com/v1/chat", R::Malformed),
    ("POST", "https://api.example.com/v1/chat#x", R::Malformed),
    ("POST", "https://evil.com#@api.example.com/v1/chat", R::Malformed),
    ("POST", "https://evil.com?@api.example.com/v1/chat", R::NotRequested),
    ("POST", "https:///api.example.com/v1/chat", R::Malformed),
    // paths
    ("POST", "https://api.example.com/v1/chat/", R::NotRequested),
    ("POST", "https://api.example.com/v1/chat2", R::NotRequested),
    ("POST", "https://api.example.com/V1/chat", R::NotRequested),
    ("POST", "https://api.example.com//v1/chat", R::NotRequested),
    ("POST", "https://api.example.com/v1/chat;x", R::NotRequested),
    ("POST", "https://api.example.com/v1%2Fchat", R::NotRequested),
    ("POST", "https://api.example.com/v1/%zz", R::Malformed),
    ("POST", "https://api.example.com/v1/%6", R::Malformed),
    ("GET", "https://api.example.com/v1/files", R::NotRequested),
    ("GET", "https://api.example.com/v1/filesx", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/../chat", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/%2e%2e/admin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/.%2E/admin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/..%2fadmin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/x%2f..%2f..%2fadmin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/%252e%252e/admin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/%252e%252e%252fadmin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/%25252e%25252e%25252fadmin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/..%5cadmin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/..;/admin", R::NotRequested),
    ("GET", "https://api.example.com/v1/files/..;x=1/admin", R::NotRequested),
    ("GET", "https://git.example.com/a/b", R::NotRequested),
    // addresses
    ("GET", "http://2130706433:8080/v1/health", R::Spelling),
    ("GET", "http://0x7f000001:8080/v1/health", R::Spelling),
    ("GET", "http://0x7f.1:8080/v1/health", R::Spelling),
    ("GET", "http://127.1:8080/v1/health", R::Spelling),
    ("GET", "http://017700000001:8080/v1/health", R::Spelling),
    ("GET", "http://127.0.0.1.:8080/v1/health", R::Spelling),
    ("GET", "http://①②⑦.⓪.⓪.①:8080/v1/health", R::Spelling),
    ("GET", "http://0:8080/v1/health", R::Spelling),
    ("GET", "http://[::ffff:127.0.0.1]:8080/v1/health", R::Spelling),
    ("GET", "http://[::7f00:1]:8080/v1/health", R::Spelling),
    ("GET", "http://[0:0:0:0:0:0:0:1]:8080/v1/health", R::Spelling),
    ("GET", "http://[2001:4860:4860:0:0:0:0:8888]/x", R::Spelling),
    ("GET", "http://[2001:4860:4860::8888/x", R::Malformed),
    ("GET", "http://2001:4860:4860::8888/x", R::Malformed),
    ("GET", "http://[fe80::1%25eth0]/x", R::Malformed),
    ("GET", "http://[v1.x]/x", R::Malformed),
    ("GET", "http://127.0.0.2:8080/v1/health", R::NotRequested),
    ("GET", "http://localhost:8080/v1/health", R::NotRequested),
    ("GET", "http://[::1]:8080/v1/health", R::NotRequested),
    ("GET", "http://169.254.169.254/latest/meta-data/", R::NotRequested),
    ("GET", "http://256.0.0.1/", R::Malformed),
];

#[test]
fn the_table_of_requests() {
    let grant = http_both(RULES).for_call(CallScope::default());
    for (method, url) in ALLOWED {
        let permit = grant.permit_http(method, url);
        assert!(permit.is_ok(), "{method} {url}: {}", permit.unwrap_err());
    }
    for (method, url, reason) in DENIED {
        match grant.permit_http(method, url) {
            Ok(permit) => panic!("{method} {url:?} was allowed as {}", permit.url()),
            Err(denied) => assert_eq!(denied.reason(), *reason, "{method} {url:?}"),
        }
    }
    assert!(ALLOWED.len() + DENIED.len() >= 100);
}

#[test]
fn what_was_checked_is_what_is_sent() {
    let grant = http_both(RULES).for_call(CallScope::default());
    let permit = grant.permit_http("POST", "HTTPS://API.example.com:443/a/%2E./v1/%63hat?q=/../%41").unwrap();
    assert_eq!(permit.url().to_string(), "https://api.example.com/v1/chat?q=/../%41");
    assert_eq!(permit.url().authority(), "api.example.com");
    assert_eq!(permit.url().path_and_query(), "/v1/chat?q=/../%41");
    assert_eq!(permit.method(), Method::Post);
    assert_eq!(permit.rule(), "POST https://api.example.com/v1/chat");
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_name_leads_to_public_addresses_only() {
    let grant = http_both(RULES).for_call(CallScope::default());
    let permit = grant.permit_http("POST", "https://api.example.com/v1/chat").unwrap();
    for good in ["93.184.215.14:443", "[2606:4700::1111]:443"] {
        assert_eq!(permit.address(socket(good)).unwrap().socket(), socket(good));
    }
    assert_eq!(permit.address(socket("[::ffff:8.8.8.8]:443")).unwrap().socket(), socket("8.8.8.8:443"));
    for (bad, label) in [
        ("127.0.0.1:443", "address-loopback"),
        ("10.0.0.1:443", "address-private"),
        ("[::ffff:10.0.0.1]:443", "address-private"),
        ("169.254.169.254:443", "address-metadata"),
        ("[64:ff9b::169.254.169.254]:443", "address-metadata"),
        ("[::]:443", "address-unspecified"),
        ("[2002:a00:1::]:443", "address-tunnel"),
        ("93.184.215.14:80", "other-address"),
    ] {
        assert_eq!(permit.address(socket(bad)).unwrap_err().reason().as_str(), label, "{bad}");
    }
    // One bad answer among good ones is a name that cannot be trusted.
    let mixed = [socket("93.184.215.14:443"), socket("10.0.0.1:443")];
    assert_eq!(permit.addresses(&mixed).unwrap_err().reason(), R::Address(AddressClass::Private));
    assert_eq!(permit.addresses(&[]).unwrap_err().reason(), R::NoAddress);
    assert_eq!(permit.addresses(&mixed[..1]).unwrap().len(), 1);
}

#[test]
fn a_literal_address_is_reached_when_the_rule_names_it() {
    let grant = http_both(RULES).for_call(CallScope::default());
    let permit = grant.permit_http("GET", "http://127.0.0.1:8080/v1/x").unwrap();
    assert_eq!(permit.address(socket("127.0.0.1:8080")).unwrap().socket(), socket("127.0.0.1:8080"));
    assert_eq!(permit.address(socket("[::ffff:127.0.0.1]:8080")).unwrap().socket(), socket("127.0.0.1:8080"));
    for bad in ["127.0.0.2:8080", "[::1]:8080", "93.184.215.14:8080"] {
        assert_eq!(permit.address(socket(bad)).unwrap_err().reason(), R::OtherAddress, "{bad}");
    }
}

#[test]
fn a_probe_reaches_its_component_and_nothing_else() {
    for (target, url) in [
        ("http://127.0.0.1:8080/health", "http://127.0.0.1:8080/metrics?x"),
        ("http://localhost:8080", "http://localhost:8080/"),
        ("localhost:8080", "https://localhost:8080/"),
        ("[::1]:8080", "http://[::1]:8080/"),
    ] {
        let permit = probe(target).permit_http("GET", url);
        assert!(permit.is_ok(), "{target} {url}");
    }
    for (target, method, url, reason) in [
        ("http://127.0.0.1:8080/", "GET", "http://127.0.0.1:8081/", R::OtherTarget),
        ("http://127.0.0.1:8080/", "GET", "https://127.0.0.1:8080/", R::OtherTarget),
        ("http://127.0.0.1:8080/", "GET", "http://localhost:8080/", R::OtherTarget),
        ("http://127.0.0.1:8080/", "GET", "http://example.com/", R::OtherTarget),
        ("http://127.0.0.1:8080/", "POST", "http://127.0.0.1:8080/", R::NotGranted),
        ("http://127.0.0.1:8080/", "PUT", "http://127.0.0.1:8080/", R::NotRequested),
    ] {
        let denied = probe(target).permit_http(method, url).unwrap_err();
        assert_eq!(denied.reason(), reason, "{target} {method} {url}");
    }
    let local = probe("http://localhost:8080").permit_http("GET", "http://localhost:8080/").unwrap();
    for good in ["127.0.0.1:8080", "[::1]:8080", "10.1.2.3:8080", "93.184.215.14:8080"] {
        assert!(local.address(socket(good)).is_ok(), "{good}");
    }
    for bad in ["169.254.169.254:8080", "[fe80::1]:8080", "0.0.0.0:8080", "224.0.0.1:8080"] {
        assert!(local.address(socket(bad)).is_err(), "{bad}");
    }
    let nothing = Arc::new(StandingGrant::new(
        Role::Probe,
        &Request { http: vec!["GET {target}".parse().unwrap()], ..Request::default() },
        &Grant::default(),
    ));
    let denied = nothing.for_call(CallScope::default()).permit_http("GET", "http://127.0.0.1/").unwrap_err();
    assert_eq!(denied.reason(), R::OtherTarget);
}

#[test]
fn targets_that_no_component_has_are_refused() {
    for bad in
        ["0.0.0.0:80", "http://[::]/", "224.0.0.1:80", "http://2130706433/", "a@b:80", "x", "x:0", ":80", ""]
    {
        assert!(bad.parse::<Target>().is_err(), "{bad:?}");
    }
    for good in ["localhost:80", "127.0.0.1:80", "https://a.example/x?y", "[::1]:80"] {
        let target: Target = good.parse().unwrap();
        assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
    }
}

#[test]
fn a_secret_goes_with_its_own_rule() {
    let secret = SecretRef::new(SecretSource::Env("KEY".into()), "Authorization", "Bearer {}").unwrap();
    let rule: HttpRule = "GET,POST https://api.example.com/v1/*".parse().unwrap();
    let other: HttpRule = "GET https://other.example.com/*".parse().unwrap();
    let request = Request {
        http: vec!["GET https://api.example.com/v1/models".parse().unwrap(), other.clone()],
        ..Request::default()
    };
    let http =
        vec![HttpGrant { rule, secret: Some(secret.clone()) }, HttpGrant { rule: other, secret: None }];
    let grant = Arc::new(StandingGrant::new(Role::Agent, &request, &Grant { http, ..Grant::default() }))
        .for_call(CallScope::default());
    let permit = grant.permit_http("GET", "https://api.example.com/v1/models").unwrap();
    assert_eq!(permit.secret(), Some(&secret));
    assert_eq!(grant.permit_http("GET", "https://other.example.com/").unwrap().secret(), None);
    // Granted, but never requested.
    let denied = grant.permit_http("POST", "https://api.example.com/v1/models").unwrap_err();
    assert_eq!(denied.reason(), R::NotRequested);
}
