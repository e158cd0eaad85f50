//! Facts of every kind for the property tests.

use proptest::prelude::*;
use razar_core::effect::{Effect, EffectOutcome, ExitStatus, Process, Start, Stop};
use razar_core::fact::{Anchor, Fact, Opened, Phase, QuarantineReason};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::id::{BootId, ComponentId, Digest, EffectId, InstanceId, PluginId};
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

/// Any one fact.
pub(crate) fn fact() -> impl Strategy<Value = Fact> {
    (0..KINDS, parts()).prop_map(|(kind, parts)| build(kind, parts))
}

const KINDS: usize = 31;

fn build(kind: usize, parts: Parts) -> Fact {
    let Parts { number, small, flag, text, component, others, failure, exit } = parts;
    let (boot, id, instance) = (BootId(number), EffectId(number), InstanceId(number));
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
        },
        1 => {
            let head = Anchor { seq: number, hash: Digest::of(b"head") };
            let ledger = flag.then_some(Opened { head, contradicted: None });
            Fact::BootResumed { boot, host: text, ledger }
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
        _ if flag => Fact::RestartRequested { component },
        _ => Fact::StopRequested { component },
    }
}
