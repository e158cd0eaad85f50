//! The gate, as whoever proposes meets it: what repairs look like, what attacks look like, and trees and diffs that nobody
//! thought of.
//!
//! | file | what |
//! |---|---|
//! | `sound` | proposals that are taken, and exactly what they change |
//! | `hostile` | proposals that are refused, each with the one code it must get |
//! | `random` | diffs of another implementation give exactly the edited tree; damaged ones nothing unannounced |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test ends where it cannot go on, and may act"
)]

mod hostile;
mod random;
mod sound;

use razar_core::patch::{Node, Tree};

/// The service that is repaired here.
const APP: &str = "\
import config


def total(items):
    count = 0
    for item in items:
        count += item.price
    return count


def first(items):
    return items[1]
";

/// Everything a component's directory may hold.
fn component() -> Tree {
    let mut tree = Tree::default();
    for (path, bytes) in [
        ("app.py", APP.as_bytes()),
        ("settings.toml", b"port = 80\nhost = \"0.0.0.0\"\n"),
        ("dos.txt", b"one\r\ntwo\r\nthree\r\n"),
        ("bare.txt", b"alpha\nbeta"),
        ("empty.txt", b""),
        ("latin.txt", b"caf\xe9\n"),
        ("logo.bin", b"\x89PNG\0\0\n"),
        ("src/util.py", b"def one():\n    return 2\n"),
        ("src/__init__.py", b""),
        (
            "tests/test_app.py",
            b"import unittest\n\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        pass\n",
        ),
        ("config/grants.toml", b"[probe-http]\n"),
        ("config/boot_config.json", b"{}\n"),
        ("config/policy/default.cedar", b"permit(principal, action, resource);\n"),
        (".github/workflows/ci.yml", b"on: push\n"),
        (".git/config", b"[core]\n"),
        ("Makefile", b"test:\n\tpython -m unittest\n"),
        (".env", b"KEY=1\n"),
        ("inline.py", b"def one():\n    return 2\n\n\ndef test_one():\n    return one() == 1\n"),
    ] {
        tree.insert_file(path, bytes);
    }
    tree.insert("link.py", Node::Link);
    tree.insert("linked", Node::Link);
    tree.insert("pipe", Node::Special);
    tree.insert("big.log", Node::Large(50 << 20));
    tree
}

/// A hunk that fits `app.py`.
const HUNK: &str = "\
@@ -10,3 +10,3 @@
 
 def first(items):
-    return items[1]
+    return items[0]
";

/// That hunk below these headers.
fn headers(old: &str, new: &str) -> String {
    format!("--- {old}\n+++ {new}\n{HUNK}")
}

/// That hunk for `app.py`.
fn fix() -> String {
    headers("a/app.py", "b/app.py")
}
