//! Proposals that are no repairs. Each is refused with the one code it must get, whatever else is wrong with it, and says
//! which file it is about wherever that can be said.

use razar_core::id::Digest;
use razar_core::patch::{Change, Node, Proposal, Rules, gate};

use super::{APP, component, fix, headers};

/// A case: what it is, the diff, the code, and the line of the diff or 0 where there is none to tell.
type Case = (&'static str, String, &'static str, u32);

fn judge(name: &str, proposal: &Proposal, rules: &Rules, code: &str, line: u32) {
    let found = judged(proposal, rules);
    assert_eq!(found, (code.to_owned(), line), "{name}");
}

/// The code and the line; `taken` if there is no refusal.
fn judged(proposal: &Proposal, rules: &Rules) -> (String, u32) {
    let Err(refusal) = gate(proposal, &component(), rules) else { return ("taken".to_owned(), 0) };
    assert!(!refusal.what().is_empty() && !refusal.remedy().is_empty());
    let said = refusal.to_string();
    assert!(said.len() < 1_000 && !said.contains(char::is_control), "{said:?}");
    (refusal.code().to_owned(), refusal.line().unwrap_or(0))
}

/// Judges all of them, and tells of all that end otherwise.
fn all(cases: &[Case]) {
    let mut wrong = String::new();
    for (name, diff, code, line) in cases {
        let found = judged(&Proposal::diff(diff.as_str()), &Rules::default());
        if found != ((*code).to_owned(), *line) {
            wrong += &format!("{name}: {found:?}, not {:?}\n", (code, line));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A diff of `app.py` with other hunks.
fn hunks(text: &str) -> String {
    format!("--- a/app.py\n+++ b/app.py\n{text}")
}

/// A diff below `diff --git` and more headers.
fn git(more: &str) -> String {
    format!("diff --git a/app.py b/app.py\n{more}{}", fix())
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// A new file with one line.
fn new(path: &str) -> String {
    format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x = 1\n")
}

#[test]
fn paths() {
    all(&[
        ("H1 beside the component", headers("a/../other/app.py", "b/../other/app.py"), "parent-path", 1),
        ("H2 absolute", headers("/etc/passwd", "/etc/passwd"), "absolute-path", 1),
        ("H2 absolute below a prefix", headers("a//etc/passwd", "b//etc/passwd"), "absolute-path", 1),
        ("H2 a drive", headers("a/C:/app.py", "b/C:/app.py"), "absolute-path", 1),
        ("H2 a share", headers("\\\\host\\x", "\\\\host\\x"), "absolute-path", 1),
        ("H3 up", headers("../app.py", "../app.py"), "parent-path", 1),
        ("H3 up in the middle", headers("a/src/../../x.py", "b/src/../../x.py"), "parent-path", 1),
        ("H3 up with backslashes", headers("a/src\\..\\..\\x", "b/src\\..\\..\\x"), "parent-path", 1),
        ("H3 up in the new name only", headers("a/app.py", "b/../app.py"), "parent-path", 1),
        ("only a dot", headers("a/.", "b/."), "unsafe-path", 1),
        ("a dot in the middle", headers("a/src/./util.py", "b/src/./util.py"), "unsafe-path", 1),
        ("no name", headers("a/", "b/"), "unsafe-path", 1),
        ("doubled slash", headers("a/src//util.py", "b/src//util.py"), "unsafe-path", 1),
        ("escapes that decode to up", headers("\"a/\\056\\056/x\"", "\"b/\\056\\056/x\""), "quoted-path", 1),
        ("quotes around a plain name", headers("\"a/app.py\"", "\"b/app.py\""), "quoted-path", 1),
        ("backslash", headers("a/src\\util.py", "b/src\\util.py"), "unsafe-path", 1),
        ("control character", headers("a/app\u{1b}[31m.py", "b/app\u{1b}[31m.py"), "unsafe-path", 1),
        ("D12 device name", new("src/aux.py"), "unsafe-path", 1),
        ("D12 stream", new("src/app.py:stream"), "unsafe-path", 1),
        ("D12 final dot", new("src/app.py."), "unsafe-path", 1),
        ("letter that looks like another", new("src/\u{430}pp.py"), "unsafe-path", 1),
        ("D12 same name in capitals", new("APP.py"), "case-collision", 1),
        ("directory in capitals", new("SRC/x.py"), "case-collision", 1),
        ("H21 same file in two spellings", format!("{}{}", new("x.py"), new("X.py")), "case-collision", 5),
        ("H21 same file twice", format!("{}{}", fix(), fix()), "duplicate-file", 8),
        ("two files in one change", headers("a/app.py", "b/src/util.py"), "header-mismatch", 1),
        ("prefix on one side", headers("a/app.py", "app.py"), "header-mismatch", 1),
        ("backup as the old side", headers("app.py.orig", "app.py"), "header-mismatch", 1),
        (
            "diff --git names another",
            fix().replace("--- a", "diff --git a/x.py b/x.py\n--- a"),
            "header-mismatch",
            2,
        ),
        ("nothing to nothing", headers("/dev/null", "/dev/null"), "dev-null", 1),
    ]);
}

#[test]
fn what_is_no_change_of_lines() {
    all(&[
        (
            "H7 rename",
            text("diff --git a/app.py b/x.py\nsimilarity index 100%\nrename from app.py\nrename to x.py\n"),
            "rename",
            2,
        ),
        (
            "H7 rename without its likeness",
            text("diff --git a/app.py b/x.py\nrename from app.py\nrename to x.py\n"),
            "rename",
            2,
        ),
        (
            "H7 rename with hunks",
            git("similarity index 90%\nrename from app.py\nrename to app.py\n"),
            "rename",
            2,
        ),
        (
            "H7 copy",
            text("diff --git a/app.py b/x.py\nsimilarity index 100%\ncopy from app.py\ncopy to x.py\n"),
            "copy",
            2,
        ),
        (
            "H8 mode alone",
            text("diff --git a/app.py b/app.py\nold mode 100644\nnew mode 100755\n"),
            "mode",
            2,
        ),
        ("H8 mode with hunks", git("old mode 100644\nnew mode 100755\n"), "mode", 2),
        (
            "H8 new file that can be run",
            text(
                "diff --git a/x.sh b/x.sh\nnew file mode 100755\n--- /dev/null\n+++ b/x.sh\n@@ -0,0 +1 @@\n+echo\n",
            ),
            "executable",
            2,
        ),
        (
            "H8 new file for everybody",
            text(
                "diff --git a/x.sh b/x.sh\nnew file mode 100666\n--- /dev/null\n+++ b/x.sh\n@@ -0,0 +1 @@\n+echo\n",
            ),
            "mode",
            2,
        ),
        (
            "H9 new link",
            text(
                "diff --git a/x b/x\nnew file mode 120000\nindex 0000000..e69de29\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n",
            ),
            "symlink",
            2,
        ),
        ("H9 link in the index line", git("index 1234567..89abcde 120000\n"), "symlink", 2),
        (
            "H9 file becomes a link",
            text("diff --git a/app.py b/app.py\ndeleted file mode 120000\n"),
            "symlink",
            2,
        ),
        (
            "H10 new submodule",
            text(
                "diff --git a/lib b/lib\nnew file mode 160000\nindex 0000000..e69de29\n--- /dev/null\n+++ b/lib\n@@ -0,0 +1 @@\n+Subproject commit e69de29\n",
            ),
            "submodule",
            2,
        ),
        ("H10 submodule moves", git("index 1234567..89abcde 160000\n"), "submodule", 2),
        (
            "H11 bytes of git",
            text(
                "diff --git a/logo.bin b/logo.bin\nindex 1234567..89abcde 100644\nGIT binary patch\nliteral 3\nKcmZ\n",
            ),
            "binary",
            3,
        ),
        (
            "H11 says only that it differs",
            text(
                "diff --git a/logo.bin b/logo.bin\nindex 1234567..89abcde 100644\nBinary files a/logo.bin and b/logo.bin differ\n",
            ),
            "binary",
            3,
        ),
        ("H11 NUL in the diff", fix().replace("items[0]", "items[\0]"), "binary", 7),
        ("H14 nothing", text(""), "empty", 0),
        ("H14 white space", text("\n \n"), "empty", 0),
        ("H14 headers alone", text("--- a/app.py\n+++ b/app.py\n"), "no-hunks", 3),
        ("H14 only diff --git", text("diff --git a/app.py b/app.py\n"), "no-hunks", 2),
        (
            "H14 new empty file by git",
            text("diff --git a/x b/x\nnew file mode 100644\nindex 0000000..e69de29\n"),
            "no-hunks",
            4,
        ),
        ("H14 a file without a hunk before one", format!("diff --git a/x b/x\n{}", git("")), "no-hunks", 2),
        ("H14 hunk of context", hunks("@@ -1,2 +1,2 @@\n import config\n \n"), "no-change", 3),
        (
            "H14 line for itself",
            hunks("@@ -1,2 +1,2 @@\n-import config\n+import config\n \n"),
            "no-change",
            1,
        ),
        ("H14 words", text("The service needs a restart.\n"), "malformed", 0),
        ("rewritten file", git("dissimilarity index 90%\n"), "malformed", 2),
        ("unknown header", git("author: nobody\n"), "malformed", 2),
        ("mode line and names do not agree", git("new file mode 100644\n"), "header-mismatch", 3),
        ("headers in CRLF", fix().replace('\n', "\r\n"), "line-endings", 1),
    ]);
}

#[test]
fn what_stands_around_it() {
    let after = |words: &str| format!("{}{words}", fix());
    all(&[
        ("H15 another diff in the prose", format!("Fix:\n+++ b/evil.py\n{}", fix()), "prose", 2),
        ("H15 quoted diff in the prose", format!("> --- a/evil.py\n{}", fix()), "prose", 1),
        (
            "H15 indented diff in the prose",
            format!("    --- a/evil.py\n    +++ b/evil.py\n{}", fix()),
            "prose",
            1,
        ),
        (
            "H15 hunk before its headers",
            format!("@@ -1 +1 @@\n-import config\n+import os\n{}", fix()),
            "prose",
            1,
        ),
        ("H15 context diff in the prose", format!("*** app.py\n{}", fix()), "prose", 1),
        ("H15 ed script in the prose", format!("1,9d\n{}", fix()), "prose", 1),
        ("H15 Subversion", format!("Index: evil.py\n=====\n{}", fix()), "prose", 1),
        ("H15 rename in the prose", format!("rename from app.py\n{}", fix()), "rename", 1),
        ("H15 prose after it", after("That should do.\n"), "malformed", 8),
        ("H15 fence after it", after("```\n"), "malformed", 8),
        ("H15 signature after it", after("-- \n2.39.0\n"), "malformed", 8),
        ("H15 prose between files", format!("{}and\n{}", fix(), new("x.py")), "malformed", 8),
        (
            "H15 orphaned hunk after prose",
            after("\nalso:\n@@ -1 +1 @@\n-import config\n+import os\n"),
            "malformed",
            8,
        ),
        ("H15 mode after it", after("old mode 100644\nnew mode 100755\n"), "mode", 8),
    ]);
}

#[test]
fn hunks_that_do_not_fit() {
    let one = "@@ -1,2 +1,2 @@\n-import config\n+import conf\n \n";
    let two = "@@ -10,3 +10,3 @@\n \n def first(items):\n-    return items[1]\n+    return items[0]\n";
    all(&[
        (
            "H17 overlapping",
            hunks(&format!("{two}@@ -12 +12 @@\n-    return items[1]\n+    return 1\n")),
            "hunk-order",
            8,
        ),
        ("H17 wrong order", hunks(&format!("{two}{one}")), "hunk-order", 8),
        ("H17 the same twice", hunks(&format!("{two}{two}")), "hunk-order", 8),
        (
            "H18 fewer lines than announced",
            hunks("@@ -1,5 +1,5 @@\n-import config\n+import conf\n \n"),
            "hunk-counts",
            3,
        ),
        (
            "H18 more old lines than announced",
            hunks("@@ -1 +1,2 @@\n-import config\n-\n+import conf\n+x\n"),
            "hunk-counts",
            5,
        ),
        ("H18 more lines than announced", hunks(&format!("{one}+x\n")), "hunk-counts", 7),
        (
            "H18 huge counts",
            hunks("@@ -1,999999999 +1,999999999 @@\n-import config\n+import conf\n"),
            "hunk-counts",
            3,
        ),
        (
            "H18 counts beyond numbers",
            hunks("@@ -1,99999999999999999999 +1 @@\n-import config\n+x\n"),
            "hunk-header",
            3,
        ),
        ("H18 negative count", hunks("@@ -1,-1 +1 @@\n-import config\n+x\n"), "hunk-header", 3),
        ("line 0", hunks("@@ -0 +0 @@\n-import config\n+x\n"), "hunk-header", 3),
        ("merge of git", hunks("@@@ -1 -1 +1 @@@\n--import config\n++x\n"), "hunk-header", 3),
        ("no header at all", hunks("@@ def first @@\n-import config\n+x\n"), "hunk-header", 3),
        ("header without its end", hunks("@@ -1 +1\n-import config\n+x\n"), "hunk-header", 3),
        (
            "headers swallowed by a hunk",
            hunks("@@ -1,4 +1,4 @@\n-import config\n+x\n--- a/evil.py\n+++ b/evil.py\n"),
            "hunk-counts",
            3,
        ),
        ("H20 other line", hunks("@@ -1,2 +1,2 @@\n-import os\n+import conf\n \n"), "context", 4),
        ("H20 other indentation", hunks(&two.replace("-    return", "-  return")), "context", 6),
        (
            "H20 trailing space",
            hunks(&two.replace(" def first(items):", " def first(items): ")),
            "context",
            5,
        ),
        (
            "H20 right lines at another place",
            hunks(&two.replace("@@ -10,3 +10,3 @@", "@@ -9,3 +9,3 @@")),
            "context",
            5,
        ),
        (
            "H20 a hundred lines off",
            hunks(&two.replace("@@ -10,3 +10,3 @@", "@@ -101,3 +101,3 @@")),
            "context",
            3,
        ),
        (
            "H20 beyond the end",
            hunks("@@ -12,2 +12,2 @@\n-    return items[1]\n+    return items[0]\n \n"),
            "context",
            3,
        ),
        ("new place not where it must be", hunks(&two.replace("+10,3", "+11,3")), "hunk-position", 3),
        (
            "second place ignores the first hunk",
            hunks(&format!("@@ -1,2 +1,3 @@\n import config\n+import os\n \n{two}")),
            "hunk-position",
            7,
        ),
        ("no context at all", hunks("@@ -3,0 +4 @@\n+x = 1\n"), "no-context", 3),
        ("H12 CRLF into LF", hunks(&two.replace("items[0]\n", "items[0]\r\n")), "line-endings", 7),
        ("H12 context in CRLF", hunks(&two.replace("(items):\n", "(items):\r\n")), "line-endings", 5),
        (
            "H12 LF against CRLF",
            text("--- a/dos.txt\n+++ b/dos.txt\n@@ -1 +1 @@\n-one\n+1\n"),
            "line-endings",
            4,
        ),
        (
            "H12 LF into CRLF",
            text("--- a/dos.txt\n+++ b/dos.txt\n@@ -1 +1 @@\n-one\r\n+1\n"),
            "line-endings",
            5,
        ),
        (
            "H13 marker missing",
            text("--- a/bare.txt\n+++ b/bare.txt\n@@ -1,2 +1,2 @@\n alpha\n-beta\n+BETA\n"),
            "no-newline",
            5,
        ),
        (
            "H13 marker where a line ends",
            hunks(
                "@@ -12 +12 @@\n-    return items[1]\n\\ No newline at end of file\n+    return items[0]\n",
            ),
            "no-newline",
            4,
        ),
        (
            "H13 marker in the middle",
            hunks("@@ -1,2 +1,3 @@\n import config\n+x\n\\ No newline at end of file\n \n"),
            "no-newline",
            7,
        ),
        (
            "H13 end taken from a line in the middle",
            hunks("@@ -1 +1 @@\n-import config\n+import conf\n\\ No newline at end of file\n"),
            "no-newline",
            3,
        ),
        (
            "H13 marker twice",
            text(
                "--- a/bare.txt\n+++ b/bare.txt\n@@ -2 +2 @@\n-beta\n\\ No newline at end of file\n\\ No newline at end of file\n+B\n",
            ),
            "no-newline",
            6,
        ),
        (
            "H13 marker in other words",
            text(
                "--- a/bare.txt\n+++ b/bare.txt\n@@ -2 +2 @@\n-beta\n\\ Kein Zeilenumbruch am Dateiende.\n+B\n",
            ),
            "no-newline",
            5,
        ),
        (
            "H13 marker of nothing",
            hunks("@@ -1 +1 @@\n\\ No newline at end of file\n-import config\n+x\n"),
            "no-newline",
            4,
        ),
    ]);
}

#[test]
fn what_lies_at_the_path() {
    let at = |path: &str| headers(&format!("a/{path}"), &format!("b/{path}"));
    all(&[
        ("H5 through a linked directory", at("linked/app.py"), "through-symlink", 1),
        ("H5 new file through a linked directory", new("linked/x.py"), "through-symlink", 1),
        ("H5 the link itself", at("link.py"), "through-symlink", 1),
        ("D11 a FIFO", at("pipe"), "not-a-file", 1),
        ("a directory", at("src"), "not-a-file", 1),
        ("a file for a directory", at("app.py/x"), "not-a-file", 1),
        ("H24 new file in a new directory", new("lib/x.py"), "new-directory", 1),
        ("a file that is not there", at("absent.py"), "missing-file", 1),
        ("a directory that is not there", at("absent/x.py"), "missing-file", 1),
        ("a new file that is there", new("app.py"), "already-exists", 1),
        (
            "a new file with old lines",
            text("--- /dev/null\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"),
            "dev-null",
            1,
        ),
        (
            "H11 binary target",
            text("--- a/logo.bin\n+++ b/logo.bin\n@@ -1 +1 @@\n-x\n+y\n"),
            "binary-target",
            1,
        ),
        (
            "H29 target in another encoding",
            text("--- a/latin.txt\n+++ b/latin.txt\n@@ -1 +1 @@\n-cafe\n+tea\n"),
            "encoding",
            1,
        ),
        ("H28 target too large to be read", at("big.log"), "file-too-large", 1),
        (
            "H23 whole file deleted",
            text("--- a/settings.toml\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-port = 80\n-host = \"0.0.0.0\"\n"),
            "deletes-file",
            1,
        ),
        (
            "H23 whole file emptied",
            text(
                "--- a/settings.toml\n+++ b/settings.toml\n@@ -1,2 +0,0 @@\n-port = 80\n-host = \"0.0.0.0\"\n",
            ),
            "empties-file",
            1,
        ),
        (
            "H23 nothing but white space left",
            text(
                "--- a/settings.toml\n+++ b/settings.toml\n@@ -1,2 +1 @@\n-port = 80\n-host = \"0.0.0.0\"\n+  \n",
            ),
            "empties-file",
            1,
        ),
    ]);
}

#[test]
fn what_is_protected() {
    let at = |path: &str| headers(&format!("a/{path}"), &format!("b/{path}"));
    all(&[
        ("H6 tests", at("tests/test_app.py"), "protected-tests", 1),
        ("H6 tests in capitals", at("TESTS/test_app.py"), "protected-tests", 1),
        ("H6 CI", at(".github/workflows/ci.yml"), "protected-ci", 1),
        ("H6 policy", at("config/policy/default.cedar"), "protected-policy", 1),
        ("H6 grants", at("config/grants.toml"), "protected-grants", 1),
        ("H6 configuration", at("config/boot_config.json"), "protected-config", 1),
        ("H6 agents", at("config/razar_ai_agents.json"), "protected-config", 1),
        ("H6 pinned plugins", at("plugins.lock"), "protected-grants", 1),
        ("H6 trusted keys", at("config/signers.toml"), "protected-grants", 1),
        ("H6 git", at(".git/config"), "protected-vcs", 1),
        ("H6 git by its short name", at("GIT~1/config"), "protected-vcs", 1),
        ("H6 git's attributes", new(".gitattributes"), "protected-vcs", 1),
        ("H6 state", at("razar-state/razar.db"), "protected-state", 1),
        (
            "what the host leaves beside a file",
            new(".razar-patch-0123456789abcdef-0.whole"),
            "protected-state",
            1,
        ),
        ("how it is tested", at("Makefile"), "protected-build", 1),
        ("secrets", at(".env"), "protected-secrets", 1),
        ("installed code", at(".venv/lib/x.py"), "protected-dependencies", 1),
        ("H26 new file of tests", new("tests/test_more.py"), "protected-tests", 1),
        (
            "H26 tests deleted",
            text("--- a/tests/test_app.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"),
            "protected-tests",
            1,
        ),
        ("H27 hook of the interpreter", new("sitecustomize.py"), "protected-tests", 1),
        ("H27 hook of the tests", new("src/conftest.py"), "protected-tests", 1),
        (
            "one good file, one protected",
            format!("{}{}", fix(), at("tests/test_app.py")),
            "protected-tests",
            8,
        ),
    ]);
}

#[test]
fn what_it_would_become() {
    let line = |line: &str| fix().replace("+    return items[0]", &format!("+    return items[0]{line}"));
    let lines = |line: &str, count: usize| {
        let body: String = std::iter::repeat_n(format!("+{line}\n"), count).collect();
        format!("--- /dev/null\n+++ b/x.txt\n@@ -0,0 +1,{count} @@\n{body}")
    };
    all(&[
        ("text that reads backwards", line("  # \u{202e}txt"), "hidden-characters", 7),
        ("text without width", line("  # a\u{200b}b"), "hidden-characters", 7),
        ("text that drives a terminal", line("  # \u{1b}[2K"), "hidden-characters", 7),
        ("carriage return in a line", line("\rx"), "hidden-characters", 7),
        ("more lines than anybody reads", lines("x", 5_001), "too-large", 0),
        ("H18 more than is read at all", lines(&"x".repeat(1_000), 1_100), "too-large", 0),
        ("more files than a repair has", (0..33).map(|n| new(&format!("n{n}.py"))).collect(), "too-large", 0),
        (
            "H26 a test beside the code goes",
            text(
                "--- a/inline.py\n+++ b/inline.py\n@@ -2,5 +2 @@\n     return 2\n-\n-\n-def test_one():\n-    return one() == 1\n",
            ),
            "removes-tests",
            1,
        ),
        (
            "H26 a test is no longer found",
            text("--- a/inline.py\n+++ b/inline.py\n@@ -5 +5 @@\n-def test_one():\n+def tested_one():\n"),
            "removes-tests",
            1,
        ),
        (
            "H27 a test is skipped",
            text(
                "--- a/inline.py\n+++ b/inline.py\n@@ -4,2 +4,3 @@\n \n+@unittest.skip(\"slow\")\n def test_one():\n",
            ),
            "skips-tests",
            1,
        ),
        (
            "H27 the runner is patched",
            hunks("@@ -1 +1,2 @@\n import config\n+import unittest; unittest.TestCase.run = print\n"),
            "steers-tests",
            1,
        ),
        (
            "H27 the runner is looked for",
            hunks("@@ -1 +1,2 @@\n import config\n+TEST = 'PYTEST_CURRENT_TEST' in config.env\n"),
            "steers-tests",
            1,
        ),
        ("H27 a module of the library is replaced", new("random.py"), "shadows-module", 1),
    ]);
}

#[test]
fn a_diff_that_is_not_utf8_is_told_by_line() {
    let mut bytes = fix().into_bytes();
    let at = bytes.len() - 3;
    bytes[at] = 0xe9;
    judge("H29", &Proposal::diff(bytes), &Rules::default(), "not-utf8", 7);
}

#[test]
fn whole_files_are_held_to_the_same() {
    let write =
        |path: &str, content: &[u8]| Change::Write { path: path.to_owned(), content: content.to_vec() };
    let delete = |path: &str| Change::Delete { path: path.to_owned() };
    for (name, changes, code) in [
        ("nothing", vec![], "empty"),
        ("H1", vec![write("../x.py", b"x\n")], "parent-path"),
        ("H2", vec![write("/etc/passwd", b"x\n")], "absolute-path"),
        ("prefix of a diff", vec![write("b/app.py", b"x\n")], "new-directory"),
        ("H5", vec![write("linked/x.py", b"x\n")], "through-symlink"),
        ("H5 link", vec![write("link.py", b"x\n")], "through-symlink"),
        ("H5 delete a link", vec![delete("link.py")], "through-symlink"),
        ("H6", vec![write("tests/test_app.py", b"x\n")], "protected-tests"),
        ("H6 delete", vec![delete("tests/test_app.py")], "protected-tests"),
        ("H11", vec![write("x.bin", b"\0\x01")], "binary"),
        ("H12", vec![write("dos.txt", b"one\ntwo\n")], "line-endings"),
        ("H12 other way", vec![write("app.py", b"one\r\n")], "line-endings"),
        ("H14", vec![write("app.py", APP.as_bytes())], "no-change"),
        ("H21", vec![write("x.py", b"1\n"), write("x.py", b"2\n")], "duplicate-file"),
        ("H21 file and diff", vec![Change::Diff(fix().into()), write("app.py", b"2\n")], "duplicate-file"),
        ("H23", vec![delete("app.py")], "deletes-file"),
        ("H23 emptied", vec![write("app.py", b"")], "empties-file"),
        ("H24", vec![write("lib/x.py", b"x\n")], "new-directory"),
        ("H28", vec![write("x.txt", "x".repeat(1 << 20).as_bytes())], "too-large"),
        ("H29", vec![write("x.txt", b"caf\xe9\n")], "encoding"),
        ("absent", vec![delete("absent.py")], "missing-file"),
        ("hidden", vec![write("x.txt", "a\u{2066}b\n".as_bytes())], "hidden-characters"),
    ] {
        judge(name, &Proposal { changes, ..Proposal::default() }, &Rules::default(), code, 0);
    }
}

#[test]
fn a_file_that_grows_too_large_is_refused_by_its_size_afterwards() {
    let mut base = component();
    let big: String = std::iter::repeat_n("x".repeat(1_023) + "\n", 1_023).collect();
    base.insert_file("data.txt", big.as_bytes());
    let diff = format!(
        "--- a/data.txt\n+++ b/data.txt\n@@ -1 +1,2 @@\n {}\n+{}\n",
        "x".repeat(1_023),
        "y".repeat(2_000)
    );
    let refusal = gate(&Proposal::diff(diff), &base, &Rules::default()).unwrap_err();
    assert_eq!((refusal.code(), refusal.file()), ("file-too-large", Some("data.txt")));
}

#[test]
fn what_lies_outside_of_the_roots_is_refused_by_name() {
    let rules = Rules::default().below(vec!["src".parse().unwrap()]);
    judge("H1", &Proposal::diff(fix()), &rules, "outside", 1);
    judge("H1 beside a root", &Proposal::diff(new("srcs.py")), &rules, "outside", 1);
    judge("H6 protected, and outside", &Proposal::diff(new("tests/x.py")), &rules, "protected-tests", 1);
    judge("nothing", &Proposal::diff(fix()), &Rules::default().below(Vec::new()), "not-patchable", 1);
}

#[test]
fn a_component_with_a_directory_of_a_diffs_prefix_gets_whole_files() {
    let mut base = component();
    base.insert("b", Node::Dir);
    let refusal = gate(&Proposal::diff(new("x.py")), &base, &Rules::default()).unwrap_err();
    assert_eq!(refusal.code(), "ambiguous-path");
    assert!(refusal.remedy().contains("whole file"));
}

#[test]
fn what_was_shown_must_be_what_is_there() {
    let shown = |path: &str, bytes: &[u8]| [(path.to_owned(), Digest::of(bytes))].into();
    let of = |shown| Proposal { shown, ..Proposal::diff(fix()) };
    judge("H25 the target", &of(shown("app.py", b"older\n")), &Rules::default(), "stale", 0);
    judge("H25 another file", &of(shown("settings.toml", b"older\n")), &Rules::default(), "stale", 0);
    judge("H25 a file that is gone", &of(shown("gone.py", b"x\n")), &Rules::default(), "stale", 0);
    assert!(gate(&of(shown("app.py", APP.as_bytes())), &component(), &Rules::default()).is_ok());
}
