//! What operators read about patches, and that it stays readable and bounded.

use razar_core::time::Timestamp;
use serde_json::Value;

use super::*;
use crate::patches::testing::patch;

const AT: Timestamp = Timestamp(1_795_225_297_007);

fn event(what: PatchStep) -> PatchEvent {
    PatchEvent { component: "web".parse().unwrap(), incident: IncidentId(7), what }
}

fn asked(attempt: u32, outcome: Attempt) -> PatchEvent {
    event(PatchStep::Attempted { who: Who::Agent("agent-openai".parse().unwrap()), attempt, outcome })
}

/// An incident in which everything happens once.
fn story(manifest: Digest) -> Vec<PatchEvent> {
    let reason = |reason: &str| reason.to_owned();
    vec![
        asked(1, Attempt::Nothing { reason: reason("quota: 429 Too Many Requests") }),
        asked(2, Attempt::Refused { reason: reason("protected-tests: tests are the judge"), manifest: None }),
        asked(3, Attempt::Refused { reason: reason("not-fixed"), manifest: Some(manifest) }),
        asked(4, Attempt::Accepted { manifest }),
        event(PatchStep::Applied { manifest }),
        event(PatchStep::Reverted { manifest, reason: reason("no answer\nwithin 2 s \u{1b}[2J") }),
        event(PatchStep::Applied { manifest }),
        event(PatchStep::Held { manifest }),
    ]
}

#[test]
fn what_agents_were_asked_and_what_was_done_is_told_in_the_records_operators_know() {
    let patch = patch("x");
    let mut patches = Patches::default();
    assert_eq!(patches.revision(), 0);
    for event in story(patch.manifest().digest()) {
        patches.fold(AT, event);
    }
    assert_eq!(patches.revision(), 8);
    let file = patches.render(|_| Some(patch.clone()));
    insta::assert_snapshot!("razar_ai_patches", file);
    let mut again = patches.render(|_| panic!("it was read already"));
    assert_eq!(again, file);
    let records: Vec<Value> = serde_json::from_str(&file).unwrap();
    let kinds: Vec<_> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "no_suggestion",
            "patch_attempt",
            "suggestion",
            "patch_attempt",
            "suggestion",
            "patch_attempt",
            "suggestion",
            "patch_attempt",
            "applied",
            "reverted",
            "applied",
            "held"
        ]
    );
    again = Patches { shown: BTreeMap::new(), ..patches }.render(|_| None);
    let records: Vec<Value> = serde_json::from_str(&again).unwrap();
    assert_eq!(
        (&records[8]["diff"], &records[5]["module"]),
        (&Value::Null, &Value::Null),
        "the ledger lost it"
    );
}

#[test]
fn what_passed_and_was_not_taken_is_not_called_applied() {
    let (taken, other) = (Digest::of(b"taken"), Digest::of(b"other"));
    let mut patches = Patches::default();
    let applied = |patches: &mut Patches| -> Vec<Value> {
        let records: Vec<Value> = serde_json::from_str(&patches.render(|_| None)).unwrap();
        records
            .iter()
            .filter(|record| record["event"] == "suggestion")
            .map(|r| r["applied"].clone())
            .collect()
    };
    patches.fold(AT, asked(1, Attempt::Accepted { manifest: other }));
    patches.fold(AT, asked(2, Attempt::Accepted { manifest: taken }));
    assert_eq!(applied(&mut patches), [true, true], "nobody knows yet");
    patches.fold(AT, event(PatchStep::Applied { manifest: taken }));
    assert_eq!(applied(&mut patches), [false, true]);
}

#[test]
fn the_history_has_a_line_for_each_time_files_were_changed() {
    let mut lines = String::new();
    for event in story(Digest::of(b"patch")) {
        history(AT, &event, &mut lines);
    }
    insta::assert_snapshot!("patch_history", lines);
    assert_eq!(lines.lines().count(), 4);
    for line in lines.lines() {
        let record: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
        let sorted: Vec<_> = record.keys().collect();
        let places: Vec<_> = sorted.iter().map(|key| line.find(&format!("\"{key}\": ")).unwrap()).collect();
        assert!(places.is_sorted(), "{line}");
    }
}

#[test]
fn the_array_is_bounded_however_much_is_tried() {
    let long = "é".repeat(1 << 20);
    let mut patches = Patches::default();
    for attempt in 0..1_000 {
        patches.fold(AT, asked(attempt, Attempt::Nothing { reason: long.clone() }));
    }
    let file = patches.render(|_| None);
    let records: Vec<Value> = serde_json::from_str(&file).unwrap();
    assert_eq!(records.len(), KEPT);
    assert_eq!(records[KEPT - 1]["attempt"], 999);
    let reason = records[KEPT - 1]["reason"].as_str().unwrap();
    assert!(reason.ends_with("é…") && reason.len() < 3_000, "{}", reason.len());
    assert!(file.len() < 2 << 20, "{}", file.len());
}
