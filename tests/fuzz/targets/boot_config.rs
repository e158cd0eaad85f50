//! Feeds `boot_config.json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::documents::boot_config(data));
