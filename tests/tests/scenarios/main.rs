//! Whole stories, told with the real binary, real plugins and real processes. Each test has a stage of its own and
//! waits for conditions, never for a time; so they run beside each other, in any order.
//!
//! | file | story |
//! |---|---|
//! | `boot` | what starts when, what is given up, and what operators find written about it |
//! | `alerts` | what people are told who are not looking |
//! | `death` | hosts and launchers that are killed, and how stacks end |
//! | `probes` | native checks, phases, and what a probe's answer leads to |
//! | `services` | programs that do not behave |
//! | `diagnose` | logs that say what is wrong |
//! | `disk` | state directories that cannot be used, and disks that are full |
//! | `documents` | configurations that do not hold |
//! | `packages` | plugins that do not load |
//! | `pinned` | plugins from elsewhere: digests, signatures, locks |
//! | `conduct` | what plugins keep, what they say, and what becomes of one that crashes |
//! | `patch` | what may be changed of a component, asked with `patch check` |
//! | `trial` | patches of every kind, tried in a sealed copy with `patch check --trial` |
//! | `cheats` | patches that only seem to be good, and trials that are killed |
//! | `gullible` | logs that give orders, and agents that obey |
//! | `repair` | what agents and operators propose, tried, applied, watched and taken back |
//! | `recall` | what the host does without asking anybody |
//! | `replay` | incidents played again when everything they were about is gone |
//! | `climb` | one incident from the bottom of the ladder to its top, and the next one |
//! | `corpus` | some of the repair corpus, as the benchmark judges all of it |
//! | `plugin` | `plugin list`, `inspect` and `run` |
//! | `evaluators` | evaluators asked by hand, and suites that work against them |
//! | `editor` | an agent that edits files where they are, and opencode itself where it is at hand
//! | `agents` | agents asked by hand, and servers that do everything wrong |
//! | `models` | the agents of the ladder, each against a server that speaks as its own does |
//! | `shapes` | the example model server, compared with what real ones were seen to answer |
//! | `control` | the commands of a second terminal |
//! | `records` | what is written about agents, whoever asked them |
//! | `metrics` | what Prometheus and Grafana read |
//! | `wall` | the host behind its second wall |
//! | `ledger` | verification, repair, proofs, import, backup |
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test ends where it cannot go on, and says what it cannot test"
)]

mod agents;
mod alerts;
mod boot;
mod canaries;
mod cheats;
mod climb;
mod conduct;
mod control;
mod corpus;
mod death;
mod diagnose;
mod disk;
mod documents;
mod editor;
mod evaluators;
mod gullible;
mod ladder;
mod ledger;
mod metrics;
mod models;
mod packages;
mod patch;
mod pinned;
mod plugin;
mod probes;
mod recall;
mod records;
mod repair;
mod replay;
mod services;
mod shapes;
mod tournament;
mod trial;
mod wall;
