//! Feeds a damaged database.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::ledger::ledger_file(data));
