//! A process in which the kernel knows no `openat2`, as older kernels and some sandboxes have it: the confinement of
//! files must then come from somewhere else, and hold all the same.

use std::process::{Command, ExitCode};

use libtest_mimic::Failed;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::stage::Stage;
use crate::{beside, corpus};

/// What is run in such a process beside the cases.
pub(crate) const RACES: &str = "D7b_many_raced_opens";

/// The same number on every architecture.
const OPENAT2: i64 = 437;

/// Runs a case in such a process.
pub(crate) fn outside(name: &str) -> Result<(), Failed> {
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    let child = child.args(["without-openat2", name]).env(corpus::READY, corpus::folder());
    let output = child.output().expect("this program starts");
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&said)).into())
}

/// The process itself.
pub(crate) fn inside(name: &str) -> ExitCode {
    // Before there is any thread: a filter is inherited, not shared.
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with filters");
    let rules = [(OPENAT2, Vec::new())].into_iter().collect();
    let unknown = SeccompAction::Errno(Errno::NOSYS.raw_os_error().unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    seccompiler::apply_filter(&program).expect("the kernel takes it");
    let tried = rustix::fs::openat2(
        rustix::fs::CWD,
        ".",
        OFlags::DIRECTORY | OFlags::RDONLY,
        Mode::empty(),
        ResolveFlags::empty(),
    );
    assert_eq!(tried.err(), Some(Errno::NOSYS), "the filter is not in force");
    if name == RACES {
        // It panics if one leads out, and that is an exit code too.
        beside::many_raced_opens(Stage::shared());
        return ExitCode::SUCCESS;
    }
    let verdict = Stage::shared().run(name);
    for wrong in verdict.case.iter().chain(&verdict.host) {
        println!("{wrong}");
    }
    ExitCode::from(u8::from(!verdict.case.is_empty() || !verdict.host.is_empty()))
}
