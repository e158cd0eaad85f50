//! Every mistake is named at its place, with what to do about it.

use serde_json::json;

use super::*;
use crate::plan::{MAX_DOCUMENT, count_components};

/// A document with one component that has these keys besides what every component needs.
fn with(extra: &str) -> String {
    format!(r#"{{ "components": [{{ "id": "a", "entrypoint": "x", "health": "process", {extra} }}] }}"#)
}

fn health(health: &str) -> String {
    format!(r#"{{ "components": [{{ "id": "a", "entrypoint": "x", "health": {health} }}] }}"#)
}

fn only(body: &str) -> String {
    format!(r#"{{ "components": [{{ {body} }}] }}"#)
}

/// Document, place, piece of the message, piece of the hint. Each has exactly one problem.
#[test]
fn each_mistake_has_its_place_message_and_hint() {
    let table = [
        ("".to_owned(), "line 1, column 1", "is not JSON: EOF", "double quotes"),
        ("{\n \"a\": tru }".to_owned(), "line 2, column 10", "is not JSON: expected", "trailing commas"),
        ("[]".to_owned(), "document", "must be an object, not a list", ""),
        ("{}".to_owned(), "components", "no component to boot", "add \"components\""),
        (r#"{ "components": [] }"#.to_owned(), "components", "no component to boot", "add"),
        (r#"{ "components": {} }"#.to_owned(), "components", "must be a list, not an object", ""),
        (r#"{ "components": [3] }"#.to_owned(), "components[0]", "must be an object, not a number", ""),
        (
            with(r#""depend_on": []"#),
            "components[0].depend_on",
            "unknown key `depend_on`",
            "did you mean `depends_on`?",
        ),
        (with(r#""zzzzzz": 1"#), "components[0].zzzzzz", "unknown key", "known here: id, name"),
        (with(r#""id": "b""#), "components[0].id", "written twice", "keep one"),
        (
            with(r#""repair": { "evaluators": ["evaluator-syntax", "evaluator-sintax"] }"#),
            "components[0].repair.evaluators[1]",
            "there is no evaluator plugin `evaluator-sintax`",
            "did you mean `evaluator-syntax`?",
        ),
        (
            with(r#""repair": { "agents": ["an agent"] }"#),
            "components[0].repair.agents[0]",
            "there is no agent plugin `an agent`",
            "--plugins DIR",
        ),
        (with(r#""name": "b""#), "components[0]", "both `id` and `name`", "keep `id`"),
        (with(r#""env": { "A": "1", "A": "2" }"#), "components[0].env.A", "written twice", ""),
        (with(r#""command": ["y"]"#), "components[0]", "both `command` and `entrypoint`", ""),
        (with(r#""health_check": ["y"]"#), "components[0]", "both `health` and `health_check`", ""),
        (with(r#""vital": "yes""#), "components[0].vital", "must be true or false, not a text", ""),
        (with(r#""depends_on": ["a"]"#), "components[0].depends_on[0]", "in a circle: a -> a", "remove"),
        (
            with(r#""depends_on": ["b"]"#),
            "components[0].depends_on[0]",
            "no component `b`",
            "did you mean `a`?",
        ),
        (with(r#""depends_on": [7]"#), "components[0].depends_on[0]", "must be a text", ""),
        (with(r#""user": "a b""#), "components[0].user", "`a b` is not a user name", ""),
        (with(r#""workdir": """#), "components[0].workdir", "is empty", "leave it out"),
        (with(r#""env": { "A=B": "1" }"#), "components[0].env.A=B", "not a name a variable", ""),
        (with(r#""env": { "A": "\u0000" }"#), "components[0].env.A", "NUL", ""),
        (
            with(r#""stop": { "signal": "SIGTREM" }"#),
            "components[0].stop.signal",
            "`SIGTREM`",
            "did you mean `SIGTERM`?",
        ),
        (with(r#""stop": { "signal": "SIGSTOP" }"#), "components[0].stop.signal", "`SIGSTOP`", ""),
        (with(r#""stop": { "grace": "soon" }"#), "components[0].stop.grace", "not a span of time", "\"2 s\""),
        (with(r#""stop": { "grace": "5" }"#), "components[0].stop.grace", "has no unit", "\"2 s\""),
        (
            with(r#""restart": { "retries": -1 }"#),
            "components[0].restart.retries",
            "whole number, not -1",
            "",
        ),
        (with(r#""restart": { "retries": 1001 }"#), "components[0].restart.retries", "at most 1000", ""),
        (with(r#""restart": { "backoff": 0 }"#), "components[0].restart.backoff", "at least 10 ms", "1 s"),
        (
            with(r#""restart": { "backoff_max": "1 ms" }"#),
            "components[0].restart.backoff_max",
            "shorter than",
            "1 s",
        ),
        (
            with(r#""restart": { "forgive_after": 0 }"#),
            "components[0].restart.forgive_after",
            "longer than zero",
            "",
        ),
        (only(r#""entrypoint": "x", "health": "process""#), "components[0]", "has no name", "\"id\""),
        (
            only(r#""id": "../a", "entrypoint": "x", "health": "process""#),
            "components[0].id",
            "may not contain",
            "",
        ),
        (
            only(r#""id": "a", "health": "process""#),
            "components[0]",
            "neither `entrypoint` nor",
            "\"entrypoint\"",
        ),
        (
            only(r#""id": "a", "entrypoint": "", "health": "process""#),
            "components[0].entrypoint",
            "no program",
            "",
        ),
        (
            only(r#""id": "a", "entrypoint": "x 'y", "health": "process""#),
            "components[0].entrypoint",
            "quote",
            "list",
        ),
        (
            only(r#""id": "a", "command": "x 'y", "health": "process""#),
            "components[0].command",
            "quote",
            "list",
        ),
        (
            only(r#""id": "a", "entrypoint": "x", "health_check": "x 'y z'""#),
            "components[0].health_check",
            "list of texts",
            r#"["x","y z"]"#,
        ),
        (
            only(r#""id": "a", "command": ["x", "\u0000"], "health": "process""#),
            "components[0].command[1]",
            "NUL",
            "",
        ),
        (
            only(r#""id": "a", "entrypoint": "x""#),
            "components[0]",
            "Component a lacks a health probe",
            r#""health": "process""#,
        ),
        (
            only(r#""name": "a", "command": "x""#),
            "components[0]",
            "Component a lacks a health probe",
            r#"add "health_check": ["#,
        ),
        (
            only(r#""name": "basic_service", "command": ["x"]"#),
            "components[0]",
            "Component basic_service lacks a health probe",
            "http://localhost:8000/healthz",
        ),
        (only(r#""id": "a", "entrypoint": "x", "probes": {}"#), "components[0]", "lacks a health probe", ""),
        (
            only(r#""id": "a", "entrypoint": "x", "probes": 1"#),
            "components[0].probes",
            "must be an object",
            "",
        ),
        (health("[\"curl\"]"), "components[0].health", "not a list", r#"{ "command": ["curl"] }"#),
        (health("{}"), "components[0].health", "neither what to ask nor whom", "\"address\""),
        (health(r#""proces""#), "components[0].health", "neither a URL nor", "\"process\""),
        (health(r#""localhost:80""#), "components[0].health", "neither a URL nor", "tcp://localhost:80"),
        (health(r#""ftp://h/""#), "components[0].health", "no probe is known for `ftp`", "`probe`"),
        (health(r#""http://""#), "components[0].health", "is not a URL", "for instance"),
        (health(r#""http://u:p@h/""#), "components[0].health", "a user name or a password", ""),
        (health(r#""tcp://h""#), "components[0].health", "is not `host:port`", ""),
        (health(r#""tcp://h:0""#), "components[0].health", "is not `host:port`", ""),
        (health(r#""tcp://h:70000""#), "components[0].health", "is not `host:port`", ""),
        (
            health(r#"{ "probe": "probe-htp" }"#),
            "components[0].health.probe",
            "no probe `probe-htp`",
            "did you mean `probe-http`?",
        ),
        (
            health(r#"{ "probe": "mine" }"#),
            "components[0].health.probe",
            "no probe `mine`",
            "there are: probe-http",
        ),
        (health(r#"{ "probe": "probe-http" }"#), "components[0].health.address", "needs an `address`", "add"),
        (health(r#"{ "probe": "probe-log" }"#), "components[0].health.log", "needs a `log`", "output"),
        (
            health(r#"{ "probe": "probe-tcp", "address": "http://h/" }"#),
            "components[0].health.address",
            "a host and a port",
            "",
        ),
        (
            health(r#"{ "command": ["x"], "log": "/l" }"#),
            "components[0].health.log",
            "a command has no `log`",
            "remove",
        ),
        (
            health(r#"{ "address": "http://h/", "settings": { "stauts": [200] } }"#),
            "components[0].health.settings.stauts",
            "unknown setting",
            "`status`",
        ),
        (
            health(r#"{ "address": "http://h/", "settings": { "a": { "b": 1, "b": 2 } } }"#),
            "components[0].health.settings.a.b",
            "written twice",
            "",
        ),
        (
            health(r#"{ "address": "h:1", "interval": 0 }"#),
            "components[0].health.interval",
            "at least 10 ms",
            "10 s",
        ),
        (
            health(r#"{ "address": "h:1", "timeout": "5 m" }"#),
            "components[0].health.timeout",
            "`m` is not a unit",
            "",
        ),
        (
            health(r#"{ "address": "h:1", "timeoout": 5 }"#),
            "components[0].health.timeoout",
            "unknown key",
            "`timeout`",
        ),
        (
            health(r#"{ "address": "h:1", "failures": 4, "window": 3 }"#),
            "components[0].health.window",
            "never has 4",
            "4 or more",
        ),
        (health(r#"{ "address": "h:1", "window": 33 }"#), "components[0].health.window", "from 1 to 32", ""),
        (
            health(r#"{ "address": "h:1", "listener": "other" }"#),
            "components[0].health.listener",
            "`other` is no listener",
            r#"write "own", or "any""#,
        ),
        (
            health(r#"{ "command": ["x"], "listener": "any" }"#),
            "components[0].health.listener",
            "a command has no `listener`",
            "remove `listener`",
        ),
        (
            health(r#"{ "address": "h:1", "successes": 0 }"#),
            "components[0].health.successes",
            "from 1 to 32",
            "",
        ),
    ];
    for (document, place, message, hint) in table {
        let found = problems(&document);
        assert_eq!(found.len(), 1, "{document}: {found:#?}");
        let problem = &found[0];
        assert_eq!(problem.place, place, "{document}");
        assert_eq!(problem.file, "boot.json");
        assert!(problem.message.contains(message), "{document}: {}", problem.message);
        let said = problem.hint.as_deref().unwrap_or_default();
        assert!(said.contains(hint), "{document}: {said}");
    }
}

#[test]
fn names_are_unique_also_where_file_systems_fold_case() {
    for (second, message) in [("a", "also the name of components[0]"), ("A", "in case only")] {
        let document = format!(
            r#"{{ "components": [
                {{ "id": "a", "entrypoint": "x", "health": "process" }},
                {{ "id": "{second}", "entrypoint": "x", "health": "process" }} ] }}"#
        );
        let found = problems(&document);
        assert_eq!((found.len(), found[0].place.as_str()), (1, "components[1]"));
        assert!(found[0].message.contains(message), "{}", found[0].message);
    }
}

#[test]
fn layers_are_checked_against_each_other_and_the_dependencies() {
    let document = r#"{ "layers": ["low", "high", "low"], "components": [
        { "id": "a", "layer": "low", "entrypoint": "x", "health": "process", "depends_on": ["b"] },
        { "id": "b", "layer": "high", "entrypoint": "x", "health": "process" },
        { "id": "c", "layer": "hihg", "entrypoint": "x", "health": "process" } ] }"#;
    let found = problems(document);
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "boot.json: layers[2]: layer `low` is listed twice\n  hint: remove one of the two",
            "boot.json: components[2].layer: layer `hihg` is not listed in `layers`\n  hint: did you mean `high`?",
            "boot.json: components[0].depends_on[0]: `b` boots later, in layer `high`, than this, in layer `low`\n  hint: \
         move this component to layer `high` or above",
        ]
    );
}

#[test]
fn all_problems_of_a_document_are_found_at_once() {
    let found = problems(
        r#"{ "mision": 1, "components": [
            { "id": "a", "entrypoint": 5, "health": { "adress": "h:1", "interval": "x" }, "stop": { "grace": -1 } },
            { "name": "a", "command": [], "health_check": [] },
            { "id": "c", "entrypoint": "c", "health": "process", "depends_on": ["nobody-at-all", "c2"] },
            { "id": "c1", "entrypoint": "c", "health": "process", "depends_on": ["c2"] },
            { "id": "c2", "entrypoint": "c", "health": "process", "depends_on": ["c1"] } ] }"#,
    );
    let places: Vec<&str> = found.iter().map(|problem| problem.place.as_str()).collect();
    for place in [
        "mision",
        "components[0].entrypoint",
        "components[0].health.adress",
        "components[0].health.interval",
        "components[0].stop.grace",
        "components[1]",
        "components[1].command",
        "components[1].health_check",
        "components[2].depends_on[0]",
        "components[3].depends_on[0]",
    ] {
        assert!(places.contains(&place), "{place} is missing of {places:#?}");
    }
    let circle = found.iter().find(|problem| problem.message.contains("circle")).unwrap();
    assert!(
        circle.message.ends_with("c2 -> c1 -> c2") || circle.message.ends_with("c1 -> c2 -> c1"),
        "{circle}"
    );
}

#[test]
fn sizes_are_limited() {
    let found = read(&vec![b' '; MAX_DOCUMENT + 1]).unwrap_err();
    assert!(found[0].message.contains("4194304"), "{}", found[0]);
    let many = format!(r#"{{ "components": [{}{{}}] }}"#, "{},".repeat(10_000));
    let found = problems(&many);
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("10001 components"), "{}", found[0]);
    let deep = format!(r#"{{ "components": {}{} }}"#, "[".repeat(5000), "]".repeat(5000));
    assert!(problems(&deep)[0].message.contains("recursion limit"));
}

#[test]
fn a_file_full_of_mistakes_has_a_short_answer() {
    let keys: String = (0..100_000).map(|n| format!(r#""k{n}": 1,"#)).collect();
    let found = problems(&format!(r#"{{ {keys} "components": [] }}"#));
    assert!(found.len() < 1000);
    assert!(found.last().unwrap().message.contains("more problems are not listed"));
    let shown = problems("{ \"\\u001b[2J\\n\": 1, \"components\": [] }")[0].to_string();
    assert!(!shown.contains('\u{1b}') && shown.lines().count() == 2, "{shown:?}");
}

#[test]
fn without_any_plugin_one_problem_says_how_many_need_which() {
    let document = br#"{ "components": [
        { "id": "a", "entrypoint": "x", "health": "tcp://h:1", "probes": { "readiness": "http://h/" } },
        { "id": "b", "entrypoint": "x", "health": { "probe": "mine" } },
        { "id": "c", "entrypoint": "x", "health": "tcp://h:2" },
        { "id": "d", "entrypoint": "x", "health": "process" } ] }"#;
    let overrides = Overrides::default();
    let found = build(document, &Context { plugins: &NoPlugins, ..context(&overrides) }).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].place, "components");
    assert_eq!(
        found[0].message,
        "3 components need probe plugins, and there are none: `mine` (1), `probe-http` (1), `probe-tcp` (2)"
    );
    assert!(found[0].hint.as_deref().unwrap().contains("--plugins DIR"), "{found:#?}");
}

#[test]
fn components_are_counted_whatever_else_is_wrong() {
    for (document, count) in [
        (r#"{ "components": [{}, 3, {}] }"#, Some(3)),
        (r#"{ "components": 3 }"#, None),
        ("{}", None),
        ("{", None),
    ] {
        assert_eq!(count_components(document.as_bytes()), count, "{document}");
    }
}

#[test]
fn a_limit_that_nothing_runs_with_is_named_with_its_place() {
    let document = json!({ "components": [{ "id": "a", "entrypoint": "x", "health": "process", "limits": {
        "open_files": 3, "processes": 0, "address_space": "1 MiB", "core_dump": 0, "cpu_time": "0 s", "memory": "1 MiB",
        "file_size": "much", "tasks": 0, "ram": "1 GiB",
    } }] });
    let problems = problems(&document.to_string());
    for (key, says) in [
        ("open_files", "must be at least 16"),
        ("processes", "must be at least 1"),
        ("address_space", "must be at least 64 MiB"),
        ("core_dump", "must be a size such as `64 MiB`"),
        ("cpu_time", "must be at least 1 s"),
        ("memory", "must be at least 4 MiB"),
        ("tasks", "must be at least 1"),
        ("ram", "unknown key"),
        ("file_size", "does not begin with a whole number"),
    ] {
        let place = format!("components[0].limits.{key}");
        let found = problems.iter().find(|problem| problem.place == place);
        let found = found.unwrap_or_else(|| panic!("{key}: {problems:#?}"));
        assert!(found.message.contains(says), "{key}: {}", found.message);
    }
    assert_eq!(problems.len(), 9, "{problems:#?}");
}
