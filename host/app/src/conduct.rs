//! Which calls end as no honest plugin's does. It judges one call; what follows from several is core's to decide.

use razar_runtime::contract::Report;
use razar_runtime::outcome::{CallReport, Outcome, PluginFailure};

/// Denied attempts in one call beyond which it is no longer a mistake: the journal keeps half as many in words.
const DENIED_FLOOD: u64 = 64;

/// How a call ended in a way no honest plugin's does, if it did. Waiting in vain for the component is honest: only who
/// spent most of the time on a processor ran away.
pub(crate) fn misbehavior(report: &CallReport<Report>) -> Option<String> {
    let denied = report.record.denied().next().filter(|_| report.record.refusals > DENIED_FLOOD);
    match &report.outcome {
        Outcome::Failed(
            failure @ (PluginFailure::Exited(_)
            | PluginFailure::Trap(_)
            | PluginFailure::Memory(_)
            | PluginFailure::Fuel
            | PluginFailure::OversizeReply { .. }
            | PluginFailure::Contract(_)),
        ) => Some(failure.to_string()),
        Outcome::Failed(PluginFailure::Deadline(limit)) if report.usage.busy > *limit / 2 => {
            Some(format!("it ran for {} ms without answering", report.usage.busy.as_millis()))
        }
        Outcome::Failed(
            PluginFailure::Deadline(_)
            | PluginFailure::Cancelled
            | PluginFailure::Busy
            | PluginFailure::HostBug(_),
        )
        | Outcome::Reply(_)
        | Outcome::Refused(_) => {
            denied.map(|first| format!("denied {} times in one call, first: {first}", report.record.refusals))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use razar_core::grant::{CallScope, Grant, Request, Role, StandingGrant};
    use razar_runtime::broker::journal::{CallRecord, Refused};
    use razar_runtime::broker::log::LogRecord;
    use razar_runtime::contract::Health;
    use razar_runtime::outcome::{ExitCode, PluginError, PluginErrorKind, Usage};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    fn report(outcome: Outcome<Report>, busy: Duration, refusals: u64) -> CallReport<Report> {
        let standing = Arc::new(StandingGrant::new(Role::Probe, &Request::default(), &Grant::default()));
        let denied = standing.for_call(CallScope::default()).permit_name("inside.example").unwrap_err();
        let record = CallRecord { refused: vec![Refused::Denied(denied)], refusals, ..CallRecord::default() };
        let usage = Usage { busy, ..Usage::default() };
        CallReport { outcome, usage, record, log: LogRecord::default() }
    }

    #[test]
    fn what_the_component_may_have_caused_is_honest() {
        let reply = Report {
            health: Health::Unhealthy,
            summary: "down".to_owned(),
            measurements: Vec::new(),
            extensions: Vec::new(),
        };
        let refused = PluginError {
            kind: PluginErrorKind::Denied,
            message: "no".to_owned(),
            retry_after: None,
            extensions: Vec::new(),
        };
        for outcome in [
            Outcome::Reply(reply),
            Outcome::Refused(refused),
            Outcome::Failed(PluginFailure::Deadline(LIMIT)),
            Outcome::Failed(PluginFailure::Busy),
            Outcome::Failed(PluginFailure::Cancelled),
            Outcome::Failed(PluginFailure::HostBug("ours".to_owned())),
        ] {
            assert_eq!(misbehavior(&report(outcome.clone(), LIMIT / 2, DENIED_FLOOD)), None, "{outcome:?}");
            let flood = misbehavior(&report(outcome, LIMIT / 2, DENIED_FLOOD + 1)).unwrap();
            assert!(flood.starts_with("denied 65 times in one call, first: "), "{flood}");
        }
    }

    #[test]
    fn crashes_broken_limits_and_running_away_are_not() {
        for (failure, busy) in [
            (PluginFailure::Exited(ExitCode(1)), Duration::ZERO),
            (PluginFailure::Trap("unreachable".to_owned()), Duration::ZERO),
            (PluginFailure::Fuel, Duration::ZERO),
            (PluginFailure::OversizeReply { limit: 1 }, Duration::ZERO),
            (PluginFailure::Contract("other".to_owned()), Duration::ZERO),
            (PluginFailure::Deadline(LIMIT), LIMIT / 2 + Duration::from_millis(1)),
        ] {
            assert!(misbehavior(&report(Outcome::Failed(failure.clone()), busy, 0)).is_some(), "{failure:?}");
        }
    }
}
