//! A patch as the gate makes one, for tests. It shows nothing by itself.

use razar_core::patch::{Change, Patch, Proposal, Rules, Tree, gate};

/// Changes `app.py`, deletes `old.py`, makes `lib/app.py`; `what` is in all of them.
pub(crate) fn patch(what: &str) -> Patch {
    let mut base = Tree::default();
    base.insert_file("app.py", format!("value = 1  # {what}\n").as_bytes());
    base.insert_file("lib/__init__.py", b"");
    base.insert_file("old.py", format!("old = 1  # {what}\n").as_bytes());
    let write =
        |path: &str, text: String| Change::Write { path: path.to_owned(), content: text.into_bytes() };
    let changes = vec![
        write("app.py", format!("value = 2  # {what}\n")),
        write("lib/app.py", format!("new = 1  # {what}\n")),
        Change::Delete { path: "old.py".to_owned() },
    ];
    let rules = Rules::default().with_deletions(true);
    let changes = gate(&Proposal { changes, ..Proposal::default() }, &base, &rules).unwrap();
    Patch::of("web".parse().unwrap(), &changes, &base).unwrap()
}
