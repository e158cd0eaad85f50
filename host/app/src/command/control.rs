//! `status`, `start`, `stop`, `restart`, `quarantine` and `timeline`: asks the running host over its control socket,
//! or reads the ledger when there is none and looking is all that is wanted. It never changes the ledger itself.

mod ask;
mod offline;
mod show;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use razar_core::count::counted;
use razar_core::id::{ComponentId, PluginId};
use razar_core::plan::plugin_of;

use super::{Exit, leftovers};
use crate::cli;
use crate::serve::wire::{Answer, Request, StatusView};
use ask::{Asked, Client};

/// The shape of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// For people.
    Human,
    /// One JSON object a line, as on the control socket.
    Json,
}

/// Where answers and complaints go.
struct Terminal<'a> {
    /// Answers.
    out: &'a mut dyn Write,
    /// Complaints and notes.
    err: &'a mut dyn Write,
    /// The shape of answers.
    format: Format,
}

/// What a command does to one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Let it run.
    Start,
    /// Let it rest.
    Stop,
    /// Give it a fresh process.
    Restart,
    /// Take it out.
    Quarantine,
    /// Let it back in.
    Release,
    /// Hand its failure over to agents.
    HandOver,
    /// Take its newest patch back.
    RollBack,
}

pub(super) async fn status(arguments: cli::Status) -> Exit {
    let cli::Status { component, state, output } = arguments;
    with_terminal(output, move |terminal| try_status(&state.state, component.as_deref(), terminal)).await
}

pub(super) async fn stop(arguments: cli::OneOrAll) -> Exit {
    let cli::OneOrAll { component, state, output } = arguments;
    match component {
        Some(component) => change(cli::One { component, state, output }, Change::Stop, None).await,
        None if Client::nobody_listens(&state.state) && offline::status(&state.state).is_ok() => {
            let stopped = leftovers::stop(&state.state).await;
            with_terminal(output, move |terminal| match stopped {
                Ok(processes) => {
                    let were = if processes == 1 { "was" } else { "were" };
                    let services = counted(processes, "service");
                    terminal
                        .note(&format!("no host was running; {services} of an earlier one {were} ended"))?;
                    show::stopped(terminal)?;
                    Ok(Exit::Done)
                }
                Err(message) => {
                    terminal.complain(&message)?;
                    Ok(Exit::Failed)
                }
            })
            .await
        }
        None => with_terminal(output, move |terminal| try_shutdown(&state.state, terminal)).await,
    }
}

pub(super) async fn start(arguments: cli::One) -> Exit {
    change(arguments, Change::Start, None).await
}

pub(super) async fn restart(arguments: cli::One) -> Exit {
    change(arguments, Change::Restart, None).await
}

pub(super) async fn quarantine(arguments: cli::Quarantine) -> Exit {
    match arguments {
        cli::Quarantine::List { state, output } => {
            with_terminal(output, move |terminal| try_quarantine_list(&state.state, terminal)).await
        }
        cli::Quarantine::Release { one, plugin: true, note } => change_plugin(one, false, note).await,
        cli::Quarantine::Release { one, plugin: false, note } => change(one, Change::Release, note).await,
        cli::Quarantine::Add { one, plugin: true, note } => change_plugin(one, true, note).await,
        cli::Quarantine::Add { one, plugin: false, note } => change(one, Change::Quarantine, note).await,
    }
}

pub(super) async fn handover(arguments: cli::HandOver) -> Exit {
    let cli::HandOver { one, note } = arguments;
    change(one, Change::HandOver, note).await
}

/// The agent goes by any name that operators have for it.
pub(super) async fn escalate(arguments: cli::Escalate) -> Exit {
    let cli::Escalate { one: cli::One { component, state, output }, agent, note } = arguments;
    with_terminal(output, move |terminal| {
        let component: ComponentId = match component.parse() {
            Ok(component) => component,
            Err(error) => {
                terminal.complain(&error.to_string())?;
                return Ok(Exit::Usage);
            }
        };
        let Some(agent) = plugin_of(&agent) else {
            terminal.complain(&format!("`{agent}` is no agent's name; `razar-host roster` lists them"))?;
            return Ok(Exit::Usage);
        };
        let request = Request::Escalate { component: component.clone(), agent: agent.clone(), note };
        match ask::once(&state.state, request) {
            Asked::Answer(Answer::Done {}) => {
                show::escalated(terminal, &component, &agent)?;
                Ok(Exit::Done)
            }
            other => unanswered(other, terminal),
        }
    })
    .await
}

pub(super) async fn rollback(arguments: cli::One) -> Exit {
    change(arguments, Change::RollBack, None).await
}

/// Hands a diff to the host, which tries it.
pub(super) async fn apply(state: PathBuf, component: String, diff: String, output: cli::Output) -> Exit {
    with_terminal(output, move |terminal| {
        let component: ComponentId = match component.parse() {
            Ok(component) => component,
            Err(error) => {
                terminal.complain(&error.to_string())?;
                return Ok(Exit::Usage);
            }
        };
        match ask::once(&state, Request::Patch { component: component.clone(), diff }) {
            Asked::Answer(Answer::Done {}) => {
                show::handed_in(terminal, &component)?;
                Ok(Exit::Done)
            }
            other => unanswered(other, terminal),
        }
    })
    .await
}

pub(super) async fn timeline(arguments: cli::Timeline) -> Exit {
    let cli::Timeline { state, follow, output } = arguments;
    with_terminal(output, move |terminal| try_timeline(&state.state, None, follow, terminal)).await
}

async fn change(arguments: cli::One, change: Change, note: Option<String>) -> Exit {
    let cli::One { component, state, output } = arguments;
    with_terminal(output, move |terminal| try_change(&state.state, change, &component, note, terminal)).await
}

/// Takes a plugin out, or lets it back in.
async fn change_plugin(arguments: cli::One, out: bool, note: Option<String>) -> Exit {
    let cli::One { component: plugin, state, output } = arguments;
    with_terminal(output, move |terminal| try_change_plugin(&state.state, &plugin, out, note, terminal)).await
}

/// Conversations wait, for the host and for the disk: on a thread that may.
async fn with_terminal(
    output: cli::Output,
    run: impl FnOnce(&mut Terminal<'_>) -> io::Result<Exit> + Send + 'static,
) -> Exit {
    let format = match output {
        cli::Output::Json => Format::Json,
        cli::Output::Human | cli::Output::Plain => Format::Human,
    };
    let blocking = tokio::task::spawn_blocking(move || {
        finish(run(&mut Terminal { out: &mut io::stdout(), err: &mut io::stderr(), format }))
    });
    blocking.await.unwrap_or(Exit::Internal)
}

/// A reader that closes the pipe has seen enough; anything else that cannot be written is a failure.
fn finish(exit: io::Result<Exit>) -> Exit {
    match exit {
        Ok(exit) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(_) => Exit::Internal,
    }
}

fn try_status(state: &Path, component: Option<&str>, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let mut status = match seen(state, terminal)? {
        Ok(status) => status,
        Err(exit) => return Ok(exit),
    };
    if let Some(wanted) = component {
        status.components.retain(|component| component.component.as_str() == wanted);
        if status.components.is_empty() {
            let wanted = crate::report::escape::line(wanted);
            terminal
                .complain(&format!("there is no component `{wanted}`; `razar-host status` lists them"))?;
            return Ok(Exit::Usage);
        }
    }
    show::status(terminal, &status)?;
    held(&status, terminal)
}

/// Looking works while nothing can be recorded; nothing else does, so it is no success.
fn held(status: &StatusView, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let Some(why) = &status.stuck else { return Ok(Exit::Done) };
    if terminal.format == Format::Human {
        terminal.complain(&format!("the host holds every decision back until it can be recorded: {why}"))?;
    }
    Ok(Exit::Failed)
}

fn try_quarantine_list(state: &Path, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let mut status = match seen(state, terminal)? {
        Ok(status) => status,
        Err(exit) => return Ok(exit),
    };
    status.components.retain(|component| component.is_quarantined());
    show::quarantine(terminal, &status)?;
    Ok(Exit::Done)
}

/// What the host shows; what the ledger says when there is no host.
fn seen(state: &Path, terminal: &mut Terminal<'_>) -> io::Result<Result<StatusView, Exit>> {
    match ask::once(state, Request::Status {}) {
        Asked::Answer(Answer::Status { status }) => Ok(Ok(*status)),
        Asked::NoHost => match offline::status(state) {
            Ok(status) => {
                terminal.note(
                    "no host is running here: this is what was recorded last; `razar-host run` takes over what still \
                     runs",
                )?;
                Ok(Ok(status))
            }
            Err(error) => {
                terminal.complain(&error.to_string())?;
                Ok(Err(Exit::of(&error)))
            }
        },
        other => Ok(Err(unanswered(other, terminal)?)),
    }
}

fn try_change(
    state: &Path,
    change: Change,
    component: &str,
    note: Option<String>,
    terminal: &mut Terminal<'_>,
) -> io::Result<Exit> {
    let component: ComponentId = match component.parse() {
        Ok(component) => component,
        Err(error) => {
            terminal.complain(&error.to_string())?;
            return Ok(Exit::Usage);
        }
    };
    match ask::once(state, change.request(component.clone(), note)) {
        Asked::Answer(Answer::Done {}) => {
            show::done(terminal, &component, change)?;
            Ok(Exit::Done)
        }
        other => unanswered(other, terminal),
    }
}

fn try_change_plugin(
    state: &Path,
    plugin: &str,
    out: bool,
    note: Option<String>,
    terminal: &mut Terminal<'_>,
) -> io::Result<Exit> {
    let plugin: PluginId = match plugin.parse() {
        Ok(plugin) => plugin,
        Err(error) => {
            terminal.complain(&error.to_string())?;
            return Ok(Exit::Usage);
        }
    };
    let asked = plugin.clone();
    let request = match out {
        true => Request::QuarantinePlugin { plugin: asked, note },
        false => Request::ReleasePlugin { plugin: asked, note },
    };
    match ask::once(state, request) {
        Asked::Answer(Answer::Done {}) => {
            show::plugin_done(terminal, &plugin, out)?;
            Ok(Exit::Done)
        }
        other => unanswered(other, terminal),
    }
}

impl Change {
    fn request(self, component: ComponentId, note: Option<String>) -> Request {
        match self {
            Self::Start => Request::Start { component },
            Self::Stop => Request::Stop { component },
            Self::Restart => Request::Restart { component },
            Self::Quarantine => Request::Quarantine { component, note },
            Self::Release => Request::Release { component, note },
            Self::HandOver => Request::HandOver { component, note },
            Self::RollBack => Request::RollBack { component },
        }
    }
}

fn try_shutdown(state: &Path, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let request = Request::Shutdown { reason: "asked for with `razar-host stop`".to_owned() };
    let mut client = match Client::ask(state, &request) {
        Ok(client) => client,
        Err(failed) => return unanswered(failed, terminal),
    };
    loop {
        match client.next() {
            Asked::Answer(Answer::Event { event }) => show::event(terminal, &event)?,
            Asked::Answer(Answer::Done {}) => break,
            // The host may end before its last line arrives; the ledger knows whether it was done.
            Asked::Lost(_) if offline::status(state).is_ok_and(|s| s.boot.is_some_and(|b| b.is_over())) => {
                break;
            }
            other => return unanswered(other, terminal),
        }
    }
    show::stopped(terminal)?;
    Ok(Exit::Done)
}

fn try_timeline(
    state: &Path,
    since: Option<u64>,
    follow: bool,
    terminal: &mut Terminal<'_>,
) -> io::Result<Exit> {
    let mut client = match Client::ask(state, &Request::Timeline { since, follow }) {
        Ok(client) => client,
        Err(Asked::NoHost) => return past(state, since, follow, terminal),
        Err(failed) => return unanswered(failed, terminal),
    };
    client.wait_for_ever();
    loop {
        match client.next() {
            Asked::Answer(Answer::Event { event }) => show::event(terminal, &event)?,
            Asked::Answer(Answer::Done {}) => return Ok(Exit::Done),
            Asked::Lost(_) if follow => {
                terminal.note("the host has ended")?;
                return Ok(Exit::Done);
            }
            other => return unanswered(other, terminal),
        }
    }
}

fn past(state: &Path, since: Option<u64>, follow: bool, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let told = offline::timeline(state, since, |event| show::event(terminal, event));
    match told {
        Ok(written) => written?,
        Err(error) => {
            terminal.complain(&error.to_string())?;
            return Ok(Exit::of(&error));
        }
    }
    if follow {
        terminal.note("no host is running here, so nothing follows; `razar-host run` starts one")?;
    }
    Ok(Exit::Done)
}

/// Says what came instead of the answer.
fn unanswered(asked: Asked, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let (message, exit) = match asked {
        Asked::Answer(Answer::Refused { message, unknown: true }) => (message, Exit::Usage),
        Asked::Answer(Answer::Refused { message, unknown: false }) => (message, Exit::Failed),
        Asked::Answer(Answer::Failed { message, .. }) => (message, Exit::Failed),
        Asked::Answer(_) => ("the host answered something else: do both have the same version?".to_owned(), Exit::Internal),
        Asked::NoHost => (
            "no host is running here, so there is nothing to command: `razar-host run` starts one and takes over what \
             still runs; is `--state` the right directory?"
                .to_owned(),
            Exit::Failed,
        ),
        Asked::Barred(message) => (message, Exit::Usage),
        Asked::Lost(message) => (message, Exit::Failed),
    };
    terminal.complain(&message)?;
    Ok(exit)
}
