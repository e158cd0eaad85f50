//! A patch is put in place whole, with what the files were besides their bytes, and taken back to the byte; whatever is not as
//! it must be is named and left alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use razar_core::id::Digest;
use razar_core::patch::{Found, Manifest, Patch, Side, Standing};
use tempfile::TempDir;

use super::*;

/// Bytes of a file before and after, where there is one.
type Change<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

const CHANGES: &[Change<'_>] = &[
    ("app.py", Some("value = 1\n"), Some("value = 2\n")),
    ("lib/gone.py", Some("gone = 1\n"), None),
    ("lib/new.py", None, Some("new = 1\n")),
    ("run.sh", Some("#!/bin/sh\nexit 1\n"), Some("#!/bin/sh\nexit 0\n")),
];

fn patch(changes: &[Change<'_>], directories: &str) -> Patch {
    let digest = |text: Option<&str>| match text {
        Some(text) => format!("\"{}\"", Digest::of(text.as_bytes())),
        None => "null".to_owned(),
    };
    let entry = |(path, before, after): &Change<'_>| {
        format!(r#"{{"after":{},"before":{},"path":"{path}"}}"#, digest(*after), digest(*before))
    };
    let files: Vec<String> = changes.iter().map(entry).collect();
    let json = format!(r#"{{"component":"web",{directories}"files":[{}],"version":1}}"#, files.join(","));
    let bytes = changes.iter().flat_map(|(_, before, after)| [*before, *after]).flatten();
    Patch::new(Manifest::read(json.as_bytes()).unwrap(), bytes.map(str::as_bytes)).unwrap()
}

/// A component's directory, and something beside it.
struct Stage {
    dir: TempDir,
    patch: Patch,
}

impl Stage {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let stage = Self { dir, patch: patch(CHANGES, "") };
        for (path, before, _) in CHANGES {
            if let Some(text) = before {
                stage.write(path, text);
            }
        }
        stage.write("lib/other.py", "other = 1\n");
        stage.write("lib/more.py", "more = 1\n");
        stage.chmod("lib/other.py", 0o640);
        stage.chmod("lib/more.py", 0o640);
        stage.chmod("lib/gone.py", 0o700);
        stage.chmod("run.sh", 0o751);
        fs::write(stage.dir.path().join("outside"), "outside\n").unwrap();
        let patch = remember(stage.patch.clone(), &stage.top()).unwrap();
        Self { patch, ..stage }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("web").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn top(&self) -> Dir {
        open(&self.path("")).unwrap()
    }

    fn standing(&self) -> Standing {
        self.patch.manifest().standing(|path| match fs::read(self.path(path.as_str())) {
            Ok(bytes) => Found::File(Digest::of(&bytes)),
            Err(_) => Found::Absent,
        })
    }

    fn apply(&self) -> Result<Done, MendError> {
        self.settle(Side::After)
    }

    fn revert(&self) -> Result<Done, MendError> {
        self.settle(Side::Before)
    }

    fn settle(&self, side: Side) -> Result<Done, MendError> {
        settle(&self.patch, &self.top(), side)
    }

    /// All there is, in the directory and beside it: the mode of each, and its text.
    fn all(&self) -> BTreeMap<String, (u32, String)> {
        let mut all = BTreeMap::new();
        collect(self.dir.path(), self.dir.path(), &mut all);
        all
    }

    /// What the files of the patch were besides their bytes.
    fn meta(&self, path: &str) -> fs::Metadata {
        fs::symlink_metadata(self.path(path)).unwrap()
    }
}

fn collect(root: &Path, dir: &Path, all: &mut BTreeMap<String, (u32, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let meta = fs::symlink_metadata(&path).unwrap();
        let text = if meta.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
        all.insert(name, (meta.mode(), text));
        if meta.is_dir() {
            collect(root, &path, all);
        }
    }
}

fn done() -> Done {
    Done { notes: Vec::new() }
}

#[test]
fn a_patch_is_put_in_place_and_taken_back_to_the_byte() {
    let stage = Stage::new();
    let before = stage.all();
    let untouched = stage.meta("lib/other.py");
    assert_eq!(stage.standing(), Standing::Before);
    assert_eq!(stage.apply().unwrap(), done());
    assert_eq!(stage.standing(), Standing::After);
    let after = stage.all();
    let text =
        |path: &str| after.get(&format!("web/{path}")).map(|(mode, text)| (mode & 0o7777, text.as_str()));
    assert_eq!(text("app.py"), before.get("web/app.py").map(|(mode, _)| (mode & 0o7777, "value = 2\n")));
    assert_eq!(text("run.sh"), Some((0o751, "#!/bin/sh\nexit 0\n")), "the mode of the file it replaces");
    assert_eq!(text("lib/new.py"), Some((0o640, "new = 1\n")), "the mode of its neighbors");
    assert_eq!(text("lib/gone.py"), None);
    assert_eq!(after.len(), before.len(), "nothing else came: {:?}", after.keys());

    assert_eq!(stage.revert().unwrap(), done());
    assert_eq!(stage.all(), before);
    let now = stage.meta("lib/other.py");
    assert_eq!((now.ino(), now.mtime_nsec()), (untouched.ino(), untouched.mtime_nsec()));
}

#[test]
fn a_file_that_was_changed_names_itself_and_nothing_is_touched() {
    type Spoil = fn(&Stage);
    let spoils: &[(&str, &str, Spoil)] = &[
        ("app.py", "neither what it was", |stage| stage.write("app.py", "value = 3\n")),
        ("app.py", "neither what it was", |stage| fs::remove_file(stage.path("app.py")).unwrap()),
        ("lib/new.py", "neither what it was", |stage| stage.write("lib/new.py", "mine = 1\n")),
        ("app.py", "neither what it was", |stage| {
            fs::rename(stage.path("app.py"), stage.dir.path().join("app.py")).unwrap();
            symlink("../app.py", stage.path("app.py")).unwrap();
        }),
        ("run.sh", "neither what it was", |stage| {
            fs::remove_file(stage.path("run.sh")).unwrap();
            fs::create_dir(stage.path("run.sh")).unwrap();
        }),
        ("run.sh", "neither what it was", |stage| {
            fs::remove_file(stage.path("run.sh")).unwrap();
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let fifo = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, stage.path("run.sh"), fifo, mode, 0).unwrap();
        }),
        ("lib/gone.py", "neither what it was", |stage| {
            fs::rename(stage.path("lib"), stage.dir.path().join("lib")).unwrap();
            symlink("../lib", stage.path("lib")).unwrap();
        }),
        ("app.py", "neither what it was", |stage| {
            stage.write("app.py", &"x".repeat(razar_core::patch::MAX_FILE + 1));
        }),
    ];
    for (path, what, spoil) in spoils {
        let stage = Stage::new();
        spoil(&stage);
        let before = stage.all();
        let error = stage.apply().unwrap_err().to_string();
        assert!(error.contains(&format!("`{path}` is {what}")), "{error}");
        assert!(error.ends_with("no file was changed"), "{error}");
        assert_eq!(stage.all(), before, "{error}");
    }
}

#[test]
fn what_somebody_changed_stays_when_the_rest_is_taken_back() {
    let stage = Stage::new();
    stage.apply().unwrap();
    stage.write("run.sh", "an operator's\n");
    let error = stage.revert().unwrap_err().to_string();
    assert!(error.contains("`run.sh` is neither") && error.contains("it was left alone"), "{error}");
    let text = |path| fs::read_to_string(stage.path(path)).unwrap();
    assert_eq!((text("app.py"), text("run.sh")), ("value = 1\n".to_owned(), "an operator's\n".to_owned()));
    assert!(!stage.path("lib/new.py").exists());
}

#[test]
fn an_error_on_the_way_takes_back_what_was_done() {
    let stage = Stage::new();
    let digest = stage.patch.manifest().digest().hex();
    // In the way of the last file's temporary one.
    let trap = format!(".razar-patch-{}-3.part", &digest[..16]);
    fs::create_dir_all(stage.path(&trap).join("x")).unwrap();
    let before = stage.all();
    let times = stage.meta("app.py").mtime_nsec();
    let error = stage.apply().unwrap_err().to_string();
    assert!(error.contains("cannot remove a temporary file beside `run.sh`"), "{error}");
    assert!(error.ends_with("again as it was before this attempt"), "{error}");
    assert_eq!(stage.all(), before);
    assert_eq!(stage.meta("app.py").mtime_nsec(), times);
    fs::remove_dir_all(stage.path(&trap)).unwrap();
    assert_eq!(stage.apply().unwrap(), done());
}

#[test]
fn what_is_left_is_settled_to_either_side() {
    for side in [Side::Before, Side::After] {
        let (want, stage) = (Stage::new(), Stage::new());
        if side == Side::After {
            want.apply().unwrap();
        }
        // As a crash in the middle leaves it: one file is as after, and things lie around.
        stage.write("app.py", "value = 2\n");
        fs::remove_file(stage.path("lib/gone.py")).unwrap();
        let digest = stage.patch.manifest().digest().hex();
        stage.write(&format!(".razar-patch-{}-0.part", &digest[..16]), "val");
        stage.write(&format!("lib/.razar-patch-{}-2.whole", &digest[..16]), "new = 1\n");
        stage.chmod(&format!("lib/.razar-patch-{}-2.whole", &digest[..16]), 0o640);
        assert_eq!(stage.standing(), Standing::Mixed);
        assert_eq!(stage.settle(side).unwrap(), done());
        assert_eq!(stage.all(), want.all());
        assert_eq!(stage.settle(side).unwrap(), done(), "again, there is nothing to do");
        assert_eq!(stage.all(), want.all());
    }
}

#[test]
fn what_somebody_changed_after_a_crash_is_left_alone() {
    let stage = Stage::new();
    stage.apply().unwrap();
    stage.write("app.py", "value = 3  # mine\n");
    let before = stage.all();
    assert!(matches!(stage.standing(), Standing::Foreign(paths) if paths.len() == 1));
    let error = stage.settle(Side::After).unwrap_err().to_string();
    assert!(error.contains("`app.py` is neither") && error.ends_with("no file was changed"), "{error}");
    assert_eq!(stage.all(), before);
    let error = stage.settle(Side::Before).unwrap_err().to_string();
    assert!(error.contains("`app.py`") && error.contains("it was left alone"), "{error}");
    assert_eq!(fs::read_to_string(stage.path("app.py")).unwrap(), "value = 3  # mine\n");
    stage.write("app.py", "value = 1\n");
    assert_eq!(stage.standing(), Standing::Before);
}

#[test]
fn an_edit_that_was_taken_out_at_the_moment_of_a_crash_comes_back() {
    let digest = Stage::new().patch.manifest().digest().hex();
    for (number, path, ours) in [(0, "app.py", Some("value = 2\n")), (1, "lib/gone.py", None)] {
        let stage = Stage::new();
        let aside = Path::new(path).with_file_name(format!(".razar-patch-{}-{number}.whole", &digest[..16]));
        fs::remove_file(stage.path(path)).unwrap();
        if let Some(text) = ours {
            stage.write(path, text);
        }
        stage.write(aside.to_str().unwrap(), "value = 3  # mine\n");
        let error = stage.settle(Side::Before).unwrap_err().to_string();
        assert!(error.contains(&format!("`{path}` is neither")), "{error}");
        assert_eq!(fs::read_to_string(stage.path(path)).unwrap(), "value = 3  # mine\n");
        assert!(!stage.path(aside.to_str().unwrap()).exists());
    }
}

#[test]
fn a_replaced_file_never_has_the_second_of_the_one_before() {
    let stage = Stage::new();
    let mut last = stage.meta("app.py").mtime();
    for _ in 0..3 {
        for step in [Stage::apply, Stage::revert] {
            step(&stage).unwrap();
            let now = stage.meta("app.py").mtime();
            assert!(now > last, "an interpreter would take a compiled file for a newer one");
            last = now;
        }
    }
}

#[test]
fn attributes_and_owners_are_carried_over() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let stage = Stage::new();
    let path = stage.path("app.py");
    let kept = setxattr(&path, "user.note", b"kept", XattrFlags::empty()).is_ok();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&path, Some(1234), Some(1235)).unwrap();
        std::os::unix::fs::chown(stage.path("lib"), Some(1236), Some(1237)).unwrap();
    }
    let before = stage.meta("app.py");
    assert_eq!(stage.apply().unwrap(), done());
    let after = stage.meta("app.py");
    assert_ne!(after.ino(), before.ino());
    assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
    let (lib, new) = (stage.meta("lib"), stage.meta("lib/new.py"));
    assert_eq!((new.uid(), new.gid()), (lib.uid(), lib.gid()));
    if kept {
        let mut value = [0; 16];
        let length = getxattr(&path, "user.note", &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
    }
}

#[test]
fn directories_come_and_go_with_the_files_they_are_made_for() {
    let changes: &[Change<'_>] =
        &[("app.py", Some("value = 1\n"), Some("value = 2\n")), ("new/deep/x.py", None, Some("x = 1\n"))];
    let patch = patch(changes, r#""directories":["new","new/deep"],"#);
    let stage = Stage { patch, ..Stage::new() };
    stage.chmod("", 0o750);
    let before = stage.all();
    stage.apply().unwrap();
    assert_eq!(stage.standing(), Standing::After);
    assert_eq!(stage.meta("new/deep").mode() & 0o7777, 0o750);
    stage.revert().unwrap();
    assert_eq!(stage.all(), before);

    stage.apply().unwrap();
    stage.write("new/cache", "somebody's\n");
    stage.revert().unwrap();
    assert_eq!(stage.standing(), Standing::Before);
    assert!(stage.path("new/cache").exists() && !stage.path("new/deep").exists());
    let error = stage.apply().unwrap_err().to_string();
    assert!(
        error.contains("`new` is there already with something in it")
            && error.ends_with("no file was changed"),
        "{error}"
    );

    // Whoever took the directory away with the last file gets it back with that.
    let stage = Stage::new();
    fs::remove_file(stage.path("lib/other.py")).unwrap();
    fs::remove_file(stage.path("lib/more.py")).unwrap();
    let gone = patch_of_one("lib/gone.py");
    let top = stage.top();
    let gone = remember(gone, &top).unwrap();
    let before = stage.all();
    settle(&gone, &top, Side::After).unwrap();
    fs::remove_dir(stage.path("lib")).unwrap();
    settle(&gone, &top, Side::Before).unwrap();
    assert_eq!(stage.all(), before);
}

fn patch_of_one(path: &str) -> Patch {
    let change = CHANGES.iter().find(|change| change.0 == path).unwrap();
    patch(&[*change], "")
}

#[test]
fn other_names_of_a_file_keep_what_they_had() {
    let stage = Stage::new();
    fs::hard_link(stage.path("app.py"), stage.dir.path().join("other-name")).unwrap();
    stage.apply().unwrap();
    assert_eq!(fs::read_to_string(stage.dir.path().join("other-name")).unwrap(), "value = 1\n");
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let error = open(Path::new("/nonexistent/web")).map(drop).unwrap_err().to_string();
    assert!(
        error.contains("cannot open `/nonexistent/web`") && error.contains("no file was changed"),
        "{error}"
    );
}
