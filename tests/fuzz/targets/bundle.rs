//! Feeds what `log verify BUNDLE` reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::ledger::bundle(data));
