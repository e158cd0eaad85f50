//! What kind of trouble it was to ask an agent, and what the conversation took: the runtime's and the contract's words become
//! core's. Nothing here decides what follows from it.

use razar_core::incident::{End, Spent, Trouble};
use razar_core::time::Millis;
use razar_runtime::outcome::{PluginError, PluginErrorKind, PluginFailure};

use super::words;
use crate::agent::consult::Consulted;

/// The agent says itself why there is no proposal.
pub(super) fn refused(error: &PluginError) -> End {
    let trouble = of_error(error);
    let why = words(&format!("{}: {}", error.kind.as_str(), error.message));
    if trouble.keeps_from_asking() {
        let retry_after = error.retry_after.map(|span| millis(span.as_millis()));
        return End::Unavailable { why, trouble, retry_after };
    }
    End::Failed { why, trouble }
}

/// The plugin gave no answer.
pub(super) fn without_answer(failure: &PluginFailure) -> End {
    let trouble = match failure {
        PluginFailure::Exited(_)
        | PluginFailure::Trap(_)
        | PluginFailure::Memory(_)
        | PluginFailure::Fuel => Trouble::Crashed,
        PluginFailure::Deadline(_) => Trouble::Deadline,
        PluginFailure::Cancelled => Trouble::Cancelled,
        PluginFailure::Busy => Trouble::Busy,
        PluginFailure::OversizeReply { .. } | PluginFailure::Contract(_) => Trouble::Nonsense,
        PluginFailure::HostBug(_) => Trouble::Internal,
    };
    let why = words(&failure.to_string());
    if trouble.keeps_from_asking() {
        return End::Unavailable { why, trouble, retry_after: None };
    }
    End::Failed { why, trouble }
}

fn of_error(error: &PluginError) -> Trouble {
    // Whoever tells a status has got an answer.
    let answered = error.extensions.iter().any(|(key, _)| key == "status");
    match &error.kind {
        PluginErrorKind::InvalidInput => Trouble::Rejected,
        PluginErrorKind::NotFound => Trouble::NoModel,
        PluginErrorKind::Unauthenticated => Trouble::NoCredential,
        PluginErrorKind::Denied => Trouble::Denied,
        PluginErrorKind::Unavailable if answered => Trouble::Overloaded,
        PluginErrorKind::Unavailable => Trouble::Unreachable,
        PluginErrorKind::Timeout => Trouble::Deadline,
        PluginErrorKind::RateLimited => Trouble::RateLimited,
        PluginErrorKind::QuotaExhausted => Trouble::Quota,
        PluginErrorKind::NotEvaluable => Trouble::Nonsense,
        PluginErrorKind::Internal => Trouble::Internal,
        PluginErrorKind::Other(kind) => match kind.as_str() {
            "tool-loop" => Trouble::Endless,
            _ => Trouble::Nonsense,
        },
    }
}

/// What a conversation took, over all its turns.
pub(super) fn spent(over: &Consulted) -> Spent {
    let took = over.turns.iter().map(|turn| turn.usage.wall.as_millis()).sum();
    let tokens = over.tokens.as_ref();
    Spent {
        model: tokens.map(|tokens| words(&tokens.model)).filter(|model| !model.is_empty()),
        input_tokens: tokens.map_or(0, |tokens| tokens.input_tokens),
        output_tokens: tokens.map_or(0, |tokens| tokens.output_tokens),
        took: millis(took),
        turns: u32::try_from(over.turns.len()).unwrap_or(u32::MAX),
    }
}

fn millis(millis: u128) -> Millis {
    Millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn error(kind: PluginErrorKind, extensions: &[(&str, &str)]) -> PluginError {
        let extensions = extensions.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        PluginError {
            kind,
            message: "m".to_owned(),
            retry_after: Some(Duration::from_millis(1_500)),
            extensions: extensions.collect(),
        }
    }

    #[test]
    fn every_kind_of_error_is_a_kind_of_trouble() {
        use PluginErrorKind as K;
        let other = |kind: &str| K::Other(kind.to_owned());
        let table = [
            (K::InvalidInput, Trouble::Rejected, false),
            (K::NotFound, Trouble::NoModel, true),
            (K::Unauthenticated, Trouble::NoCredential, true),
            (K::Denied, Trouble::Denied, true),
            (K::Unavailable, Trouble::Unreachable, true),
            (K::Timeout, Trouble::Deadline, false),
            (K::RateLimited, Trouble::RateLimited, true),
            (K::QuotaExhausted, Trouble::Quota, true),
            (K::NotEvaluable, Trouble::Nonsense, false),
            (K::Internal, Trouble::Internal, false),
            (other("tool-loop"), Trouble::Endless, false),
            (other("unusable-reply"), Trouble::Nonsense, false),
        ];
        for (kind, trouble, unavailable) in table {
            let end = refused(&error(kind, &[]));
            assert_eq!(end.trouble(), Some(trouble));
            match end {
                End::Unavailable { retry_after, .. } => {
                    assert!(unavailable, "{trouble:?}");
                    assert_eq!(retry_after, Some(Millis(1_500)));
                }
                other => assert!(!unavailable, "{other:?}"),
            }
        }
        let overloaded = refused(&error(K::Unavailable, &[("status", "503")]));
        assert_eq!(overloaded.trouble(), Some(Trouble::Overloaded));
    }

    #[test]
    fn a_call_without_an_answer_is_told_apart() {
        let deadline = without_answer(&PluginFailure::Deadline(Duration::from_secs(1)));
        assert_eq!(deadline.trouble(), Some(Trouble::Deadline));
        assert_eq!(without_answer(&PluginFailure::Fuel).trouble(), Some(Trouble::Crashed));
        let busy = without_answer(&PluginFailure::Busy);
        assert!(matches!(busy, End::Unavailable { trouble: Trouble::Busy, .. }), "{busy:?}");
    }
}
