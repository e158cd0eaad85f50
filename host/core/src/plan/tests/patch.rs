//! What of a component may be patched, as the document says it, and whose files those are.

use serde_json::json;

use super::*;
use crate::patch::Protected;
use crate::plan::patchable;

fn stack(components: &Value) -> Vec<u8> {
    json!({ "components": components }).to_string().into_bytes()
}

fn of(components: &Value, component: &str) -> crate::plan::Patchable {
    let document = stack(components);
    let found = patchable(&document, "boot.json", "/srv/stack", component);
    let found = found.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let plan = plan(&serde_json::from_slice(&document).unwrap());
    let planned = plan.components.into_iter().find(|planned| planned.id == found.id).unwrap();
    assert_eq!(
        (planned.workdir, planned.patch),
        (found.workdir.clone(), found.rules.clone()),
        "both ways say the same"
    );
    found
}

fn component(id: &str, more: Value) -> Value {
    let mut component = json!({ "id": id, "entrypoint": "run", "health": "process" });
    let Value::Object(more) = more else { panic!("not an object") };
    component.as_object_mut().unwrap().extend(more);
    component
}

#[test]
fn a_directory_of_its_own_may_be_patched_and_a_shared_one_only_where_it_is_said() {
    let own = json!([component("a", json!({})), component("b", json!({ "workdir": "b" }))]);
    assert_eq!(of(&own, "a").rules.roots(), [""]);
    assert_eq!(of(&own, "b").workdir, "/srv/stack/b");
    let shared = json!([
        component("a", json!({ "workdir": "./x/../app" })),
        component("b", json!({ "workdir": "app/" })),
        component("c", json!({ "workdir": "app", "patch": { "roots": ["src/", "main.py"] } })),
        component("d", json!({ "workdir": "app", "patch": { "roots": ["."] } })),
        component("e", json!({ "workdir": "e", "patch": { "roots": [] } })),
    ]);
    assert!(of(&shared, "a").rules.roots().is_empty(), "the same directory, whatever its spelling");
    assert!(of(&shared, "b").rules.roots().is_empty());
    assert_eq!(of(&shared, "c").rules.roots(), ["src", "main.py"]);
    assert_eq!(of(&shared, "d").rules.roots(), [""]);
    assert!(of(&shared, "e").rules.roots().is_empty());
}

#[test]
fn what_is_another_components_or_named_by_the_operator_is_protected() {
    let nested = json!([
        component("a", json!({ "patch": { "protect": ["*.sql", "/data"] } })),
        component("b", json!({ "workdir": "services/b" })),
    ]);
    let rules = of(&nested, "a").rules;
    assert_eq!(rules.protected("services/b/app.py"), Some(Protected::Component));
    assert_eq!(rules.protected("db/1.sql"), Some(Protected::Operator));
    assert_eq!(rules.protected("data/x"), Some(Protected::Operator));
    assert_eq!(rules.protected("services/app.py"), None);
    assert_eq!(of(&nested, "b").rules.protected("services/b/app.py"), None);
}

#[test]
fn mistakes_are_told_by_place_with_a_remedy() {
    let document = r#"{ "components": [ { "id": "a", "entrypoint": "run", "health": "process", "patch": {
        "roots": ["src", "../b", "/etc", ".", "tests", 7], "protect": ["*", "x/**"], "deletion": true } } ] }"#;
    let places: Vec<String> = problems(document).iter().map(|problem| problem.place.clone()).collect();
    for place in ["patch.deletion", "patch.roots[5]", "patch.protect[0]", "patch.protect[1]"] {
        assert!(places.contains(&format!("components[0].{place}")), "{place}: {places:?}");
    }
    let document = document.replace(", 7]", "]").replace("deletion\"", "deletions\"");
    for problem in problems(&document) {
        assert!(problem.hint.is_some(), "{problem}");
    }
    assert_eq!(problems(&document).len(), 6, "{:#?}", problems(&document));
}

#[test]
fn who_asks_for_nobody_is_told_who_was_meant() {
    let document = stack(&json!([component("queue", json!({}))]));
    let problems = patchable(&document, "boot.json", "/srv", "quueue").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "boot.json: components: there is no component `quueue`\n  hint: did you mean `queue`?"
    );
    assert!(patchable(b"{", "boot.json", "/srv", "queue").unwrap_err()[0].message.contains("is not JSON"));
    // Probes that nothing here could ask are no obstacle.
    let probed =
        stack(&json!([component("queue", json!({ "health": { "probe": "probe-mine", "address": "x:1" } }))]));
    assert!(patchable(&probed, "boot.json", "/srv", "queue").is_ok());
}
