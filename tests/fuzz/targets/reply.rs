//! Feeds a model's answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::texts::reply(data));
