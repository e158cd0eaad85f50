//! Places where a test can end this process as SIGKILL would: around every transaction, effect and written file. A build
//! without debug assertions, such as a release, has nothing of it: no place, no name, no look at the environment.
//!
//! `RAZAR_FAILPOINTS` names a directory. A file named after a place says in it how often the place may be passed; the next
//! one who comes there renames the file to `fired` and dies. So a process that runs already can be armed, and nobody dies
//! twice of one file.

/// The process comes to this place.
#[cfg(debug_assertions)]
pub fn pass(place: &'static str) {
    armed::pass(place);
}

/// The process comes to this place.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn pass(_: &'static str) {}

/// Where places are armed, for a process that must name everything it touches.
#[cfg(debug_assertions)]
pub fn armed_in() -> Option<std::path::PathBuf> {
    armed::DIR.clone()
}

#[cfg(debug_assertions)]
mod armed {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use rustix::process::{Signal, getpid, kill_process};

    pub(super) static DIR: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("RAZAR_FAILPOINTS").map(PathBuf::from));

    pub(super) fn pass(place: &str) {
        let Some(dir) = DIR.as_deref() else { return };
        let file = dir.join(place);
        let left = fs::read_to_string(&file).ok().and_then(|text| text.parse::<u32>().ok());
        // A thread that comes here while the number is written finds none, and goes on.
        let Some(left) = left else { return };
        if left > 0 {
            let _ = fs::write(&file, (left - 1).to_string());
        } else if fs::rename(&file, dir.join("fired")).is_ok() {
            let _ = kill_process(getpid(), Signal::KILL);
            // The signal takes effect at the latest when this thread would go on.
            std::thread::park();
        }
    }
}
