//! Whoever puts a patch in place or takes it back is killed, at every place where a step is begun and not ended and at moments
//! nobody chose. Whoever comes next finds where the files stand and brings all of them to one side: every file of the
//! component is byte for byte as before or as the patch leaves it, no temporary file is left, and nothing else has changed.
//!
//! `RAZAR_LONG=1 cargo test -p razar-host --test mend` kills 1,000 times at any moment; without it, 60 times.
#![cfg(debug_assertions)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test ends where it cannot go on, and says how often it killed"
)]

#[allow(dead_code, unused_imports, reason = "compiled into the test, whose business is how it dies")]
#[path = "../src/mend/mod.rs"]
mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use razar_core::id::Digest;
use razar_core::patch::{Found, Manifest, Patch, Side, Standing};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use tempfile::TempDir;

/// Set in the process that will be killed: the component's directory, and what is done there.
const DIR: &str = "RAZAR_MEND_DIR";
const DEED: &str = "RAZAR_MEND_DEED";
/// Set where its file system is to be one that can neither swap names nor keep a name that is taken.
const PLAIN: &str = "RAZAR_MEND_PLAIN";
/// Set where a call of the system is to fail: its number and what it answers.
const REFUSED: &str = "RAZAR_MEND_REFUSED";
/// The test that is that process.
const CHILD: &str = "whoever_is_killed";
/// Where places are armed.
const PLACES: &str = "RAZAR_FAILPOINTS";

/// Files before and after; the letter is what is in it, many times.
const FILES: &[(&str, Option<char>, Option<char>)] = &[
    ("app.py", Some('a'), Some('b')),
    ("lib/a.py", Some('c'), Some('d')),
    ("lib/b.py", Some('e'), None),
    ("lib/c.py", None, Some('f')),
    ("lib/deep/d.py", Some('g'), Some('h')),
    ("new/deep/e.py", None, Some('i')),
    ("new/f.py", None, Some('j')),
    ("run.sh", Some('k'), Some('l')),
    ("zzz", Some('m'), None),
];

/// More than is written in one piece.
fn content(letter: char) -> String {
    format!("value = '{letter}'\n").repeat(5_000)
}

fn patch() -> Patch {
    let digest = |letter: Option<char>| match letter {
        Some(letter) => format!("\"{}\"", Digest::of(content(letter).as_bytes())),
        None => "null".to_owned(),
    };
    let entry = |(path, before, after): &(&str, Option<char>, Option<char>)| {
        format!(r#"{{"after":{},"before":{},"path":"{path}"}}"#, digest(*after), digest(*before))
    };
    let files: Vec<String> = FILES.iter().map(entry).collect();
    let directories = r#""directories":["new","new/deep"],"#;
    let json = format!(r#"{{"component":"web",{directories}"files":[{}],"version":1}}"#, files.join(","));
    let letters = FILES.iter().flat_map(|(_, before, after)| [*before, *after]).flatten();
    let bytes = letters.map(|letter| content(letter).into_bytes());
    let mode = |path: &razar_core::patch::FilePath| (path.as_str() == "zzz").then_some(0o754);
    Patch::new(Manifest::read(json.as_bytes()).unwrap(), bytes).unwrap().remembering(mode)
}

/// A component's directory, what lies in it that is none of the patch's business, and what lies beside it.
struct Stage {
    home: TempDir,
    places: TempDir,
    before: Tree,
    after: Tree,
}

/// Of each path: mode, and for files bytes; for those that no patch touches also number and time.
type Tree = BTreeMap<PathBuf, (u32, Option<Vec<u8>>, Option<(u64, i64, i64)>)>;

impl Stage {
    fn new() -> Self {
        // Thousands of synced writes: in memory where the machine offers it.
        let memory = Path::new("/dev/shm");
        let dir = || if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let (home, places) = (dir(), dir());
        let mut stage = Self { home, places, before: Tree::new(), after: Tree::new() };
        stage.write("outside", "outside\n", 0o600);
        for (path, before, _) in FILES {
            if let Some(letter) = before {
                let mode = if *path == "zzz" { 0o754 } else { 0o640 };
                stage.write(&format!("web/{path}"), &content(*letter), mode);
            }
        }
        stage.write("web/lib/other.py", "other\n", 0o640);
        stage.write("web/data/x.db", "data\n", 0o604);
        stage.before = stage.tree();
        mend::settle(&patch(), &stage.top(), Side::After).unwrap();
        stage.after = stage.tree();
        mend::settle(&patch(), &stage.top(), Side::Before).unwrap();
        assert_eq!(stage.tree(), stage.before);
        stage
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        let path = self.home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn web(&self) -> PathBuf {
        self.home.path().join("web")
    }

    fn top(&self) -> cap_std::fs::Dir {
        mend::open(&self.web()).unwrap()
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let mut dirs = vec![self.home.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(self.home.path()).unwrap().to_owned();
                let ours = FILES.iter().any(|(file, ..)| Path::new("web").join(file) == name);
                let identity = (meta.ino(), meta.mtime(), meta.mtime_nsec());
                if meta.is_dir() {
                    dirs.push(path);
                    tree.insert(name, (meta.mode(), None, None));
                } else {
                    tree.insert(
                        name,
                        (meta.mode(), Some(fs::read(path).unwrap()), (!ours).then_some(identity)),
                    );
                }
            }
        }
        tree
    }

    fn command(&self, deed: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", CHILD, "--nocapture"]).env("RUST_BACKTRACE", "0");
        command.env(DIR, self.web()).env(DEED, deed).env(PLACES, self.places.path());
        command
    }

    /// Somebody who does this until it is done or he is killed.
    fn child(&self, deed: &str, plain: bool) -> Child {
        let mut command = self.command(deed);
        if plain {
            command.env(PLAIN, "1");
        }
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Lets somebody do it who dies where it is said, if he comes there.
    fn killed_at(&self, place: &str, passed: u32, deed: &str, plain: bool) -> bool {
        fs::write(self.places.path().join(place), passed.to_string()).unwrap();
        let output = self.child(deed, plain).wait_with_output().unwrap();
        let died = output.status.signal() == Some(9);
        assert!(died || output.status.success(), "{deed}: {}", String::from_utf8_lossy(&output.stdout));
        for entry in fs::read_dir(self.places.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        died
    }

    /// Where the files stand.
    fn standing(&self) -> Standing {
        patch().manifest().standing(|path| match fs::read(self.web().join(path.as_str())) {
            Ok(bytes) => Found::File(Digest::of(&bytes)),
            Err(_) => Found::Absent,
        })
    }

    /// Whoever comes next brings everything to one side.
    fn settle(&self, side: Side, story: &str) {
        let patch = patch();
        let standing = self.standing();
        assert!(!matches!(standing, Standing::Foreign(_)), "{story}: {standing:?}");
        let done = mend::settle(&patch, &self.top(), side).unwrap_or_else(|error| panic!("{story}: {error}"));
        assert!(done.notes.is_empty(), "{story}: {:?}", done.notes);
        self.is(side, story);
    }

    fn is(&self, side: Side, story: &str) {
        let (tree, wanted) = (self.tree(), if side == Side::Before { &self.before } else { &self.after });
        let paths: BTreeSet<_> = tree.keys().chain(wanted.keys()).collect();
        for path in paths {
            assert!(tree.get(path) == wanted.get(path), "{story}: `{}` is not as it must be", path.display());
        }
    }
}

/// One deed, or one after another until it is killed.
#[test]
fn whoever_is_killed() {
    let (Ok(dir), Ok(deed)) = (std::env::var(DIR), std::env::var(DEED)) else { return };
    let (patch, top) = (patch(), mend::open(Path::new(&dir)).unwrap());
    if std::env::var_os(PLAIN).is_some() {
        refuse(libc::SYS_renameat2, 4, 0, libc::EINVAL);
    }
    if let Some((call, errno)) = std::env::var(REFUSED).ok().as_deref().and_then(|text| text.split_once(' '))
    {
        // To say what came of it, the first three are written to.
        refuse(call.parse().unwrap(), 0, 2, errno.parse().unwrap());
    }
    let done = match deed.as_str() {
        "apply" => mend::settle(&patch, &top, Side::After),
        "revert" => mend::settle(&patch, &top, Side::Before),
        _ => {
            let mut out = std::io::stdout();
            writeln!(out, "begun").unwrap();
            out.flush().unwrap();
            loop {
                mend::settle(&patch, &top, Side::Before).unwrap();
                mend::settle(&patch, &top, Side::After).unwrap();
            }
        }
    };
    assert!(done.unwrap_or_else(|error| panic!("{error}")).notes.is_empty());
}

/// To this thread the system answers so to a call, where this argument is greater. That is how a file system answers that knows
/// no flags of `renameat2`, or that is full.
fn refuse(call: i64, argument: u8, than: u64, errno: i32) {
    let greater = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Gt, than).unwrap();
    let rules = [(call, vec![SeccompRule::new(vec![greater]).unwrap()])].into();
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
}

/// Where it is killed: all places there are.
const STEPS: &[&str] = &[
    "patch.checked",
    "patch.made",
    "patch.created",
    "patch.written",
    "patch.dressed",
    "patch.synced",
    "patch.staged",
    "patch.swapped",
    "patch.replaced",
    "patch.put",
    "patch.taken",
    "patch.moved",
    "patch.swept",
    "patch.unmade",
];

#[test]
fn killed_between_any_two_steps_it_is_all_or_nothing_after_the_next() {
    let stage = Stage::new();
    let mut kills = 0;
    let mut come = BTreeSet::new();
    let deeds = [("apply", false), ("revert", false), ("apply", true), ("revert", true)];
    for place in STEPS {
        for (deed, plain) in deeds {
            for (number, passed) in [0, 1, 4].into_iter().enumerate() {
                let start = if deed == "apply" { Side::Before } else { Side::After };
                stage.settle(start, "before it begins");
                if !stage.killed_at(place, passed, deed, plain) {
                    stage.is(start.other(), &format!("{deed}, not killed at {place}"));
                    continue;
                }
                kills += 1;
                come.insert(*place);
                // Whoever repairs it is killed as well.
                let (repair, side) =
                    if number % 2 == 0 { ("revert", Side::Before) } else { ("apply", Side::After) };
                let story =
                    format!("{deed} killed at {place} after {passed}, then {repair}; plainly: {plain}");
                let again = STEPS[(kills * 5) % STEPS.len()];
                kills += usize::from(stage.killed_at(again, 0, repair, plain));
                stage.settle(if passed == 4 { side.other() } else { side }, &story);
            }
        }
    }
    eprintln!("{kills} kills at {} places", come.len());
    assert_eq!(come, STEPS.iter().copied().collect());
}

#[test]
fn whatever_the_system_refuses_the_files_are_as_before_the_attempt() {
    let stage = Stage::new();
    for (call, errno, said) in [
        (libc::SYS_write, libc::ENOSPC, "free space on that disk"),
        (libc::SYS_mkdirat, libc::ENOSPC, "free space on that disk"),
        (libc::SYS_fsync, libc::EIO, "os error 5"),
        (libc::SYS_fchmod, libc::EPERM, "cannot set the mode of"),
        (libc::SYS_unlinkat, libc::EROFS, "mount it for writing"),
        (libc::SYS_renameat2, libc::EROFS, "mount it for writing"),
        (libc::SYS_renameat2, libc::EACCES, "the user of the host must be able to write there"),
    ] {
        for (deed, start) in [("apply", Side::Before), ("revert", Side::After)] {
            stage.settle(start, "before it begins");
            let mut command = stage.command(deed);
            let output = command.env(REFUSED, format!("{call} {errno}")).output().unwrap();
            let story = format!("{deed}, call {call}: {}", String::from_utf8_lossy(&output.stdout));
            if deed == "revert" && call == libc::SYS_mkdirat {
                assert!(output.status.success(), "it makes none: {story}");
                continue;
            }
            assert_eq!(output.status.code(), Some(101), "{story}");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains(said), "{story}{error}");
            assert_eq!(
                stage.standing(),
                if start == Side::Before { Standing::Before } else { Standing::After },
                "{story}"
            );
            // What could not be taken away then is taken away by the next.
            stage.settle(start, &story);
        }
    }
}

#[test]
fn killed_at_any_moment_it_is_all_or_nothing_after_the_next() {
    let stage = Stage::new();
    let kills = if std::env::var_os("RAZAR_LONG").is_some() { 1_000 } else { 60 };
    let mut mixed = 0;
    // Any numbers will do, and the same at every run are told more easily.
    let mut random = 0x5eed_u64;
    for kill in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = stage.child("both", kill % 3 == 0);
        until_begun(child.stdout.take().unwrap());
        std::thread::sleep(Duration::from_micros((random >> 33) % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
        mixed += usize::from(stage.standing() == Standing::Mixed);
        let side = if random >> 63 == 0 { Side::Before } else { Side::After };
        stage.settle(side, &format!("kill {kill}"));
    }
    eprintln!("{kills} kills, {mixed} of them left a mixed tree for the next to repair");
}

fn until_begun(out: ChildStdout) {
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("begun")), "it ended before it was killed");
}

#[test]
fn every_step_there_is_has_its_kill() {
    let mut named = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mend");
    for entry in fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = fs::read_to_string(path).unwrap();
            let calls = text.split("failpoint::pass(\"").skip(1);
            named.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
        }
    }
    let killed: BTreeSet<String> = STEPS.iter().map(|step| (*step).to_owned()).collect();
    assert_eq!(named, killed);
}
