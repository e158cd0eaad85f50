//! What is a rule and what is not.

use super::*;

#[test]
fn texts_that_are_no_http_rules() {
    for bad in [
        "",
        "GET",
        " https://a.example/",
        "GET,CONNECT https://a.example/",
        "TRACE https://a.example/",
        "get https://a.example/",
        "GET https://a.example/x?y",
        "GET https://a.example/x#y",
        "GET https://u:p@a.example/",
        "GET https://*/",
        "GET https://*.com/",
        "GET https://a.*.example/",
        "GET https://a*.example.com/",
        "GET https://a.example/*/x",
        "GET https://a.example/x*",
        "GET https://a.example/%2e%2e%2fx/*",
        "GET https://a.example/..%2fx",
        "GET https://a.example./",
        "GET https://2130706433/",
        "GET https://[::ffff:1.2.3.4]/",
        "GET https://0.0.0.0/",
        "GET https://224.0.0.1/",
        "GET https://[2002::1]/",
        "GET *",
        "GET {log}",
        "GET {target}/x",
        "GET https://{target}/",
        "GET ws://a.example/",
        "GET  https://a.example/",
    ] {
        assert!(bad.parse::<HttpRule>().is_err(), "{bad:?}");
    }
}

#[test]
fn rules_are_shown_in_their_one_form() {
    for (text, shown) in [
        ("HEAD,GET HTTPS://A.Example:443/a/../b%41/*", "GET,HEAD https://a.example/bA/*"),
        ("GET https://bücher.example", "GET https://xn--bcher-kva.example/"),
        ("GET http://[::1]:80/*", "GET http://[::1]/*"),
        ("GET {target}", "GET {target}"),
    ] {
        assert_eq!(text.parse::<HttpRule>().unwrap().to_string(), shown);
    }
    for text in ["db.example.com:5432", "*.db.example.com:1", "[::1]:22", "{target}"] {
        assert_eq!(text.parse::<TcpRule>().unwrap().to_string(), text);
    }
    for text in ["example.com", "*.example.com", "{target}"] {
        assert_eq!(text.parse::<NameRule>().unwrap().to_string(), text);
    }
    for text in ["read /srv/at the sea at /x", "write {scratch} at /scratch", "read {operator} at /models/a"]
    {
        assert_eq!(text.parse::<DirRule>().unwrap().to_string(), text);
    }
}

#[test]
fn texts_that_are_no_network_rules() {
    for bad in [
        "",
        "a",
        "a:0",
        "a:70000",
        "a:+1",
        "a:01",
        "*:1",
        "::1:22",
        "0.0.0.0:22",
        "{log}:1",
        "a b:1",
        "u@a:1",
    ] {
        assert!(bad.parse::<TcpRule>().is_err(), "{bad:?}");
    }
    for bad in ["", "*", "*.com", "127.0.0.1", "[::1]", "a:1", "a/b", "{tree}", "a.", "-\n"] {
        assert!(bad.parse::<NameRule>().is_err(), "{bad:?}");
    }
}

#[test]
fn texts_that_are_no_directory_rules() {
    for bad in [
        "",
        "read /srv/x",
        "exec /srv/x at /x",
        "read srv/x at /x",
        "read /srv/../x at /x",
        "read /srv//x at /x",
        "read /srv/x/ at /x",
        "read / at /x",
        "read /proc/self at /x",
        "read /dev at /x",
        "read /sys at /x",
        "read /srv/x at x",
        "read /srv/x at /",
        "read /srv/x at /../x",
        "read /srv/x at /log",
        "read {log} at /x",
        "write {log} at /log",
        "write {tree} at /tree",
        "read {home} at /x",
        "read /srv/x\n at /x",
    ] {
        assert!(bad.parse::<DirRule>().is_err(), "{bad:?}");
    }
}

#[test]
fn every_error_says_what_to_write() {
    for bad in ["GET http://a@b/", "CONNECT https://a.example/", "GET ftp://a/", "GET http://127.1/"] {
        let error = bad.parse::<HttpRule>().unwrap_err();
        assert!(!error.hint().is_empty() && !error.to_string().ends_with('.'), "{error}");
    }
    assert_eq!("127.1:1".parse::<TcpRule>().unwrap_err().hint(), "write `127.0.0.1`");
    assert_eq!("[::ffff:7f00:1]:1".parse::<TcpRule>().unwrap_err().hint(), "write `127.0.0.1`");
}

#[test]
fn secrets_travel_in_ordinary_headers() {
    let env = || SecretSource::Env("KEY".into());
    let secret = SecretRef::new(env(), "X-Api-Key", "token {}").unwrap();
    assert_eq!(secret.header(), "x-api-key");
    assert_eq!(secret.render("abc\n").as_deref(), Some("token abc"));
    for bad in ["", "\n", "a\r\nb", "a\nb", "a\0", "é"] {
        assert_eq!(secret.render(bad), None, "{bad:?}");
    }
    for (header, format) in [
        ("host", "{}"),
        ("Content-Length", "{}"),
        ("transfer-encoding", "{}"),
        ("a b", "{}"),
        ("", "{}"),
        ("a:b", "{}"),
        ("authorization", "Bearer"),
        ("authorization", "{}{}"),
        ("authorization", "a\r\n{}"),
    ] {
        assert!(SecretRef::new(env(), header, format).is_err(), "{header:?} {format:?}");
    }
    for bad in ["", "1A", "A B", "A=B", "É"] {
        assert!(SecretRef::new(SecretSource::Env(bad.into()), "x", "{}").is_err(), "{bad:?}");
    }
}
