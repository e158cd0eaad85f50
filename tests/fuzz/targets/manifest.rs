//! Feeds manifests of accepted patches.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::patch::manifest(data));
