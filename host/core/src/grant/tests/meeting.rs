//! Request against grant: what is missing, what is too much, and remedies that work when they are pasted.

use super::*;
use crate::document::grants::parse;

fn request() -> Request {
    Request {
        http: vec![
            "GET,POST https://api.example.com/v1/*".parse().unwrap(),
            "GET,POST {target}".parse().unwrap(),
        ],
        tcp: vec!["*.db.example.com:5432".parse().unwrap()],
        dirs: vec!["write {operator} at /cache".parse().unwrap()],
        names: vec!["example.com".parse().unwrap()],
        config: ["model".to_owned()].into(),
        env: ["TZ".to_owned()].into(),
        keyvalue: ["cache".to_owned()].into(),
        workspace: false,
    }
}

fn given(lines: &str) -> Grant {
    parse("grants.toml", &format!("[p]\n{lines}")).unwrap().remove("p").unwrap()
}

#[test]
fn everything_unmet_is_named_with_a_line_that_gives_it() {
    let meeting = meet(&[Role::Probe], &request(), &Grant::default());
    let wanted: Vec<String> = meeting.unmet.iter().map(|unmet| unmet.wanted.clone()).collect();
    assert_eq!(
        wanted,
        [
            "GET,POST https://api.example.com/v1/*",
            "POST {target}", // GET is the role's own
            "*.db.example.com:5432",
            "write {operator} at /cache",
            "example.com",
            "model",
            "TZ",
            "cache",
        ]
    );
    for unmet in &meeting.unmet {
        let line = unmet.line().unwrap();
        let after = meet(&[Role::Probe], &request(), &given(line));
        assert!(!after.unmet.contains(unmet), "{line}");
        assert_eq!(after.unmet.len() + 1, meeting.unmet.len(), "{line}");
        assert_eq!(after.unused, [], "{line}");
        let plugin = "p".parse().unwrap();
        let remedy = unmet.remedy(&plugin, None);
        assert!(remedy.ends_with(line) && remedy.contains("[p]") && remedy.contains("`--grants FILE`"));
    }
}

#[test]
fn settings_may_be_given_and_need_not_be() {
    let request = Request { config: ["settings".to_owned()].into(), ..Request::default() };
    for grant in [Grant::default(), given("config = { settings = '{}' }")] {
        assert_eq!(meet(&[Role::Agent], &request, &grant), Meeting::default());
    }
    let meeting = meet(&[Role::Agent], &Request::default(), &given("config = { settings = '{}' }"));
    assert_eq!(meeting.unused.len(), 1, "whoever does not ask has none");
    let editor = Request { workspace: true, ..Request::default() };
    let unmet = meet(&[Role::Agent], &editor, &Grant::default()).unmet;
    assert_eq!(unmet.iter().map(Unmet::line).collect::<Vec<_>>(), [Some("workspace = true")]);
    let copy = given("workspace = true");
    assert_eq!(meet(&[Role::Agent], &editor, &copy), Meeting::default());
    let standing = |role, request: &Request, grant: &Grant| {
        StandingGrant::new(role, request, grant).permit_workspace().is_some()
    };
    assert!(standing(Role::Agent, &editor, &copy));
    assert!(!standing(Role::Agent, &editor, &Grant::default()), "nobody gave it");
    assert!(!standing(Role::Agent, &Request::default(), &copy), "nobody asked for it");
    let probe = meet(&[Role::Probe], &editor, &copy);
    assert_eq!((probe.unmet[0].line(), probe.unused.len()), (None, 1), "a probe has none");
    assert!(!standing(Role::Probe, &editor, &copy));
    let of_environment = Request { env: ["settings".to_owned()].into(), ..Request::default() };
    assert_eq!(meet(&[Role::Agent], &of_environment, &Grant::default()).unmet.len(), 1);
}

#[test]
fn agreement_leaves_nothing() {
    let grant = given(
        r#"
        http = [
            { url = "https://api.example.com/v1/*", methods = ["GET"] },
            { url = "https://api.example.com/*", methods = ["POST"] },
            { url = "{target}", methods = ["POST"] },
        ]
        tcp = ["*.example.com:5432"]
        dirs = [{ source = "/srv/cache", at = "/cache", access = "write" }]
        names = ["example.com"]
        config = { model = "x" }
        env = { TZ = "UTC" }
        keyvalue = { cache = {} }
        "#,
    );
    assert_eq!(meet(&[Role::Probe], &request(), &grant), Meeting::default());
}

#[test]
fn what_is_given_and_never_wanted_is_named() {
    let grant = given(
        r#"
        http = [{ url = "https://other.example.com/*", methods = ["GET"] }]
        tcp = ["db.example.com:5433"]
        dirs = [{ source = "/srv/x", at = "/x", access = "read" }]
        names = ["example.org"]
        config = { mdoel = "x" }
        env = { PATH = "/bin" }
        keyvalue = { hoard = { keys = 1 } }
        "#,
    );
    let unused: Vec<String> = meet(&[Role::Tools], &request(), &grant)
        .unused
        .into_iter()
        .map(|unused| format!("{} {}", unused.capability, unused.granted))
        .collect();
    assert_eq!(
        unused,
        [
            "config mdoel",
            "env PATH",
            "keyvalue hoard",
            "http GET https://other.example.com/*",
            "tcp db.example.com:5433",
            "dir read /srv/x at /x",
            "name-lookup example.org",
        ]
    );
}

#[test]
fn a_directory_granted_to_read_does_not_meet_a_wish_to_write() {
    let request = Request { dirs: vec!["write {operator} at /c".parse().unwrap()], ..Request::default() };
    let grant = given("dirs = [{ source = \"/srv/c\", at = \"/c\", access = \"read\" }]");
    assert_eq!(meet(&[Role::Tools], &request, &grant).unmet.len(), 1);
    // And for an agent nothing can.
    let grant = given("dirs = [{ source = \"/srv/c\", at = \"/c\", access = \"write\" }]");
    assert_eq!(meet(&[Role::Tools], &request, &grant), Meeting::default());
    let agent = meet(&[Role::Agent], &request, &grant);
    assert_eq!((agent.unmet.len(), agent.unused.len()), (1, 1));
    assert_eq!(agent.unmet[0].line(), None);
}

#[test]
fn what_a_role_has_needs_no_grant_but_a_request() {
    let wish = |rule: &str| Request { dirs: vec![rule.parse().unwrap()], ..Request::default() };
    for (role, rule, met) in [
        (Role::Probe, "read {log} at /log", true),
        (Role::Evaluator, "read {tree} at /tree", true),
        (Role::Evaluator, "write {scratch} at /scratch", true),
        (Role::Probe, "read {tree} at /tree", false),
        (Role::Tools, "read {log} at /log", false),
        (Role::Agent, "read {tree} at /tree", false),
    ] {
        assert_eq!(meet(&[role], &wish(rule), &Grant::default()).unmet.is_empty(), met, "{role} {rule}");
    }
    let lines: Vec<String> = role_defaults(Role::Probe)
        .lines()
        .iter()
        .map(|(capability, rule)| format!("{capability}: {rule}"))
        .collect();
    assert_eq!(
        lines,
        [
            "http: GET,HEAD,OPTIONS {target}",
            "tcp: {target}",
            "dir: read {log} at /log",
            "name-lookup: {target}"
        ]
    );
    assert!(role_defaults(Role::Agent).lines().is_empty());
    let unasked = Arc::new(StandingGrant::new(Role::Probe, &Request::default(), &Grant::default()));
    assert!(unasked.lines().is_empty());
}

#[test]
fn a_denial_prints_the_line_that_allows_it() {
    let plugin = "agent-k2".parse().unwrap();
    let call = |grant: &Grant| {
        let scope = CallScope::about("http://127.0.0.1:80/".parse().unwrap());
        Arc::new(StandingGrant::new(Role::Probe, &request(), grant)).for_call(scope)
    };
    let before = call(&Grant::default());

    let denied = before.permit_http("POST", "https://api.example.com/v1/chat?x").unwrap_err();
    assert_eq!(
        denied.remedy(&plugin, Some("etc/grants.toml")),
        "write below `[agent-k2]` in `etc/grants.toml`: \
         http = [{ url = \"https://api.example.com/v1/*\", methods = [\"POST\"] }]"
    );
    assert!(
        call(&given(denied.line().unwrap())).permit_http("POST", "https://api.example.com/v1/chat?x").is_ok()
    );

    let denied = before.permit_http("POST", "http://127.0.0.1/").unwrap_err();
    assert!(call(&given(denied.line().unwrap())).permit_http("POST", "http://127.0.0.1/").is_ok());

    let denied = before.permit_tcp("a.db.example.com", 5432).unwrap_err();
    assert_eq!(denied.line(), Some("tcp = [\"a.db.example.com:5432\"]"));
    assert!(call(&given(denied.line().unwrap())).permit_tcp("a.db.example.com", 5432).is_ok());

    let denied = before.permit_name("a.db.example.com").unwrap_err();
    assert_eq!(denied.line(), Some("tcp = [\"a.db.example.com:5432\"]"));
    assert!(call(&given(denied.line().unwrap())).permit_name("a.db.example.com").is_ok());

    let denied = before.permit_name("example.com").unwrap_err();
    assert!(call(&given(denied.line().unwrap())).permit_name("example.com").is_ok());

    let denied = before.permit_store("cache").unwrap_err();
    assert_eq!(denied.line(), Some("keyvalue = { \"cache\" = { bytes = \"64 KiB\", keys = 256 } }"));
    let permit = call(&given(denied.line().unwrap())).permit_store("cache").unwrap();
    assert_eq!((permit.store(), *permit.quota()), ("cache", Quota::DEFAULT));
}

#[test]
fn only_requested_stores_with_plain_names_are_opened() {
    let grant = given("keyvalue = { cache = { value = \"1 KiB\" }, other = {} }");
    let call = Arc::new(StandingGrant::new(Role::Tools, &request(), &grant)).for_call(CallScope::default());
    assert!(call.permit_store("cache").is_ok());
    for (store, reason) in [
        ("other", DenyReason::NotRequested),
        ("", DenyReason::Malformed),
        ("a/b", DenyReason::Malformed),
        ("cache\0", DenyReason::Malformed),
        ("Cache", DenyReason::NotRequested),
    ] {
        let denied = call.permit_store(store).unwrap_err();
        assert_eq!((denied.reason(), denied.line()), (reason, None), "{store:?}");
    }
}

#[test]
fn a_denial_that_no_line_can_lift_says_so() {
    let plugin = "p".parse().unwrap();
    let grant = http_both(&["GET https://a.example/*"]).for_call(CallScope::default());
    for (method, url) in [
        ("CONNECT", "https://a.example/"),
        ("GET", "https://u@a.example/"),
        ("GET", "https://127.1/"),
        ("GET", "https://b.example/"),
        ("GET", "nonsense\x1b[31m\u{202e}"),
    ] {
        let denied = grant.permit_http(method, url).unwrap_err();
        assert_eq!(denied.line(), None);
        assert!(denied.remedy(&plugin, None).starts_with("no "), "{}", denied.remedy(&plugin, None));
        assert!(!denied.to_string().contains(['\x1b', '\u{202e}']), "{denied}");
    }
    let permit = grant.permit_http("GET", "https://a.example/").unwrap();
    let denied = permit.address("10.0.0.1:443".parse().unwrap()).unwrap_err();
    let remedy = denied.remedy(&plugin, None);
    assert!(remedy.starts_with("no line lets a name lead to an address of a private network"), "{remedy}");
    assert!(remedy.ends_with("in what the plugin is told to call"), "{remedy}");
    assert_eq!(denied.to_string(), "`http` denied (address-private): `a.example:443 at 10.0.0.1:443`");
}

/// A plugin that leaves the place to the operator: any URL will do, and only what is granted is allowed.
#[test]
fn a_place_left_to_the_operator_is_met_by_any_url_and_allows_nothing_else() {
    let post = HttpRule { methods: "POST".parse().unwrap(), place: HttpPlace::Operator };
    let request = Request { http: vec![post], ..Request::default() };
    let none = meet(&[Role::Agent], &request, &Grant::default());
    assert_eq!(none.unmet[0].wanted, "POST {operator}");
    let line = none.unmet[0].line().unwrap();
    assert_eq!(meet(&[Role::Agent], &request, &given(line)), Meeting::default());
    for (line, unmet) in [
        (r#"http = [{ url = "http://127.0.0.1:11434/v1/chat/completions", methods = ["POST"] }]"#, 0),
        (r#"http = [{ url = "http://127.0.0.1:11434/*", methods = ["GET"] }]"#, 1),
        (r#"http = [{ url = "{target}", methods = ["POST"] }]"#, 1),
    ] {
        assert_eq!(meet(&[Role::Agent], &request, &given(line)).unmet.len(), unmet, "{line}");
    }
    let grant = given(r#"http = [{ url = "https://api.example.com/v1/*", methods = ["GET", "POST"] }]"#);
    let held = Arc::new(StandingGrant::new(Role::Agent, &request, &grant)).for_call(CallScope::default());
    assert!(held.permit_http("POST", "https://api.example.com/v1/chat").is_ok());
    for (method, url, reason) in [
        ("GET", "https://api.example.com/v1/chat", DenyReason::NotRequested),
        ("POST", "https://api.example.com/v2/chat", DenyReason::NotGranted),
        ("POST", "https://other.example.com/v1/chat", DenyReason::NotGranted),
    ] {
        let denied = held.permit_http(method, url).unwrap_err();
        assert_eq!(denied.reason(), reason, "{method} {url}");
        let line = denied.line().map(|line| given(line).http[0].rule.to_string());
        let expected = (reason == DenyReason::NotGranted).then(|| format!("{method} {url}"));
        assert_eq!(line, expected, "{method} {url}");
    }
    let text = "[p]\nhttp = [{ url = \"{operator}\", methods = [\"POST\"] }]";
    assert!(parse("grants.toml", text).is_err(), "a grant says where");
}
