//! Evaluators asked by hand: the real components in the real runtime, about trees that are good, bad and hostile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use razar_core::patch::{CaseEnd, Sentinels};
use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

fn syntax(scene: &Scene, more: &[&str]) -> (Ended, Value) {
    let (plugins, state) = (artifact::plugins().display().to_string(), scene.state().display().to_string());
    let words = ["plugin", "run", "evaluator-syntax", "--plugins", &plugins, "--state", &state];
    answer(scene.host(&[&words[..], &["--tree", "tree", "--output", "json"], more].concat()))
}

/// Nothing where the interpreter could not be built.
fn python(scene: &Scene, more: &[&str]) -> Option<(Ended, Value)> {
    let Some((package, cache)) = artifact::python() else {
        eprintln!("not tested: `evaluator-python` is not built, `cargo xtask plugins` says why");
        return None;
    };
    let package = package.display().to_string();
    let words = ["plugin", "run", "--dev", &package, "--tree", "tree", "--output", "json"];
    let mut command = scene.command(&[&words[..], more].concat());
    command.env("XDG_CACHE_HOME", cache);
    Some(answer(scene.begin(&mut command).end()))
}

fn answer(ended: Ended) -> (Ended, Value) {
    let answer = ended.json().pop().unwrap_or_else(|| panic!("no answer: {}", ended.err));
    (ended, answer)
}

/// Status and message of each case, by its name.
fn cases(answer: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let case = |case: &Value| (text(&case["id"]), (text(&case["status"]), text(&case["message"])));
    answer["cases"].as_array().unwrap().iter().map(case).collect()
}

#[test]
fn what_has_changed_is_parsed() {
    let scene = Scene::new();
    scene.write("tree/good.py", "def f():\n    return 1\n");
    scene.write("tree/conf/a.json", "{\"a\": [1, 2,]}\n");
    scene.write("tree/a.toml", "a = 1\n");
    scene.write("tree/b.yaml", "a: 1\n");
    scene.write("tree/page.html", "<");
    let (ended, answer) = syntax(&scene, &["--changed", "good.py", "--changed", "b.yaml"]);
    assert_eq!((ended.code, &answer["outcome"]), (Some(0), &json!("pass")), "{answer}");
    let (ended, answer) = syntax(&scene, &[]);
    assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("fail")), "{answer}");
    assert_eq!(
        answer["findings"],
        json!([{ "path": "conf/a.json", "line": 1, "message": "trailing comma" }]),
        "{answer}"
    );
    let (ended, answer) = syntax(&scene, &["--changed", "page.html", "--changed", "gone.py"]);
    assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("not-evaluable")), "{answer}");
    let (_, answer) = syntax(&scene, &["--changed", "../outside.py"]);
    assert_eq!(answer["outcome"], "not-evaluable", "{answer}");
}

#[test]
fn depth_is_a_finding_and_length_is_none() {
    let scene = Scene::new();
    let nested = |open: &str, close: &str| format!("x = {}1{}\n", open.repeat(3_000), close.repeat(3_000));
    scene.write("tree/deep.py", &nested("(", ")"));
    scene.write("tree/deep.toml", &nested("[", "]"));
    scene.write("tree/deep.json", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    scene.write("tree/deep.yaml", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    scene.write("tree/nots.py", &nested("not ", ""));
    scene.write("tree/keys.toml", &format!("{} = 1\n", vec!["a"; 20_000].join(".")));
    for file in ["deep.py", "deep.toml", "deep.json", "deep.yaml", "nots.py"] {
        let (_, answer) = syntax(&scene, &["--changed", file]);
        assert_eq!(
            (&answer["outcome"], &answer["findings"][0]["line"]),
            (&json!("fail"), &json!(1)),
            "{answer}"
        );
    }
    let (_, answer) = syntax(&scene, &["--changed", "keys.toml"]);
    assert!(["pass", "fail"].contains(&answer["outcome"].as_str().unwrap()), "no crash: {answer}");
    scene.write("tree/long.py", &format!("x = {}1\ny = a{}\n", "1 + ".repeat(20_000), ".b".repeat(20_000)));
    let (_, answer) = syntax(&scene, &["--changed", "long.py"]);
    assert_eq!(answer["outcome"], "pass", "{answer}");
}

#[test]
fn only_evaluators_are_shown_trees() {
    let scene = Scene::new();
    scene.write("tree/a.py", "");
    let (plugins, state) = (artifact::plugins().display().to_string(), scene.state().display().to_string());
    let run = |name: &str, more: &[&str]| {
        scene.host(&[&["plugin", "run", name, "--plugins", &plugins, "--state", &state], more].concat())
    };
    run("probe-tcp", &["--tree", "tree"]).complains(2, &["`probe-tcp` is no evaluator"]);
    run("evaluator-syntax", &[]).complains(2, &["say what it judges with `--tree DIR`"]);
    run("evaluator-syntax", &["--tree", "nowhere"]).complains(2, &["nowhere"]);
    run("evaluator-syntax", &["--changed", "a.py"]).complains(2, &["--tree"]);
    let told = run("evaluator-syntax", &["--tree", "tree"]);
    assert!(told.out.contains("outcome: pass") && told.out.contains("findings: none"), "{}", told.out);
}

/// What a component's suite may do, and what that comes to.
const SUITE: &str = r#"
import asyncio, os, subprocess, sys, tempfile, threading, unittest, unittest.mock
import shop

class ShopTest(unittest.TestCase):
    def test_total(self):
        print("what is printed is nobody's result: FAILED (failures=1)")
        self.assertEqual(shop.total([1, 2]), 3)
    def test_nothing(self):
        self.assertEqual(shop.total([]), 0)
    def test_parts(self):
        for part in range(3):
            with self.subTest(part=part):
                self.assertLess(part, 2)
    def test_leaves(self):
        os._exit(0)
    def test_exits(self):
        sys.exit(0)
    def test_interrupts(self):
        raise KeyboardInterrupt
    def test_odd_error(self):
        class Odd(Exception):
            def __str__(self):
                raise SystemExit
        raise Odd
    @unittest.skip("not today")
    def test_skipped(self):
        pass
    @unittest.expectedFailure
    def test_known(self):
        self.fail()
    @unittest.expectedFailure
    def test_unknown(self):
        pass
    def test_files(self):
        with tempfile.TemporaryDirectory() as place:
            with open(os.path.join(place, "a"), "w") as file:
                file.write("a")
        with open("data.txt") as file:
            self.assertEqual(file.read(), "data")
    def test_mock(self):
        with unittest.mock.patch("subprocess.Popen") as popen, unittest.mock.patch("socket.socket"):
            subprocess.Popen(["true"])
            popen.assert_called_once()
    def test_platform(self):
        self.assertEqual(sys.platform, "linux")
        self.assertEqual(os.getcwd(), os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    def test_thread(self):
        try:
            threading.Thread(target=print).start()
        except RuntimeError:
            pass
    def test_process(self):
        with self.assertRaises(OSError):
            subprocess.run(["true"])
    def test_loop(self):
        asyncio.run(asyncio.sleep(0))
    def test_socket(self):
        import socket
        socket.create_connection(("127.0.0.1", 1))
    def test_missing(self):
        import fcntl
    def test_fork(self):
        os.fork()
    def test_writes(self):
        with self.assertRaises(OSError):
            open("tests/new.txt", "w")

class FixtureTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise ValueError("no fixture")
    def test_never_run(self):
        pass

class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def test_async(self):
        pass
"#;

#[test]
fn a_suite_is_told_case_by_case() {
    let scene = Scene::bare();
    scene.write("tree/shop.py", "def total(prices):\n    return sum(prices[:-1])\n");
    scene.write("tree/data.txt", "data");
    scene.write("tree/tests/test_shop.py", SUITE);
    let Some((ended, answer)) = python(&scene, &["--changed", "shop.py"]) else { return };
    assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("fail")), "{answer}");
    let cases = cases(&answer);
    for (name, status, part) in [
        (
            "ShopTest.test_total",
            "failed",
            "AssertionError: 1 != 3\n  tests/test_shop.py:8 in test_total: self.assertEqual",
        ),
        ("ShopTest.test_nothing", "passed", ""),
        ("ShopTest.test_parts", "failed", "(part=2): AssertionError"),
        ("ShopTest.test_leaves", "errored", "SystemExit: 0"),
        ("ShopTest.test_exits", "errored", "SystemExit: 0"),
        ("ShopTest.test_interrupts", "errored", "KeyboardInterrupt"),
        ("ShopTest.test_odd_error", "errored", "Odd: (its text cannot be had: SystemExit)"),
        ("ShopTest.test_skipped", "skipped", "not today"),
        ("ShopTest.test_known", "passed", ""),
        ("ShopTest.test_unknown", "failed", "marked as one that fails"),
        ("ShopTest.test_files", "passed", ""),
        ("ShopTest.test_mock", "passed", ""),
        ("ShopTest.test_platform", "passed", ""),
        ("ShopTest.test_thread", "not-evaluable", "needs threads: not in this sandbox"),
        ("ShopTest.test_process", "not-evaluable", "needs processes"),
        ("ShopTest.test_loop", "not-evaluable", "needs event loops"),
        ("ShopTest.test_socket", "not-evaluable", "needs "),
        ("ShopTest.test_missing", "not-evaluable", "needs the module `fcntl` of the standard library"),
        ("ShopTest.test_fork", "not-evaluable", "needs "),
        ("ShopTest.test_writes", "not-evaluable", "needs files to be written"),
        ("FixtureTest.test_never_run", "errored", "ValueError: no fixture"),
        ("AsyncTest.test_async", "not-evaluable", "needs event loops"),
    ] {
        let (found, message) = &cases[&format!("tests.test_shop.{name}")];
        assert!(found == status && message.contains(part), "{name}: {found}: {message}");
    }
    assert_eq!(cases.len(), 22, "{cases:?}");
    assert_eq!(answer["printed"], json!([]), "what tests print goes nowhere");
    assert_eq!(answer.get("tampered"), None);
}

#[test]
fn what_cannot_be_judged_never_passes() {
    let scene = Scene::bare();
    scene.write("tree/app.py", "x = 1\n");
    let good = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n";
    for (files, more, outcome, part) in [
        (vec![], &[][..], "not-evaluable", "no test file"),
        (vec![("tests/test_a.py", "x = 1\n")], &[], "not-evaluable", "hold no test"),
        (vec![("tests/test_a.py", good)], &[], "pass", "1 of 1 tests passed"),
        (
            vec![("tests/test_a.py", good)],
            &["--settings", r#"{"pattern":"check_*.py"}"#],
            "not-evaluable",
            "`check_*.py`",
        ),
        (
            vec![("tests/test_a.py", good)],
            &["--settings", r#"{"start":["other"]}"#],
            "not-evaluable",
            "no test file",
        ),
        (
            vec![("tests/test_a.py", &good.replace("pass", "self.skipTest('')"))],
            &[],
            "not-evaluable",
            "all 1 tests are skipped",
        ),
        (
            vec![
                ("tests/test_a.py", good),
                ("tests/test_b.py", "import threading\nthreading.Thread().start()\n"),
            ],
            &[],
            "not-evaluable",
            "1 of 2 tests cannot be run here: needs threads",
        ),
        (vec![("tests/test_a.py", "import ssl\n")], &[], "not-evaluable", "`ssl`"),
        (vec![("tests/test_a.py", "import requests\n")], &[], "not-evaluable", "`requests`: not installed"),
        (
            vec![("tests/test_a.py", "import app\nimport requests\n"), ("requirements.txt", "requests>=2\n")],
            &["--changed", "tests/test_a.py"],
            "not-evaluable",
            "`requests`",
        ),
        (
            vec![("tests/test_a.py", "import requests\n")],
            &["--changed", "tests/test_a.py"],
            "fail",
            "1 errored of 1",
        ),
        (vec![("tests/test_a.py", "import sys\nsys.exit(0)\n")], &[], "fail", "1 errored of 1"),
        (vec![("tests/test_a.py", "x = \n")], &[], "fail", "1 errored of 1"),
        (
            vec![("tests/test_a.py", "import pytest\ndef test_a(): pass\n")],
            &["--changed", "app.py"],
            "not-evaluable",
            "`pytest`",
        ),
    ] {
        let _ = std::fs::remove_dir_all(scene.path("tree/tests"));
        let _ = std::fs::remove_file(scene.path("tree/requirements.txt"));
        for (name, text) in &files {
            scene.write(&format!("tree/{name}"), text);
        }
        let more = if more.contains(&"--changed") {
            more.to_vec()
        } else {
            [more, &["--changed", "app.py"]].concat()
        };
        let Some((ended, answer)) = python(&scene, &more) else { return };
        assert_eq!(answer["outcome"], outcome, "{files:?}: {answer}");
        assert!(answer["summary"].as_str().unwrap().contains(part), "{files:?}: {answer}");
        assert_eq!(ended.code, Some(i32::from(outcome != "pass")));
    }
}

#[test]
fn modules_are_found_as_a_service_finds_them() {
    let scene = Scene::bare();
    // A name of the standard library, one of the evaluator's own, a package of tests, and one beside it.
    scene.write("tree/colorsys.py", "own = True\n");
    scene.write("tree/app.py", "own = True\n");
    scene.write("tree/src/lib_of_shop/__init__.py", "own = True\n");
    let text = "import unittest, app, colorsys, lib_of_shop, random\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertTrue(app.own and colorsys.own and lib_of_shop.own and random.random)\n";
    scene.write("tree/tests/__init__.py", "");
    scene.write("tree/tests/test_a.py", text);
    scene.write("tree/more/test_a.py", text);
    scene.write("tree/.hidden/test_a.py", "raise SystemExit\n");
    let Some((_, answer)) = python(&scene, &[]) else { return };
    let names: Vec<String> = cases(&answer).into_keys().collect();
    assert_eq!(names, ["more.test_a.T.test_a", "tests.test_a.T.test_a"]);
    assert_eq!(answer["outcome"], "pass", "{answer}");
}

/// Ways in which code under test reaches for its judge, in one line each; `self` is the test, two frames up.
const CHEATS: &[&str] = &[
    "unittest.TestCase.assertEqual = lambda *a, **k: None",
    "unittest.TestCase.assertEqual.__code__ = (lambda self, first, second, msg=None: None).__code__",
    "unittest.TestCase.run = lambda self, result=None: result.addSuccess(self)",
    "unittest.case._Outcome.testPartExecutor = None",
    "test.assertEqual = lambda *a, **k: None",
    "type(test).test_b = lambda self: None",
    "result.addSuccess(test)",
    "result.addFailure = lambda *a: None",
    "type(result).addFailure = lambda *a: None",
    "__builtins__['isinstance'] = lambda *a: True",
];

#[test]
fn whoever_reaches_for_the_judge_is_told() {
    let scene = Scene::bare();
    scene.write(
        "tree/tests/test_a.py",
        "import unittest, shop\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(shop.total([1]), 1)\n    def test_b(self): self.assertEqual(1, 2)\n",
    );
    for cheat in CHEATS {
        scene.write(
            "tree/shop.py",
            &format!(
                "import sys, unittest\ndef total(prices):\n    frame = sys._getframe(1)\n    test = frame.f_locals['self']\n    while 'result' not in frame.f_locals: frame = frame.f_back\n    result = frame.f_locals['result']\n    {cheat}\n    return 1\n"
            ),
        );
        let Some((ended, answer)) = python(&scene, &["--changed", "shop.py"]) else { return };
        assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("fail")), "{cheat}: {answer}");
        assert!(answer["tampered"].is_string(), "{cheat}: {answer}");
    }
    scene.write("tree/shop.py", "def total(prices):\n    return 1\n");
    let Some((_, answer)) = python(&scene, &["--changed", "shop.py"]) else { return };
    assert_eq!((&answer["outcome"], answer.get("tampered")), (&json!("fail"), None), "{answer}");
}

#[test]
fn sentinels_come_out_as_they_must() {
    let scene = Scene::bare();
    let names = BTreeSet::from(["test_a.py".to_owned()]);
    for seed in 0..6_u64 {
        let _ = std::fs::remove_dir_all(scene.path("tree"));
        scene.write(
            "tree/tests/test_a.py",
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n",
        );
        // Several seeds in one tree: every way of asserting comes up.
        let planted: Vec<Sentinels> =
            (0..8).map(|more| Sentinels::python(seed * 100 + more, "tests", &names).unwrap()).collect();
        let mut paths = BTreeSet::new();
        let apart: Vec<&Sentinels> = planted
            .iter()
            .filter(|planted| planted.files().iter().all(|file| paths.insert(file.path.clone())))
            .collect();
        for file in apart.iter().flat_map(|planted| planted.files()) {
            scene.write(&format!("tree/{}", file.path), &file.content);
        }
        let Some((_, answer)) = python(&scene, &[]) else { return };
        let cases = cases(&answer);
        let end = |status: &str| match status {
            "passed" => CaseEnd::Passed,
            "failed" | "errored" => CaseEnd::Failed,
            _ => CaseEnd::NotRun,
        };
        for planted in apart {
            let told = cases.iter().map(|(id, (status, _))| (id.as_str(), end(status)));
            assert_eq!(planted.check(told), Ok(()), "{planted:#?}: {answer}");
        }
    }
}

#[test]
fn thirteen_tests_take_milliseconds() {
    let scene = Scene::bare();
    let mut suite = "import unittest, shop\nclass T(unittest.TestCase):\n".to_owned();
    for n in 0..13 {
        suite += &format!("    def test_{n}(self): self.assertEqual(shop.total([{n}, 1]), {n} + 1)\n");
    }
    scene.write("tree/shop.py", "import json, re, dataclasses\ndef total(prices): return sum(prices)\n");
    scene.write("tree/tests/test_shop.py", &suite);
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let Some((_, answer)) = python(&scene, &[]) else { return };
        assert_eq!(answer["summary"], "13 of 13 tests passed", "{answer}");
        best = best.min(answer["used"]["elapsed_ms"].as_f64().unwrap());
        assert!(begun.elapsed().as_secs() < 600);
    }
    eprintln!("13 tests: {best:.1} ms");
    assert!(best < 30_000.0, "{best} ms");
}
