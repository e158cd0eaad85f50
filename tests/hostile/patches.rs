//! Patches that are no repairs, cheat, or attack and outlive their judge, against the real `patch check --trial` and real
//! services: `patches/gate.toml` and `patches/cheats.toml`. Whatever one of them does, not one byte outside of the scratch copy
//! is another than before, and nobody and nothing of it is left.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use razar_core::id::Digest;
use razar_tests::scene::{Ended, Scene};
use razar_tests::shop::{self, BROKEN, RIGHT, TESTS};
use razar_tests::{artifact, repository, trace, wait};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use toml::Table;

/// Tries something, and prints what came of it.
const TRY: &str = r#"
import os, socket, sys

def attempt(name, what):
    try:
        came = what()
    except BaseException as error:
        came = type(error).__name__ + " " + str(getattr(error, "errno", ""))
    print(name, "->", came, flush=True)
"#;

/// What hostile code calls a file that it may not make, and where it tries to.
const TRACE: &str = "razar-was-here";
const PLACES: [&str; 7] = ["/etc", "/root", "/usr", "/var/tmp", "/tmp", "/run", "/dev/shm"];

/// The cases of one file.
fn cases(file: &str, key: &str) -> Vec<Table> {
    let path = repository().join("tests/hostile/patches").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let table: Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = table.get(key).and_then(toml::Value::as_array).expect("cases");
    cases.iter().map(|case| case.as_table().expect("a case").clone()).collect()
}

/// The names of all cases; each begins with the number of its attack.
pub(crate) fn names() -> Vec<String> {
    let all = cases("gate.toml", "patch").into_iter().chain(cases("cheats.toml", "cheat"));
    all.map(|case| word(&case, "name").to_owned()).collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |case: Table, run: fn(&Table)| {
        Trial::test(format!("hostile::{}", word(&case, "name")), move || -> Result<(), Failed> {
            run(&case);
            Ok(())
        })
    };
    let gate = cases("gate.toml", "patch").into_iter().map(|case| trial(case, refused));
    let cheats = cases("cheats.toml", "cheat").into_iter().map(|case| trial(case, cheated));
    gate.chain(cheats).collect()
}

fn word<'t>(case: &'t Table, key: &str) -> &'t str {
    case.get(key).and_then(toml::Value::as_str).unwrap_or_default()
}

fn words<'t>(case: &'t Table, key: &str) -> Vec<&'t str> {
    let all = case.get(key).and_then(toml::Value::as_array);
    all.into_iter().flatten().map(|word| word.as_str().expect("a word")).collect()
}

fn is(case: &Table, key: &str) -> bool {
    case.get(key).and_then(toml::Value::as_bool).unwrap_or_default()
}

/// The gate does not take it, and says so by the code.
fn refused(case: &Table) {
    let scene = Scene::bare();
    whole(&scene);
    let component = |id: &str, workdir: &str| json!({ "id": id, "workdir": workdir, "entrypoint": ["sleep", "1"], "health": "process" });
    scene.stack(&["all"], &[component("shop", "shop"), component("stock", "shop/stock")]);
    let mut diff = word(case, "diff").to_owned();
    if let Some(append) = case.get("append").and_then(toml::Value::as_table) {
        let times =
            append.get("times").and_then(toml::Value::as_integer).and_then(|n| usize::try_from(n).ok());
        diff.push_str(&format!("{}\n", word(append, "line")).repeat(times.expect("a number")));
    }
    let bytes = match is(case, "latin") {
        true => diff.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect(),
        false => diff.into_bytes(),
    };
    fs::write(scene.path("fix.diff"), bytes).unwrap();
    let shown = Some(word(case, "shown")).filter(|file| !file.is_empty());
    let shown = shown.map(|file| format!("{file}={}", Digest::of(b"older")));
    let more: Vec<&str> = shown.iter().flat_map(|shown| ["--shown", shown.as_str()]).collect();
    let (ended, said) = judged(&scene, &more);
    let file = Some(word(case, "file")).filter(|file| !file.is_empty());
    assert_eq!((said["verdict"].as_str(), ended.code), (Some("refused"), Some(1)), "{said}");
    assert_eq!((said["code"].as_str(), said["file"].as_str()), (Some(word(case, "code")), file), "{said}");
    assert!(said["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{said}");
    assert!(said["judges"].is_null(), "it was tried: {said}");
}

/// It is tried, and does not get what it wants.
fn cheated(case: &Table) {
    let scene = Scene::new();
    let live = TcpListener::bind((scene.address(), 0)).unwrap();
    let local = UnixListener::bind(scene.path("live.sock")).unwrap();
    let mark = scene.path("").display().to_string();
    let nameless = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&mark).unwrap()).unwrap();
    shop::files(&scene, BROKEN);
    for (path, text) in [
        ("beside.txt", "beside\n"),
        ("shop/Makefile", "test:\n"),
        ("state/secret.txt", "what only the host knows\n"),
        ("grants.toml", "# what only the operator grants\n"),
    ] {
        scene.write(path, text);
    }
    let deadline = Some(word(case, "deadline")).filter(|span| !span.is_empty()).unwrap_or("60 s");
    let port = live.local_addr().unwrap().port().to_string();
    let component = shop::component(
        &scene,
        &json!({
            "env": { "STATE": scene.state(), "PLUGINS": artifact::plugins(), "LIVE": port },
            "probes": { "startup": { "deadline": deadline } },
        }),
    );
    scene.stack(&["all"], &[component]);
    let body = if is(case, "repairs") { RIGHT } else { BROKEN };
    scene.write("fix.diff", &replace("shop.py", BROKEN, &format!("{TRY}{body}{}", word(case, "code"))));
    let mut more = vec!["--hold", "300 ms", "--grants", "grants.toml", "--plugins"];
    let plugins = artifact::plugins().display().to_string();
    more.push(&plugins);
    if is(case, "tests") {
        more.extend(["--tests", "python3 -B -m unittest -q", "--tests-timeout", "20 s"]);
    }
    let (ended, said) = judged(&scene, &more);
    let verdict = said["verdict"].as_str().unwrap_or_default();
    assert!(words(case, "verdict").contains(&verdict), "{said}");
    assert_eq!(ended.code, Some(i32::from(verdict != "fixed")), "{said}");
    assert!(said["reason"].as_str().unwrap().contains(word(case, "says")), "{said}");
    let judges = said["judges"].as_array().unwrap();
    let printed: String = judges
        .iter()
        .filter(|judge| judge["patched"] == json!(true))
        .map(|judge| judge["output"].as_str().unwrap())
        .collect();
    for wanted in words(case, "printed") {
        let came = match wanted.strip_suffix("{e}") {
            Some(start) => printed.lines().any(|line| line.starts_with(start) && line.contains("rror ")),
            None => printed.contains(wanted),
        };
        assert!(came, "`{wanted}` is not in {printed}");
    }
    for (listener, come) in [
        ("port", {
            live.set_nonblocking(true).unwrap();
            live.accept().is_ok()
        }),
        ("socket", {
            local.set_nonblocking(true).unwrap();
            local.accept().is_ok()
        }),
        ("nameless socket", {
            nameless.set_nonblocking(true).unwrap();
            nameless.accept().is_ok()
        }),
    ] {
        assert!(!come, "somebody came to the {listener}");
    }
    for place in PLACES {
        assert!(!Path::new(place).join(TRACE).exists(), "{place} was written to");
    }
}

/// What the real host says, and that it left everything as it was.
fn judged(scene: &Scene, more: &[&str]) -> (Ended, Value) {
    let state = scene.state().display().to_string();
    let words =
        ["patch", "check", "fix.diff", "--component", "shop", "--config", "boot_config.json", "--trial"];
    let about = ["--output", "json", "--state", state.as_str()];
    let before = trace::tree(&scene.path(""));
    let run = scene.begin(&mut scene.command(&[&words[..], &about, more].concat()));
    let pid = run.pid();
    let ended = run.end();
    let said = ended.json().pop().unwrap_or_else(|| panic!("nothing is said: {}", ended.err));
    let changed = trace::differ(&before, &trace::tree(&scene.path("")));
    assert!(changed.is_empty(), "{changed:?} changed: {said}");
    nothing_left(scene, pid);
    (ended, said)
}

fn nothing_left(scene: &Scene, pid: u32) {
    let (mark, own) = (scene.path("").display().to_string(), format!("razar-trial-{pid}."));
    let left = || {
        let people =
            trace::marked("MARK", &mark).iter().map(|pid| format!("process {pid}")).collect::<Vec<_>>();
        let dirs = trace::groups(&own).into_iter().chain(trace::named(&std::env::temp_dir(), &own));
        let dirs = dirs.map(|path| path.display().to_string());
        people.into_iter().chain(dirs).chain(trace::mounts(&mark)).collect::<Vec<String>>()
    };
    // Who is killed is gone a moment later.
    let left = wait::first(|| Some(left()).filter(Vec::is_empty)).unwrap_or_else(left);
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// A component with one of everything that a patch may not touch.
fn whole(scene: &Scene) {
    for (path, text) in [
        ("outside.py", "x = 1\n"),
        ("elsewhere/app.py", "x = 1\n"),
        ("shop/shop.py", BROKEN),
        ("shop/util.py", "x = 1\ny = 2\nz = 3\n"),
        ("shop/src/util.py", "x = 1\n"),
        ("shop/stock/app.py", "x = 1\n"),
        ("shop/tests/test_shop.py", TESTS),
        (
            "shop/inline.py",
            "def one():\n    return 1\n    return 2\n\n\ndef test_one():\n    return one() == 1\n",
        ),
        ("shop/.github/workflows/ci.yml", "on: push\n"),
        ("shop/config/policy/default.cedar", "forbid(principal, action, resource);\n"),
        ("shop/config/boot_config.json", "{}\n"),
        ("shop/grants.toml", "# what only the operator grants\n"),
        ("shop/Makefile", "test:\n"),
        ("shop/dos.txt", "one\r\ntwo\r\n"),
        ("shop/bare.txt", "alpha\nbeta"),
        ("shop/logo.bin", "\0\u{1}\u{2}"),
    ] {
        scene.write(path, text);
    }
    fs::write(scene.path("shop/latin.txt"), b"caf\xe9\n").unwrap();
    fs::DirBuilder::new().recursive(true).mode(0o755).create(scene.path("shop/.git/hooks")).unwrap();
    symlink("../outside.py", scene.path("shop/link.py")).unwrap();
    symlink("../elsewhere", scene.path("shop/linked")).unwrap();
    mknodat(CWD, scene.path("shop/pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
}

/// A diff that replaces a whole file.
fn replace(path: &str, old: &str, new: &str) -> String {
    let lines =
        |sign: char, text: &str| text.lines().map(|line| format!("{sign}{line}\n")).collect::<String>();
    let (before, after) = (old.lines().count(), new.lines().count());
    format!(
        "--- a/{path}\n+++ b/{path}\n@@ -1,{before} +1,{after} @@\n{}{}",
        lines('-', old),
        lines('+', new)
    )
}
