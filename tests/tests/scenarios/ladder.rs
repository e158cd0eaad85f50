//! The escalation ladder as operators see it: a roster file, agents asked in its order, and the file as it was when nothing has helped.
//! Real services and real hosts; the agents are copies of one package under the names of the roster.

use std::fs;

use razar_tests::artifact;
use razar_tests::model::ModelServer;
use razar_tests::scene::{Ended, Run, Scene};
use razar_tests::shop::{BROKEN, RIGHT, says};
use serde_json::{Value, json};

use crate::repair::{KEY, file, stage};

/// Agents of this stage, by plugin.
const AGENTS: [&str; 3] = ["agent-k2", "agent-airstar", "agent-rstar"];

pub(crate) fn declines() -> Value {
    json!({ "say": "I cannot see why.\n{\"decline\": \"no idea\"}" })
}

/// A stage with agents that climb this roster.
fn climbing(answers: &[Value], roster: &Value) -> (Scene, ModelServer) {
    let (scene, model) = stage(answers, &json!({ "agents": null, "attempts": 3 }));
    packages(&scene, &model, &AGENTS);
    scene.write("razar_ai_agents.json", &format!("{roster:#}\n"));
    (scene, model)
}

/// Stages these agents as packages, each of which tells the model its own name as the model's.
pub(crate) fn packages(scene: &Scene, model: &ModelServer, agents: &[&str]) {
    let from = artifact::plugins().join("agent-openai");
    let manifest = fs::read_to_string(from.join("plugin.toml")).unwrap();
    // What it may be told besides.
    let more = if manifest.contains("\"settings\"") { ", settings = \"{}\"" } else { "" };
    let mut grants = String::new();
    for agent in agents {
        let to = scene.path("agents").join(agent);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&from).unwrap().flatten() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        fs::write(
            to.join("plugin.toml"),
            manifest.replace("name = \"agent-openai\"", &format!("name = \"{agent}\"")),
        )
        .unwrap();
        let endpoint = model.endpoint();
        let key = agent.trim_start_matches("agent-").to_uppercase();
        grants += &format!(
            "[{agent}]\nhttp = [{{ url = \"{endpoint}\", methods = [\"POST\"], secret = {{ env = \"{key}_KEY\", header = \
             \"authorization\", format = \"Bearer {{}}\" }} }}]\nconfig = {{ endpoint = \"{endpoint}\", model = \"{agent}\"{more} }}\n"
        );
    }
    scene.write("grants.toml", &grants);
}

/// A host with keys for these, and these numbers in its environment.
pub(crate) fn run<'s>(
    scene: &'s Scene,
    keys: &[&str],
    more: &[&str],
    environment: &[(&str, &str)],
) -> Run<'s> {
    let mut command = scene.run_command(&["--plugins", "agents", "--grants", "grants.toml"]);
    command.args(more).envs(environment.iter().copied());
    for key in keys {
        command.env(format!("{key}_KEY"), KEY);
    }
    scene.begin(&mut command)
}

const ALL: [&str; 3] = ["K2", "AIRSTAR", "RSTAR"];

/// Who was asked, in order.
pub(crate) fn asked(model: &ModelServer) -> Vec<String> {
    model.requests().iter().map(|request| request["body"]["model"].as_str().unwrap().to_owned()).collect()
}

fn active(scene: &Scene) -> String {
    let roster: Value = serde_json::from_str(&file(scene, "razar_ai_agents.json")).unwrap();
    roster["active"].as_str().unwrap().to_owned()
}

fn roster(names: [&str; 3]) -> Value {
    json!({ "active": names[0], "agents": names, "escalation": "per-hop" })
}

#[test]
fn the_originals_failover_ends_with_rstar() {
    let mut answers = vec![declines(); 4];
    answers.push(says("shop.py", RIGHT));
    let (scene, model) = climbing(&answers, &roster(["K2 Coder", "Air Star", "rStar"]));
    let before = file(&scene, "razar_ai_agents.json");
    let host = run(&scene, &ALL, &["--remote-attempts", "5"], &[("RAZAR_RSTAR_THRESHOLD", "2")]);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(asked(&model), ["agent-k2", "agent-k2", "agent-airstar", "agent-airstar", "agent-rstar"]);
    assert_eq!((active(&scene).as_str(), file(&scene, "shop/shop.py").as_str()), ("rStar", RIGHT));
    assert_eq!(file(&scene, "razar_ai_agents.bak"), before, "the copy is of what it was");
    assert_eq!(host.interrupt().code, Some(0));
    assert_eq!(active(&scene), "rStar", "who repaired it stays active");
}

#[test]
fn the_originals_self_healing_rolls_back_when_nothing_has_helped() {
    let (scene, model) = climbing(&vec![declines(); 3], &roster(["Kimi2", "AirStar", "RStar"]));
    let mut config: Value = serde_json::from_str(&file(&scene, "boot_config.json")).unwrap();
    config["components"][0]["vital"] = json!(true);
    // It never comes up, so the boot waits for its repair.
    let probes = &mut config["components"][0]["probes"];
    probes["startup"]["address"] = probes["liveness"]["address"].clone();
    probes["startup"]["deadline"] = json!("2 s");
    scene.write("boot_config.json", &config.to_string());
    let before = file(&scene, "razar_ai_agents.json");
    let ended: Ended =
        run(&scene, &ALL, &["--remote-attempts", "3"], &[("RAZAR_RSTAR_THRESHOLD", "1")]).end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert_eq!(asked(&model), ["agent-k2", "agent-airstar", "agent-rstar"]);
    assert_eq!(file(&scene, "razar_ai_agents.json"), before, "byte for byte");
    for said in [
        "Escalating shop from agent-k2 to AirStar",
        "Escalating shop from agent-airstar to RStar",
        "Active agent is now RStar",
        "Restored agent configuration",
        "Boot sequence halted; configuration rolled back to safe defaults",
    ] {
        scene.until_said(said);
    }
    assert!(scene.file("logs/razar.log").contains("rolled back to safe defaults"), "{}", scene.story());
    let told = model.requests().last().unwrap().to_string();
    assert!(told.contains("agent-airstar"), "earlier attempts are told: {told}");
}

#[test]
fn who_has_no_key_is_one_rung_that_is_passed_over() {
    let mut climbed = roster(["K2 Coder", "Air Star", "rStar"]);
    climbed["escalation"] = json!("ladder");
    let (scene, model) = climbing(&[says("shop.py", RIGHT)], &climbed);
    let host = run(&scene, &["AIRSTAR"], &[], &[("RAZAR_RSTAR_THRESHOLD", "many")]);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(asked(&model), ["agent-airstar"]);
    scene.until_said(
        "Skipping K2 Coder for shop (no-credential): the environment variable `K2_KEY` is not set",
    );
    let ended = host.interrupt();
    assert!(ended.err.contains("Invalid RAZAR_RSTAR_THRESHOLD=many; using default 9"), "{}", ended.err);
}

#[test]
fn a_long_task_that_is_stopped_leaves_nothing_behind() {
    let (scene, model) = climbing(&[declines()], &roster(["K2 Coder", "Air Star", "rStar"]));
    let before = file(&scene, "razar_ai_agents.json");
    let host = run(&scene, &ALL, &["--long-task"], &[("RAZAR_RSTAR_THRESHOLD", "1")]);
    scene.until_said("Round 2 of shop through the ladder follows");
    assert_eq!(asked(&model)[..3], AGENTS, "who is escalated to is asked");
    scene.until("the roster names rStar", || active(&scene) == "rStar");
    assert!(
        host.printed().contains("system: boot 1 of 2 components began as a long task"),
        "{}",
        host.printed()
    );
    assert_eq!(host.interrupt().code, Some(0));
    let details = &scene.logged("start", "system", "started")[0]["details"];
    assert_eq!(details, "boot 1, long task", "an operator sees later what was said");
    assert_eq!(
        (file(&scene, "razar_ai_agents.json"), file(&scene, "shop/shop.py").as_str()),
        (before, BROKEN)
    );
    assert_eq!(scene.running(), Vec::<u32>::new());
}

#[test]
fn a_host_that_was_killed_in_the_middle_is_followed_by_one_that_puts_the_roster_right() {
    let (scene, _model) = climbing(&[declines()], &roster(["K2 Coder", "Air Star", "rStar"]));
    let before = file(&scene, "razar_ai_agents.json");
    let host = run(&scene, &ALL, &["--long-task"], &[("RAZAR_RSTAR_THRESHOLD", "1")]);
    scene.until_said("Active agent is now rStar");
    host.kill();
    assert_eq!(active(&scene), "rStar");
    let host = run(&scene, &ALL, &[], &[("RAZAR_RSTAR_THRESHOLD", "1")]);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    assert_eq!(host.interrupt().code, Some(0));
    assert_eq!(file(&scene, "razar_ai_agents.json"), before);
}

#[test]
fn a_roster_that_cannot_be_read_stops_everything_and_stays_as_it_is() {
    let (scene, _model) = climbing(&[declines()], &json!({}));
    scene.write("razar_ai_agents.json", "{ \"active\": \"K2");
    let ended = run(&scene, &ALL, &[], &[]).end();
    ended.complains(2, &["razar_ai_agents.json", "is not JSON", "never replaced"]);
    assert_eq!(file(&scene, "razar_ai_agents.json"), "{ \"active\": \"K2");
}

#[test]
fn an_operator_says_who_is_asked_next() {
    let (scene, model) =
        climbing(&vec![declines(); 9], &json!({ "agents": ["K2 Coder", "Air Star", "rStar"] }));
    let host = run(&scene, &ALL, &[], &[]);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    let count = asked(&model).len();
    let state = scene.state().display().to_string();
    let escalate = |agent: &str| scene.host(&["escalate", "shop", "--agent", agent, "--state", &state]);
    escalate("nobody").complains(1, &["is not on the ladder of `shop`"]);
    let done = escalate("rstar");
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    scene.until("rStar is asked again", || asked(&model).len() > count);
    assert_eq!(asked(&model)[count], "agent-rstar");
    assert_eq!(host.interrupt().code, Some(0));
}

#[test]
fn the_roster_tells_who_is_left_alone_and_how_each_has_done() {
    let quota = json!({ "fault": "quota", "retry_after": 0 });
    let answers = [quota, declines(), declines(), declines(), says("shop.py", RIGHT)];
    let (scene, model) = climbing(
        &answers,
        &json!({ "agents": [
        "K2 Coder",
        { "name": "Air Star", "price": { "input": 1000000, "output": 1000000 } },
        "rStar",
    ] }),
    );
    let before = file(&scene, "razar_ai_agents.json");
    let host = run(&scene, &["K2", "AIRSTAR"], &[], &[]);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    scene.until_said("Restored agent configuration");
    assert_eq!(file(&scene, "razar_ai_agents.json"), before);
    assert_eq!(asked(&model)[..4], ["agent-k2", "agent-airstar", "agent-airstar", "agent-airstar"]);
    scene.until_said("Skipping rStar for shop (no-credential)");
    let state = scene.state().display().to_string();
    let words = ["roster", "--config", "boot_config.json", "--state", &state, "--output", "json"];
    let told = scene.host(&words).json();
    assert_eq!(
        (&told[0]["standing"], &told[0]["reason"]),
        (&json!("cooling-down"), &json!("quota")),
        "{told:?}"
    );
    assert_eq!((&told[0]["name"], &told[0]["active"]), (&json!("K2 Coder"), &json!(true)));
    assert!(told[0]["until"].is_string() && told[0]["trouble"]["kind"] == "quota", "{told:?}");
    let classes = told[1]["classes"].as_object().unwrap();
    let deeds = classes.values().next().unwrap();
    assert_eq!((&deeds["asked"], &deeds["failed"]), (&json!(3), &json!(3)), "{told:?}");
    assert_eq!(told[2]["asked"], 0);
    assert_eq!(host.interrupt().code, Some(0));
    let offline = scene.host(&words);
    assert_eq!((offline.code, offline.json().len()), (Some(0), 3), "{}", offline.err);
    let plain = scene.host(&words[..5]);
    assert!(plain.out.contains("K2 Coder (agent-k2, active): left alone until "), "{}", plain.out);
}

#[test]
fn what_was_not_looked_at_is_not_called_available() {
    let (scene, _model) = climbing(&[declines()], &json!({ "agents": ["K2 Coder", "Air Str", "Somebody"] }));
    let plugins = scene.path("agents").display().to_string();
    let here = ["--plugins", &plugins, "--grants", "grants.toml"];
    let ask = |words: &[&str], more: &[&str]| {
        let mut command = scene.command(&[words, &["--config", "boot_config.json"], more].concat());
        scene.begin(command.env("K2_KEY", KEY).env("AIRSTAR_KEY", KEY)).end()
    };
    let roster = |more: &[&str]| ask(&["roster"], more);
    let plain = roster(&[]);
    assert_eq!(plain.out.matches("not looked at (no `--plugins`)").count(), 3, "{}{}", plain.out, plain.err);
    assert!(!plain.out.contains("available"), "{}", plain.out);
    let json = roster(&["--output", "json"]).json();
    assert_eq!(
        (&json[0]["standing"], &json[0]["reason"]),
        (&json!("not-looked-at"), &json!(null)),
        "{json:?}"
    );
    let plain = roster(&here);
    assert!(plain.out.contains("K2 Coder (agent-k2, active): available"), "{}{}", plain.out, plain.err);
    assert!(plain.out.contains("Somebody (agent-somebody): out (not-loaded)"), "{}", plain.out);
    roster(&["--state", "nowhere"]).complains(2, &["there is no ledger in `nowhere`", "--state DIR"]);

    // Each of them is a warning, by its place and with what is near.
    let shipped = artifact::plugins().display().to_string();
    let checked = ask(&["check"], &[&here[..], &["--plugins", &shipped]].concat());
    checked.complains(
        0,
        &[
            "razar_ai_agents.json: agents[1]: `Air Str` is the agent plugin `agent-air-str`, and there is none; it is not asked",
            "did you mean `agent-airstar`?",
            "agents[2]: `Somebody` is the agent plugin `agent-somebody`",
        ],
    );
    assert!(!checked.err.contains("agents[0]"), "{}", checked.err);
    assert!(!ask(&["check"], &[]).err.contains("Somebody"), "nobody has looked");
}

#[test]
fn a_key_that_comes_later_is_used_and_one_that_is_gone_is_missed() {
    let (scene, model) = climbing(
        &[says("shop.py", RIGHT)],
        &json!({ "agents": [{ "name": "K2 Coder", "attempts": 20, "cooldown": "200 ms" }] }),
    );
    let grants = file(&scene, "grants.toml");
    let key = scene.path("keys/k2");
    scene.write("keys/there", "");
    scene.write("grants.toml", &grants.replace("env = \"K2_KEY\"", &format!("file = \"{}\"", key.display())));
    let host = run(&scene, &["AIRSTAR", "RSTAR"], &[], &[]);
    let missed = || {
        let said = "Skipping K2 Coder for shop (no-credential)";
        scene.file("logs/boot_orchestrator.log").matches(said).count()
    };
    scene.until("the key is missed", || missed() == 1);
    assert_eq!(asked(&model), Vec::<String>::new(), "nobody is asked without a key");
    scene.write("keys/k2", KEY);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(asked(&model), ["agent-k2"], "in the same incident, and without a restart");
    // Another bug, so that nobody remembers a fix.
    fs::remove_file(&key).unwrap();
    scene.write("shop/shop.py", "def total(items):\n    return 0\n");
    let state = scene.state().display().to_string();
    assert_eq!(scene.host(&["restart", "shop", "--state", &state]).code, Some(0));
    scene.until("it is missed again", || missed() == 2);
    assert_eq!(host.interrupt().code, Some(0));
}

#[test]
fn who_has_helped_is_asked_first_the_next_time_if_the_roster_allows_it() {
    let (scene, model) = climbing(
        &[declines(), says("shop.py", RIGHT)],
        &json!({ "agents": ["K2 Coder", "Air Star", "rStar"], "reorder": { "places": 1, "after": 1 } }),
    );
    // Of a list of its own nobody becomes active: the order is all that changes.
    let mut config: Value = serde_json::from_str(&file(&scene, "boot_config.json")).unwrap();
    config["components"][0]["repair"]["agents"] = json!(["agent-k2", "agent-airstar"]);
    config["components"][0]["repair"]["attempts"] = json!(1);
    scene.write("boot_config.json", &config.to_string());
    let host = run(&scene, &ALL, &[], &[]);
    scene.until_logged("resolved", "shop", "success", 1);
    // Another bug: what helped against the first one does not fit.
    scene.write("shop/shop.py", "def total(items):\n    return 0\n");
    let state = scene.state().display().to_string();
    let restarted = scene.host(&["restart", "shop", "--state", &state]);
    assert_eq!(restarted.code, Some(0), "{}{}", restarted.out, restarted.err);
    scene.until_logged("resolved", "shop", "success", 2);
    assert_eq!(asked(&model), ["agent-k2", "agent-airstar", "agent-airstar"]);
    let words = ["roster", "--config", "boot_config.json", "--state", &state, "--output", "json"];
    let told = scene.host(&words).json();
    let places = |at: usize| told[at]["places"].as_object().unwrap().values().collect::<Vec<_>>();
    assert!(places(1).contains(&&json!({ "place": 1, "overtook": ["agent-k2"] })), "{told:?}");
    assert!(places(0).contains(&&json!({ "place": 2, "overtook": [] })), "{told:?}");
    assert!(places(2).iter().all(|place| place["place"] == 3), "{told:?}");
    let plain = scene.host(&words[..5]).out;
    let said = "failures: Air Star, K2 Coder, rStar (Air Star before K2 Coder: 2 of 2 attempts held, 0 of 1)";
    assert!(
        plain.contains(said) && plain.contains("K2 Coder, Air Star, rStar (as the roster says)"),
        "{plain}"
    );
    assert_eq!(host.interrupt().code, Some(0));
}
