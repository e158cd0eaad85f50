//! Feeds files and the diffs that are for them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::patch::patch(data));
