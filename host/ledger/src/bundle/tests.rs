//! Bundles that are believed, and every way to tamper with one.

use razar_core::effect::{Effect, EffectOutcome, Process, Stop};
use razar_core::fact::Fact;
use razar_core::id::{ComponentId, EffectId, InstanceId};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::ledger::Ledger;

fn id(name: &str) -> ComponentId {
    name.parse().unwrap()
}

fn about(name: &str) -> About {
    About { component: id(name), from: None, to: None }
}

/// Eleven facts, five of them about `web`.
fn house() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let released =
        |name: &str| Fact::Released { component: id(name), note: Some("— \"note\"\n".to_owned()) };
    let stop = |effect, name: &str| Fact::EffectDecided {
        id: EffectId(effect),
        effect: Effect::Stop(Stop { component: id(name), instance: InstanceId(effect) }),
    };
    let running = EffectOutcome::Running(Process { pid: 1, start_time: 2 });
    let turns = [
        vec![released("store"), released("web"), released("store")],
        vec![stop(1, "web"), stop(2, "store"), Fact::EffectStarted { id: EffectId(2) }],
        vec![
            Fact::EffectStarted { id: EffectId(1) },
            Fact::EffectFinished { id: EffectId(1), outcome: running },
            Fact::EffectUnknown { id: EffectId(2) },
            released("web"),
            Fact::ShutdownStarted { reason: "test".to_owned() },
        ],
    ];
    for (at, facts) in turns.iter().enumerate() {
        ledger.append(Timestamp(at as u64), facts).unwrap();
    }
    dir
}

fn made(dir: &TempDir, about: About) -> Result<Bundle, ExportError> {
    let key = LedgerKey::open_or_create(dir.path()).unwrap();
    export(&LedgerReader::open(dir.path()).unwrap(), about, &key, Timestamp(77), true)
}

fn public(dir: &TempDir) -> PublicKey {
    LedgerKey::open_or_create(dir.path()).unwrap().public()
}

#[test]
fn a_bundle_holds_what_is_about_a_component_and_is_believed_elsewhere() {
    let dir = house();
    let bundle = made(&dir, about("web")).unwrap();
    let seqs = |bundle: &Bundle| bundle.facts.iter().map(|fact| fact.seq).collect::<Vec<_>>();
    assert_eq!(seqs(&bundle), [2, 4, 7, 8, 10]);
    assert_eq!(bundle.head.checkpoint.head.seq, 11);
    let bytes = serde_json::to_vec(&bundle).unwrap();
    assert_eq!(check(&bytes, &public(&dir)).unwrap(), bundle);
    let part = made(&dir, About { from: Some(3), to: Some(7), ..about("web") }).unwrap();
    assert_eq!(seqs(&part), [4, 7]);
    assert!(check(&serde_json::to_vec(&part).unwrap(), &public(&dir)).is_ok());
    assert!(matches!(made(&dir, about("nobody")), Err(ExportError::Nothing(_))));
}

#[test]
fn a_bundle_of_another_key_is_not_believed() {
    let dir = house();
    let bytes = serde_json::to_vec(&made(&dir, about("web")).unwrap()).unwrap();
    let other = public(&TempDir::new().unwrap());
    assert!(matches!(check(&bytes, &other), Err(Refused::Signature { .. })));
    // Naming that key in the file does not help.
    let mut forged: Value = serde_json::from_slice(&bytes).unwrap();
    forged["head"]["key"] = json!(other);
    let forged = serde_json::to_vec(&forged).unwrap();
    assert!(matches!(check(&forged, &other), Err(Refused::Signature { .. })));
}

#[test]
fn nothing_in_a_bundle_can_be_changed_added_or_taken_out() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 14] = [
        ("a body", |b| b["facts"][1]["body"] = json!("{}")),
        ("a time", |b| b["facts"][1]["at"] = json!(5)),
        ("a position", |b| b["facts"][1]["seq"] = json!(5)),
        ("a proof", |b| b["facts"][1]["proof"][0] = b["facts"][0]["proof"][1].clone()),
        ("a shorter proof", |b| {
            b["facts"][1]["proof"].as_array_mut().unwrap().pop();
        }),
        ("a longer proof", |b| {
            let hash = b["facts"][0]["proof"][0].clone();
            b["facts"][1]["proof"].as_array_mut().unwrap().extend(vec![hash; 100]);
        }),
        ("the root", |b| b["head"]["root"] = b["head"]["hash"].clone()),
        ("no root", |b| {
            b["head"].as_object_mut().unwrap().remove("root");
        }),
        ("the size", |b| b["head"]["seq"] = json!(12)),
        ("a fact left out", |b| {
            b["facts"].as_array_mut().unwrap().remove(2);
        }),
        ("a fact twice", |b| {
            let fact = b["facts"][0].clone();
            b["facts"].as_array_mut().unwrap().insert(0, fact);
        }),
        ("another order", |b| b["facts"].as_array_mut().unwrap().swap(0, 1)),
        ("what it is about", |b| b["about"]["component"] = json!("store")),
        ("the format", |b| b["format"] = json!("razar-host bundle v2")),
    ];
    let dir = house();
    let bytes = serde_json::to_vec(&made(&dir, about("web")).unwrap()).unwrap();
    for (what, change) in changes {
        let mut changed: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut changed);
        let refused = check(&serde_json::to_vec(&changed).unwrap(), &public(&dir));
        assert!(refused.is_err(), "{what}");
    }
    assert!(matches!(check(b"{", &public(&dir)), Err(Refused::Shape(_))));
    let extra = String::from_utf8(bytes).unwrap().replacen('{', "{\"more\": 1, ", 1);
    assert!(matches!(check(extra.as_bytes(), &public(&dir)), Err(Refused::Shape(_))));
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let dir = house();
    let bundle = made(&dir, about("web")).unwrap();
    let bytes = serde_json::to_vec(&bundle).unwrap();
    let key = public(&dir);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 7);
        if let Ok(believed) = check(&changed, &key) {
            // Digits of hashes may be written in capitals; the named key is not believed anyway.
            let same = (&believed.facts, &believed.about, &believed.head.checkpoint);
            assert_eq!(same, (&bundle.facts, &bundle.about, &bundle.head.checkpoint), "byte {at}");
        }
    }
}
