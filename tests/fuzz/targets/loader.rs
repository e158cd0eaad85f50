//! Feeds components.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| razar_fuzz::loader::load(
    data,
    &razar_fuzz::loader::compiler_beside_this()
));
