//! That no attack is forgotten: each of the list in `elsewhere.toml` is a case of the corpus or of `patches`, or has a test that
//! exists. Whoever renames a test finds the table here.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::{Failed, Trial};
use razar_tests::repository;
use toml::{Table, Value};

use crate::{corpus, patches};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("hostile::every_attack_is_proven_somewhere", || match wrong().as_slice() {
        [] => Ok(()),
        wrong => Err(Failed::from(wrong.join("\n  "))),
    })]
}

fn wrong() -> Vec<String> {
    let text = fs::read_to_string(repository().join("tests/hostile/elsewhere.toml")).expect("the table");
    let table: Table = text.parse().expect("TOML");
    let attacks: BTreeSet<&str> = word(&table, "attacks").split_whitespace().collect();
    let patches = patches::names();
    let names = corpus::cases().iter().map(|case| case.name()).chain(patches.iter().map(String::as_str));
    let cases: BTreeSet<&str> = names.map(attack_of).collect();
    let mut wrong = Vec::new();
    let mut somewhere = cases.clone();
    for entry in entries(&table, "proven") {
        let (attack, file, test) = (word(entry, "attack"), word(entry, "file"), word(entry, "test"));
        somewhere.insert(attack);
        if word(entry, "promise").is_empty() {
            wrong.push(format!("{attack}: it is not said what is promised"));
        }
        let source = fs::read_to_string(repository().join(file)).unwrap_or_default();
        if !is_test(&source, test) {
            wrong.push(format!("{attack}: `{file}` has no test `{test}`"));
        }
        if !attacks.contains(attack) {
            wrong.push(format!("{attack}: it is not in the list of attacks"));
        }
    }
    wrong.extend(attacks.difference(&somewhere).map(|attack| format!("{attack}: it is proven nowhere")));
    wrong
}

/// A function that is a test by its attribute, or that somebody in the same file runs as one.
fn is_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let above = source.get(..at).unwrap_or_default().rsplit("\n\n").next().unwrap_or_default();
    let run = source.match_indices(name).any(|(found, _)| found != at + "fn ".len());
    above.contains("test]") || above.contains("#[tokio::test") || run
}

/// `D10` of `D10b_fill`.
fn attack_of(case: &str) -> &str {
    let id = case.split('_').next().unwrap_or_default();
    id.trim_end_matches(|c: char| c.is_ascii_lowercase())
}

fn entries<'t>(table: &'t Table, key: &str) -> Vec<&'t Table> {
    table.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table).collect()
}

fn word<'t>(table: &'t Table, key: &str) -> &'t str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}
