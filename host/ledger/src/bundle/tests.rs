//! Bundles that are believed, and every way to tamper with one.

use razar_core::effect::{Effect, EffectOutcome, Process, Stop};
use razar_core::fact::Fact;
use razar_core::id::{ComponentId, EffectId, IncidentId, InstanceId};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::ledger::Ledger;
use crate::recordings::{Bounds, Recordings, place};

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
    let exported = export(&LedgerReader::open(dir.path()).unwrap(), about, &key, Timestamp(77), true)?;
    assert!(exported.left_out.is_empty());
    Ok(exported.bundle)
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
        ("the format", |b| b["format"] = json!("razar-host bundle v3")),
    ];
    let dir = house();
    let bytes = serde_json::to_vec(&made(&dir, about("web")).unwrap()).unwrap();
    for (what, change) in changes {
        let mut changed: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut changed);
        let refused = check(&serde_json::to_vec(&changed).unwrap(), &public(&dir));
        assert!(refused.is_err(), "{what}");
    }
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

#[test]
fn a_file_that_is_no_bundle_or_ends_early_is_told_from_one_that_was_changed() {
    let dir = house();
    let bytes = serde_json::to_vec(&made(&dir, about("web")).unwrap()).unwrap();
    let refused = |bytes: &[u8]| check(bytes, &public(&dir)).unwrap_err();
    for foreign in [&b""[..], b"{", b"name = \"x\"", b"{\"format\": 1}", b"\xff\xd8", b"[1, 2"] {
        let why = refused(foreign);
        assert_eq!(why, Refused::Foreign);
        assert!(why.to_string().contains("`razar-host incident export`"), "{why}");
    }
    for length in [40, bytes.len() / 2, bytes.len() - 1] {
        let why = refused(&bytes[..length]);
        assert_eq!(why, Refused::Torn(length));
        assert!(why.to_string().contains("ends early"), "{why}");
    }
    let other = String::from_utf8(bytes.clone()).unwrap().replacen("\"facts\":[", "\"facts\":7,\"x\":[", 1);
    assert!(matches!(refused(other.as_bytes()), Refused::Shape(_)));
    // One of another release is named as such, whether it has this shape or another.
    for text in [other, String::from_utf8(bytes).unwrap()] {
        let older = refused(text.replacen(FORMAT, "razar-host bundle v1", 1).as_bytes());
        assert_eq!(older, Refused::Format("razar-host bundle v1".to_owned()));
        assert!(older.to_string().contains("ask for the bundle again"), "{older}");
    }
}

/// A house with three recordings of calls of `web`, oldest first.
fn recorded() -> (TempDir, Vec<Digest>) {
    let dir = house();
    let recordings = Recordings::within(dir.path(), Bounds { budget: 1 << 20, floor: 0 });
    let texts = ["a", "b", "c"].map(|letter| letter.repeat(1_000));
    let kept: Vec<Digest> = texts.iter().map(|text| recordings.keep(text.as_bytes()).unwrap()).collect();
    let fact = |calls: &Digest| {
        let (incident, component) = (IncidentId(1), id("web"));
        Fact::CallsRecorded { incident, component, calls: *calls }
    };
    let facts: Vec<Fact> = kept.iter().map(fact).collect();
    Ledger::open(dir.path()).unwrap().append(Timestamp(9), &facts).unwrap();
    (dir, kept)
}

#[test]
fn what_is_attached_can_neither_be_taken_out_nor_changed_nor_added() {
    let (dir, kept) = recorded();
    let bundle = made(&dir, about("web")).unwrap();
    assert_eq!(bundle.attached.len(), 3);
    let bytes = serde_json::to_vec(&bundle).unwrap();
    assert_eq!(check(&bytes, &public(&dir)).unwrap(), bundle);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut changed);
        check(&serde_json::to_vec(&changed).unwrap(), &public(&dir)).unwrap_err()
    };
    let name = kept[1].to_string();
    let out = |map: &str, changed: &mut Value| drop(changed[map].as_object_mut().unwrap().remove(&name));
    assert_eq!(changed(&|b| out("attached", b)), Refused::Missing(kept[1]));
    assert!(Refused::Missing(kept[1]).to_string().contains("ask for the bundle again"));
    assert_eq!(changed(&|b| b["attached"][&name] = json!("other words")), Refused::Attached(kept[1]));
    let unlisted =
        |b: &mut Value| b["attachments"].as_array_mut().unwrap().retain(|digest| *digest != json!(name));
    assert_eq!(changed(&unlisted), Refused::Attached(kept[1]));
    // Out of the list as well: then the signature does not fit.
    let both = |b: &mut Value| {
        out("attached", b);
        unlisted(b);
    };
    assert!(matches!(changed(&both), Refused::Signature { .. }));
    let all = |b: &mut Value| {
        for field in ["attached", "attachments"] {
            b.as_object_mut().unwrap().remove(field);
        }
    };
    assert!(matches!(changed(&all), Refused::Signature { .. }));
}

#[test]
fn the_newest_recordings_are_attached_as_long_as_there_is_room() {
    let (dir, kept) = recorded();
    std::fs::remove_file(place(dir.path(), &kept[1])).unwrap();
    let key = LedgerKey::open_or_create(dir.path()).unwrap();
    let reader = LedgerReader::open(dir.path()).unwrap();
    let exported = |room| within(room, &reader, about("web"), &key, Timestamp(7), true);
    let all = exported(MAX_BUNDLE).unwrap();
    let why = |exported: &Exported| -> Vec<(Digest, String)> {
        exported.left_out.iter().map(|left| (left.calls, left.why.to_string())).collect()
    };
    assert_eq!(why(&all), [(kept[1], "it is no longer kept".to_owned())]);
    // The facts themselves are always all there.
    let facts = (1..).map(|kib| kib << 10).find(|room| exported(*room).is_ok()).unwrap();
    let mut grows = (facts..).step_by(100).map(|room| exported(room).unwrap());
    let some = grows.find(|some| !some.bundle.attached.is_empty()).unwrap();
    assert_eq!(some.bundle.facts.len(), all.bundle.facts.len());
    assert_eq!(some.bundle.attached.keys().collect::<Vec<_>>(), [&kept[2]]);
    let left = why(&some);
    assert_eq!((left[0].0, left[1].0), (kept[1], kept[0]));
    assert!(left[1].1.contains("no more room"), "{left:?}");
    some.bundle.check(&key.public()).unwrap();
    // What is not what it was is left out as well, by name.
    std::fs::write(place(dir.path(), &kept[2]), "other words").unwrap();
    let damaged = exported(MAX_BUNDLE).unwrap();
    assert!(why(&damaged)[0].1.contains("is not what was recorded"), "{:?}", damaged.left_out);
    assert_eq!(damaged.bundle.attached.len(), 1);
}

#[test]
fn the_length_of_a_text_in_json_is_never_less_than_it_is() {
    for text in ["", "plain", "\"quoted\" \\ \n\r\t", "\0\u{1}\u{8}\u{c}\u{1f}\u{7f}", "größer 😀"] {
        let is = serde_json::to_string(text).unwrap().len() as u64;
        assert!(length_in_json(text) >= is && length_in_json(text) <= is + 8, "{text:?}");
    }
}
