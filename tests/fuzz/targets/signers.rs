//! Feeds `signers.toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::documents::signers(data));
