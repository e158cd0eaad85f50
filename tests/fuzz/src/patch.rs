//! Proposals: the text of one file, a line `%%%%`, and a diff. Whatever the gate takes changes exactly what it says, and
//! nothing that is protected or lies behind a link; what it refuses it names, in words that a terminal survives.

use razar_core::patch::{Change, MAX_FILE, Node, Proposal, Rules, Tree, gate};

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
        assert!(!path.starts_with("linked") && !path.starts_with("pipe") && !path.starts_with('/'), "{path}");
        assert!(!path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path}");
        assert!(file.after().is_none_or(|bytes| bytes.len() <= MAX_FILE));
    }
    assert_eq!(gate(proposal, base, rules).as_ref(), Ok(&changes), "judged twice, judged alike");
}
