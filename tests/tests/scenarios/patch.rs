//! `patch check`: a person asks the gate. Whatever it answers, nothing is written and nothing is started.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use razar_core::id::Digest;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

const APP: &str = "def first(items):\n    return items[1]\n";

const FIX: &str = "\
--- a/app.py
+++ b/app.py
@@ -1,2 +1,2 @@
 def first(items):
-    return items[1]
+    return items[0]
";

/// A stack with a shop in a directory of its own; its probe's plugin is nowhere, which is no concern of a patch.
fn shop(more: &Value) -> Scene {
    let scene = Scene::bare();
    let mut component =
        json!({ "id": "shop", "entrypoint": "sleep 60", "health": "http://127.0.0.1:1/", "workdir": "shop" });
    component.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let other =
        json!({ "id": "stock", "entrypoint": "sleep 60", "health": "process", "workdir": "shop/stock" });
    scene.stack(&["all"], &[component, other]);
    scene.write("shop/app.py", APP);
    scene.write("shop/src/util.py", "x = 1\n");
    scene.write("shop/tests/test_app.py", "def test_first():\n    pass\n");
    scene.write("shop/stock/app.py", APP);
    scene.write("outside.py", APP);
    symlink(scene.path("outside.py"), scene.path("shop/link.py")).unwrap();
    scene
}

fn check(scene: &Scene, diff: &str, more: &[&str]) -> Ended {
    scene.write("fix.diff", diff);
    let words = ["patch", "check", "fix.diff", "--component", "shop", "--config", "boot_config.json"];
    scene.host(&[&words, more].concat())
}

/// Every file of the scene but what its commands print, and its bytes.
fn files(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![scene.path("")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() {
                open.push(path);
            } else if !name.ends_with(".out") && !name.ends_with(".err") && !name.ends_with("fix.diff") {
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_diff_that_fits_is_accepted_and_says_what_was_not_checked() {
    let scene = shop(&json!({}));
    let before = files(&scene);
    let ended = check(&scene, FIX, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for said in [
        "shop: the gate takes it: 1 file, +1 -1",
        "modify app.py +1 -1",
        "sha256:",
        "not checked: whether it repairs anything",
    ] {
        assert!(ended.out.contains(said), "`{said}` is not in {}", ended.out);
    }
    let json = check(&scene, FIX, &["--output", "json"]).json();
    assert_eq!(json.len(), 1);
    assert_eq!((&json[0]["verdict"], &json[0]["checked"]), (&json!("accepted"), &json!("gate")));
    let digest = Digest::of(APP.as_bytes()).to_string();
    let file = json!({ "path": "app.py", "change": "modify", "added": 1, "removed": 1, "before": digest });
    assert_eq!(json[0]["files"], json!([file]));
    assert_eq!(files(&scene), before, "nothing is written, and no state directory is made");
}

#[test]
fn every_refusal_has_its_code_its_file_and_a_remedy_and_ends_with_1() {
    let scene = shop(&json!({}));
    let before = files(&scene);
    let at = |path: &str| FIX.replace("app.py", path);
    let older = format!("app.py={}", Digest::of(b"older"));
    let current = format!("app.py={}", Digest::of(APP.as_bytes()));
    for (diff, more, code, file) in [
        (at("tests/test_app.py"), [].as_slice(), "protected-tests", Some("tests/test_app.py")),
        (at("stock/app.py"), &[], "protected-component", Some("stock/app.py")),
        (at("../outside.py"), &[], "parent-path", Some("../outside.py")),
        (at("/etc/passwd"), &[], "absolute-path", Some("/etc/passwd")),
        (at("link.py"), &[], "through-symlink", Some("link.py")),
        (at("absent.py"), &[], "missing-file", Some("absent.py")),
        (FIX.replace("items[1]", "items[2]"), &[], "context", Some("app.py")),
        (FIX.replace("-1,2 +1,2", "-1,3 +1,3"), &[], "hunk-counts", Some("app.py")),
        (FIX.replace('\n', "\r\n"), &[], "line-endings", None),
        (format!("{FIX}done\n"), &[], "malformed", Some("app.py")),
        (String::new(), &[], "empty", None),
        ("x".repeat((1 << 20) + 1), &[], "too-large", None),
        (FIX.to_owned(), &["--shown", &older], "stale", Some("app.py")),
        (at("src/util.py"), &["--state", "shop/src"], "protected-state", Some("src/util.py")),
        (FIX.to_owned(), &["--state", "."], "protected-state", Some("app.py")),
        (at("src/util.py"), &["--grants", "shop/src/util.py"], "protected-grants", Some("src/util.py")),
    ] {
        let json = check(&scene, &diff, &[&["--output", "json"], more].concat());
        assert_eq!(json.code, Some(1), "{code}: {}{}", json.out, json.err);
        let said = &json.json()[0];
        assert_eq!((said["code"].as_str(), said["file"].as_str()), (Some(code), file), "{said}");
        assert_eq!(said["verdict"], "refused");
        let plain = check(&scene, &diff, more);
        let remedy = said["remedy"].as_str().unwrap();
        plain.complains(
            1,
            &["error: shop: the gate refuses it", &format!("({code})"), &format!("hint: {remedy}")],
        );
    }
    assert_eq!(check(&scene, FIX, &["--shown", &current]).code, Some(0));
    assert_eq!(files(&scene), before);
}

#[test]
fn the_operator_says_what_may_be_patched() {
    let narrow = shop(&json!({ "patch": { "roots": ["src"], "protect": ["generated_*"] } }));
    check(&narrow, FIX, &[]).complains(1, &["app.py", "not below `src`", "(outside)", "patch.roots"]);
    let new = "--- /dev/null\n+++ b/src/generated_a.py\n@@ -0,0 +1 @@\n+x = 1\n";
    check(&narrow, new, &[]).complains(1, &["(protected-operator)", "patch.protect"]);
    assert_eq!(check(&narrow, &new.replace("generated", "written"), &[]).code, Some(0));

    let gone = "--- a/src/util.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1\n";
    check(&narrow, gone, &[]).complains(1, &["(deletes-file)", "\"deletions\": true"]);
    let loose = shop(&json!({ "patch": { "deletions": true } }));
    let ended = check(&loose, gone, &[]);
    assert!(ended.code == Some(0) && ended.out.contains("delete src/util.py"), "{}{}", ended.out, ended.err);

    let shared = shop(&json!({ "workdir": "shop/stock" }));
    check(&shared, FIX, &[]).complains(1, &["(not-patchable)", "shares it with `stock`", "\"roots\""]);
}

#[test]
fn a_diff_comes_from_standard_input_too() {
    let scene = shop(&json!({}));
    let words = ["patch", "check", "-", "--component", "shop", "--config", "boot_config.json"];
    let mut command = scene.command(&words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(FIX.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("modify app.py"));
}

#[test]
fn what_cannot_be_judged_ends_with_2() {
    let scene = shop(&json!({}));
    let ask = |words: &[&str]| scene.host(&[&["patch", "check"], words].concat());
    let config = ["--config", "boot_config.json"];
    scene.write("fix.diff", FIX);
    ask(&[&["absent.diff", "--component", "shop"], config.as_slice()].concat())
        .complains(2, &["absent.diff", "cannot read"]);
    ask(&[&["fix.diff", "--component", "shp"], config.as_slice()].concat())
        .complains(2, &["there is no component `shp`", "did you mean `shop`?"]);
    ask(&["fix.diff", "--component", "shop"]).complains(2, &["config/boot_config.json", "--config FILE"]);
    ask(&["fix.diff", "--component", "shop", "--shown", "app.py"]).complains(2, &["PATH=sha256:"]);
    std::fs::rename(scene.path("shop"), scene.path("moved")).unwrap();
    check(&scene, FIX, &[]).complains(2, &["cannot read", "shop"]);
    scene.write(
        "boot_config.json",
        &json!({ "components": [
        { "id": "shop", "entrypoint": "x", "health": "process", "patch": { "roots": ["../x"] } }
    ] })
        .to_string(),
    );
    check(&scene, FIX, &[]).complains(2, &["components[0].patch.roots[0]", "leads up", "hint: "]);
}
