//! Tools' names on the wire: vendors take letters, digits, `-` and `_`, a letter or `_` first, and 64 of them. A name that does
//! not fit travels under another, and comes back as itself.

use std::collections::BTreeMap;

use razar_sdk::ToolSchema;

use crate::chat::{Message, Said, ToolUse};
use crate::text::head;

/// The longest name that every vendor takes.
const LONGEST: usize = 64;

/// Which name is meant by which.
#[derive(Debug, Default)]
pub struct Names {
    there: BTreeMap<String, String>,
    back: BTreeMap<String, String>,
}

impl Names {
    /// For these tools.
    pub fn of(tools: &[ToolSchema]) -> Self {
        let mut names = Self::default();
        for tool in tools {
            let fitting = fitting(&tool.name);
            // There are more numbers than tools.
            let numbered = (2_u32..).map(|number| {
                let end = format!("_{number}");
                format!("{}{end}", head(&fitting, LONGEST - end.len()))
            });
            let mut all = std::iter::once(fitting.clone()).chain(numbered);
            let Some(wire) = all.find(|wire| !names.back.contains_key(wire)) else { continue };
            names.back.insert(wire.clone(), tool.name.clone());
            names.there.insert(tool.name.clone(), wire);
        }
        names
    }

    /// The tools as they are sent.
    pub fn tools(&self, tools: &[ToolSchema]) -> Vec<ToolSchema> {
        tools.iter().map(|tool| ToolSchema { name: self.wire(&tool.name), ..tool.clone() }).collect()
    }

    /// What was said, as it is sent.
    pub fn messages(&self, messages: &[Message]) -> Vec<Message> {
        let one = |message: &Message| match message {
            Message::Model(said) => Message::Model(Said {
                uses: said.uses.iter().map(|one| renamed(one, self.wire(&one.name))).collect(),
                ..said.clone()
            }),
            other => other.clone(),
        };
        messages.iter().map(one).collect()
    }

    /// What came back, with the names that the host knows.
    pub fn back(&self, mut said: Said) -> Said {
        for one in &mut said.uses {
            if let Some(name) = self.back.get(&one.name) {
                one.name.clone_from(name);
            }
        }
        said
    }

    fn wire(&self, name: &str) -> String {
        self.there.get(name).cloned().unwrap_or_else(|| fitting(name))
    }
}

fn renamed(one: &ToolUse, name: String) -> ToolUse {
    ToolUse { name, ..one.clone() }
}

fn fitting(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let mut wire: String = name.chars().map(plain).take(LONGEST).collect();
    if !wire.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        wire.insert(0, '_');
        wire.truncate(LONGEST);
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> ToolSchema {
        ToolSchema {
            name: name.into(),
            description: String::new(),
            input_schema: "{}".into(),
            extensions: Vec::new(),
        }
    }

    #[test]
    fn names_fit_differ_and_come_back() {
        let long = "x".repeat(100);
        let tools = ["fs_read_2", "read", "fs.read", "fs/read", "7zip", &long].map(tool);
        let names = Names::of(&tools);
        let sent = names.tools(&tools);
        let sent: Vec<_> = sent.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(sent[..5], ["fs_read_2", "read", "fs_read", "fs_read_3", "_7zip"]);
        assert_eq!(sent[5].len(), LONGEST);
        for (wire, tool) in sent.iter().zip(&tools) {
            let use_of = |name: &str| ToolUse { id: "1".into(), name: name.into(), arguments: "{}".into() };
            let said = Said { uses: vec![use_of(wire)], ..Said::default() };
            let back = names.back(said);
            assert_eq!(back.uses[0].name, tool.name);
            let Message::Model(again) = &names.messages(&[Message::Model(back)])[0] else { panic!() };
            assert_eq!(again.uses[0].name, *wire);
        }
    }

    #[test]
    fn a_name_that_nobody_offered_stays() {
        let said = Said {
            uses: vec![ToolUse { id: "1".into(), name: "rm".into(), arguments: "{}".into() }],
            ..Said::default()
        };
        assert_eq!(Names::of(&[tool("read")]).back(said).uses[0].name, "rm");
    }
}
