//! What a release must not have: a way to kill it from the environment. Tests arm places in debug builds only.

use std::path::Path;

use crate::none;
use crate::tokens::{Tests, names};
use crate::tree;

/// The one file that may look whether a place is armed.
const FAILPOINTS: &str = "host/ledger/src/failpoint.rs";

/// The variable that names the armed places.
const VARIABLE: &str = "RAZAR_FAILPOINTS";

#[test]
fn a_release_has_no_place_at_which_it_can_be_killed() {
    let product = tree::rust().iter().filter(|source| {
        let in_product = |part: &str| source.file.iter().any(|name| name == part);
        source.file.starts_with("host") && in_product("src")
    });
    let mut findings = Vec::new();
    let mut looked_at = 0;
    for source in product {
        if source.file != Path::new(FAILPOINTS) {
            if source.text.contains(VARIABLE) {
                findings.push(format!("{}: `{VARIABLE}`", source.file.display()));
            }
            continue;
        }
        looked_at += 1;
        // What is compiled with debug assertions alone goes the way of tests.
        let release = source.text.replace("#[cfg(debug_assertions)]", "#[cfg(test)]");
        let left = names(&release, Tests::Excluded);
        let reaches =
            left.iter().filter(|name| name.segments().any(|part| ["std", "rustix", "armed"].contains(&part)));
        findings.extend(reaches.map(|name| format!("{FAILPOINTS}:{}: `{}`", name.line, name.path)));
    }
    assert_eq!(looked_at, 1, "{FAILPOINTS} was not found");
    let root: toml::Table = tree::read("Cargo.toml".as_ref()).parse().expect("`Cargo.toml` is TOML");
    let profiles = root.get("profile").and_then(toml::Value::as_table).expect("profiles");
    for (name, profile) in profiles {
        if profile.get("debug-assertions").is_some() {
            findings.push(format!("Cargo.toml: [profile.{name}] sets `debug-assertions`"));
        }
    }
    none(&findings, "keep it behind `#[cfg(debug_assertions)]` in that file");
}
