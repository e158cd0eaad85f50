//! Feeds `grants.toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::documents::grants(data));
