//! `diagnose`: logs that say what is wrong, logs that do not, and what is no log.

use std::io::Write as _;
use std::process::Stdio;

use razar_tests::scene::{Ended, Scene};
use serde_json::json;

const LOG: &str = "Traceback (most recent call last):\nKeyError: 'an older one'\nModuleNotFoundError: No module named \
                   'redis\u{1b}[31m'\nconnection refused\n";

/// With this on its standard input.
fn told(scene: &Scene, words: &[&str], input: &str) -> Ended {
    let mut command = scene.command(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_log_is_sorted_and_the_line_that_decided_is_shown() {
    let scene = Scene::bare();
    scene.write("web.log", LOG);
    let shown = "class: dependency\nbecause: line 3 says: ModuleNotFoundError: No module named 'redis\\u{1b}[31m'\nhint: Install \
                 missing packages or verify the environment.\n";
    let of_file = scene.host(&["diagnose", "web.log"]);
    assert_eq!((of_file.code, of_file.out.as_str()), (Some(0), shown), "{}", of_file.err);
    let piped = told(&scene, &["diagnose", "-"], LOG);
    assert_eq!((piped.code, piped.out.as_str()), (Some(0), shown), "{}", piped.err);

    let answer = scene.host(&["diagnose", "web.log", "--output", "json"]).json().remove(0);
    assert_eq!(
        answer,
        json!({
            "log": "web.log", "class": "dependency", "line": 3, "words": "modulenotfounderror",
            "said": "ModuleNotFoundError: No module named 'redis\\u{1b}[31m'",
            "hint": "Install missing packages or verify the environment.", "bytes": LOG.len(), "left_out": 0,
        })
    );
}

#[test]
fn a_log_that_says_nothing_is_external_and_one_that_cannot_be_read_is_named() {
    let scene = Scene::bare();
    scene.write("quiet.log", "nothing to see here\n");
    let quiet = scene.host(&["diagnose", "quiet.log"]);
    assert_eq!(quiet.code, Some(0), "the class is an answer, not a failure");
    assert!(quiet.out.starts_with("class: external\nbecause: no line names"), "{}", quiet.out);
    assert!(quiet.out.contains("Check network connectivity and external service status."));
    let logic = told(&scene, &["diagnose", "-", "--output", "json"], "x\nTypeError: y\n").json().remove(0);
    assert_eq!((&logic["class"], &logic["line"]), (&json!("logic"), &json!(2)));
    scene.host(&["diagnose", "no-such.log"]).complains(2, &["cannot read `no-such.log`"]);
}
