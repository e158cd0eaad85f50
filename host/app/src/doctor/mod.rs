//! What this machine and this program have and lack for running a host well: each finding says what was looked at, and
//! what to do. It changes nothing that outlives it.
//!
//! | file | looks at |
//! |---|---|
//! | `machine` | the kernel and its tools |
//! | `place` | the state directory and its disk |
//! | `versions` | what this program was built with, and versions known to be bad |

mod machine;
mod place;
mod versions;

use std::path::Path;

use serde::Serialize;

use crate::wall::{Ground, Layer, Standing, raise};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Its name: stable, for programs.
    pub(crate) check: &'static str,
    /// Without it something is missing that the host promises; otherwise it is only good to have.
    pub(crate) needed: bool,
    /// It is there.
    pub(crate) ok: bool,
    /// What was found.
    pub(crate) detail: String,
    /// What to do if it is not there.
    pub(crate) remedy: Option<&'static str>,
}

/// How a look turned out: what was found, or what is missing and what to do.
type Look = Result<String, (String, &'static str)>;

fn finding(check: &'static str, needed: bool, look: Look) -> Finding {
    match look {
        Ok(detail) => Finding { check, needed, ok: true, detail, remedy: None },
        Err((detail, remedy)) => Finding { check, needed, ok: false, detail, remedy: Some(remedy) },
    }
}

/// Looks at everything.
pub(crate) fn examine(state: &Path) -> Vec<Finding> {
    let mut findings = wall();
    findings.extend([
        finding("process-handles", true, machine::process_handles()),
        finding("state-directory", true, place::usable(state)),
        finding("disk-space", true, place::space(state)),
    ]);
    findings.extend(versions::examine());
    findings.extend([
        finding("openat2", false, machine::openat2()),
        finding("open-files", false, machine::open_files()),
        finding("control-groups", false, machine::cgroup()),
        finding("user-namespaces", false, machine::user_namespaces()),
        finding("bubblewrap", false, machine::bubblewrap()),
        finding("trials", false, crate::trial::look()),
    ]);
    findings
}

/// The host's own wall, really raised: around a thread that then ends.
fn wall() -> Vec<Finding> {
    let raised = std::thread::spawn(|| raise(&Ground::of_any_program())).join();
    let layers: &[Layer] = raised.as_ref().map_or(&[], |layers| layers);
    let look = |layer: &Layer| match &layer.standing {
        Standing::Whole(detail) => Ok(detail.clone()),
        Standing::Missing { why, remedy } => Err((why.clone(), *remedy)),
    };
    layers.iter().map(|layer| finding(layer.name, true, look(layer))).collect()
}
