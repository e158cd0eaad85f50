//! Every committed input, through the function that the fuzzer runs. An input that once failed stays here under the
//! name of what it showed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which says on what it failed")]

use std::path::Path;

use razar_fuzz::{archive, documents, facts, ledger, loader, patch, recording, rules, texts};
use razar_runtime::compile::CompileCommand;

/// Runs a target's corpus; nothing found is a mistake in the name.
fn corpus(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "`{}` is empty", folder.display());
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        println!("{}", input.display());
        run(&bytes);
    }
}

#[test]
fn plugin_manifests() {
    corpus("plugin_manifest", documents::plugin_manifest);
}

#[test]
fn grants() {
    corpus("grants", documents::grants);
}

#[test]
fn locks_of_plugins() {
    corpus("plugins_lock", documents::plugins_lock);
}

#[test]
fn signers() {
    corpus("signers", documents::signers);
}

#[test]
fn packages_in_one_file() {
    corpus("archive", archive::archive);
}

#[test]
fn boot_configurations() {
    corpus("boot_config", documents::boot_config);
}

#[test]
fn rules_and_uses() {
    corpus("rules", rules::rules);
}

#[test]
fn proposals() {
    corpus("patch", patch::patch);
}

#[test]
fn manifests_of_patches() {
    corpus("manifest", patch::manifest);
}

#[test]
fn recordings_of_calls() {
    corpus("recording", recording::recording);
}

#[test]
fn rows_of_the_ledger() {
    corpus("facts", facts::facts);
}

#[test]
fn bundles_and_checkpoints() {
    corpus("bundle", ledger::bundle);
}

#[test]
fn damaged_databases() {
    corpus("ledger_file", ledger::ledger_file);
}

#[test]
fn files_of_the_original_system() {
    corpus("import", ledger::import);
}

#[test]
fn texts_with_secrets() {
    corpus("redact", texts::redact);
}

#[test]
fn answers_of_models() {
    corpus("reply", texts::reply);
}

#[test]
fn components() {
    let compiler = CompileCommand { program: env!("CARGO_BIN_EXE_fuzz-compiler").into(), args: Vec::new() };
    corpus("loader", |bytes| loader::load(bytes, &compiler));
}
