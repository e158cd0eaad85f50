//! The process that compiles what the loader target accepts, as `razar-host compile-plugin` is.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(razar_runtime::compile::compile_main(std::io::stdin(), std::io::stdout()))
}
