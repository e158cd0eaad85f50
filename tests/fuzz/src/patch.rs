//! Proposals: the text of one file, a line `%%%%`, and a diff. Whatever the gate takes changes exactly what it says, and
//! nothing that is protected or lies behind a link; what it refuses it names, in words that a terminal survives. And what was
//! accepted, as it is kept: a manifest is read as it is written or not at all.

use razar_core::patch::{
    Change, FilePath, Found, MAX_FILE, Manifest, Node, Patch, Proposal, Rules, Side, Standing, Tree, gate,
};

/// Between the file and the diff.
const BORDER: &[u8] = b"%%%%\n";

/// A file, the border, a diff; without a border all of it is the diff.
pub fn patch(data: &[u8]) {
    let at = data.windows(BORDER.len()).position(|window| window == BORDER);
    let (file, diff) = match at {
        Some(at) => (data.get(..at).unwrap_or_default(), data.get(at + BORDER.len()..).unwrap_or_default()),
        None => (b"x = 1\n".as_slice(), data),
    };
    let mut base = Tree::default();
    base.insert_file("app.py", file);
    base.insert_file("src/util.py", b"def one():\n    return 1\n");
    base.insert_file("tests/test_app.py", b"def test_one():\n    pass\n");
    base.insert("linked", Node::Link);
    base.insert("pipe", Node::Special);
    for deletions in [false, true] {
        let rules = Rules::default().with_deletions(deletions);
        judge(&Proposal::diff(diff), &base, &rules);
        let path = String::from_utf8_lossy(diff.split(|byte| *byte == b'\n').next().unwrap_or_default())
            .into_owned();
        let whole = Change::Write { path, content: diff.to_vec() };
        judge(&Proposal { changes: vec![whole], ..Proposal::default() }, &base, &rules);
    }
}

fn judge(proposal: &Proposal, base: &Tree, rules: &Rules) {
    let changes = match gate(proposal, base, rules) {
        Ok(changes) => changes,
        Err(refusal) => {
            let said = refusal.to_string();
            assert!(said.len() < 1_000 && !said.contains(char::is_control), "{said:?}");
            assert!(!refusal.what().is_empty() && !refusal.remedy().is_empty());
            return;
        }
    };
    let result = changes.onto(base).expect("it was judged against this tree");
    let mut differences = base.differences(&result);
    differences.sort_unstable();
    let announced: Vec<&str> = changes.files().iter().map(|file| file.path().as_str()).collect();
    assert_eq!(differences, announced);
    for file in changes.files() {
        let path = file.path().as_str();
        assert_eq!(rules.protected(path), None, "{path}");
        let top = path.split('/').next().unwrap_or_default();
        assert!(!["", "linked", "pipe"].contains(&top), "{path}");
        assert!(!path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path}");
        assert!(file.after().is_none_or(|bytes| bytes.len() <= MAX_FILE));
    }
    assert_eq!(gate(proposal, base, rules).as_ref(), Ok(&changes), "judged twice, judged alike");
}

/// The bytes of a manifest.
pub fn manifest(data: &[u8]) {
    let manifest = match Manifest::read(data) {
        Ok(manifest) => manifest,
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 2_000 && !said.contains(char::is_control), "{said:?}");
            return;
        }
    };
    assert_eq!(manifest.json().as_bytes(), data, "there is one way to write it");
    let at = |side: Side| {
        let manifest = &manifest;
        move |path: &FilePath| {
            let file =
                manifest.files().iter().find(|file| file.path() == path).expect("it is asked for its own");
            file.at(side).map_or(Found::Absent, Found::File)
        }
    };
    assert_eq!(manifest.standing(at(Side::Before)), Standing::Before);
    assert_eq!(manifest.standing(at(Side::After)), Standing::After);
    let Standing::Foreign(foreign) = manifest.standing(|_| Found::Other) else {
        panic!("nothing is foreign")
    };
    assert_eq!(foreign.len(), manifest.files().len());
    assert!(foreign.is_sorted() && !foreign.is_empty());
    for directory in manifest.directories() {
        let holds = |path: &FilePath| path.parents().any(|parent| parent == directory.as_str());
        assert!(foreign.iter().any(holds), "{directory}");
    }
    assert!(Patch::new(manifest, std::iter::empty::<&[u8]>()).is_err(), "what it names is not there");
}
