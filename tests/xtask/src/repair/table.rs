//! What people are told of trials: a line for each bug, a line for each that went wrong, a table by service.

use std::collections::BTreeMap;

use super::corpus::Bug;
use super::trial::{By, Trial};

/// The columns of those who refuse.
const REFUSERS: [(By, &str); 4] =
    [(By::Gate, "gate"), (By::Evaluator, "evaluator"), (By::Tests, "tests"), (By::Shadow, "shadow")];

/// Progress.
pub(super) fn line(bug: &Bug, trials: &[Trial]) -> String {
    let misses = trials.iter().filter(|trial| trial.is_miss()).count();
    let took: u64 = trials.iter().filter_map(|trial| trial.took_ms).sum();
    let word = if misses == 0 { "ok  " } else { "MISS" };
    format!("{word} {:<34} {:>3} patches, {:>5.1} s", bug.name(), trials.len(), took as f64 / 1e3)
}

/// One that was not judged as it must be; `whole` with all that was said.
pub(super) fn miss(trial: &Trial, whole: bool) -> String {
    let Trial { name, verdict, reason, report, .. } = trial;
    let all = if whole { format!("\n{report:#}") } else { String::new() };
    format!("MISS {name}: {verdict}: {reason}{all}")
}

/// A row for each service, and one for all.
pub(super) fn rows(trials: &[Trial]) -> Vec<String> {
    let mut services: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        services.entry(&trial.service).or_default().push(trial);
    }
    let mut rows = vec![head()];
    rows.extend(services.iter().map(|(service, trials)| row(service, trials)));
    rows.push(row("all", &trials.iter().collect::<Vec<_>>()));
    rows
}

fn head() -> String {
    let refusers = REFUSERS.map(|(_, name)| format!("{name:>9}")).join(" ");
    format!(
        "{:<8} {:>5} {:>12} {:>13} {refusers} {:>13}",
        "service", "bugs", "right taken", "wrong refused", "median trial"
    )
}

fn row(service: &str, trials: &[&Trial]) -> String {
    let (right, wrong): (Vec<&Trial>, Vec<&Trial>) = trials.iter().partition(|trial| trial.is_right);
    let bugs: std::collections::BTreeSet<&str> =
        trials.iter().filter_map(|trial| trial.name.rsplit_once('/')).map(|(bug, _)| bug).collect();
    let taken = right.iter().filter(|trial| trial.is_taken()).count();
    let refused: Vec<&&Trial> = wrong.iter().filter(|trial| !trial.is_taken()).collect();
    let by = REFUSERS.map(|(by, _)| {
        let count = refused.iter().filter(|trial| trial.by == by).count();
        format!("{count:>9}")
    });
    let mut took: Vec<u64> = trials.iter().filter_map(|trial| trial.took_ms).collect();
    took.sort_unstable();
    let median =
        took.get(took.len() / 2).map_or_else(|| "-".to_owned(), |ms| format!("{:.2} s", *ms as f64 / 1e3));
    let of = |part: usize, whole: usize| format!("{part}/{whole}");
    format!(
        "{service:<8} {:>5} {:>12} {:>13} {} {median:>13}",
        bugs.len(),
        of(taken, right.len()),
        of(refused.len(), wrong.len()),
        by.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(name: &str, is_right: bool, verdict: &str, by: By, took_ms: Option<u64>) -> Trial {
        let (service, verdict) = ("orders".to_owned(), verdict.to_owned());
        let (name, reason, report) = (name.to_owned(), "why".to_owned(), serde_json::Value::Null);
        Trial { service, name, is_right, verdict, reason, by, took_ms, report }
    }

    #[test]
    fn a_row_counts_who_refused_what() {
        let trials = [
            trial("orders/a/fix", true, "fixed", By::Shadow, Some(9_000)),
            trial("orders/a/01", false, "refused", By::Gate, None),
            trial("orders/a/02", false, "not-fixed", By::Tests, Some(1_000)),
            trial("orders/b/fix", true, "flaky", By::Tests, Some(2_000)),
            trial("orders/b/01", false, "fixed", By::Shadow, Some(4_000)),
        ];
        let rows = rows(&trials);
        let words: Vec<&str> = rows[1].split_whitespace().collect();
        assert_eq!(words, ["orders", "2", "1/2", "2/3", "1", "0", "1", "0", "4.00", "s"]);
        let misses: Vec<&str> =
            trials.iter().filter(|trial| trial.is_miss()).map(|trial| &*trial.name).collect();
        assert_eq!(misses, ["orders/b/fix", "orders/b/01"]);
    }
}
