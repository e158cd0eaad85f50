//! What a text can tell about the tests in it: that there are fewer, that some are no longer run, that something reaches for
//! what runs them. A table of words for the languages components are written in; the trial judges what words cannot.

use super::path::FilePath;
use super::refusal::{Reason, Refusal};
use super::tree::Tree;

/// Lines that begin a test.
const TESTS: &[&str] = &[
    "def test_",
    "async def test_",
    "#[test]",
    "#[tokio::test",
    "func Test",
    "@Test",
    "it(",
    "test(",
    "describe(",
];
/// Words that take a test out of a run.
const SKIPS: &[&str] = &[
    "unittest.skip",
    "skipTest",
    "SkipTest",
    "skipIf",
    "skipUnless",
    "pytest.skip",
    "mark.skip",
    "mark.skipif",
    "mark.xfail",
    "expectedFailure",
    "importorskip",
    "collect_ignore",
    "#[ignore",
    "t.Skip",
    "t.SkipNow",
    "it.skip",
    "test.skip",
    "describe.skip",
    "xit(",
    "xdescribe(",
    "@Disabled",
    "@Ignore",
];
/// What runs tests, by name: a component's own code has no use for it.
const RUNNERS: &[&str] = &[
    "unittest",
    "pytest",
    "_pytest",
    "doctest",
    "nose2",
    "conftest",
    "sitecustomize",
    "usercustomize",
    "PYTEST_CURRENT_TEST",
    "load_tests",
    "TestResult",
    "TextTestRunner",
    "settrace",
    "setprofile",
];
/// Modules of Python's library that whoever runs tests in it loads: a file of that name beside the code is loaded instead.
const LIBRARY: &[&str] = &[
    "__future__",
    "__main__",
    "abc",
    "argparse",
    "ast",
    "asyncio",
    "atexit",
    "builtins",
    "codecs",
    "collections",
    "concurrent",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "dis",
    "doctest",
    "encodings",
    "enum",
    "errno",
    "faulthandler",
    "fnmatch",
    "functools",
    "gc",
    "genericpath",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "locale",
    "logging",
    "math",
    "mock",
    "nose2",
    "ntpath",
    "opcode",
    "operator",
    "os",
    "pathlib",
    "pdb",
    "pickle",
    "pkgutil",
    "platform",
    "posixpath",
    "pprint",
    "pytest",
    "random",
    "re",
    "reprlib",
    "runpy",
    "select",
    "selectors",
    "shutil",
    "signal",
    "site",
    "socket",
    "stat",
    "string",
    "struct",
    "subprocess",
    "sys",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "unittest",
    "warnings",
    "weakref",
    "zipfile",
    "zipimport",
];

/// Judges the lines of one file that go and those that come. Counting both leaves lines alone that are only moved.
pub(super) fn judge(gone: &[&str], came: &[&str]) -> Result<(), Refusal> {
    let refuse = |reason, what: String| Err(Refusal::new(reason, what));
    let count = |lines: &[&str], word: &str, of: fn(&str, &str) -> usize| -> usize {
        lines.iter().map(|line| of(line, word)).sum()
    };
    let tests = |lines: &[&str]| TESTS.iter().map(|word| count(lines, word, begins)).sum::<usize>();
    let (fewer, more) = (tests(gone), tests(came));
    if more < fewer {
        return refuse(Reason::RemovesTests, format!("{fewer} lines that begin a test go, and {more} come"));
    }
    for (reason, words, what) in [
        (Reason::SkipsTests, SKIPS, "it would take tests out of a run: "),
        (Reason::SteersTests, RUNNERS, "it would reach for what runs the tests: "),
    ] {
        let comes = |word: &&&str| count(came, word, holds) > count(gone, word, holds);
        if let Some(word) = words.iter().find(comes) {
            return refuse(reason, format!("{what}`{word}`"));
        }
    }
    Ok(())
}

/// Judges the name of a new file: where no package holds it, Python finds it before its own library.
pub(super) fn judge_new(path: &FilePath, base: &Tree) -> Result<(), Refusal> {
    let split = |path: &'_ str| {
        path.rsplit_once('/')
            .map_or((String::new(), path.to_owned()), |(dir, name)| (dir.to_owned(), name.to_owned()))
    };
    let (mut holder, mut name) = split(path.as_str());
    let Some(stem) = [".py", ".pyw"].iter().find_map(|ending| name.strip_suffix(ending)).map(str::to_owned)
    else {
        return Ok(());
    };
    name = stem;
    if name == "__init__" {
        (holder, name) = split(&holder);
    }
    let init = if holder.is_empty() { "__init__.py".to_owned() } else { format!("{holder}/__init__.py") };
    if !LIBRARY.contains(&name.as_str()) || !holder.is_empty() && base.get(&init).is_some() {
        return Ok(());
    }
    let what = format!("it would be loaded instead of the library's own `{name}`");
    Err(Refusal::new(Reason::ShadowsModule, what).of(path.as_str()))
}

/// Whether a line begins so, whatever its indentation.
fn begins(line: &str, word: &str) -> usize {
    usize::from(line.trim_start().starts_with(word))
}

/// Places where the word stands by itself.
fn holds(text: &str, word: &str) -> usize {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    let (opens, closes) = (word.starts_with(inner), word.ends_with(inner));
    let alone = |at: usize| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        !(opens && before.is_some_and(inner) || closes && after.is_some_and(inner))
    };
    text.match_indices(word).filter(|(at, _)| alone(*at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_go_are_skipped_or_are_steered_are_found() {
        for (old, new, expected) in [
            ("x = 1\n", "x = 2\n", "fine"),
            ("def test_a():\n    pass\n", "def test_b():\n    pass\n", "fine"),
            ("def test_a():\n    pass\n", "def check_a():\n    pass\n", "removes-tests"),
            ("    #[test]\n    fn a() {}\n", "    fn a() {}\n", "removes-tests"),
            ("fn a() {}\n", "#[ignore]\nfn a() {}\n", "skips-tests"),
            ("x\n", "@unittest.skip('later')\nx\n", "skips-tests"),
            ("x\n", "import unittest\nx\n", "steers-tests"),
            ("import unittest\nx\n", "import unittest\ny\n", "fine"),
            ("x\n", "latest = contest.pytests\n", "fine"),
            ("x\n", "sys.settrace(None)\n", "steers-tests"),
        ] {
            let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
            let judged = judge(&lines(old), &lines(new)).map_or_else(|refusal| refusal.code(), |()| "fine");
            assert_eq!(judged, expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_module_of_the_library_is_shadowed_only_where_no_package_holds_it() {
        let mut base = Tree::default();
        base.insert_file("pkg/__init__.py", b"");
        base.insert_file("src/app.py", b"");
        for (path, fine) in [
            ("random.py", false),
            ("src/signal.py", false),
            ("src/json/__init__.py", false),
            ("pkg/signal.py", true),
            ("pkg/json/__init__.py", true),
            ("helper.py", true),
            ("random.json", true),
        ] {
            assert_eq!(judge_new(&path.parse().unwrap(), &base).is_ok(), fine, "{path}");
        }
    }
}
