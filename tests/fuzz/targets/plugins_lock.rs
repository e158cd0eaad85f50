//! Feeds `plugins.lock`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::documents::plugins_lock(data));
