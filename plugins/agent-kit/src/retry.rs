//! What is asked again within one call, and when: only what passes by itself, only while there is time for it, and never
//! what costs more by being repeated.

use std::time::Duration;

use razar_sdk::{PluginError, PluginErrorKind};

/// The first wait when nobody says how long; it doubles.
const FIRST: Duration = Duration::from_millis(500);

/// How often, within how much time.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Repeats after the first try.
    pub times: u32,
}

impl Retry {
    /// Runs `attempt` until it succeeds, fails for good, or has no time left. `left` says how much time there is, `sleep`
    /// lets some of it pass.
    pub fn run<T>(
        self,
        left: impl Fn() -> Duration,
        sleep: impl Fn(Duration),
        mut attempt: impl FnMut() -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let mut wait = FIRST;
        for _ in 0..self.times {
            let error = match attempt() {
                Err(error) if passes(&error) => error,
                ended => return ended,
            };
            let asked = error.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
            let pause = asked.unwrap_or(wait);
            // Half of what is left stays for the answer.
            if pause > left() / 2 {
                return Err(error);
            }
            sleep(pause);
            wait = wait.saturating_mul(2);
        }
        attempt()
    }
}

/// Whether it passes by itself: a server that is overloaded or asks to slow down. A used-up quota and a wrong key do not, and a
/// time-out has already taken its time.
fn passes(error: &PluginError) -> bool {
    matches!(error.kind, PluginErrorKind::Unavailable | PluginErrorKind::RateLimited)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn run(
        times: u32,
        left_ms: u64,
        errors: &[(PluginErrorKind, Option<u32>)],
    ) -> (Result<usize, PluginError>, Vec<u64>) {
        let (slept, mut tried) = (RefCell::new(Vec::new()), 0);
        let ended = Retry { times }.run(
            || Duration::from_millis(left_ms),
            |pause| slept.borrow_mut().push(u64::try_from(pause.as_millis()).unwrap()),
            || {
                tried += 1;
                match errors.get(tried - 1) {
                    Some((kind, after)) => {
                        let error = PluginError::new(kind.clone(), "no");
                        Err(PluginError { retry_after_ms: *after, ..error })
                    }
                    None => Ok(tried),
                }
            },
        );
        (ended, slept.into_inner())
    }

    #[test]
    fn overload_is_repeated_and_quota_is_not() {
        use PluginErrorKind::{NotFound, QuotaExhausted, RateLimited, Timeout, Unauthenticated, Unavailable};
        let (ended, slept) = run(2, 60_000, &[(Unavailable, None), (Unavailable, None)]);
        assert_eq!((ended.unwrap(), slept), (3, vec![500, 1_000]));
        let (ended, slept) = run(2, 60_000, &[(RateLimited, Some(2_000))]);
        assert_eq!((ended.unwrap(), slept), (2, vec![2_000]));
        let (ended, slept) = run(1, 60_000, &[(Unavailable, None), (Unavailable, None)]);
        assert_eq!((ended.unwrap_err().kind, slept), (Unavailable, vec![500]));
        for kind in [QuotaExhausted, Unauthenticated, NotFound, Timeout] {
            let (ended, slept) = run(2, 60_000, &[(kind.clone(), None)]);
            assert_eq!((ended.unwrap_err().kind, slept), (kind, vec![]));
        }
    }

    #[test]
    fn a_wait_that_leaves_no_time_for_an_answer_is_not_waited() {
        let (ended, slept) = run(2, 3_000, &[(PluginErrorKind::RateLimited, Some(2_000))]);
        let error = ended.unwrap_err();
        assert_eq!(
            (error.kind, error.retry_after_ms, slept),
            (PluginErrorKind::RateLimited, Some(2_000), vec![])
        );
    }
}
