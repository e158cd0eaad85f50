//! `agent-lastgood`: proposes to go back to the newest version of the component that was healthy and that this incident has not
//! tried yet. It asks nobody: what there is to go back to, the host offers. Must never propose a version that was not offered,
//! nor one a second time.
//!
//! It needs no grant. It is in nobody's ladder unless the operator writes it there; the host's own last resort is the same idea.
//!
//! A version was tried if its `extensions` say `tried`, or if an earlier attempt's say `version` with its id. One that is what runs
//! now says `current`.

use std::collections::BTreeSet;

use razar_sdk::agent::{Agent, Answer, Brief, Remedy, Situation, Version};
use razar_sdk::{PluginError, Turn, one_line};

/// The plugin.
pub struct AgentLastgood;

razar_sdk::export_agent!(AgentLastgood);

impl Agent for AgentLastgood {
    fn propose(brief: Brief, _turn: Option<Turn>) -> Result<Answer, PluginError> {
        Ok(answer(&brief))
    }
}

fn answer(brief: &Brief) -> Answer {
    let Situation::Failure(failure) = &brief.situation else {
        return Answer::decline("no component is said to fail, so that there is nothing to go back from");
    };
    if failure.versions.is_empty() {
        return Answer::decline("no version of it is known that was healthy before");
    }
    let tried: BTreeSet<&str> = failure
        .history
        .iter()
        .flat_map(|attempt| &attempt.extensions)
        .filter(|(key, _)| key == "version")
        .map(|(_, id)| id.as_str())
        .collect();
    let left = |version: &&Version| {
        !tried.contains(version.id.as_str()) && !says(version, "tried") && !says(version, "current")
    };
    // The host lists the newest first; the time decides where both say it.
    let newest = failure.versions.iter().filter(left).fold(None::<&Version>, |best, version| match best {
        Some(best) if best.healthy_until_unix_ms >= version.healthy_until_unix_ms => Some(best),
        _ => Some(version),
    });
    match newest {
        Some(version) => {
            let reason = format!(
                "the newest version that was healthy and was not tried: {}",
                one_line(&version.summary)
            );
            Answer::propose(Remedy::Restore(version.id.clone()), reason)
        }
        None => Answer::decline(format!(
            "each of the {} versions that were healthy was tried in this incident",
            failure.versions.len()
        )),
    }
}

fn says(version: &Version, key: &str) -> bool {
    version.extensions.iter().any(|(known, value)| known == key && value != "false")
}

#[cfg(test)]
mod tests {
    use razar_agent_kit::rehearsal;
    use razar_sdk::agent::{Attempt, Step};

    use super::*;

    fn version(id: &str, until: u64, extensions: &[(&str, &str)]) -> Version {
        let extensions = extensions.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Version { id: id.into(), healthy_until_unix_ms: until, summary: format!("of {id}"), extensions }
    }

    fn restored(id: &str) -> Attempt {
        Attempt {
            number: 1,
            agent: "agent-lastgood".into(),
            outcome: "not-fixed".into(),
            error: String::new(),
            at_unix_ms: 0,
            extensions: vec![("version".into(), id.into())],
        }
    }

    fn ask(versions: Vec<Version>, history: Vec<Attempt>) -> Result<String, String> {
        let mut failure = rehearsal::failure();
        (failure.versions, failure.history) = (versions, history);
        let brief = Brief { situation: Situation::Failure(failure), ..rehearsal::brief() };
        let Step::Propose(proposal) = AgentLastgood::propose(brief, None).unwrap().step else { panic!() };
        match proposal.remedy {
            Remedy::Restore(id) => Ok(id),
            Remedy::Decline(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_that_was_not_tried_is_proposed() {
        let three = || vec![version("c", 3, &[]), version("b", 2, &[]), version("a", 1, &[])];
        assert_eq!(ask(three(), Vec::new()), Ok("c".into()));
        assert_eq!(ask(three(), vec![restored("c")]), Ok("b".into()));
        assert_eq!(ask(three(), vec![restored("c"), restored("b")]), Ok("a".into()));
        assert_eq!(
            ask(vec![version("x", 0, &[]), version("y", 0, &[])], Vec::new()),
            Ok("x".into()),
            "the host's order"
        );
        assert_eq!(ask(vec![version("old", 1, &[]), version("new", 2, &[])], Vec::new()), Ok("new".into()));
        let marked = vec![
            version("c", 3, &[("current", "true")]),
            version("b", 2, &[("tried", "true")]),
            version("a", 1, &[("tried", "false")]),
        ];
        assert_eq!(ask(marked, Vec::new()), Ok("a".into()));
    }

    #[test]
    fn it_declines_where_there_is_none() {
        assert!(ask(Vec::new(), Vec::new()).unwrap_err().contains("no version"));
        let tried = ask(vec![version("a", 1, &[])], vec![restored("a")]).unwrap_err();
        assert!(tried.contains("each of the 1 versions"), "{tried}");
        let alerts = Brief { situation: Situation::Alerts(Vec::new()), ..rehearsal::brief() };
        let Step::Propose(proposal) = AgentLastgood::propose(alerts, None).unwrap().step else { panic!() };
        assert!(matches!(proposal.remedy, Remedy::Decline(_)));
    }
}
