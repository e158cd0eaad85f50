//! Feeds rules and the uses they are about.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::rules::rules(data));
