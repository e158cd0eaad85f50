//! Facts of every kind for the property tests.

use proptest::prelude::*;
use razar_core::effect::{Effect, EffectOutcome, ExitStatus, Process, RosterChange, SetRoster, Start, Stop};
use razar_core::fact::{Anchor, Fact, Opened, Phase, QuarantineReason, Skip};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::id::{BootId, ComponentId, Digest, EffectId, IncidentId, InstanceId, PluginId};
use razar_core::incident::{End, Spent, Trouble};
use razar_core::patch::Verdict;
use razar_core::time::{Millis, Timestamp};

/// Up to six facts.
pub(crate) fn turn() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec(fact(), 0..6)
}

fn component() -> impl Strategy<Value = ComponentId> {
    prop::sample::select(vec!["alpha", "beta.2", "gamma_3", "9-delta"]).prop_map(|name| name.parse().unwrap())
}

fn failure() -> impl Strategy<Value = Failure> {
    use FailureKind::{Exited, Liveness, NotStarted, StartupDeadline, Unstartable};
    (prop::sample::select(vec![NotStarted, Unstartable, Exited, StartupDeadline, Liveness]), ".{0,40}")
        .prop_map(|(kind, error)| Failure { kind, class: FailureClass::of(&error), error })
}

fn exit() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        any::<i32>().prop_map(ExitStatus::Code),
        any::<i32>().prop_map(ExitStatus::Signal),
        Just(ExitStatus::Unknown)
    ]
}

/// Raw material for one fact of each kind.
#[derive(Debug, Clone)]
struct Parts {
    number: u64,
    small: u32,
    flag: bool,
    text: String,
    component: ComponentId,
    others: Vec<ComponentId>,
    failure: Failure,
    exit: ExitStatus,
}

fn parts() -> impl Strategy<Value = Parts> {
    let others = prop::collection::vec(component(), 0..4);
    (any::<u64>(), any::<u32>(), any::<bool>(), any::<String>(), component(), others, failure(), exit())
        .prop_map(|(number, small, flag, text, component, others, failure, exit)| Parts {
            number,
            small,
            flag,
            text,
            component,
            others,
            failure,
            exit,
        })
}

fn attempted(number: u64, small: u32, flag: bool, text: String) -> EffectOutcome {
    let trouble = Trouble::ALL[small as usize % Trouble::ALL.len()];
    let retry_after = flag.then_some(Millis(number));
    let end = match small % 4 {
        0 => End::Unavailable { why: text, trouble, retry_after },
        1 => End::failed(trouble, text),
        2 => End::Declined { why: text },
        _ => {
            let lines = flag.then_some(number);
            End::Tried { verdict: Verdict::NotFixed, why: text, manifest: Digest::of(b"patch"), lines }
        }
    };
    let spent = Spent {
        model: flag.then(|| "m".to_owned()),
        input_tokens: number,
        output_tokens: small.into(),
        took: Millis(number),
        turns: small,
    };
    EffectOutcome::Attempted { end, spent: if flag { spent } else { Spent::default() } }
}

/// Any one fact.
pub(crate) fn fact() -> impl Strategy<Value = Fact> {
    (0..KINDS, parts()).prop_map(|(kind, parts)| build(kind, parts))
}

const KINDS: usize = 41;

fn build(kind: usize, parts: Parts) -> Fact {
    let Parts { number, small, flag, text, component, others, failure, exit } = parts;
    let (boot, id, instance) = (BootId(number), EffectId(number), InstanceId(number));
    let incident = IncidentId(number);
    let process = Process { pid: small, start_time: number };
    let start =
        Start { component: component.clone(), instance, spec: Digest::of(text.as_bytes()), attempt: small };
    let words = flag.then(|| text.clone());
    let reason = [
        QuarantineReason::RetriesExhausted,
        QuarantineReason::FailureLimit,
        QuarantineReason::Probation,
        QuarantineReason::Operator,
        QuarantineReason::Unstartable,
        QuarantineReason::Misbehaved,
    ][small as usize % 6];
    let plugin: PluginId = ["probe-a", "probe-b"][small as usize % 2].parse().expect("a name");
    let phase = [Phase::Startup, Phase::Readiness, Phase::Liveness][small as usize % 3];
    match kind {
        0 => Fact::BootStarted {
            boot,
            mission: words,
            brief: flag.then(|| Digest::of(text.as_bytes())),
            config: Digest::of(b"config"),
            components: others,
            host: text,
            ledger: None,
            long_task: flag,
        },
        1 => {
            let head = Anchor { seq: number, hash: Digest::of(b"head") };
            let ledger = flag.then_some(Opened { head, contradicted: None });
            Fact::BootResumed { boot, host: text, ledger, long_task: !flag }
        }
        2 => Fact::BootCompleted { boot, took: Millis(number), ready: others, absent: vec![component] },
        3 => Fact::BootHalted { boot, component, reason: text },
        4 => Fact::ShutdownStarted { reason: text },
        5 => Fact::BootEnded { boot },
        6 => Fact::EffectDecided { id, effect: Effect::Start(start) },
        7 => Fact::EffectDecided { id, effect: Effect::Stop(Stop { component, instance }) },
        8 => Fact::EffectStarted { id },
        9 => Fact::EffectFinished { id, outcome: EffectOutcome::Running(process) },
        10 => {
            Fact::EffectFinished { id, outcome: EffectOutcome::NotStarted { error: text, permanent: flag } }
        }
        11 => Fact::EffectFinished { id, outcome: EffectOutcome::Ended { exit } },
        12 => Fact::EffectUnknown { id },
        13 => Fact::Adopted { component, instance, process },
        14 => Fact::Exited { component, instance, exit, asked: flag },
        15 => Fact::Ready { component, instance, took: Millis(number) },
        16 => Fact::HealthChanged { component, phase, healthy: flag, summary: text },
        17 => Fact::FlappingStarted { component, changes: small },
        18 => Fact::FlappingEnded { component },
        19 => Fact::Failed { component, instance: flag.then_some(instance), attempt: small, failure },
        20 => Fact::BackingOff { component, until: Timestamp(number), attempt: small },
        21 => Fact::Quarantined { component, reason, failure, attempts: small },
        22 => Fact::Released { component, note: words },
        23 => Fact::Reinstated { component },
        24 => Fact::Stopped { component },
        25 => Fact::StartRequested { component },
        26 => Fact::PluginQuarantined { plugin, reason, failure, attempts: small },
        27 => Fact::PluginReleased { plugin, note: words },
        28 => Fact::PluginReinstated { plugin },
        29 => Fact::Imported {
            source: "logs/razar.log".to_owned(),
            record: number,
            digest: Digest::of(text.as_bytes()),
            text,
            when: flag.then_some(Timestamp(number)),
            component: Some(component),
            repair: words,
        },
        30 => Fact::Escalated {
            incident,
            component,
            from: plugin.clone(),
            to: plugin,
            name: text,
            escalations: small,
        },
        31 => Fact::EscalationWarned { incident, component, escalations: small },
        32 => Fact::RungSkipped {
            incident,
            component,
            agent: plugin,
            name: text.clone(),
            reason: [Skip::NotLoaded, Skip::Quota, Skip::CoolingDown][small as usize % 3],
            why: text,
            until: flag.then_some(Timestamp(number)),
        },
        33 => Fact::RoundBegan { incident, component, round: small, until: Timestamp(number) },
        34 => Fact::EscalationRequested { incident, component, agent: plugin, note: words },
        35 => Fact::EffectFinished { id, outcome: attempted(number, small, flag, text) },
        36 => {
            let change = if flag { RosterChange::Save } else { RosterChange::Activate(text) };
            Fact::EffectDecided { id, effect: Effect::Roster(SetRoster { component, change }) }
        }
        37 => {
            let copy = Digest::of(text.as_bytes());
            Fact::EffectFinished { id, outcome: EffectOutcome::Saved { copy, active: words } }
        }
        38 => Fact::VersionKept { component, version: Digest::of(text.as_bytes()) },
        39 => {
            let calls = Digest::of(text.as_bytes());
            Fact::CallsRecorded { incident: IncidentId(number), component, calls }
        }
        _ if flag => Fact::RestartRequested { component },
        _ => Fact::StopRequested { component },
    }
}
