//! What the runtime promises, shown with real components in real engines. Without `compile-plugin` this binary runs
//! the tests; with it, it is the compiler process those tests start.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod brokers;
mod cache;
mod guests;
mod limits;
mod loading;
mod outcomes;
mod pool;
mod setup;
mod tape;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("compile-plugin") {
        let code = razar_runtime::compile::compile_main(std::io::stdin().lock(), std::io::stdout().lock());
        return ExitCode::from(code);
    }
    let trials = [
        outcomes::trials(),
        loading::trials(),
        cache::trials(),
        pool::trials(),
        limits::trials(),
        brokers::trials(),
        tape::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What an error must be.
type Is<E> = fn(&E) -> bool;

/// A test: it passes unless it panics.
fn trial(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name.to_owned(), move || {
        run();
        Ok(())
    })
}
