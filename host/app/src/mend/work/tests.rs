//! What happens in the middle: somebody edits a file while it is replaced, and a file system cannot swap names.

use std::fs;
use std::path::Path;

use cap_std::ambient_authority;
use razar_core::patch::Manifest;
use tempfile::TempDir;

use super::*;

/// Names and texts.
type Files<'a> = &'a [(&'a str, &'a str)];
/// What somebody does meanwhile.
type Edit = fn(&Path);

const BEFORE: Files<'_> = &[("a.py", "a = 1\n"), ("b.py", "b = 1\n"), ("c.py", "c = 1\n")];

/// Changes `a.py`, `b.py`, takes `c.py` away and makes `d.py`.
fn patch() -> Patch {
    let digest = |text: &str| format!("\"{}\"", Digest::of(text.as_bytes()));
    let entry = |path: &str, before: &str, after: &str| {
        format!(r#"{{"after":{after},"before":{before},"path":"{path}"}}"#)
    };
    let files = [
        entry("a.py", &digest("a = 1\n"), &digest("a = 2\n")),
        entry("b.py", &digest("b = 1\n"), &digest("b = 2\n")),
        entry("c.py", &digest("c = 1\n"), "null"),
        entry("d.py", "null", &digest("d = 2\n")),
    ];
    let json = format!(r#"{{"component":"web","files":[{}],"version":1}}"#, files.join(","));
    let texts = ["a = 1\n", "a = 2\n", "b = 1\n", "b = 2\n", "c = 1\n", "d = 2\n"];
    Patch::new(Manifest::read(json.as_bytes()).unwrap(), texts.map(str::as_bytes)).unwrap()
}

fn stage() -> (TempDir, Dir) {
    let dir = TempDir::new().unwrap();
    for (path, text) in BEFORE {
        fs::write(dir.path().join(path), text).unwrap();
    }
    let top = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
    (dir, top)
}

fn files(dir: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn expected(files: Files<'_>) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn an_edit_in_the_middle_is_kept_and_the_rest_is_taken_back() {
    let patch = patch();
    let edits: &[(&str, Edit, Files<'_>)] = &[
        (
            "b.py",
            |dir| fs::write(dir.join("b.py"), "b = 3\n").unwrap(),
            &[("a.py", "a = 1\n"), ("b.py", "b = 3\n"), ("c.py", "c = 1\n")],
        ),
        (
            "b.py",
            |dir| fs::remove_file(dir.join("b.py")).unwrap(),
            &[("a.py", "a = 1\n"), ("c.py", "c = 1\n")],
        ),
        (
            "c.py",
            |dir| fs::write(dir.join("c.py"), "c = 3\n").unwrap(),
            &[("a.py", "a = 1\n"), ("b.py", "b = 1\n"), ("c.py", "c = 3\n")],
        ),
        // It was to go, and comes back with the rest.
        ("c.py", |dir| fs::remove_file(dir.join("c.py")).unwrap(), BEFORE),
        (
            "d.py",
            |dir| fs::write(dir.join("d.py"), "d = 3\n").unwrap(),
            &[("a.py", "a = 1\n"), ("b.py", "b = 1\n"), ("c.py", "c = 1\n"), ("d.py", "d = 3\n")],
        ),
    ];
    for swaps in [true, false] {
        for (path, edit, left) in edits {
            let (dir, top) = stage();
            let mut work = Work::new(&patch, &top, Side::After);
            work.swaps = swaps;
            work.places = Place::all(patch.manifest(), &top).unwrap();
            let (moved, _) = work.judge().unwrap();
            work.begun = true;
            assert_eq!(moved, [0, 1, 2, 3]);
            moved.iter().for_each(|number| work.stage(*number).unwrap());
            edit(dir.path());
            let cause = work.places.iter().find_map(|place| work.shift(place).err()).unwrap();
            let error = work.undone(cause).to_string();
            assert!(error.contains(&format!("`{path}` was changed by somebody else")), "{error}");
            let is_before = *left == BEFORE;
            let ends = if is_before { "before this attempt" } else { "patch is where it should be" };
            assert!(error.ends_with(ends), "{error}");
            assert_eq!(files(dir.path()), expected(left), "{path}, swaps: {swaps}");
        }
    }
}

#[test]
fn where_names_cannot_be_swapped_a_patch_goes_in_and_out_as_well() {
    let patch = patch();
    let (dir, top) = stage();
    let after = expected(&[("a.py", "a = 2\n"), ("b.py", "b = 2\n"), ("d.py", "d = 2\n")]);
    for (side, left) in [(Side::After, after), (Side::Before, expected(BEFORE))] {
        let mut work = Work::new(&patch, &top, side);
        work.swaps = false;
        assert_eq!(work.done().unwrap(), Done { notes: Vec::new() });
        assert_eq!(files(dir.path()), left);
    }
}
