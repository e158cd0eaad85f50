//! One incident from the bottom of the ladder to its top, with the shipped roster, the shipped agents and a server for each that
//! speaks as its own does. Whoever cannot help is passed over with the reason, the operator is warned before rStar is asked, and the
//! next time nobody is asked at all.

use razar_tests::model::ModelServer;
use razar_tests::repository;
use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN, RIGHT, says};
use serde_json::{Value, json};

const KEY: &str = "c4nary-key-0123456789";
const WRONG: &str = "def total(items):\n    return sum(items[:-1])\n";

/// A server on a stage of its own.
struct Server {
    _scene: Scene,
    model: ModelServer,
}

fn server(vendor: &str, turn: &Value) -> Server {
    let scene = Scene::bare();
    let model = ModelServer::start(&scene, &json!({ "vendor": vendor, "turns": [turn] }), KEY);
    Server { _scene: scene, model }
}

fn table(agent: &str, url: &str, model: Option<&str>) -> String {
    let model = model.map(|model| format!(", model = \"{model}\"")).unwrap_or_default();
    let secret = r#"{ env = "MODEL_KEY", header = "authorization", format = "Bearer {}" }"#;
    format!(
        "[{agent}]\nhttp = [{{ url = \"{url}\", methods = [\"POST\"], secret = {secret} }}]\nconfig = {{ endpoint = \"{url}\"{model}, \
         settings = '{{ \"retries\": 0 }}' }}\n"
    )
}

fn ask(scene: &Scene, words: &[&str]) -> Vec<Value> {
    let state = scene.state().display().to_string();
    let ended = scene.host(&[words, &["--output", "json", "--state", &state]].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    ended.json()
}

fn attempts(scene: &Scene) -> Vec<(String, String)> {
    let shown = ask(scene, &["incident", "show", "shop"]).remove(0);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attempts = shown["attempts"].as_array().expect("attempts");
    attempts.iter().map(|attempt| (word(&attempt["who"]), word(&attempt["outcome"]))).collect()
}

#[test]
fn an_incident_climbs_to_rstar_and_the_same_failure_asks_nobody() {
    let scene = Scene::new();
    let kimicho = server("service", &json!({ "say": "I would rather talk about trains." }));
    let k2 = server("moonshot", &json!({ "fault": "quota" }));
    let airstar = server("moonshot", &says("shop.py", WRONG));
    let rstar = server("vllm", &says("shop.py", RIGHT));
    let grants = [
        table("agent-crown", &format!("{}chat", scene.url("nobody")), Some("glm-4.1v-thinking-flash")),
        table("agent-kimicho", &kimicho.model.at("/"), None),
        table("agent-k2", &k2.model.at("/v1/chat/completions"), Some("kimi-k2.6")),
        table("agent-airstar", &airstar.model.at("/v1/completions"), Some("moonshotai/Kimi-K2-Instruct")),
        table("agent-rstar", &rstar.model.at("/v1/chat/completions"), Some("rstar/qwen3-14b")),
    ];
    scene.write("grants.toml", &grants.concat());
    let roster = std::fs::read_to_string(repository().join("config/razar_ai_agents.json"))
        .expect("the shipped roster");
    scene.write("razar_ai_agents.json", &roster);
    shop::files(&scene, BROKEN);
    let repair = json!({ "attempts": 1, "evaluators": [], "hold": "300 ms", "canary": "500 ms" });
    scene.stack(&["all"], &[shop::component(&scene, &json!({ "repair": repair }))]);
    let agents = scene.agents(&["agent-crown", "agent-kimicho", "agent-k2", "agent-airstar", "agent-rstar"]);
    let mut command = scene.run_command(&["--grants", "grants.toml", "--plugins", &agents]);
    let host = scene.begin(command.env("MODEL_KEY", KEY));
    scene.until_logged("resolved", "shop", "success", 1);

    let said = |who: &str, outcome: &str| (who.to_owned(), outcome.to_owned());
    assert_eq!(
        attempts(&scene),
        [
            said("agent-crown", "unavailable"),
            said("agent-kimicho", "error"),
            said("agent-k2", "unavailable"),
            said("agent-airstar", "not-fixed"),
            said("agent-rstar", "fixed"),
        ]
    );
    let log = scene.file("logs/boot_orchestrator.log");
    let place = |text: &str| log.find(text).unwrap_or_else(|| panic!("`{text}` is not in {log}"));
    assert!(place("3 escalations") < place("by agent-rstar"), "{log}");
    for server in [&kimicho, &k2, &airstar, &rstar] {
        let requests = server.model.requests();
        assert_eq!(requests.len(), 1);
        assert!(!requests[0]["body"].to_string().contains("c4nary"), "{}", requests[0]);
    }

    scene.write("shop/shop.py", BROKEN);
    ask(&scene, &["restart", "shop"]);
    scene.until_logged("resolved", "shop", "success", 2);
    assert_eq!(attempts(&scene), [said("memory", "fixed")]);
    assert_eq!(rstar.model.requests().len(), 1);
    assert_eq!(host.interrupt().code, Some(0));
}
