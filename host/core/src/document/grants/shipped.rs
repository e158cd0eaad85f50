//! What is shipped under `config/` works, and schemas there are the ones the code has.

use std::path::PathBuf;

use super::super::{grants, plugin};

fn config(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config").join(name)
}

#[test]
fn the_shipped_grants_parse() {
    let text = std::fs::read_to_string(config("grants.toml")).unwrap();
    let grants = grants::parse("config/grants.toml", &text).unwrap_or_else(|problems| {
        panic!("{problems:#?}");
    });
    assert!(grants["agent-k2"].http[0].secret.is_some());
    assert!(grants["tool-inventory"].limits.concurrent.is_some());
}

#[test]
fn the_committed_schemas_are_in_step() {
    for (name, schema) in [("grants.schema.json", grants::schema()), ("plugin.schema.json", plugin::schema())]
    {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = config(name);
        if std::env::var_os("RAZAR_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, text, "config/{name} is stale: run `RAZAR_UPDATE=1 cargo test -p razar-core`");
    }
}
