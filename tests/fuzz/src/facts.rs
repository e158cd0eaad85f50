//! Rows of the ledger, a fact a line: whatever can be read is written as the same again, and any order of any facts
//! makes some state.

use razar_core::fact::{Fact, Recorded};
use razar_core::plan::BootPlan;
use razar_core::supervisor::{Settings, State};
use razar_core::time::Timestamp;

/// Lines of JSON.
pub fn facts(data: &[u8]) {
    let rows = data.split(|byte| *byte == b'\n');
    let facts = rows.filter_map(|row| serde_json::from_slice::<Fact>(row).ok());
    let facts: Vec<_> = facts
        .zip(1_u64..)
        .map(|(fact, seq)| {
            let text = serde_json::to_string(&fact).unwrap();
            assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact);
            Recorded { seq, at: Timestamp(seq.wrapping_mul(1_000)), fact }
        })
        .collect();
    let once = State::replay(&BootPlan::default(), Settings::default(), facts.iter().cloned());
    let twice = State::replay(&BootPlan::default(), Settings::default(), facts);
    assert_eq!(once.durable(), twice.durable());
}
