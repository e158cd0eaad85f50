//! Whether the example model server answers as real ones do: the table of `tests/compat`, row by row, over real HTTP.

use razar_tests::model::ModelServer;
use razar_tests::repository;
use razar_tests::scene::Scene;
use serde_json::{Value, json};

/// Whether a value is what a row of the table says. An object may have more than the row names; agents do not read it.
fn fits(wanted: &Value, found: &Value) -> Result<(), String> {
    let no = || Err(format!("{found} is not {wanted}"));
    match (wanted, found) {
        (Value::String(word), _) if word == "string" && found.is_string() => Ok(()),
        (Value::String(word), _) if word == "number" && found.is_number() => Ok(()),
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().try_for_each(|(key, wanted)| {
            let found = found.get(key).ok_or_else(|| format!("there is no `{key}` in {}", json!(found)))?;
            fits(wanted, found).map_err(|error| format!("{key}: {error}"))
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).try_for_each(|(wanted, found)| fits(wanted, found))
        }
        _ if wanted == found => Ok(()),
        _ => no(),
    }
}

/// What the events of a body say.
fn events(body: &str) -> Value {
    let data = body.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

#[test]
fn the_model_server_answers_as_real_ones_were_seen_to() {
    let table = std::fs::read_to_string(repository().join("tests/compat/model-apis.json")).unwrap();
    let table: Value = serde_json::from_str(&table).unwrap();
    let client = reqwest::blocking::Client::new();
    let rows = table["rows"].as_array().unwrap();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in rows {
        let about = format!("{} {}: {}", row["vendor"], row["path"], row["source"]);
        let mut script = json!({ "vendor": row["vendor"], "turns": [row["turn"]] });
        if let Some(parser) = row.get("tool_parser") {
            script["tool_parser"] = parser.clone();
        }
        let scene = Scene::bare();
        let server = ModelServer::start(&scene, &script, "k");
        let path = row["path"].as_str().unwrap();
        let mut request = match path {
            "/v1/chat/completions" | "/api/paas/v4/chat/completions" | "/v1/completions" => {
                let model = row.get("model").cloned().unwrap_or_else(|| json!("m"));
                json!({ "model": model, "messages": [{ "role": "user", "content": "y" }] })
            }
            _ => json!({}),
        };
        for (key, value) in row["request"].as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        let answer = client.post(server.at(path)).bearer_auth("k").body(request.to_string()).send().unwrap();
        assert_eq!(json!(answer.status().as_u16()), row["status"], "{about}");
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(json!(retry_after), row["retry_after"], "{about}");
        let kind = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let body = answer.text().unwrap();
        let fit = match row.get("events") {
            Some(wanted) => {
                assert_eq!(kind.as_deref(), Some("text/event-stream"), "{about}");
                fits(wanted, &events(&body))
            }
            None => fits(&row["body"], &serde_json::from_str(&body).unwrap()),
        };
        fit.unwrap_or_else(|error| panic!("{about}: {error}"));
    }
}
