//! Feeds a recording of one call.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::recording::recording(data));
