//! Disks that fail and clocks that jump, for the host and its launcher: `faults.c`, compiled once, loaded into them. It
//! never touches the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is loaded.
const SOURCE: &str = include_str!("faults.c");

/// What goes wrong for the processes that were given it; nothing at first.
pub struct Faults {
    plan: PathBuf,
}

impl Faults {
    /// The plan is a file of this directory.
    pub fn new(dir: &Path) -> Self {
        let plan = dir.join("faults");
        fs::write(&plan, "").expect("a file");
        Self { plan }
    }

    /// A command with faults, and whatever it starts that has its environment.
    pub fn on<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        // The host's wall lets it read and write where tests kill it, and nowhere else outside of its state directory.
        command.env("RAZAR_FAILPOINTS", self.plan.parent().expect("a directory"));
        command.env("LD_PRELOAD", library()).env("RAZAR_FAULTS", &self.plan)
    }

    /// From now on this goes wrong, and nothing else; `faults.c` says how it is written.
    pub fn plan(&self, rules: &str) {
        let _ = fs::remove_file(self.done_file());
        let aside = self.plan.with_extension("next");
        fs::write(&aside, rules).expect("a file");
        fs::rename(aside, &self.plan).expect("a rename");
    }

    /// How many calls have failed since the plan was made.
    pub fn done(&self) -> usize {
        fs::read_to_string(self.done_file()).unwrap_or_default().lines().count()
    }

    fn done_file(&self) -> PathBuf {
        self.plan.with_extension("done")
    }
}

/// Compiled for this machine; the host's SQLite needs a C compiler, too.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_dir, library) = LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (source, library) = (dir.path().join("faults.c"), dir.path().join("faults.so"));
        fs::write(&source, SOURCE).expect("a file");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut compile = Command::new(compiler);
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).args(["-ldl", "-pthread"]);
        let status =
            compile.status().unwrap_or_else(|error| panic!("{compile:?}: {error}; install a C compiler"));
        assert!(status.success(), "{compile:?} failed");
        (dir, library)
    });
    library
}
