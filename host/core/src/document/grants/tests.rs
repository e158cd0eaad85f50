//! `grants.toml`.

use super::parse;
use crate::document::located::testing::assert_says;
use crate::document::units::Bytes;
use crate::grant::{Limits, LimitsOverride, Quota, Role};
use crate::time::Millis;

#[test]
fn a_grant_says_what_is_given() {
    let text = r#"
[agent-k2]
http = [{ url = "https://api.moonshot.ai/v1/chat/completions", methods = ["POST"],
          secret = { env = "KIMI2_API_KEY", header = "authorization", format = "Bearer {}" } }]
config = { model = "kimi-k2.6" }
limits = { memory = "64 MiB", deadline = "90 s", reply = "4 MiB" }
[empty]
"#;
    let grants = parse("grants.toml", text).unwrap();
    let grant = &grants["agent-k2"];
    assert_eq!(grant.http[0].rule.to_string(), "POST https://api.moonshot.ai/v1/chat/completions");
    let secret = grant.http[0].secret.as_ref().unwrap();
    assert_eq!(secret.to_string(), "`authorization: Bearer {}` from environment variable `KIMI2_API_KEY`");
    assert_eq!(grant.config["model"], "kimi-k2.6");
    let limits = LimitsOverride {
        memory: Some(Bytes::mib(64)),
        deadline: Some(Millis::seconds(90)),
        reply: Some(Bytes::mib(4)),
        ..LimitsOverride::default()
    };
    assert_eq!(grant.limits, limits);
    assert_eq!(grants["empty"], crate::grant::Grant::default());
    assert_eq!(parse("grants.toml", "").unwrap().len(), 0);
}

#[test]
fn a_store_has_a_quota_within_the_ceiling() {
    let text = r#"
[p]
keyvalue = { cache = { bytes = "1 MiB", keys = 9, key = "32 B", value = "1 KiB", writes = 3 }, plain = {} }
"#;
    let stores = &parse("grants.toml", text).unwrap()["p"].keyvalue;
    let cache = Quota { bytes: Bytes::mib(1), keys: 9, key: Bytes(32), value: Bytes::kib(1), writes: 3 };
    assert_eq!((stores["cache"], stores["plain"]), (cache, Quota::DEFAULT));
    let text = r#"
[p]
keyvalue = { "a/b" = {}, big = { bytes = "17 MiB" }, many = { keys = 10001 }, odd = { value = "1 kB" }, x = { y = 1 } }
"#;
    assert_says(
        parse("grants.toml", text),
        &["p (line 3, column 111): unknown field `y`, expected one of `bytes`, `keys`"],
    );
    let text = text.replace(", x = { y = 1 }", "");
    assert_says(
        parse("grants.toml", &text),
        &[
            "p.keyvalue.a/b",
            "p.keyvalue.big.bytes (line 3, column 42): `bytes` is above the ceiling of \"16 MiB\"",
            "p.keyvalue.many.keys (line 3, column 70): `keys` is above the ceiling of 10000",
            "p.keyvalue.odd.value (line 3, column 95): `1 kB` has no unit",
        ],
    );
}

#[test]
fn mistakes_in_one_table_do_not_hide_those_in_others() {
    let text = r#"
[one]
htp = []
[two]
limits = { memory = "64 MB", deadline = "100 h", requests = 5, fuel = 1, table-elements = 1 }
[Three]
tcp = ["a:0"]
[four]
names = "x"
"#;
    assert_says(
        parse("config/grants.toml", text),
        &[
            "config/grants.toml: one (line 3, column 1): unknown field `htp`",
            "two.limits.memory (line 5, column 21): `64 MB` has no unit out of B, KiB, MiB, GiB\n  hint: write a whole",
            "two.limits.deadline (line 5, column 41): `deadline` is \"4 d 4 h\", above the ceiling of \"1 h\"",
            "two.limits.fuel (line 5, column 71): `fuel` is 1, below the floor",
            "two.limits.table-elements (line 5, column 91): `table-elements` is 1, below the floor of 1000",
            "Three (line 6, column 1): `Three` may not contain 'T'",
            "Three.tcp[0] (line 7, column 8): `a:0` does not end in a port",
            "four (line 9, column 9): invalid type: string \"x\", expected a sequence",
        ],
    );
}

#[test]
fn what_stands_above_the_first_table_is_given_to_nobody() {
    let text = "workspace = true\n\nagent-k2 = \"yes\"\n[one]\nworkspace = true\n";
    assert_says(
        parse("g", text),
        &[
            "g: workspace (line 1, column 13): `workspace` belongs to no plugin: it stands above the first table\n  hint: \
             write below the name of the plugin that it is for: `[agent-k2]`, and in the next line `workspace = true`",
            "g: agent-k2 (line 3, column 12): `agent-k2` is not a table, and what a plugin is given is one\n  hint: write \
             `[agent-k2]`, and below it",
        ],
    );
}

#[test]
fn secrets_go_to_one_origin_and_never_in_the_clear() {
    let rule = |url: &str, secret: &str| {
        parse("g", &format!("[p]\nhttp = [{{ url = \"{url}\", methods = [\"GET\"], secret = {secret} }}]"))
    };
    let good = "{ env = \"K\", header = \"x-key\" }";
    assert!(rule("https://a.example/v1/*", good).is_ok());
    assert!(rule("http://127.0.0.1:8080/*", good).is_ok());
    assert!(
        rule("http://[::1]:8080/*", "{ file = \"/run/k\", header = \"x-key\", format = \"k {}\" }").is_ok()
    );
    assert_says(rule("http://a.example/", good), &["p.http[0].secret (line 2, column"]);
    assert_says(rule("http://10.0.0.1/", good), &["`http` would send it in the clear"]);
    assert_says(rule("https://*.a.example/", good), &["a wildcard is many hosts"]);
    assert_says(rule("{target}", good), &["`{target}` is another component in every call"]);
    for (bad, says) in [
        ("{ header = \"x\" }", "a secret is in `env` or in `file`"),
        ("{ env = \"K\", file = \"/k\", header = \"x\" }", "a secret is in `env` or in `file`"),
        ("{ env = \"K\" }", "missing field `header`"),
        ("{ env = \"K=\", header = \"x\" }", "`K=` is not the name of an environment variable"),
        ("{ file = \"\", header = \"x\" }", "it is empty"),
        ("{ env = \"K\", header = \"Host\" }", "`host` is not a header a secret can travel in"),
        ("{ env = \"K\", header = \"x\", format = \"Bearer\" }", "must contain `{}` exactly once"),
        ("{ value = \"hunter2\", header = \"x\" }", "unknown field `value`"),
    ] {
        assert_says(rule("https://a.example/", bad), &[says]);
    }
}

#[test]
fn rules_that_disagree_are_refused() {
    let text = r#"
[p]
http = [
    { url = "https://a.example/v1/*", methods = ["GET", "POST"], secret = { env = "A", header = "x" } },
    { url = "https://a.example/*", methods = ["POST"], secret = { env = "B", header = "x" } },
    { url = "https://a.example/*", methods = ["PUT"] },
]
dirs = [
    { source = "/srv/a", at = "/a", access = "read" },
    { source = "/srv/a/b", at = "/b", access = "write" },
    { source = "/srv/ab", at = "/ab", access = "write" },
    { source = "/srv/c", at = "/ab", access = "write" },
    { source = "{operator}", at = "/d", access = "read" },
    { source = "/srv/e", at = "/tree", access = "read" },
]
"#;
    assert_says(
        parse("g", text),
        &[
            "p.http[1] (line 5, column 5): `GET,POST https://a.example/v1/*` and `POST https://a.example/*` allow the \
             same request with different secrets",
            "p.dirs[1] (line 10, column 5): `write /srv/a/b at /b` and `read /srv/a at /a` give the same files",
            "p.dirs[3] (line 12, column 5): two directories are at `/ab`",
            "p.dirs[4] (line 13, column 5): `{operator}` is not a placeholder",
            "p.dirs[5] (line 14, column 5): `/tree` is not a path that can be granted: this place belongs",
        ],
    );
}

#[test]
fn every_roles_limits_can_be_written_down() {
    for role in Role::ALL {
        let limits = Limits::defaults(role);
        let lines: Vec<String> =
            limits.lines().into_iter().map(|(field, value)| format!("{field} = {value}")).collect();
        let text = format!("[p.limits]\n{}\nfuel = 1000000", lines.join("\n"));
        let change = parse("g", &text).unwrap()["p"].limits;
        // Written as a change to another role's, they are that role's: no field is forgotten, all are in bounds.
        for other in Role::ALL {
            let expected = Limits { fuel: Some(1_000_000), ..limits };
            assert_eq!(Limits::defaults(other).with(&change), Ok(expected), "{role} {other}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = parse("g", &text);
        let _ = parse("g", &format!("[p]\nhttp = [{{ url = {text:?}, methods = [{text:?}] }}]\ntcp = [{text:?}]"));
        let _ = parse("g", &format!("[p]\nlimits = {{ memory = {text:?} }}\nconfig = {{ {text:?} = {text:?} }}"));
    }
}
