//! A component's own suite of thirteen tests, run by `evaluator-python`: one look at a tree by a plugin that is loaded, as a
//! trial takes four of them.

use std::path::Path;
use std::time::{Duration, Instant};

use razar_runtime::contract::evaluator::{self, EvaluatorCall, Judgement};
use razar_runtime::outcome::Outcome;

use crate::figure::{Bar, Figure, least, median};
use crate::ours::{package, plugins, runtime, threads};

const NAME: &str = "evaluator-python";
const LOOKS: usize = 60;
/// Its code, and the beginning of its suite.
const FILES: [(&str, &str); 3] = [
    ("shop/__init__.py", ""),
    ("shop/basket.py", "def total(items):\n    return sum(price * count for price, count in items)\n"),
    (
        "tests/test_basket.py",
        "import json\nimport re\nimport unittest\n\nfrom shop import basket\n\n\nclass Basket(unittest.TestCase):\n",
    ),
];
const TESTS: usize = 13;

pub(crate) fn measure() {
    if !plugins().join(NAME).is_dir() {
        println!("not measured: `{NAME}` is not built, `cargo xtask plugins` says why");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (tree, scratch) = (dir.path().join("tree"), dir.path().join("scratch"));
    plant(&tree);
    let tokio = threads(1);
    let runtime = runtime(None, Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("suite")));
    let package = package(NAME);
    let grant = Default::default();
    let plugin = tokio.block_on(runtime.load(package.source(), &grant)).unwrap();
    let request = evaluator::Request {
        component: "shop".to_owned(),
        changed: vec!["shop/basket.py".to_owned()],
        settings: "{}".to_owned(),
        extensions: Vec::new(),
    };
    let look = || -> f64 {
        std::fs::create_dir(&scratch).unwrap();
        let call = EvaluatorCall {
            request: &request,
            tree: &tree,
            scratch: &scratch,
            deadline: Duration::from_secs(60),
        };
        let begun = Instant::now();
        let report = tokio.block_on(plugin.evaluator().unwrap().evaluate(call));
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let Outcome::Reply(Judgement { outcome, cases, summary, .. }) = report.outcome else {
            panic!("{:?}", report.outcome)
        };
        assert_eq!((outcome, cases.len()), (evaluator::Outcome::Pass, TESTS), "{summary}");
        std::fs::remove_dir_all(&scratch).unwrap();
        took
    };
    for _ in 0..5 {
        look();
    }
    let looks: Vec<f64> = (0..LOOKS).map(|_| look()).collect();
    Figure {
        name: "a Python suite of 13 tests, warm",
        value: median(&looks),
        unit: "ms",
        bar: Bar::AtMost(50.0),
        detail: format!("min {:.1}; {LOOKS} looks, each in a fresh interpreter", least(&looks)),
    }
    .tell();
}

/// A tree with a suite.
fn plant(tree: &Path) {
    for (path, text) in FILES {
        let file = tree.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut text = text.to_owned();
        if path.starts_with("tests/") {
            for index in 0..TESTS {
                text += &format!(
                    "    def test_{index}(self):\n        self.assertEqual(basket.total([({index}, 2), (1, 1)]), {})\n\n",
                    index * 2 + 1
                );
            }
        }
        std::fs::write(file, text).unwrap();
    }
}
