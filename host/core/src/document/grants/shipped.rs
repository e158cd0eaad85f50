//! What is shipped under `config/` works, and schemas there are the ones the code has.

use std::path::PathBuf;

use super::super::{grants, lock, plugin, signers};

fn config(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config").join(name)
}

#[test]
fn the_shipped_grants_parse() {
    let text = std::fs::read_to_string(config("grants.toml")).unwrap();
    let grants = grants::parse("config/grants.toml", &text).unwrap_or_else(|problems| {
        panic!("{problems:#?}");
    });
    assert!(grants["tool-inventory"].http[0].secret.is_some());
    assert!(grants["tool-inventory"].limits.concurrent.is_some());
    let agents = grants.keys().filter(|name| name.as_str().starts_with("agent-")).count();
    assert_eq!(agents, 0, "what is shipped grants no agent anything");
}

/// Whoever uses the examples as they are asks nobody either, until there is a key.
#[test]
fn the_agents_examples_parse_and_want_a_key_each() {
    let text = std::fs::read_to_string(config("grants.agents.toml")).unwrap();
    let grants = grants::parse("config/grants.agents.toml", &text).unwrap_or_else(|problems| {
        panic!("{problems:#?}");
    });
    for (name, grant) in &grants {
        assert!(grant.config.contains_key("endpoint"), "{name}");
        let settings = grant.config.get("settings").map_or("{}", String::as_str);
        assert!(
            serde_json::from_str::<serde_json::Value>(settings).is_ok_and(|value| value.is_object()),
            "{name}"
        );
        assert!(!grant.http.is_empty() && grant.http.iter().all(|http| http.secret.is_some()), "{name}");
        assert!(grant.tcp.is_empty() && grant.dirs.is_empty() && grant.names.is_empty(), "{name}");
    }
}

#[test]
fn the_committed_schemas_are_in_step() {
    for (name, schema) in [
        ("grants.schema.json", grants::schema()),
        ("plugin.schema.json", plugin::schema()),
        ("plugins.lock.schema.json", lock::schema()),
        ("signers.schema.json", signers::schema()),
    ] {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = config(name);
        if std::env::var_os("RAZAR_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, text, "config/{name} is stale: run `RAZAR_UPDATE=1 cargo test -p razar-core`");
    }
}
