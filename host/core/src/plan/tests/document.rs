//! The schema, the reader and the files of the repository stay in step.

use std::path::{Path, PathBuf};

use super::*;
use crate::document::{boot, roster};
use crate::plan::Roster;
use crate::plan::read::{COMPONENT, LIMITS, PATCH, PHASES, PROBE, REPAIR, RESTART, STOP, TESTS, TOP};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    for (file, wanted) in
        [("boot_config.schema.json", boot::schema()), ("razar_ai_agents.schema.json", roster::schema())]
    {
        in_step(&repository().join("config").join(file), wanted);
    }
}

fn in_step(path: &Path, wanted: Value) {
    if std::env::var_os("RAZAR_UPDATE").is_some() {
        std::fs::write(path, format!("{wanted:#}\n")).unwrap();
    }
    // Compared as values: the order of keys depends on what else is built with `serde_json`.
    let found = serde_json::from_slice::<Value>(&std::fs::read(path).unwrap_or_default()).unwrap_or_default();
    assert!(found == wanted, "{} is out of date: run the tests with RAZAR_UPDATE=1", path.display());
}

#[test]
fn the_reader_knows_the_keys_of_the_schema() {
    let schema = boot::schema();
    let keys = |object: &Value| {
        let mut keys: Vec<String> = object["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(object["additionalProperties"], false);
        keys
    };
    let definitions = &schema["$defs"];
    for (object, known) in [
        (&schema, TOP),
        (&definitions["Component"], COMPONENT),
        (&definitions["Probe"], PROBE),
        (&definitions["PhaseProbes"], PHASES),
        (&definitions["Restart"], RESTART),
        (&definitions["Stop"], STOP),
        (&definitions["Limits"], LIMITS),
        (&definitions["Patch"], PATCH),
        (&definitions["Repair"], REPAIR),
        (&definitions["Tests"], TESTS),
    ] {
        let mut known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
        known.sort();
        assert_eq!(keys(object), known);
    }
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn the_reader_knows_the_keys_of_the_rosters_schema() {
    use crate::plan::roster::read::{AGENT, AUTH, BUDGET, PRICE, REORDER, ROSTER};
    let schema = roster::schema();
    let definitions = &schema["$defs"];
    for (object, known) in [
        (&schema, ROSTER),
        (&definitions["Agent"], AGENT),
        (&definitions["Auth"], AUTH),
        (&definitions["Price"], PRICE),
        (&definitions["Budget"], BUDGET),
        (&definitions["Reorder"], REORDER),
    ] {
        let mut known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
        known.sort();
        let mut keys: Vec<String> = object["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!((keys, &object["additionalProperties"]), (known, &Value::Bool(false)));
    }
}

#[test]
fn the_shipped_roster_names_the_five_and_warns_of_nothing() {
    let bytes = std::fs::read(repository().join("config/razar_ai_agents.json")).unwrap();
    let roster = Roster::read(&bytes, "razar_ai_agents.json", &Shipped, &Overrides::default()).unwrap();
    let agents: Vec<String> = roster.agents.iter().map(|listed| listed.rung.agent.to_string()).collect();
    assert_eq!(agents, ["agent-crown", "agent-kimicho", "agent-k2", "agent-airstar", "agent-rstar"]);
    assert_eq!((roster.rules.start, roster.warnings), (0, Vec::new()));
    assert_eq!(roster.agents[2].variable.as_deref(), Some("KIMI2_API_KEY"));
}

#[test]
fn the_files_of_the_repository_have_no_problems() {
    for (file, components) in [("config/boot_config.json", 2), ("examples/demo/boot_config.json", 11)] {
        let path = repository().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let plan = read(&bytes).unwrap_or_else(|problems| panic!("{file}: {problems:#?}"));
        assert_eq!(plan.components.len(), components, "{file}");
        let schema = serde_json::from_slice::<Value>(&bytes).unwrap()["$schema"].as_str().unwrap().to_owned();
        assert!(path.parent().unwrap().join(&schema).exists(), "{file} names `{schema}`");
    }
}
