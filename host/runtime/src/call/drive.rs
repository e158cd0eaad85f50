//! Polls a guest until it ends or must end, and adds up the time it is on a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::outcome::PluginError;

/// How the guest's future ended.
pub(super) enum End<T> {
    /// By itself.
    Done(wasmtime::Result<Result<T, PluginError>>),
    /// In a host function's panic.
    Panicked(String),
    /// Its time was up.
    Deadline,
    /// The host is closing.
    Cancelled,
}

/// Runs the guest.
pub(super) async fn drive<T>(
    engine: &Engine,
    deadline: Instant,
    busy: &mut Duration,
    guest: impl Future<Output = wasmtime::Result<Result<T, PluginError>>> + Send,
) -> End<T> {
    let mut guest = pin!(guest);
    // Neither is registered anywhere until the guest first waits: a short call pays nothing for them.
    let mut closed = pin!(engine.closed());
    let mut alarm = pin!(tokio::time::sleep_until(deadline.into()));
    std::future::poll_fn(|context| {
        let begun = Instant::now();
        // After a panic nothing of the store is looked at but its counters, which are plain numbers.
        let polled = catch_unwind(AssertUnwindSafe(|| guest.as_mut().poll(context)));
        let now = Instant::now();
        *busy += now.saturating_duration_since(begun);
        match polled {
            Ok(Poll::Ready(result)) => Poll::Ready(End::Done(result)),
            Err(payload) => Poll::Ready(End::Panicked(message(payload.as_ref()))),
            // The clock decides, not the timer: tokio's may report late when the task has used up its budget.
            Ok(Poll::Pending) if now >= deadline => Poll::Ready(End::Deadline),
            Ok(Poll::Pending) => {
                if closed.as_mut().poll(context).is_ready() {
                    return Poll::Ready(End::Cancelled);
                }
                alarm.as_mut().poll(context).map(|()| End::Deadline)
            }
        }
    })
    .await
}

pub(super) fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    format!("panic: {}", text.as_deref().unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineKind;

    async fn end(guest: impl Future<Output = wasmtime::Result<Result<u8, PluginError>>> + Send) -> End<u8> {
        let engine = Engine::on_demand(EngineKind::OnDemand).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        drive(&engine, deadline, &mut Duration::default(), guest).await
    }

    #[tokio::test]
    async fn a_panic_in_a_host_function_is_this_calls_end_and_no_more() {
        let text = end(async { panic!("broken {}", "pipe") }).await;
        assert!(matches!(text, End::Panicked(reason) if reason == "panic: broken pipe"));
        let other = end(async { std::panic::panic_any(7) }).await;
        assert!(matches!(other, End::Panicked(reason) if reason == "panic: without a message"));
        assert!(matches!(end(async { Ok(Ok(1)) }).await, End::Done(Ok(Ok(1)))));
    }

    #[tokio::test]
    async fn time_spent_waiting_is_not_busy() {
        let engine = Engine::on_demand(EngineKind::OnDemand).unwrap();
        let (begun, mut busy) = (Instant::now(), Duration::ZERO);
        let guest = std::future::pending::<wasmtime::Result<Result<u8, PluginError>>>();
        let end = drive(&engine, begun + Duration::from_millis(50), &mut busy, guest).await;
        assert!(matches!(end, End::Deadline));
        assert!(begun.elapsed() >= Duration::from_millis(50) && busy < Duration::from_millis(25), "{busy:?}");
    }
}
