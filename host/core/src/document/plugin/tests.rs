//! `plugin.toml`.

use super::parse;
use crate::document::located::testing::assert_says;
use crate::grant::{HttpPlace, TcpRule};

const GOOD: &str = r#"
name = "probe-http"
version = "0.1.0"
wasm = "probe_http.wasm"
description = "GET the component's address; 2xx is healthy"
settings = "settings.schema.json"

[request]
http = [{ url = "{target}", methods = ["GET", "HEAD"] }, { methods = ["POST"] }]
tcp = ["{target}", "db.example.com:5432"]
dirs = [{ source = "{log}", access = "read" }, { at = "/cache", access = "write" }]
names = ["*.example.com"]
config = ["model"]
env = ["TZ"]
"#;

#[test]
fn a_package_says_what_it_is_and_what_it_would_like() {
    let package = parse("plugin.toml", GOOD).unwrap();
    assert_eq!(package.name.as_str(), "probe-http");
    assert_eq!(package.wasm.as_str(), "probe_http.wasm");
    assert_eq!(package.settings.unwrap().as_str(), "settings.schema.json");
    assert_eq!(package.request.http[0].place, HttpPlace::Target);
    assert_eq!(package.request.http[1].place, HttpPlace::Operator);
    assert_eq!(package.request.tcp[0], TcpRule::Target);
    let dirs: Vec<String> = package.request.dirs.iter().map(ToString::to_string).collect();
    assert_eq!(dirs, ["read {log} at /log", "write {operator} at /cache"]);
    let least = "name = \"p\"\nversion = \"1.0.0-rc.1+b\"\nwasm = \"p.wasm\"\ndescription = \"\"";
    assert_eq!(parse("plugin.toml", least).unwrap().request, crate::grant::Request::default());
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let text = r#"
name = "Probe"
version = "1.0"
wasm = "../probe.wasm"
description = "two\nlines"
[request]
http = [{ url = "https://a@b/", methods = [] }, { url = "ftp://x", methods = ["GET", "TRACE"] }]
tcp = ["x"]
dirs = [{ source = "/etc", at = "/x", access = "read" }, { access = "read" }]
names = ["127.0.0.1"]
config = ["a b"]
env = ["A=B"]
"#;
    assert_says(
        parse("p/plugin.toml", text),
        &[
            "p/plugin.toml: name (line 2, column 8): `Probe` may not contain 'P'",
            "version (line 3, column 11): the version is not `MAJOR.MINOR.PATCH`\n  hint: write `version = \"0.1.0\"`",
            "wasm (line 4, column 8): `../probe.wasm` is not the plain name",
            "description (line 5, column 15): the description is not one short line",
            "request.http[0].url (line 7, column 17): `https://a@b/` has a user name before its host\n  hint: remove",
            "request.http[0].methods (line 7, column 43): `https://a@b/` names no method",
            "request.http[1].url (line 7, column 57): `ftp://x` is neither",
            "request.http[1].methods (line 7, column 78): `TRACE` is not a method",
            "request.tcp[0] (line 8, column 8): `x` does not end in a port",
            "request.dirs[0] (line 9, column 9): `/etc` is not a path that can be granted: a plugin cannot name",
            "request.dirs[1] (line 9, column 58): `` is not a path that can be granted: it is empty",
            "request.names[0] (line 10, column 10): `127.0.0.1` is not a host: an address needs no lookup",
            "request.config[0] (line 11, column 11): `a b` is not a configuration key",
            "request.env[0] (line 12, column 8): `A=B` is not the name of an environment variable",
        ],
    );
}

#[test]
fn files_of_a_package_are_beside_it() {
    for bad in [
        "",
        ".wasm",
        "a",
        "a.WASM",
        "a.wat",
        "a.cwasm",
        "/a.wasm",
        "a/b.wasm",
        "a\\\\b.wasm",
        "..wasm",
        "a..wasm",
        "-a.wasm",
        ".a.wasm",
        "a\\u0000.wasm",
        "é.wasm",
        "C:a.wasm",
        "a.wasm\\n",
    ] {
        let text = GOOD.replace("probe_http.wasm", bad);
        assert!(parse("plugin.toml", &text).is_err(), "{bad:?}");
    }
    for bad in ["settings.toml", "../settings.json", ".json"] {
        assert!(parse("plugin.toml", &GOOD.replace("settings.schema.json", bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn versions_are_semantic() {
    for (version, good) in [
        ("0.1.0", true),
        ("1.2.3-alpha.1", true),
        ("1.2.3+build.05", true),
        ("1.2.3-x-y-z+a-b", true),
        ("1.2", false),
        ("v1.2.3", false),
        ("01.2.3", false),
        ("1.2.3-", false),
        ("1.2.3-01", false),
        ("1.2.3+", false),
        ("1.2.3.4", false),
        ("", false),
    ] {
        assert_eq!(parse("plugin.toml", &GOOD.replace("0.1.0", version)).is_ok(), good, "{version:?}");
    }
}

#[test]
fn keys_that_are_not_known_are_refused() {
    assert_says(
        parse("plugin.toml", &GOOD.replace("settings =", "setings =")),
        &[
            "line 6, column 1: unknown field `setings`, expected one of `name`, `version`, `wasm`, `description`, \
           `settings`, `workspace`, `request`\n  hint: did you mean `settings`?",
        ],
    );
    assert_says(parse("plugin.toml", &GOOD.replace("methods", "method")), &["unknown field `method`"]);
    assert_says(
        parse("plugin.toml", &GOOD.replace("wasm = \"probe_http.wasm\"\n", "")),
        &["missing field `wasm`"],
    );
    assert_says(parse("plugin.toml", "name = "), &["plugin.toml: line 1, column"]);
    assert_says(
        parse("plugin.toml", "name = \"a\"\nname = \"b\""),
        &["plugin.toml: line 2, column 1: duplicate key"],
    );
}

#[test]
fn a_document_cannot_draw_on_a_terminal() {
    for bad in ["probe\\u001b[2J", "probe\\u202e", "a\\u0000b"] {
        let problems = parse("plugin.toml", &GOOD.replace("probe-http", bad)).unwrap_err();
        assert!(
            problems.iter().all(|problem| !problem.message.contains(['\x1b', '\u{202e}', '\0'])),
            "{bad}"
        );
        assert!(parse("plugin.toml", &GOOD.replace("GET the", bad)).is_err(), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String, at in 0_usize..400) {
        let _ = parse("plugin.toml", &text);
        let mut cut: String = GOOD.chars().take(at).collect();
        cut.push_str(&text);
        cut.extend(GOOD.chars().skip(at));
        let _ = parse("plugin.toml", &cut);
    }
}
