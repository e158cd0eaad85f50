//! What an operator sees while the stack runs and when it has ended. It only looks; it never asks anything of the
//! driver but a snapshot, and whatever a service, a plugin or a note said passes through [`escape`] before it is shown.
//!
//! | file | owns |
//! |---|---|
//! | `diff` | a patch, line by line |
//! | `escape` | text of others, made harmless |
//! | `imported` | records of the original system, in their own words |
//! | `moment` | moments and spans, as people read them |
//! | `words` | what a fact means, as a sentence and as a line of the timeline |
//! | `table` | the aligned table of components |
//! | `summary` | the account at the end |
//! | `screen` | one frame of the live view |
//! | `live` | the loop that shows them |

pub(crate) mod diff;
pub(crate) mod escape;
mod imported;
mod live;
pub(crate) mod moment;
mod screen;
mod summary;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use razar_core::count::counted;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Output;
use crate::drive::Handle;
use live::{Form, Report};
pub(crate) use summary::stage_word;

/// For the last lines: a terminal that was stopped must not keep the host.
const FAREWELL: Duration = Duration::from_secs(2);

/// The showing under way.
pub(crate) struct Told {
    over: watch::Sender<bool>,
    showing: JoinHandle<()>,
}

/// Begins to show what happens on standard output.
pub(crate) fn start(output: Output, driver: &Handle) -> Told {
    let form = match output {
        Output::Json => Form::Json,
        Output::Human if io::stdout().is_terminal() => Form::Live,
        Output::Human | Output::Plain => Form::Plain,
    };
    let (over, seen) = watch::channel(false);
    let (driver, facts) = (driver.clone(), driver.subscribe());
    let runtime = tokio::runtime::Handle::current();
    // On a thread of its own: a terminal that does not read makes it wait, and nobody else.
    let showing = tokio::task::spawn_blocking(move || {
        let shown = runtime.block_on(Report::new(io::stdout(), form).run(driver, facts, seen));
        if let Err(error) = shown {
            tracing::debug!(%error, "nobody reads what is shown");
        }
    });
    Told { over, showing }
}

/// Says why nothing is to be seen yet: compiling takes a while, once.
pub(crate) fn preparing(output: Output, plugins: usize) {
    if output == Output::Json {
        return;
    }
    let (now, plugins) = (moment::clock(moment::now()), counted(plugins, "plugin"));
    let line = format!("{now} {}: preparing {plugins} (the first start compiles them)…\n", words::SYSTEM);
    // Whoever does not read goes without.
    let _ = io::stdout().write_all(line.as_bytes());
}

impl Told {
    /// Shows what is left, and the summary.
    pub(crate) async fn finish(self, _driver: &Handle) {
        self.over.send_replace(true);
        // Whoever does not read has the ledger.
        let _ = tokio::time::timeout(FAREWELL, self.showing).await;
    }
}
