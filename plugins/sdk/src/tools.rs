//! The role `tools`: its trait, and comfortable ways to make its types.

pub use crate::bindings::tools::exports::razar::plugin::tools::*;

/// Offers tools. Export it with [`export_tools!`](crate::export_tools).
pub trait Tools {
    /// The tools, the same list every time.
    fn list_tools() -> Result<Vec<Tool>, PluginError>;

    /// Runs one tool.
    fn call_tool(name: String, arguments: String, turn: Option<Turn>) -> Result<Step, PluginError>;
}

impl<T: Tools> Guest for T {
    fn list_tools() -> Result<Vec<Tool>, PluginError> {
        <T as Tools>::list_tools()
    }

    fn call_tool(name: String, arguments: String, turn: Option<Turn>) -> Result<Step, PluginError> {
        <T as Tools>::call_tool(name, arguments, turn)
    }
}

impl Step {
    /// Answers with text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Done(Output {
            content: vec![Content::Text(text.into())],
            is_error: false,
            extensions: Vec::new(),
        })
    }

    /// Says that what the tool tried did not work.
    pub fn failure(text: impl Into<String>) -> Self {
        Self::Done(Output {
            content: vec![Content::Text(text.into())],
            is_error: true,
            extensions: Vec::new(),
        })
    }
}
