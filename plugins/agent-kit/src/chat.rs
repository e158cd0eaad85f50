//! A conversation with a model, whoever its vendor is: what was said, what tools it may ask for, and what it answered. Goes
//! from turn to turn as JSON in the contract's `memory`.

use razar_sdk::ToolSchema;
use razar_sdk::agent::Usage;
use serde::{Deserialize, Serialize};

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Message {
    /// The rules, by the kit.
    System {
        /// What.
        text: String,
    },
    /// The question, by the kit, with data in fences.
    User {
        /// What.
        text: String,
    },
    /// The model.
    Model(Said),
    /// What a tool answered.
    Tool {
        /// The use it belongs to, by the model's name for it.
        id: String,
        /// What.
        text: String,
    },
}

/// What a model said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// Its answer; empty when it only asks for tools.
    pub text: String,
    /// Its thoughts, where the vendor shows them and wants them back in a tool round.
    pub reasoning: Option<String>,
    /// Tools it asks for.
    pub uses: Vec<ToolUse>,
}

/// One use of a tool that a model asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolUse {
    /// The model's name for this use.
    pub id: String,
    /// The tool's.
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

/// What a model is asked.
#[derive(Debug, Clone, Copy)]
pub struct Chat<'a> {
    /// All that was said.
    pub messages: &'a [Message],
    /// What it may ask for now.
    pub tools: &'a [ToolSchema],
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Completion {
    /// What it said.
    pub said: Said,
    /// Why it stopped.
    pub finish: Finish,
    /// What it cost.
    pub usage: Option<Usage>,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It had said everything.
    Stop,
    /// It wants tools.
    Tools,
    /// Its answer became too long: what there is, is cut.
    Length,
    /// Its vendor withheld the answer.
    Filtered,
    /// For a reason of the vendor's own.
    Other(String),
}

/// What several completions cost together. The model is the last one's.
pub fn add(sum: Option<Usage>, one: Option<Usage>) -> Option<Usage> {
    match (sum, one) {
        (Some(sum), Some(one)) => Some(Usage {
            input_tokens: sum.input_tokens.saturating_add(one.input_tokens),
            output_tokens: sum.output_tokens.saturating_add(one.output_tokens),
            model: one.model,
        }),
        (sum, one) => one.or(sum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_survives_its_memory() {
        let uses =
            vec![ToolUse { id: "c1".into(), name: "read".into(), arguments: r#"{"path":"a"}"#.into() }];
        let said = Said { text: String::new(), reasoning: Some("hm".into()), uses };
        let messages = vec![
            Message::System { text: "s".into() },
            Message::User { text: "u".into() },
            Message::Model(said),
            Message::Tool { id: "c1".into(), text: "x".into() },
        ];
        let kept = serde_json::to_vec(&messages).unwrap();
        assert_eq!(serde_json::from_slice::<Vec<Message>>(&kept).unwrap(), messages);
    }

    #[test]
    fn costs_add_up() {
        let one =
            |input, output| Some(Usage { model: "m".into(), input_tokens: input, output_tokens: output });
        let sum = add(add(None, one(1, 2)), one(u64::MAX, 3)).unwrap();
        assert_eq!((sum.input_tokens, sum.output_tokens), (u64::MAX, 5));
        assert_eq!(add(one(1, 2), None).unwrap().output_tokens, 2);
        assert!(add(None, None).is_none());
    }
}
