//! Which lines of a grant no use needed.

use super::*;

fn grant() -> Grant {
    let http = |rule: &str| HttpGrant { rule: rule.parse().unwrap(), secret: None };
    Grant {
        http: vec![http("GET https://api.example.com/v1/*"), http("POST https://api.example.com/v1/*")],
        tcp: ["{target}", "db.example.com:5432", "10.0.0.5:22"].map(|rule| rule.parse().unwrap()).to_vec(),
        names: ["a.example.com", "b.example.com"].map(|rule| rule.parse().unwrap()).to_vec(),
        keyvalue: ["kept", "empty"].map(|store| (store.to_owned(), Quota::DEFAULT)).into(),
        config: [("key".to_owned(), "value".to_owned())].into(),
        ..Grant::default()
    }
}

fn idle(uses: &[(Use, Option<&str>)]) -> Vec<String> {
    let uses: Vec<_> = uses
        .iter()
        .map(|(used, target)| (used.clone(), target.map(|target| target.parse::<Target>().unwrap())))
        .collect();
    let lines = grant().idle(&uses).into_iter();
    lines.map(|(_, line)| line.split(": ").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_line_is_idle_until_something_needs_it() {
    let host = |text: &str| text.parse::<Host>().unwrap();
    let all = [
        "GET https://api.example.com/v1/*",
        "POST https://api.example.com/v1/*",
        "{target}",
        "db.example.com:5432",
        "10.0.0.5:22",
        "a.example.com",
        "b.example.com",
        "empty",
        "kept",
    ];
    assert_eq!(idle(&[]), all, "what is handed over whole is never named");
    let get = Use::Http("GET".parse().unwrap(), "https://api.example.com/v1/status?x=1".parse().unwrap());
    for (used, target, needed) in [
        (get, None, "GET https://api.example.com/v1/*"),
        (Use::Tcp(host("web.example.com"), 80), Some("web.example.com:80"), "{target}"),
        (Use::Tcp(host("db.example.com"), 5432), None, "db.example.com:5432"),
        (Use::Name(host("db.example.com")), None, "db.example.com:5432"),
        (Use::Tcp(host("10.0.0.5"), 22), None, "10.0.0.5:22"),
        (Use::Name(host("a.example.com")), None, "a.example.com"),
        (Use::Store("kept".to_owned()), None, "kept"),
    ] {
        let left: Vec<&str> = all.iter().copied().filter(|line| *line != needed).collect();
        assert_eq!(idle(&[(used, target)]), left, "{needed}");
    }
    assert_eq!(idle(&[(Use::Tcp(host("10.0.0.5"), 23), None), (Use::Store("other".to_owned()), None)]), all);
}
