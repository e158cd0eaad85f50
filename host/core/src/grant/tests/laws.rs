//! Laws over generated rules and uses. The generators draw from small pools, so that rules often meet.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::host::HostPattern;
use super::*;

fn hosts() -> impl Strategy<Value = &'static str> {
    select(vec!["a.example.com", "b.a.example.com", "x.example.com", "127.0.0.1", "[::1]", "example.com"])
}

fn host_patterns() -> impl Strategy<Value = String> {
    prop_oneof![
        hosts().prop_map(str::to_owned),
        select(vec!["*.example.com", "*.a.example.com", "*.b.a.example.com"]).prop_map(str::to_owned),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a",
        "b",
        "..",
        ".",
        "%2e%2e",
        "..%2f",
        "%252e%252e%252fa",
        "a;x",
        "..;",
        "%41",
        "",
        "a%20b",
    ]);
    proptest::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn rule_paths() -> impl Strategy<Value = String> {
    let segments = proptest::collection::vec(select(vec!["a", "b", "A", "a%20b"]), 0..3);
    (segments, any::<bool>()).prop_map(|(segments, below)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if below { format!("{path}/*") } else { format!("{path}/") }
    })
}

fn methods() -> impl Strategy<Value = Methods> {
    subsequence(Method::ALL.to_vec(), 1..=7).prop_map(|methods| methods.into_iter().collect())
}

fn http_rules() -> impl Strategy<Value = HttpRule> {
    let url = (select(vec!["http", "https"]), host_patterns(), select(vec!["", ":8080"]), rule_paths())
        .prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"));
    let place = prop_oneof![1 => Just("{target}".to_owned()), 9 => url];
    (methods(), place).prop_map(|(methods, place)| HttpRule { methods, place: place.parse().unwrap() })
}

fn http_uses() -> impl Strategy<Value = (Method, String)> {
    let url = (select(vec!["http", "https"]), hosts(), select(vec!["", ":8080"]), paths())
        .prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"));
    (select(Method::ALL.to_vec()), url)
}

fn tcp_rules() -> impl Strategy<Value = TcpRule> {
    let port = (host_patterns(), select(vec![1_u16, 2])).prop_map(|(host, port)| format!("{host}:{port}"));
    prop_oneof![1 => Just("{target}".to_owned()), 9 => port].prop_map(|text| text.parse().unwrap())
}

fn dir_rules() -> impl Strategy<Value = DirRule> {
    let source = select(vec!["{operator}", "/srv/a", "/srv/a at b", "/srv/a/b"]);
    let free = (select(vec!["read", "write"]), source, select(vec!["/a", "/b/c"]))
        .prop_map(|(access, source, at)| format!("{access} {source} at {at}"));
    let own = select(vec!["read {log} at /log", "read {tree} at /tree", "write {scratch} at /scratch"]);
    prop_oneof![4 => free, 1 => own.prop_map(str::to_owned)].prop_map(|text| text.parse().unwrap())
}

fn target() -> Target {
    "http://127.0.0.1:8080/".parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_rule_that_covers_allows_all_the_other_allows(
        large in http_rules(), small in http_rules(), (method, url) in http_uses(),
    ) {
        let Ok(url) = url.parse::<HttpUrl>() else { return Ok(()) };
        if large.covers(&small) && small.allows(method, &url, Some(&target())) {
            prop_assert!(large.allows(method, &url, Some(&target())), "{large} ⊇ {small} ∌ {method} {url}");
        }
    }

    #[test]
    fn an_intersection_allows_what_both_allow(
        a in http_rules(), b in http_rules(), (method, url) in http_uses(),
    ) {
        let Ok(url) = url.parse::<HttpUrl>() else { return Ok(()) };
        let both = a.intersect(&b);
        let allowed = both.as_ref().is_some_and(|both| both.allows(method, &url, Some(&target())));
        let each = a.allows(method, &url, Some(&target())) && b.allows(method, &url, Some(&target()));
        // `{target}` and a URL share no rule although they may share a use: each side is asked for by its own name.
        let same_kind = (a.place == HttpPlace::Target) == (b.place == HttpPlace::Target);
        prop_assert!(!allowed || each, "{a} ∧ {b} allows {method} {url}");
        prop_assert!(allowed || !each || !same_kind, "{a} ∧ {b} forbids {method} {url}");
        if let Some(both) = both {
            prop_assert!(a.covers(&both) && b.covers(&both), "{both} is wider than {a} or {b}");
        }
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
    }

    #[test]
    fn what_is_held_is_requested_and_granted(
        requested in proptest::collection::vec(http_rules(), 0..4),
        granted in proptest::collection::vec(http_rules(), 0..4),
        (method, text) in http_uses(),
    ) {
        let request = Request { http: requested.clone(), ..Request::default() };
        let http = granted.iter().cloned().map(|rule| HttpGrant { rule, secret: None }).collect();
        let grant = Grant { http, ..Grant::default() };
        let held = Arc::new(StandingGrant::new(Role::Agent, &request, &grant));
        let held = held.for_call(CallScope::about(target()));
        if let Ok(permit) = held.permit_http(method.as_str(), &text) {
            let allows = |rule: &HttpRule| rule.allows(method, permit.url(), Some(&target()));
            prop_assert!(requested.iter().any(allows), "{} was not requested", permit.url());
            prop_assert!(granted.iter().any(allows), "{} was not granted", permit.url());
        }
    }

    #[test]
    fn a_path_below_a_rule_stays_below_however_often_it_is_decoded(tail in paths()) {
        let held = http_both(&["GET https://a.example.com/v1/*"]).for_call(CallScope::default());
        if let Ok(permit) = held.permit_http("GET", &format!("https://a.example.com/v1{tail}")) {
            let mut path = permit.url().path().to_owned();
            for _ in 0..6 {
                path = path.replace("%25", "%").replace("%2E", ".").replace("%2e", ".").replace("%2F", "/").replace("%2f", "/");
                prop_assert!(!path.split('/').any(|segment| segment.split(';').next() == Some("..")), "{path}");
            }
            prop_assert!(path.starts_with("/v1/"));
        }
    }

    #[test]
    fn network_and_directory_rules_obey_the_same_laws(
        (a, b) in (tcp_rules(), tcp_rules()),
        (c, d) in (dir_rules(), dir_rules()),
        (host, port) in (hosts(), select(vec![1_u16, 2, 8080])),
    ) {
        let host: Host = host.parse().unwrap();
        let allows = |rule: &TcpRule| rule.allows(&host, port, Some(&target()));
        prop_assert!(!(a.covers(&b) && allows(&b)) || allows(&a));
        if let Some(both) = a.intersect(&b) {
            prop_assert!(a.covers(&both) && b.covers(&both));
        }
        if let Some(both) = c.intersect(&d) {
            prop_assert!(c.covers(&both) && d.covers(&both), "{c} ∧ {d} = {both}");
        }
        prop_assert!(c.covers(&c) && a.covers(&a));
    }

    #[test]
    fn rules_round_trip(http in http_rules(), tcp in tcp_rules(), dir in dir_rules(), host in host_patterns()) {
        prop_assert_eq!(http.to_string().parse::<HttpRule>().unwrap(), http);
        prop_assert_eq!(tcp.to_string().parse::<TcpRule>().unwrap(), tcp);
        prop_assert_eq!(dir.to_string().parse::<DirRule>().unwrap(), dir);
        let host: HostPattern = host.parse().unwrap();
        prop_assert_eq!(host.to_string().parse::<HostPattern>().unwrap(), host);
    }

    #[test]
    fn a_url_that_parses_has_one_form((_, text) in http_uses()) {
        if let Ok(url) = text.parse::<HttpUrl>() {
            prop_assert_eq!(url.to_string().parse::<HttpUrl>().unwrap(), url);
        }
    }

    #[test]
    fn no_text_makes_anything_panic(text in ".{0,60}", prefix in select(vec!["", "http://", "GET https://", "read /", "*."])) {
        let text = format!("{prefix}{text}");
        if let Ok(rule) = text.parse::<HttpRule>() {
            prop_assert_eq!(rule.to_string().parse::<HttpRule>().unwrap(), rule);
        }
        if let Ok(url) = text.parse::<HttpUrl>() {
            prop_assert_eq!(url.to_string().parse::<HttpUrl>().unwrap(), url);
        }
        if let Ok(rule) = text.parse::<TcpRule>() {
            prop_assert_eq!(rule.to_string().parse::<TcpRule>().unwrap(), rule);
        }
        if let Ok(rule) = text.parse::<NameRule>() {
            prop_assert_eq!(rule.to_string().parse::<NameRule>().unwrap(), rule);
        }
        if let Ok(rule) = text.parse::<DirRule>() {
            prop_assert_eq!(rule.to_string().parse::<DirRule>().unwrap(), rule);
        }
        let grant = http_both(&["GET https://a.example.com/*"]).for_call(CallScope::default());
        if let Err(denied) = grant.permit_http("GET", &text) {
            prop_assert!(!denied.to_string().chars().any(char::is_control));
        }
        let _ = grant.permit_tcp(&text, 1);
        let _ = grant.permit_name(&text);
        let _ = text.parse::<Target>();
    }
}
