//! The process that compiles what the loader target accepts, as `razar-host compile-plugin` is.

use std::process::ExitCode;

// Built by `cargo fuzz`, this program counts its branches too: the counters are the fuzzer's.
#[cfg(feature = "fuzzer")]
use libfuzzer_sys as _;

fn main() -> ExitCode {
    ExitCode::from(razar_runtime::compile::compile_main(std::io::stdin(), std::io::stdout()))
}
