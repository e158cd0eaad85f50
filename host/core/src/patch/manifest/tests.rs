//! A manifest says what a change set does and nothing else, is written one way, and tells where a tree stands.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::patch::{Change, Proposal, Rules, gate};

const BEFORE: &[&str] = &["app.py", "lib/a.py", "lib/b c.py", "notes"];

/// What is done with each of `BEFORE`, and whether two more files come.
fn deeds() -> impl Strategy<Value = (Vec<u8>, bool, bool)> {
    (prop::collection::vec(0..3_u8, BEFORE.len()), any::<bool>(), any::<bool>())
        .prop_filter("something is done", |(deeds, one, two)| {
            *one || *two || deeds.iter().any(|deed| *deed > 0)
        })
}

fn base() -> Tree {
    let mut base = Tree::default();
    for path in BEFORE {
        base.insert_file(path, format!("{path} = 1\n").as_bytes());
    }
    base
}

fn changes(base: &Tree, (deeds, one, two): &(Vec<u8>, bool, bool)) -> ChangeSet {
    let write =
        |path: &str| Change::Write { path: path.to_owned(), content: format!("{path} = 2\n").into_bytes() };
    let mut changes: Vec<Change> = BEFORE
        .iter()
        .zip(deeds)
        .filter_map(|(path, deed)| match deed {
            0 => None,
            1 => Some(write(path)),
            _ => Some(Change::Delete { path: (*path).to_owned() }),
        })
        .collect();
    changes.extend(one.then(|| write("lib/new.py")));
    changes.extend(two.then(|| write("another.py")));
    let rules = Rules::default().with_deletions(true);
    gate(&Proposal { changes, ..Proposal::default() }, base, &rules).unwrap()
}

fn manifest(base: &Tree, changes: &ChangeSet) -> Manifest {
    Manifest::of("web".parse().unwrap(), changes, base)
}

fn in_tree(tree: &Tree) -> impl Fn(&FilePath) -> Found + '_ {
    |path| match tree.get(path.as_str()) {
        None => Found::Absent,
        Some(_) => tree.digest(path.as_str()).map_or(Found::Other, Found::File),
    }
}

proptest! {
    #[test]
    fn what_a_change_set_does_comes_back_from_its_json(deeds in deeds()) {
        let base = base();
        let changes = changes(&base, &deeds);
        let manifest = manifest(&base, &changes);
        prop_assert_eq!(&Manifest::read(manifest.json().as_bytes()).unwrap(), &manifest);
        prop_assert_eq!(manifest.files().len(), changes.files().len());
        for (file, change) in manifest.files().iter().zip(changes.files()) {
            prop_assert_eq!(file.path(), change.path());
            prop_assert_eq!(file.at(Side::Before), change.before());
            prop_assert_eq!(file.at(Side::After), change.after().map(|bytes| Digest::of(bytes)));
        }
        let remembered = manifest.clone().remembering(|_| Some(0o100_755));
        prop_assert_eq!(&Manifest::read(remembered.json().as_bytes()).unwrap(), &remembered);
        for file in remembered.files() {
            prop_assert_eq!(file.mode(), file.at(Side::After).is_none().then_some(0o755));
        }
    }

    #[test]
    fn a_tree_stands_where_all_of_its_files_do(deeds in deeds(), sides in prop::collection::vec(0..4_u8, 6)) {
        let base = base();
        let changes = changes(&base, &deeds);
        let after = changes.onto(&base).unwrap();
        let manifest = manifest(&base, &changes);
        prop_assert_eq!(manifest.standing(in_tree(&base)), Standing::Before);
        prop_assert_eq!(manifest.standing(in_tree(&after)), Standing::After);

        let odd = |place: usize| sides.get(place).copied().unwrap_or_default();
        let found: BTreeMap<&FilePath, Found> = manifest.files().iter().enumerate().map(|(place, file)| {
            let found = match odd(place) {
                0 => in_tree(&base)(file.path()),
                1 => in_tree(&after)(file.path()),
                2 => Found::File(Digest::of(b"somebody else's")),
                _ => Found::Other,
            };
            (file.path(), found)
        }).collect();
        let foreign: Vec<FilePath> = manifest.files().iter().enumerate()
            .filter(|(place, _)| odd(*place) > 1).map(|(_, file)| file.path().clone()).collect();
        let some = |side: u8| (0..manifest.files().len()).any(|place| odd(place) == side);
        let expected = match (foreign.is_empty(), some(0), some(1)) {
            (false, ..) => Standing::Foreign(foreign),
            (true, true, true) => Standing::Mixed,
            (true, true, false) => Standing::Before,
            (true, false, _) => Standing::After,
        };
        prop_assert_eq!(manifest.standing(|path| found[path]), expected);
    }

    #[test]
    fn any_change_of_its_bytes_is_another_manifest_or_none(deeds in deeds(), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let base = base();
        let manifest = manifest(&base, &changes(&base, &deeds));
        let mut bytes = manifest.json().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        match Manifest::read(&bytes) {
            Ok(other) => {
                prop_assert_ne!(other.digest(), manifest.digest());
                prop_assert_eq!(other.json().as_bytes(), bytes.as_slice());
            }
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control), "{}", error),
        }
    }
}

/// A manifest of these files, each `(path, before, after)` with a letter for each content.
fn written(files: &[(&str, &str, &str)], directories: &str) -> String {
    let digest = |letter: &str| match letter {
        "" => "null".to_owned(),
        letter => format!("\"{}\"", Digest::of(letter.as_bytes())),
    };
    let entry = |(path, before, after): &(&str, &str, &str)| {
        format!(r#"{{"after":{},"before":{},"path":"{path}"}}"#, digest(after), digest(before))
    };
    let files: Vec<String> = files.iter().map(entry).collect();
    format!(r#"{{"component":"web",{directories}"files":[{}],"version":1}}"#, files.join(","))
}

#[test]
fn what_no_gate_lets_through_is_no_manifest() {
    let good = written(&[("a.py", "x", "y"), ("b/c.py", "", "z")], r#""directories":["b"],"#);
    assert_eq!(Manifest::read(good.as_bytes()).unwrap().json(), good);
    let many: Vec<String> = (0..=MAX_FILES).map(|number| format!("f{number:03}")).collect();
    let many: Vec<(&str, &str, &str)> = many.iter().map(|path| (path.as_str(), "", "x")).collect();
    let one = || written(&[("a.py", "x", "y")], "");
    for (text, said) in [
        (String::new(), "not the JSON of a manifest"),
        ("[]".to_owned(), "not the JSON of a manifest"),
        (one().replace("web", "../web"), "not the JSON of a manifest"),
        (one().replace("\"files\"", "\"fil\u{1b}es\""), "not the JSON of a manifest"),
        (one().replace("\"version\":1", "\"version\":2"), "it has version 2"),
        (one().replace(":1}", ": 1}"), "it is not written as this host writes it"),
        (format!("{}\n", one()), "it is not written as this host writes it"),
        (one().replace("\"before\"", "\"mode\":null,\"before\""), "it is not written as this host writes it"),
        (one().replace("\"path\"", "\"mode\":420,\"path\""), "`a.py` has a mode"),
        (
            written(&[("a.py", "x", "")], "").replace("\"path\"", "\"mode\":65536,\"path\""),
            "`a.py` has a mode",
        ),
        (written(&[], ""), "it names no file"),
        (written(&[("../a.py", "x", "y")], ""), "`../a.py` is no path: it leads up"),
        (written(&[("/etc/passwd", "x", "y")], ""), "is no path: it is absolute"),
        (written(&[("b.py", "x", "y"), ("a.py", "x", "y")], ""), "`a.py` is not where it belongs"),
        (written(&[("a.py", "x", "y"), ("a.py", "x", "y")], ""), "`a.py` is not where it belongs"),
        (written(&[("A.py", "x", "y"), ("a.py", "x", "y")], ""), "`a.py` cannot be beside"),
        (written(&[("a", "x", "y"), ("a/b", "x", "y")], ""), "`a/b` cannot be beside"),
        (written(&[("a.py", "x", "x")], ""), "`a.py` is the same before and after"),
        (written(&[("a.py", "", "")], ""), "`a.py` is the same before and after"),
        (written(&many, ""), "larger than a manifest"),
        (format!("{}{}", " ".repeat(MAX_MANIFEST), one()), "larger than a manifest"),
        (written(&[("a.py", "x", "y")], r#""directories":["b"],"#), "`b` is no directory that is made"),
        (written(&[("b/a.py", "x", "y")], r#""directories":["b"],"#), "`b` is no directory that is made"),
        (written(&[("b/a.py", "", "y")], r#""directories":["b","b"],"#), "`b` is not where it belongs"),
        (written(&[("b/a.py", "", "y")], r#""directories":[],"#), "it is not written as this host writes it"),
    ] {
        let error = Manifest::read(text.as_bytes()).expect_err(&text).to_string();
        assert!(error.contains(said), "{text:?}: {error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn the_largest_manifest_there_can_be_is_read() {
    let part = "x".repeat(250);
    let files: Vec<String> = (0..MAX_FILES).map(|number| format!("{part}/{part}/{number:03}")).collect();
    let files: Vec<(&str, &str, &str)> = files.iter().map(|path| (path.as_str(), "", "x")).collect();
    let text = written(&files, &format!(r#""directories":["{part}","{part}/{part}"],"#));
    assert_eq!(Manifest::read(text.as_bytes()).unwrap().files().len(), MAX_FILES);
}
