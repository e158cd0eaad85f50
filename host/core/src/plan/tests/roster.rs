//! What reading a roster promises: operators' files mean what they say, a mistake is named with a remedy, and who cannot be asked is a
//! rung with a reason.

use serde_json::{Value, json};

use super::*;
use crate::fact::Skip;
use crate::plan::{Hops, Money, Roster};
use crate::time::Millis;

fn roster(document: &Value) -> Result<Roster, Vec<Problem>> {
    Roster::read(document.to_string().as_bytes(), "roster.json", &Shipped, &Overrides::default())
}

fn wrong(document: &Value) -> String {
    let problems = roster(document).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_and_objects_are_agents_in_order() {
    let roster = roster(&json!({
        "active": "air star",
        "escalation": "per-hop",
        "wait": "5 s",
        "budget": { "attempts": 7, "time": "1 h", "tokens": 1000, "money": 2.5 },
        "agents": [
            "K2 Coder",
            { "name": "AirStar", "attempts": 1, "cooldown": "2 s", "price": { "input": 0.6, "output": 2.5 } },
            { "name": "House model", "plugin": "agent-openai" },
        ],
    }))
    .unwrap();
    let rungs: Vec<(&str, &str)> =
        roster.agents.iter().map(|listed| (listed.rung.agent.as_str(), listed.rung.name.as_str())).collect();
    assert_eq!(
        rungs,
        [("agent-k2", "K2 Coder"), ("agent-airstar", "AirStar"), ("agent-openai", "House model")]
    );
    let rules = roster.rules;
    assert_eq!((rules.start, rules.hops, rules.wait, rules.roster), (1, Hops::PerHop, Millis(5_000), true));
    assert_eq!((rules.budget.attempts, rules.budget.tokens), (Some(7), Some(1_000)));
    assert_eq!((rules.budget.time, rules.budget.money), (Some(Millis(3_600_000)), Some(Money(2_500_000))));
    let air = &roster.agents[1];
    assert_eq!(
        (air.attempts, air.rung.cooldown, air.rung.price.input),
        (Some(1), Millis(2_000), Money(600_000))
    );
    let ladder = roster.ladder(4);
    assert_eq!(ladder.rungs.iter().map(|rung| rung.attempts).collect::<Vec<_>>(), [4, 1, 4]);
    assert!(matches!(&ladder.rungs[0].out, Some((Skip::NotLoaded, why)) if why.contains("--plugins DIR")));
    assert_eq!(ladder.rungs[2].out, None);
}

#[test]
fn a_mistake_is_named_with_its_remedy() {
    for (document, said) in [
        (json!({ "agents": ["K2 Coder", "kimi2"] }), "agents[1]: `K2 Coder` and `kimi2` are both `agent-k2`"),
        (json!({ "agents": [{ "name": "x", "endpont": "y" }] }), "agents[0].endpont: unknown key `endpont`"),
        (json!({ "agents": [{ "endpoint": "y" }] }), "agents[0]: has no name"),
        (json!({ "agents": [7] }), "agents[0]: must be a name or an object, not a number"),
        (json!({ "agents": ["—"] }), "agents[0]: nobody can tell which plugin `—` is"),
        (json!({ "active": "Crown", "agents": ["rStar"] }), "active: `Crown` is not one of the agents"),
        (json!({ "escalation": "fast", "agents": [] }), "escalation: `fast` is no way to climb"),
        (json!({ "reorder": {}, "agents": [] }), "reorder: does not say how far"),
        (json!({ "reorder": { "places": 0 } }), "reorder.places: must be from 1 to 31"),
        (json!({ "reorder": { "places": 1, "after": 0 } }), "reorder.after: must be from 1 to 10000"),
        (json!({ "agents": [{ "name": "x", "attempts": 0 }] }), "agents[0].attempts: must be from 1 to 20"),
        (json!({ "agents": [{ "name": "x", "price": { "input": -1 } }] }), "must be an amount"),
    ] {
        let found = wrong(&document);
        assert!(found.contains(said), "{document}: {found}");
    }
    let corrupt = Roster::read(b"{\"active\": ", "roster.json", &Shipped, &Overrides::default()).unwrap_err();
    assert!(corrupt[0].to_string().contains("is not JSON"), "{corrupt:?}");
    assert!(corrupt[0].hint.as_ref().unwrap().contains("never replaced"), "{corrupt:?}");
}

#[test]
fn a_token_in_the_roster_is_never_used_and_a_variable_is_understood() {
    let roster = roster(&json!({ "agents": [
        { "name": "kimi2", "auth": { "type": "bearer", "token": "sk-literal" } },
        { "name": "airstar", "auth": { "type": "api_key", "key": "${AIRSTAR_API_KEY}" } },
        { "name": "rstar", "auth": { "token": "$RSTAR_API_KEY" } },
    ] }))
    .unwrap();
    let [warning] = &roster.warnings[..] else { panic!("{:?}", roster.warnings) };
    let said = warning.to_string();
    assert!(
        said.contains("agents[0]") && said.contains("never used") && !said.contains("sk-literal"),
        "{said}"
    );
    assert!(said.contains("[agent-k2]") && said.contains(r#"env = "KIMI2_API_KEY""#), "{said}");
    let variables: Vec<Option<&str>> =
        roster.agents.iter().map(|listed| listed.variable.as_deref()).collect();
    assert_eq!(variables, [None, Some("AIRSTAR_API_KEY"), Some("RSTAR_API_KEY")]);
}

#[test]
fn who_names_nobody_climbs_the_rosters_ladder() {
    let overrides = Overrides { rstar_threshold: Some(2), remote_attempts: Some(5), ..Overrides::default() };
    let document = json!({
        "agents": ["K2 Coder", "House", "rStar"], "budget": { "attempts": 9 }, "reorder": { "places": 2 },
    });
    let roster = Roster::read(document.to_string().as_bytes(), "roster.json", &Shipped, &overrides).unwrap();
    let context = Context { roster: Some(&roster), ..context(&overrides) };
    let component =
        |repair: Value| json!({ "id": "a", "entrypoint": "x", "health": "process", "repair": repair });
    let ladder = |repair: Value| {
        let document = json!({ "components": [component(repair)] }).to_string();
        let mut plan = build(document.as_bytes(), &context).unwrap();
        plan.components.remove(0).repair.unwrap().ladder
    };
    let climbed = ladder(json!({ "attempts": 2 }));
    assert_eq!((climbed.rungs.len(), climbed.rungs[0].attempts, climbed.rules.roster), (3, 2, true));
    assert_eq!((climbed.rules.rstar, climbed.rules.budget.attempts), (2, Some(5)));
    assert_eq!(climbed.rules.reorder, Some(crate::plan::Reorder { places: 2, after: 10 }));
    let own = ladder(json!({ "agents": ["agent-openai"] }));
    assert_eq!((own.rungs.len(), own.rules.roster, own.rules.rstar), (1, false, 2));
    assert_eq!(ladder(json!({ "agents": [] })).rungs, []);
}

#[test]
fn an_agent_that_a_component_names_and_that_is_not_there_is_never_asked_and_holds_nothing_up() {
    let repair = json!({ "agents": ["agent-idle", "agent-openai", "agent-opnai"] });
    let component = json!({ "id": "a", "entrypoint": "x", "health": "process", "repair": repair });
    let mut plan = plan(&json!({ "components": [component] }));
    let said: Vec<(String, Option<String>)> =
        plan.warnings.iter().map(|warning| (warning.to_string(), warning.hint.clone())).collect();
    for (at, place, what, remedy) in [
        (0, "repair.agents[0]", "agent plugin `agent-idle` is idle", "write it below `[agent-idle]`"),
        (1, "repair.agents[2]", "there is no agent plugin `agent-opnai`", "did you mean `agent-openai`?"),
    ] {
        let (text, hint) = &said[at];
        assert!(text.contains(place) && text.contains(what) && text.contains("it is not asked"), "{text}");
        assert_eq!(hint.as_deref(), Some(remedy));
    }
    let ladder = plan.components.remove(0).repair.unwrap().ladder;
    let out: Vec<bool> = ladder.rungs.iter().map(|rung| rung.out.is_some()).collect();
    assert_eq!((out, said.len()), (vec![true, false, true], 2));
}
