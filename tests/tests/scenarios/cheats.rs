//! What no single trial can show: a patch that behaves while it is judged and not afterwards, and trials whose judge, holder,
//! launcher or host is killed in the middle of them.

use std::path::PathBuf;

use razar_tests::model::ModelServer;
use razar_tests::process::{self, kill, send};
use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN, RIGHT};
use razar_tests::{artifact, trace, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

const KEY: &str = "c4nary-key-0123456789";

/// Behaves for as long as the one program is there that only a sandbox has.
const DETECTS: &str = "import os\n\ndef total(items):\n    if os.path.exists('/run/razar-trial-exec'):\n        return sum(items)\n    return sum(items[1:])\n";

fn says(text: &str) -> Value {
    shop::says("shop.py", text)
}

fn stage(answers: &[Value], hold: &str) -> (Scene, ModelServer) {
    let scene = Scene::new();
    let model = ModelServer::start(&scene, &json!({ "turns": answers }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    shop::files(&scene, BROKEN);
    let repair = json!({
        "agents": ["agent-openai"], "attempts": 8, "evaluators": [], "hold": hold, "canary": "60 s",
    });
    let component = shop::component(&scene, &json!({ "repair": repair }));
    scene.stack(&["all"], &[component]);
    (scene, model)
}

fn command(scene: &Scene) -> std::process::Command {
    let mut command = scene.run_command(&["--grants", "grants.toml"]);
    command.env("MODEL_KEY", KEY);
    command
}

#[test]
fn what_behaves_only_while_it_is_judged_is_taken_back_to_the_byte() {
    let (scene, _model) = stage(&[says(DETECTS), json!({ "say": "{\"decline\": \"no idea\"}" })], "300 ms");
    let before = trace::tree(&scene.path("shop"));
    let run = scene.begin(&mut command(&scene));
    scene.until_logged("patch", "shop", "applied", 1);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    let after = trace::tree(&scene.path("shop"));
    // Another file with the same bytes: when it was written is another time.
    let bytes = |tree: &trace::Tree| -> Vec<(PathBuf, u32, Vec<u8>)> {
        tree.iter().map(|(path, (mode, _, _, _, bytes))| (path.clone(), *mode, bytes.clone())).collect()
    };
    let is_source = |(path, ..): &(PathBuf, u32, Vec<u8>)| !path.to_string_lossy().contains("__pycache__");
    let sources = |tree| bytes(tree).into_iter().filter(is_source).collect::<Vec<_>>();
    assert_eq!(sources(&after), sources(&before));
    assert_eq!(run.interrupt().code, Some(0));
}

/// The judge of this stage's trial and whoever holds it, once the service of the trial runs. A trial that a person holds lies
/// where its holder's number says.
fn judge(scene: &Scene, own: Option<u32>) -> (u32, u32) {
    let mark = scene.path("").display().to_string();
    let texts: Vec<String> =
        std::iter::once(mark.clone()).chain(own.map(|pid| format!("razar-trial-{pid}."))).collect();
    let of_scene =
        |pid: &u32| process::words(*pid).iter().any(|word| texts.iter().any(|text| word.contains(text)));
    let has = |pid: &u32, word: &str| process::words(*pid).get(1).is_some_and(|found| found == word);
    let found = wait::first(|| {
        let all: Vec<u32> = process::all().into_iter().filter(of_scene).collect();
        let judge = all.iter().copied().find(|pid| has(pid, "trial"));
        let holder = all.iter().copied().find(|pid| has(pid, "hold-trial") || has(pid, "patch"));
        let judged = trace::marked("MARK", &mark)
            .into_iter()
            .any(|pid| process::words(pid).iter().any(|word| word == "serve.py"));
        judge.zip(holder).filter(|_| judged)
    });
    found.unwrap_or_else(|| panic!("nobody judges{}", scene.story()))
}

/// Nobody, no mount, no group and no directory of a trial of this stage is left.
fn nothing_left(scene: &Scene, holders: &[u32], story: &str) {
    let mark = scene.path("").display().to_string();
    let look = || -> Vec<String> {
        let mut left: Vec<String> = Vec::new();
        for holder in holders {
            let own = format!("razar-trial-{holder}.");
            let dirs = trace::groups(&own).into_iter().chain(trace::named(&std::env::temp_dir(), &own));
            left.extend(dirs.map(|path| path.display().to_string()));
        }
        let words = ["trial", "hold-trial", "trial-exec"];
        let ours = |pid: &u32| {
            process::words(*pid).iter().any(|word| word.contains(&mark))
                && process::words(*pid).iter().any(|word| words.contains(&word.as_str()))
        };
        left.extend(process::all().iter().filter(|pid| ours(pid)).map(|pid| format!("process {pid}")));
        left.extend(trace::marked("MARK", &mark).iter().map(|pid| format!("service {pid}")));
        left.extend(trace::mounts(&mark));
        left.extend(
            trace::named(&scene.state().join("trials"), "").iter().map(|path| path.display().to_string()),
        );
        left
    };
    let left = wait::first(|| Some(look()).filter(Vec::is_empty)).unwrap_or_else(look);
    assert!(left.is_empty(), "{story}: {left:?}{}", scene.story());
}

#[test]
fn of_a_trial_that_is_killed_nothing_is_left() {
    // Longer than anybody here waits: a trial ends because it is killed.
    let (scene, model) = stage(&[says(RIGHT)], "300 s");
    let mut run = scene.begin(&mut command(&scene));
    let mut holders = Vec::new();
    let asked = |times: usize| scene.until("it is asked again", || model.requests().len() >= times);

    asked(1);
    let (judge_pid, holder) = judge(&scene, None);
    holders.push(holder);
    kill(judge_pid);
    asked(2);
    let (_, holder) = judge(&scene, None);
    holders.push(holder);
    kill(holder);
    asked(3);
    let (_, holder) = judge(&scene, None);
    holders.push(holder);
    kill(scene.launcher().expect("a launcher"));
    asked(4);
    let (_, holder) = judge(&scene, None);
    holders.push(holder);
    run.kill();
    run = scene.begin(&mut command(&scene));
    asked(5);
    let (_, holder) = judge(&scene, None);
    nothing_left_of(&holders);
    holders.push(holder);
    send(run.pid(), Signal::TERM);
    assert!(run.end().code.is_some());
    nothing_left(&scene, &holders, "after all of them");
    assert_eq!(std::fs::read_to_string(scene.path("shop/shop.py")).unwrap(), BROKEN);
}

/// The groups of holders that were killed go while others judge.
fn nothing_left_of(holders: &[u32]) {
    let look = || -> Vec<PathBuf> {
        holders.iter().flat_map(|holder| trace::groups(&format!("razar-trial-{holder}."))).collect()
    };
    let left = wait::first(|| Some(look()).filter(Vec::is_empty)).unwrap_or_else(look);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_person_who_does_not_want_to_wait_leaves_nothing_either() {
    let (scene, _model) = stage(&[says(RIGHT)], "300 s");
    scene.write(
        "fix.diff",
        "--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n def total(items):\n-    return sum(items[1:])\n+    return sum(items)\n",
    );
    let (state, plugins) = (scene.state().display().to_string(), artifact::plugins().display().to_string());
    let words =
        ["patch", "check", "fix.diff", "--component", "shop", "--config", "boot_config.json", "--trial"];
    let about = ["--hold", "300 s", "--grants", "grants.toml", "--state", &state, "--plugins", &plugins];
    let mut holders = Vec::new();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let run = scene.begin(&mut scene.command(&[&words[..], &about].concat()));
        let pid = run.pid();
        judge(&scene, Some(pid));
        send(pid, signal);
        let ended = run.end();
        if signal == Signal::KILL {
            holders.push(pid);
            continue;
        }
        assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
        nothing_left(&scene, &[pid], "told to end");
    }
    // Who was killed could take nothing away; whoever holds the next trial does.
    let quick = ["--hold", "100 ms", "--grants", "grants.toml", "--state", &state, "--plugins", &plugins];
    let ended = scene.host(&[&words[..], &quick].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    nothing_left(&scene, &holders, "killed, and another trial since");
}
