//! Feeds the rows of the ledger.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::facts::facts(data));
