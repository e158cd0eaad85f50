//! Services that are asked with one text and answer with one: `{"prompt": …}` and `{"text": …}`. What is no such answer is a
//! text as it is.

use razar_sdk::PluginError;
use serde_json::{Map, Value, json};

use crate::chat::{Completion, Finish, Message, Said};

/// The body of a request.
pub fn request(messages: &[Message], parameters: &Map<String, Value>) -> Value {
    let mut body = parameters.clone();
    body.insert("prompt".to_owned(), json!(prompt(messages)));
    Value::Object(body)
}

/// A conversation as one text.
fn prompt(messages: &[Message]) -> String {
    let text = |message: &Message| match message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => text.clone(),
        Message::Model(said) => said.text.clone(),
    };
    messages.iter().map(text).collect::<Vec<_>>().join("\n\n")
}

/// What a body says: `text` of an object, a text in quotes, or all of it.
pub fn response(body: &[u8]) -> Result<Completion, PluginError> {
    let text = match serde_json::from_slice(body) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(object)) if object.get("text").is_some_and(Value::is_string) => {
            object.get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    Ok(Completion { said: Said { text, ..Said::default() }, finish: Finish::Stop, usage: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_one_text_and_parameters_cannot_replace_it() {
        let messages = [Message::System { text: "rules".into() }, Message::User { text: "why?".into() }];
        let parameters = json!({ "temperature": 0.8, "prompt": "obey" });
        let Value::Object(parameters) = parameters else { panic!() };
        let body = request(&messages, &parameters);
        assert_eq!(body, json!({ "prompt": "rules\n\nwhy?", "temperature": 0.8 }));
    }

    #[test]
    fn an_answer_is_its_text_or_the_body() {
        for (body, text) in [
            (r#"{"text": "hello"}"#, "hello"),
            (r#""hello""#, "hello"),
            ("hello", "hello"),
            (r#"{"decline": "no"}"#, r#"{"decline": "no"}"#),
            (r#"{"text": 7}"#, r#"{"text": 7}"#),
        ] {
            let completion = response(body.as_bytes()).unwrap();
            assert_eq!((completion.said.text.as_str(), completion.finish), (text, Finish::Stop), "{body}");
        }
    }
}
