//! Feeds files of the original system.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::ledger::import(data));
