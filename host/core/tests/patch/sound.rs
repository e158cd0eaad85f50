//! Proposals that are taken, and exactly what they change: gates that refuse everything are of no use.

use razar_core::patch::{Change, ChangeKind, ChangeSet, Proposal, Rules, gate};

use super::{APP, HUNK, component, fix};

fn taken(name: &str, proposal: &Proposal, rules: &Rules) -> ChangeSet {
    gate(proposal, &component(), rules).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

fn after(changes: &ChangeSet, path: &str) -> String {
    let file = changes.files().iter().find(|file| file.path().as_str() == path).unwrap();
    String::from_utf8(file.after().unwrap().to_vec()).unwrap()
}

#[test]
fn a_repair_is_taken_in_every_shape_that_diffs_have() {
    let fixed = APP.replace("items[1]", "items[0]");
    let git = "diff --git a/app.py b/app.py\nindex 1234567..89abcde 100644\n";
    for (name, diff) in [
        ("plain", fix()),
        ("git", format!("{git}{}", fix())),
        ("git of a file that can be run", format!("{}{}", git.replace("100644", "100755"), fix())),
        ("git without prefixes", format!("diff --git app.py app.py\n--- app.py\n+++ app.py\n{HUNK}")),
        ("no prefixes", format!("--- app.py\n+++ app.py\n{HUNK}")),
        ("times", format!("--- a/app.py\t2026-01-01 10:00:00\n+++ b/app.py\t2026-01-01 10:00:01\n{HUNK}")),
        ("prose", format!("Off by one:\n\n- the list begins at 0\n\n{}", fix())),
        ("section", fix().replace("+10,3 @@", "+10,3 @@ def first(items):")),
        ("cut off at the end", fix().trim_end().to_owned()),
        ("empty lines at the end", fix() + "\n\n"),
        ("empty context without its space", fix().replace("\n \n def", "\n\n def")),
        (
            "no more context than needed",
            "--- a/app.py\n+++ b/app.py\n@@ -12 +12 @@\n-    return items[1]\n+    return items[0]\n"
                .to_owned(),
        ),
    ] {
        let changes = taken(name, &Proposal::diff(diff), &Rules::default());
        assert_eq!(after(&changes, "app.py"), fixed, "{name}");
        assert_eq!((changes.files().len(), changes.added(), changes.removed()), (1, 1, 1), "{name}");
        assert_eq!(changes.files()[0].kind(), ChangeKind::Modify, "{name}");
        assert_eq!(changes.files()[0].before(), component().digest("app.py"), "{name}");
    }
}

#[test]
fn several_files_and_hunks_are_one_change() {
    let diff = "\
--- a/app.py
+++ b/app.py
@@ -1,3 +1,4 @@
 import config
+import sys
 
 
@@ -8,5 +9,5 @@
     return count
 
 
 def first(items):
-    return items[1]
+    return items[0]
--- /dev/null
+++ b/src/more.py
@@ -0,0 +1,2 @@
+--- x
++++ y
--- a/src/util.py
+++ b/src/util.py
@@ -1,2 +1,2 @@
 def one():
-    return 2
+    return 1
";
    let changes = taken("several", &Proposal::diff(diff), &Rules::default());
    let kinds: Vec<_> =
        changes.files().iter().map(|file| (file.path().as_str(), file.kind().as_str())).collect();
    assert_eq!(kinds, [("app.py", "modify"), ("src/more.py", "create"), ("src/util.py", "modify")]);
    assert_eq!(after(&changes, "src/more.py"), "--- x\n+++ y\n", "lines of a hunk are never headers");
    let base = component();
    let result = changes.onto(&base).unwrap();
    let mut differences = result.differences(&base);
    differences.sort_unstable();
    assert_eq!(differences, ["app.py", "src/more.py", "src/util.py"]);
}

#[test]
fn line_ends_are_kept_as_they_are() {
    for (name, diff, path, expected) in [
        (
            "a line end is added",
            "--- a/bare.txt\n+++ b/bare.txt\n@@ -1,2 +1,2 @@\n alpha\n-beta\n\\ No newline at end of file\n+beta\n",
            "bare.txt",
            "alpha\nbeta\n",
        ),
        (
            "none before, none after",
            "--- a/bare.txt\n+++ b/bare.txt\n@@ -1,2 +1,2 @@\n-alpha\n+ALPHA\n beta\n\\ No newline at end of file\n",
            "bare.txt",
            "ALPHA\nbeta",
        ),
        (
            "a line end is taken",
            "--- a/src/util.py\n+++ b/src/util.py\n@@ -2 +2 @@\n-    return 2\n+    return 1\n\\ No newline at end of file\n",
            "src/util.py",
            "def one():\n    return 1",
        ),
        (
            "CRLF stays",
            "--- a/dos.txt\n+++ b/dos.txt\n@@ -2 +2 @@\n-two\r\n+2\r\n",
            "dos.txt",
            "one\r\n2\r\nthree\r\n",
        ),
        (
            "an empty file gets lines",
            "--- a/empty.txt\n+++ b/empty.txt\n@@ -0,0 +1 @@\n+x\n",
            "empty.txt",
            "x\n",
        ),
    ] {
        assert_eq!(after(&taken(name, &Proposal::diff(diff), &Rules::default()), path), expected, "{name}");
    }
}

#[test]
fn whole_files_are_taken_too_and_counted_by_what_differs() {
    let write = |path: &str, content: &str| Change::Write { path: path.to_owned(), content: content.into() };
    let changes = vec![
        write("app.py", &APP.replace("items[1]", "items[0]")),
        write("src/more.py", "x = 1\n"),
        write("src/empty.py", ""),
    ];
    let changes = taken("whole", &Proposal { changes, ..Proposal::default() }, &Rules::default());
    let counts: Vec<_> = changes.files().iter().map(|file| (file.added(), file.removed())).collect();
    assert_eq!(counts, [(1, 1), (0, 0), (1, 0)]);
    let diff = taken("diff", &Proposal::diff(fix()), &Rules::default());
    assert_eq!(
        diff.files()[0],
        changes.files()[0],
        "a whole file and a diff that make the same are the same"
    );
}

#[test]
fn where_the_operator_lets_files_go_they_go() {
    let rules = Rules::default().with_deletions(true);
    let whole = "--- a/settings.toml\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-port = 80\n-host = \"0.0.0.0\"\n";
    let git = format!(
        "diff --git a/settings.toml b/settings.toml\ndeleted file mode 100644\nindex 1234567..0000000\n{whole}"
    );
    for diff in [whole.to_owned(), git] {
        let changes = taken("deleted", &Proposal::diff(diff), &rules);
        assert_eq!((changes.files()[0].kind(), changes.removed()), (ChangeKind::Delete, 2));
        assert!(changes.onto(&component()).unwrap().get("settings.toml").is_none());
    }
    let part = "--- a/settings.toml\n+++ /dev/null\n@@ -1 +0,0 @@\n-port = 80\n";
    let refusal = gate(&Proposal::diff(part), &component(), &rules).unwrap_err();
    assert_eq!(refusal.code(), "dev-null", "what is deleted is deleted whole");
    let changes = vec![Change::Delete { path: "app.py".to_owned() }];
    assert_eq!(taken("named", &Proposal { changes, ..Proposal::default() }, &rules).removed(), 12);
}
