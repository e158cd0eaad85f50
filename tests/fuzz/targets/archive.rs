//! Feeds a package in one file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::archive::archive(data));
