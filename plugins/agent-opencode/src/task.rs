//! What opencode is told to do, and about what.

use razar_agent_kit::prompt;
use razar_sdk::agent::Brief;

/// The whole of it. Files are not in it: opencode reads them where they are.
pub(crate) fn text(brief: &Brief) -> String {
    format!("{}\n{TASK}", prompt::report(brief, 0))
}

const TASK: &str = "\
You repair one component of a running system. Its files are in the current directory: find the cause of this failure and edit \
them in place. Make the smallest change that removes the cause, and change nothing else. Do not change tests, and stay in this \
directory. You cannot run anything: a host will try your change in a sealed copy, with the component's own tests, and refuse \
it if anything else was touched.

A mark such as `[redacted-1]` stands for a secret. Where you repeat its line, keep the mark as it is.

When you are done, say in one or two sentences why your change helps. If you cannot help, change nothing and answer with \
exactly this JSON object: {\"decline\": \"what is missing\"}";
