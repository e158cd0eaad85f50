//! Developer automation: `cargo xtask <command>`. Owns what a fresh clone needs before `cargo build` is enough. Must never
//! be needed by the product at run time, and must never change anything outside `target/` and the Rust toolchain, but for
//! bubblewrap, which root gets installed where it is missing.
#![expect(clippy::print_stderr, reason = "a command line tool reports its progress on stderr")]

mod bench;
mod componentize;
mod debian;
mod demo;
mod dependencies;
mod plugins;
mod promtool;
mod repair;
mod run;
mod setup;
mod test;
mod toolchain;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer automation for razar-host")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: the `wasm32-wasip2` target, `promtool` for the tests, and for root `bubblewrap`
    Setup,
    /// Build the plugins into `target/plugins`
    Plugins(plugins::Arguments),
    /// Boot a real stack, kill the host, see it come back
    Demo,
    /// Measure everything that has a bar, in release
    Bench(bench::Arguments),
    /// Give every patch of the repair corpus to the host, and count whom it believes
    RepairBench(repair::Arguments),
    /// Check other people's crates: licences, bans, sources, advisories
    Dependencies,
    /// Run everything that must hold before a change is accepted
    Test,
}

fn main() -> ExitCode {
    let root = workspace_root();
    let done = match Arguments::parse().command {
        Command::Setup => setup::setup(&root).map(|()| promtool::install(&root)),
        Command::Plugins(arguments) => plugins::build(&root, &arguments),
        Command::Demo => demo::demo(&root),
        Command::Bench(arguments) => bench::bench(&root, &arguments),
        Command::RepairBench(arguments) => repair::bench(&root, &arguments),
        Command::Dependencies => dependencies::check(&root, test::cargo().as_ref()),
        Command::Test => test::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace this program was built from.
fn workspace_root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.clone(), PathBuf::from)
}

/// One line of progress.
fn say(line: impl std::fmt::Display) {
    eprintln!("xtask: {line}");
}
