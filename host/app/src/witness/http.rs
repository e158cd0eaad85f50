//! A witness behind a URL. It is somebody else's server: every exchange is bounded in time and size, no redirect is
//! followed, and nothing but the note is sent.

use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;

use super::MAX_NOTES;

/// For leaving one note: the end of a host waits for the one under way and for the last one.
const POST: Duration = Duration::from_secs(2);

/// For reading all of them.
const GET: Duration = Duration::from_secs(30);

fn agent(patience: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(patience))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        // A proxy of the environment would be asked instead of the witness.
        .proxy(None)
        .build();
    config.into()
}

/// Leaves one note.
pub(super) fn post(url: &str, note: &str) -> Result<(), String> {
    let failed = |error: String| format!("cannot leave a note at the witness `{url}`: {error}");
    let answer = agent(POST).post(url).content_type("application/json").send(note.as_bytes());
    let status = answer.map_err(|error| failed(error.to_string()))?.status();
    if status.is_success() { Ok(()) } else { Err(failed(said(status))) }
}

/// Gets all notes.
pub(super) fn read(url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: String| format!("cannot ask the witness `{url}`: {error}");
    let mut answer = agent(GET).get(url).call().map_err(|error| failed(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(failed(said(answer.status())));
    }
    let body = answer.body_mut().with_config().limit(MAX_NOTES);
    body.read_to_vec().map_err(|error| failed(error.to_string()))
}

fn said(status: StatusCode) -> String {
    format!("it answered {status}, expected 2xx")
}
