//! A few patches of the repair corpus, judged as `cargo xtask repair-bench` judges all of it: the right ones are taken, and
//! of the wrong ones one for each judge that there is.

use std::process::Command;

use razar_tests::{artifact, repository};

#[test]
fn some_patches_of_the_corpus_are_judged_as_they_must_be() {
    let names = [
        "orders/catalog-not-shipped/fix",
        // The gate, the tests, and the service that is started.
        "orders/catalog-not-shipped/10-edits-test",
        "orders/catalog-not-shipped/01-swallows",
        "orders/catalog-not-shipped/06-part-of-the-goods",
        "spool/old-devices-unread/13-monkey-patches-runner",
        "kvd/one-key-too-few/fix",
        "kvd/one-key-too-few/12-exits-0-under-test",
    ];
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["xtask", "repair-bench", "--jobs", "2", "--host"]).arg(artifact::host());
    command.arg("--plugins").arg(artifact::plugins()).args(names).current_dir(repository());
    let output = command.output().expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 of 2 right patches taken, 0 of 5 wrong ones"), "{said}");
}
