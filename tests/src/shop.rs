//! The service that tests of repair break: a shop that starts, answers, and says that it is not well. It is staged here and
//! nowhere else; what is special about a shop is put into its component by whoever stages it.

use serde_json::{Value, json};

use crate::scene::Scene;

/// The bug: the first item is never counted.
pub const BROKEN: &str = "def total(items):\n    return sum(items[1:])\n";
/// Without it.
pub const RIGHT: &str = "def total(items):\n    return sum(items)\n";
/// What shows it, and what does not.
pub const TESTS: &str = "import unittest, shop\n\nclass Total(unittest.TestCase):\n    def test_many(self):\n        self.assertEqual(shop.total([4, 5]), 9)\n\n    def test_none(self):\n        self.assertEqual(shop.total([]), 0)\n";

/// Answers `/alive` as soon as it runs, and everything else as well as it counts.
pub const SERVE: &str = r#"
import http.server, os, shop

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == "/alive" or shop.total([1, 2, 3]) == 6
        self.send_response(200 if well else 500)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Puts its files into the directory `shop` of a stage.
pub fn files(scene: &Scene, shop: &str) {
    scene.write("shop/shop.py", shop);
    scene.write("shop/serve.py", SERVE);
    scene.write("shop/tests/__init__.py", "");
    scene.write("shop/tests/test_shop.py", TESTS);
}

/// Its component, asked often; with what is special about it.
pub fn component(scene: &Scene, special: &Value) -> Value {
    let url = scene.url("shop");
    let mut component = json!({
        "id": "shop", "workdir": "shop", "entrypoint": ["python3", "-B", "serve.py"],
        "env": { "HOST": scene.address(), "PORT": scene.port("shop").to_string(), "MARK": scene.path("") },
        "restart": { "retries": 0 },
        "probes": {
            "startup": { "address": format!("{url}alive"), "deadline": "60 s", "timeout": "30 s" },
            "liveness": { "address": format!("{url}healthz"), "interval": "200 ms", "failures": 1, "timeout": "30 s" },
        },
    });
    merge(&mut component, special);
    component
}

/// What is an object on both sides is merged; anything else is replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// A whole file, as a model says it.
pub fn says(path: &str, text: &str) -> Value {
    json!({ "say": format!("FILE: {path}\n```python\n{text}```\n") })
}
