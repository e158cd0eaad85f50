//! Both sandboxes of a trial, as arguments of bubblewrap, which is not ours and is better looked after. It starts nothing but
//! the one look whether they can be had.
//!
//! | | outer: the judge | inner: a judged program |
//! |---|---|---|
//! | network | its own, nothing but loopback | the judge's, or another one |
//! | processes | its own | its own: it sees neither the judge nor his |
//! | files | read-only; writes to the scratch copy, the report and its control groups | read-only; writes to its copy, `/tmp`, `/run` and `/dev/shm`, all of them in the sized scratch |
//! | not there | | state, grants, plugins, sockets of other programs |
//! | capabilities | of root, those that making the inner one takes | none |
//! | system calls | all | those of [`calls`](super::calls) are refused |
//!
//! Both have no new privileges, no terminal, and end with who started them.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::stage::Places;
use super::wire::Around;
use crate::launcher::spawn::resolve;

/// What making the inner sandbox takes of a root's rights: mounts, a network's loopback, other people's files in the copy,
/// another user, and ending what that one has started.
const OF_ROOT: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_KILL",
    "CAP_NET_ADMIN",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
];

/// What of `/proc` changes the whole machine, and root may write without any capability. Bubblewrap covers some of it, but
/// only where whoever it runs for could also write the directory.
const READ_ONLY_IN_PROC: [&str; 7] =
    ["/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/mtrr", "/proc/sys", "/proc/sysrq-trigger"];

/// Where the inner sandbox finds this program.
const OWN: &str = "/run/razar-trial-exec";

/// Where it finds what runs the tests, if that is ours.
pub(crate) const RUNNER: &str = "/run/razar-trial-tests.py";

/// Said where it is missing.
pub(crate) const REMEDY: &str = "install the package `bubblewrap`; where it is there, the kernel or the container must allow user \
     namespaces (`sysctl user.max_user_namespaces`, `kernel.apparmor_restrict_unprivileged_userns`), or the host must run as root";

/// The program.
#[derive(Debug, Clone)]
pub(crate) struct Bubblewrap(PathBuf);

impl Bubblewrap {
    /// Finds it.
    pub(crate) fn find() -> Result<Self, String> {
        let path = std::env::var("PATH").unwrap_or_default();
        resolve("bwrap", &path, "/").map(Self).map_err(|_| "`bwrap` is not in PATH".to_owned())
    }

    /// The judge's sandbox around a command.
    pub(crate) fn outer(&self, trial: &Trial, command: &[&Path]) -> Vec<PathBuf> {
        let mut words = Words::new(&self.0);
        words.flags(&["--unshare-net", "--unshare-uts"]);
        words.common(is_root().then_some(OF_ROOT.as_slice()));
        words.two("--dev", "/dev").two("--proc", "/proc");
        words.two("--size", trial.scratch_bytes.to_string()).two("--tmpfs", &trial.scratch);
        for dir in trial.groups.iter().chain([&trial.report]) {
            words.three("--bind", dir, dir);
        }
        words.two("--chdir", "/");
        words.command(command)
    }

    /// The sandbox of a judged program around the step that `exec` owns, with its arguments. `calls` is the filter of system
    /// calls for everybody in it.
    pub(crate) fn inner(
        &self,
        inside: &Inside<'_>,
        calls: &impl AsRawFd,
        own: &Path,
        arguments: &[String],
    ) -> Vec<PathBuf> {
        let Inside { places, around, .. } = inside;
        let mut words = Words::new(&self.0);
        if !inside.network {
            words.flags(&["--unshare-net"]);
        }
        let rights: &[&str] = if inside.other_user { &["CAP_SETGID", "CAP_SETUID"] } else { &[] };
        words.common(is_root().then_some(rights));
        words.two("--seccomp", calls.as_raw_fd().to_string());
        words.two("--dev", "/dev").three("--bind", &places.shm, "/dev/shm").two("--remount-ro", "/dev");
        words.two("--proc", "/proc");
        for path in READ_ONLY_IN_PROC.iter().filter(|path| Path::new(path).exists()) {
            words.three("--ro-bind", path, path);
        }
        words.three("--bind", &places.tmp, "/tmp").three("--bind", &places.run, "/run");
        if is_kept(&around.stack) {
            words.three("--ro-bind-try", &around.stack, &around.stack);
        }
        let below =
            |path: &Path| around.hidden.iter().any(|hidden| path != hidden && path.starts_with(hidden));
        let hidden = || around.hidden.iter().filter(|path| is_seen(path, around) && !below(path));
        for path in hidden() {
            words.hide(path);
        }
        for path in
            around.sockets.iter().filter(|path| is_seen(path, around) && !below(path) && is_socket(path))
        {
            words.three("--ro-bind", "/dev/null", path);
        }
        words.three("--bind", &places.tree, inside.workdir);
        for name in inside.bound {
            words.three("--ro-bind", inside.workdir.join(name), inside.workdir.join(name));
        }
        for (log, own) in inside.logs {
            words.three("--bind", own, log);
        }
        words.three("--ro-bind", own, OWN);
        if let Some(runner) = inside.runner {
            words.three("--ro-bind", runner, RUNNER);
        }
        // Only now: the copy may have to be made a place below one of them.
        for path in hidden().filter(|path| path.is_dir()) {
            words.two("--remount-ro", path);
        }
        words.two("--chdir", inside.workdir);
        let mut command = vec![Path::new(OWN)];
        command.extend(arguments.iter().map(Path::new));
        words.command(&command)
    }
}

/// What the outer sandbox is made of.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// Where the sized scratch lies.
    pub(crate) scratch: PathBuf,
    /// Its size.
    pub(crate) scratch_bytes: u64,
    /// The one directory of the machine that is written to.
    pub(crate) report: PathBuf,
    /// Control groups that the judge may enter.
    pub(crate) groups: Vec<PathBuf>,
}

/// What the inner sandbox is made of.
#[derive(Debug, Clone)]
pub(crate) struct Inside<'a> {
    /// The copy, and the private directories.
    pub(crate) places: &'a Places,
    /// What must not be reached.
    pub(crate) around: &'a Around,
    /// The component's real directory, where the copy is found.
    pub(crate) workdir: &'a Path,
    /// Directories of it that are not copied but seen read-only.
    pub(crate) bound: &'a [String],
    /// Log files elsewhere, and what is written instead.
    pub(crate) logs: &'a [(PathBuf, PathBuf)],
    /// What runs the tests, if that is ours.
    pub(crate) runner: Option<&'a Path>,
    /// It shares the judge's network.
    pub(crate) network: bool,
    /// It changes its user before it begins.
    pub(crate) other_user: bool,
}

/// Directories of which the inner sandbox has its own: nothing of the machine is there.
const PRIVATE: [&str; 4] = ["/tmp", "/run", "/dev", "/proc"];

fn is_private(path: &Path) -> bool {
    PRIVATE.iter().any(|private| path.starts_with(private))
}

/// Lies in a private directory, and is seen there all the same.
fn is_kept(stack: &Path) -> bool {
    is_private(stack) && !PRIVATE.iter().any(|private| stack == Path::new(private))
}

/// Found inside, unless something is done about it.
fn is_seen(path: &Path, around: &Around) -> bool {
    path.exists() && (!is_private(path) || is_kept(&around.stack) && path.starts_with(&around.stack))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// Arguments, written down one option at a time.
struct Words(Vec<PathBuf>);

impl Words {
    fn new(program: &Path) -> Self {
        Self(vec![program.to_owned()])
    }

    fn flags(&mut self, flags: &[&str]) {
        self.0.extend(flags.iter().map(PathBuf::from));
    }

    fn two(&mut self, option: &str, value: impl Into<Word>) -> &mut Self {
        self.0.extend([option.into(), value.into().0]);
        self
    }

    fn three(&mut self, option: &str, a: impl Into<Word>, b: impl Into<Word>) -> &mut Self {
        self.0.extend([option.into(), a.into().0, b.into().0]);
        self
    }

    /// What both have. `rights` are those that root keeps; none for who has none to give up.
    fn common(&mut self, rights: Option<&[&str]>) {
        self.flags(&["--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"]);
        if let Some(rights) = rights {
            self.two("--cap-drop", "ALL");
            for right in rights {
                self.two("--cap-add", *right);
            }
        }
        self.three("--ro-bind", "/", "/");
    }

    /// Nothing is there any more.
    fn hide(&mut self, path: &Path) {
        if path.is_dir() {
            self.two("--tmpfs", path);
        } else {
            self.three("--ro-bind", "/dev/null", path);
        }
    }

    fn command(mut self, command: &[&Path]) -> Vec<PathBuf> {
        self.0.push("--".into());
        self.0.extend(command.iter().map(|word| word.to_path_buf()));
        self.0
    }
}

/// One argument.
struct Word(PathBuf);

impl<T: AsRef<std::ffi::OsStr> + ?Sized> From<&T> for Word {
    fn from(text: &T) -> Self {
        Self(PathBuf::from(text.as_ref()))
    }
}

impl From<PathBuf> for Word {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Whether both can be had on this machine: really made, one inside the other, around something that ends at once.
pub(crate) fn look() -> Result<String, (String, &'static str)> {
    let lacking = |what: String| (what, REMEDY);
    let bubblewrap = Bubblewrap::find().map_err(lacking)?;
    let failed = |error: std::io::Error| lacking(format!("it cannot be tried: {error}"));
    let own = std::env::current_exe().map_err(failed)?;
    let dir = tempfile::tempdir().map_err(failed)?;
    let of = |name: &str| dir.path().join(name);
    let trial =
        Trial { scratch: of("scratch"), scratch_bytes: 1 << 20, report: of("report"), groups: Vec::new() };
    for place in [&trial.scratch, &trial.report] {
        std::fs::create_dir(place).map_err(failed)?;
    }
    let mut inner = Words::new(&bubblewrap.0);
    inner.flags(&["--unshare-net"]);
    inner.common(is_root().then_some(&[][..]));
    inner.two("--dev", "/dev").two("--proc", "/proc");
    let inner = inner.command(&[&own, Path::new("--version")]);
    let inner: Vec<&Path> = inner.iter().map(PathBuf::as_path).collect();
    let outer = bubblewrap.outer(&trial, &inner);
    let [program, arguments @ ..] = outer.as_slice() else {
        return Err(lacking("nothing to try".to_owned()));
    };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(failed)?;
    if output.status.success() {
        return Ok(format!("`{}`, one inside the other", program.display()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(lacking(said.lines().next().unwrap_or("it fails, and does not say why").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside<'a>(places: &'a Places, around: &'a Around, bound: &'a [String]) -> Inside<'a> {
        let workdir = Path::new("/srv/shop");
        Inside { places, around, workdir, bound, logs: &[], runner: None, network: true, other_user: false }
    }

    #[test]
    fn what_is_hidden_goes_before_the_copy_comes() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let grants = dir.path().join("grants.toml");
        std::fs::create_dir(&state).unwrap();
        std::fs::write(&grants, "").unwrap();
        let places = Places::below(Path::new("/scratch/stage"));
        let around = Around {
            hidden: vec![state.clone(), grants.clone(), "/srv/absent".into(), "/run".into()],
            sockets: vec![grants.clone()],
            stack: dir.path().to_owned(),
        };
        let bound = ["venv".to_owned()];
        let program = Bubblewrap("/bin/bwrap".into());
        let null = std::fs::File::open("/dev/null").unwrap();
        let words =
            program.inner(&inside(&places, &around, &bound), &null, Path::new("/bin/own"), &["x".to_owned()]);
        let line = words.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
        let place = |text: &str| line.find(text).unwrap_or_else(|| panic!("`{text}` is not in {line}"));
        let order = [
            place("--ro-bind / /"),
            place(&format!("--seccomp {}", null.as_raw_fd())),
            place("--bind /scratch/stage/tmp /tmp"),
            place(&format!("--ro-bind-try {0} {0}", dir.path().display())),
            place(&format!("--tmpfs {}", state.display())),
            place(&format!("--ro-bind /dev/null {}", grants.display())),
            place("--bind /scratch/stage/tree /srv/shop"),
            place("--ro-bind /srv/shop/venv /srv/shop/venv"),
            place(&format!("--remount-ro {}", state.display())),
            place("-- /run/razar-trial-exec x"),
        ];
        assert!(order.is_sorted(), "{line}");
        assert!(!line.contains("/srv/absent") && !line.contains("--tmpfs /run"), "{line}");
        assert!(!line.contains("--unshare-net") && line.contains("--ro-bind /proc/sys /proc/sys"), "{line}");
        assert_eq!(line.matches("grants.toml").count(), 1, "no socket: {line}");
        let runner = Some(Path::new("/scratch/tests.py"));
        let alone = Inside { network: false, runner, ..inside(&places, &around, &bound) };
        let words = program.inner(&alone, &null, Path::new("/bin/own"), &[]);
        assert!(words.contains(&PathBuf::from("--unshare-net")));
        assert!(words.windows(2).any(|two| two == ["/scratch/tests.py", RUNNER].map(PathBuf::from)));
    }
}
