//! One call from asking for a place to run to its report. A fresh store each time, never used again: after a trap, a
//! deadline or a dropped call a wasmtime store answers nothing any more.
//!
//! ```text
//! turn ──► slots ──► mounts ──► store ──► instance ──► exported function ──► reply read
//!   └─────────────────────── one deadline, one cancellation ───────────────────┘
//! ```
//!
//! Time is checked in one place. The guest yields at every epoch tick, a host function yields when it waits, and
//! each time the deadline and the host's closing are looked at; then the future is dropped, which unwinds the guest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use razar_core::grant::{CallScope, DirPermit, EffectiveGrant, Limits};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;
use wasmtime::{Store, UpdateDeadline};

use self::drive::{End, drive};
use crate::broker::files::{FilesError, Mounts};
use crate::broker::journal::CallRecord;
use crate::broker::log::LogRecord;
use crate::engine::EngineKind;
use crate::incident;
use crate::limits::{count, number};
use crate::outcome::{CallReport, Outcome, PluginError, PluginErrorKind, PluginFailure, Usage};
use crate::plugin::Shared;
use crate::state::State;
use crate::tape::Tape;
use crate::tape::files::Given;

mod classify;
mod drive;
mod played;

/// What is asked of an instance, with the contract's types already turned into ours.
pub(crate) trait Invocation: Send {
    /// The answer.
    type Reply: Send;

    /// Makes the instance and calls it.
    fn invoke(
        self,
        store: &mut Store<State>,
    ) -> impl Future<Output = wasmtime::Result<Result<Self::Reply, PluginError>>> + Send;

    /// Bytes that an answer takes.
    fn size(reply: &Self::Reply) -> usize;
}

/// Runs one call to its end, whatever that is.
pub(crate) async fn call<I: Invocation>(
    plugin: &Shared,
    time: Duration,
    scope: CallScope,
    invocation: I,
) -> CallReport<I::Reply> {
    let begun = Instant::now();
    let deadline = begun + time;
    let mut usage = Usage::default();
    let never_ran = |outcome, usage| {
        let report = ended(outcome, usage, begun, CallRecord::default(), LogRecord::default());
        incident::tell(plugin, &report);
        report
    };
    let _place = match place(plugin, deadline, begun, &mut usage.queued).await {
        Ok(place) => place,
        Err(failure) => return never_ran(Outcome::Failed(failure), usage),
    };
    let grant = Arc::new(plugin.grant.for_call(scope));
    let tape = Tape::current();
    let mounts = match mounts(plugin, &grant, deadline, time, tape.as_ref()).await {
        Ok(mounts) => mounts,
        Err(outcome) => return never_ran(outcome.into(), usage),
    };
    let state = match State::new(plugin, grant, &mounts, deadline, tape.clone()) {
        Ok(state) => state,
        Err(error) => return never_ran(Outcome::Refused(not_given(&error)), usage),
    };
    let (mut store, fuel) = match store(plugin, state) {
        Ok(made) => made,
        Err(error) => {
            return never_ran(Outcome::Failed(PluginFailure::HostBug(format!("{error:#}"))), usage);
        }
    };
    let playing = tape.as_ref().and_then(Tape::playing);
    let guest = invocation.invoke(&mut store);
    let end = match playing {
        None => drive(&plugin.engine, deadline, &mut usage.busy, guest).await,
        Some(playing) => played::drive(&plugin.engine, begun, time, playing, guest).await,
    };
    usage.fuel = fuel.and_then(|fuel| Some(fuel.saturating_sub(store.get_fuel().ok()?)));
    let state = store.data();
    usage.memory = number(state.limiter.peak());
    let limits = &plugin.limits;
    let outcome = match end {
        End::Done(Ok(Ok(reply))) => {
            usage.reply = number(I::size(&reply));
            if usage.reply > limits.reply.0 { oversize(limits) } else { Outcome::Reply(reply) }
        }
        End::Done(Ok(Err(error))) if number(error.size()) > limits.reply.0 => oversize(limits),
        End::Done(Ok(Err(error))) => Outcome::Refused(error),
        End::Done(Err(error)) => Outcome::Failed(classify::classify(&error, state, limits, time)),
        End::Panicked(reason) => Outcome::Failed(PluginFailure::HostBug(reason)),
        End::Deadline => Outcome::Failed(PluginFailure::Deadline(time)),
        End::Cancelled => Outcome::Failed(PluginFailure::Cancelled),
    };
    let (record, mut log) = (state.journal.take(), state.log.take());
    if !log.is_empty() {
        log = plugin.log_rate.admit(Instant::now(), log);
    }
    usage.network = record.sent.saturating_add(record.received);
    usage.requests = record.requests.saturating_add(record.connections).saturating_add(record.lookups);
    let report = ended(outcome, usage, begun, record, log);
    incident::tell(plugin, &report);
    report
}

fn ended<T>(
    outcome: Outcome<T>,
    mut usage: Usage,
    begun: Instant,
    record: CallRecord,
    log: LogRecord,
) -> CallReport<T> {
    usage.wall = begun.elapsed();
    CallReport { outcome, usage, record, log }
}

fn oversize<T>(limits: &Limits) -> Outcome<T> {
    Outcome::Failed(PluginFailure::OversizeReply { limit: limits.reply.0 })
}

/// A turn among the plugin's own calls, then slots among everybody's.
async fn place<'a>(
    plugin: &'a Shared,
    deadline: Instant,
    begun: Instant,
    queued: &mut Duration,
) -> Result<(SemaphorePermit<'a>, SemaphorePermit<'a>), PluginFailure> {
    if let Ok(turn) = plugin.turns.try_acquire()
        && let Some(slots) = plugin.engine.free_slots(plugin.weight)
    {
        return Ok((turn, slots));
    }
    let wait = async {
        // Nobody closes the turns.
        let turn = plugin.turns.acquire().await.ok()?;
        Some((turn, plugin.engine.slots(plugin.weight).await?))
    };
    let waited = tokio::select! {
        biased;
        waited = timeout_at(deadline.into(), wait) => waited,
        () = plugin.engine.closed() => Ok(None),
    };
    *queued = begun.elapsed();
    waited.map_err(|_| PluginFailure::Busy)?.ok_or(PluginFailure::Cancelled)
}

/// Why a call ended before it had a store.
enum NotReady {
    Failed(PluginFailure),
    NotGiven(PluginError),
}

impl<T> From<NotReady> for Outcome<T> {
    fn from(reason: NotReady) -> Self {
        match reason {
            NotReady::Failed(failure) => Self::Failed(failure),
            NotReady::NotGiven(error) => Self::Refused(error),
        }
    }
}

/// Copies and directories of this call. Most plugins have none, and wait for nothing.
async fn mounts(
    plugin: &Shared,
    grant: &EffectiveGrant,
    deadline: Instant,
    time: Duration,
    tape: Option<&Tape>,
) -> Result<Mounts, NotReady> {
    if let Some(playing) = tape.and_then(Tape::playing) {
        return Ok(Mounts::played(playing, &plugin.trees, &plugin.limits));
    }
    let Some(scratch) = &plugin.scratch else { return Ok(Mounts::default()) };
    let permits: Vec<DirPermit> = grant.permit_dirs();
    if permits.is_empty() {
        return Ok(Mounts::default());
    }
    tokio::select! {
        biased;
        prepared = timeout_at(deadline.into(), Mounts::prepare(&permits, scratch, &plugin.trees, &plugin.limits)) => match prepared {
            Ok(Ok(mounts)) => {
                if let Some(tape) = tape {
                    let kept = timeout_at(deadline.into(), keep(tape, mounts.given())).await;
                    kept.unwrap_or_else(|_| tape.leave_out("its directories took too long to read".to_owned()));
                }
                Ok(mounts)
            }
            Ok(Err(error)) => {
                if let Some(tape) = tape {
                    tape.leave_out("the host answered in its place: what it is about could not be handed to it".to_owned());
                }
                Err(NotReady::NotGiven(not_given(&error)))
            }
            Err(_) => Err(NotReady::Failed(PluginFailure::Deadline(time))),
        },
        () = plugin.engine.closed() => Err(NotReady::Failed(PluginFailure::Cancelled)),
    }
}

/// Onto the tape, off this thread.
async fn keep(tape: &Tape, given: Vec<Given>) {
    let own = tape.clone();
    if tokio::task::spawn_blocking(move || crate::tape::files::keep(&own, &given)).await.is_err() {
        tape.leave_out("its directories could not be read".to_owned());
    }
}

/// What the call is about cannot be handed over: the host says what the plugin would have found out.
fn not_given(error: &FilesError) -> PluginError {
    let kind = match error {
        FilesError::Read { error, .. } | FilesError::Directory { error, .. }
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            PluginErrorKind::NotFound
        }
        _ => PluginErrorKind::Unavailable,
    };
    PluginError { kind, message: error.to_string(), retry_after: None, extensions: Vec::new() }
}

/// A store with every limit closed, and the fuel it begins with.
fn store(plugin: &Shared, state: State) -> wasmtime::Result<(Store<State>, Option<u64>)> {
    let limits = &plugin.limits;
    let mut store = Store::new(plugin.engine.wasm(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(count(limits.reply.0.max(limits.hostcall.0)));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
    let fuel = (plugin.engine.kind() == EngineKind::Metered).then(|| limits.fuel.unwrap_or(u64::MAX));
    if let Some(fuel) = fuel {
        store.set_fuel(fuel)?;
    }
    Ok((store, fuel))
}
