//! Feeds a text with a secret in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::texts::redact(data));
