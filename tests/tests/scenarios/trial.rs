//! `patch check --trial`: real services with real bugs, and patches of every kind. Whatever a patch does, the component's
//! directory stays what it is to the byte, and nothing that ran in the trial is left.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use razar_tests::scene::{Ended, Scene};
use razar_tests::shop::{self, BROKEN, RIGHT, SERVE, TESTS};
use razar_tests::{artifact, process, wait};
use serde_json::{Value, json};

const ASYNC: &str = r#"
import asyncio, os, shop

async def answer(reader, writer):
    line = await reader.readline()
    well = b"/alive" in line or shop.total([1, 2, 3]) == 6
    writer.write(b"HTTP/1.1 " + (b"200 OK" if well else b"500 No") + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, os.environ["HOST"], int(os.environ["PORT"]))
    await server.serve_forever()

asyncio.run(main())
"#;

/// A stack whose shop starts, and says that it is not well.
fn shop(serve: &str) -> Scene {
    let scene = Scene::new();
    assert_sandbox(&scene);
    shop::files(&scene, BROKEN);
    scene.write("shop/serve.py", serve);
    scene.write("beside.txt", "what lies beside it\n");
    scene.write("state/secret.txt", "what only the host knows\n");
    scene.write("grants.toml", "# what only the operator knows\n");
    let env = json!({ "STATE": scene.state(), "PLUGINS": artifact::plugins() });
    let component = shop::component(&scene, &json!({ "env": env }));
    scene.stack(&["all"], &[component]);
    scene
}

/// Says what to do on a machine where nothing here can be tried.
fn assert_sandbox(scene: &Scene) {
    let state = scene.state().display().to_string();
    let found = scene.host(&["doctor", "--output", "json", "--state", &state]).json();
    let trials = found.iter().find(|found| found["check"] == "trials").expect("doctor looks at trials");
    assert_eq!(trials["ok"], json!(true), "{}; {}", trials["detail"], trials["remedy"]);
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

fn words(scene: &Scene) -> Vec<String> {
    let mut words: Vec<String> =
        ["patch", "check", "fix.diff", "--component", "shop", "--config", "boot_config.json", "--trial"]
            .map(str::to_owned)
            .into();
    words.extend(["--hold", "300 ms", "--output", "json", "--grants", "grants.toml"].map(str::to_owned));
    words.extend(["--state".to_owned(), scene.state().display().to_string()]);
    words.extend(["--plugins".to_owned(), artifact::plugins().display().to_string()]);
    words
}

/// Tries a patch of `shop.py`; the directory must be what it was, and nobody left.
fn tried(scene: &Scene, new: &str, more: &[&str]) -> (Ended, Value) {
    scene.write("fix.diff", &replace("shop.py", BROKEN, new));
    let before = files(scene);
    let words = words(scene);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let ended = scene.host(&words);
    assert_eq!(files(scene), before, "{}{}", ended.out, ended.err);
    assert_eq!(left(scene), Vec::<u32>::new(), "{}{}", ended.out, ended.err);
    let said = ended.json().pop().unwrap_or_else(|| panic!("nothing is said: {}", ended.err));
    let fixed = said["verdict"] == "fixed";
    assert_eq!(ended.code, Some(if fixed { 0 } else { 1 }), "{said}");
    (ended, said)
}

fn verdict(scene: &Scene, new: &str, more: &[&str]) -> (String, String) {
    let (_, said) = tried(scene, new, more);
    (said["verdict"].as_str().unwrap().to_owned(), said["reason"].as_str().unwrap().to_owned())
}

/// Every file of the stack but what commands print, its mode and its bytes.
fn files(scene: &Scene) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![scene.path("")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let name = path.display().to_string();
            if meta.is_dir() {
                open.push(path);
            } else if meta.is_file() && !name.ends_with(".out") && !name.ends_with(".err") {
                found.insert(name, (meta.permissions().mode(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Processes of the component's, told by what only its environment has.
fn left(scene: &Scene) -> Vec<u32> {
    let mark = scene.path("").display().to_string();
    let ours = |pid: &u32| process::variable(*pid, "MARK").is_some_and(|value| value == mark);
    let left = || process::all().into_iter().filter(ours).filter(|pid| process::alive(*pid)).collect();
    // Who is killed is gone a moment later.
    wait::first(|| Some(left()).filter(Vec::is_empty)).unwrap_or_else(left)
}

/// What the service printed, patched.
fn printed(said: &Value) -> String {
    let judges = said["judges"].as_array().unwrap_or_else(|| panic!("{said}"));
    let of_patch = judges.iter().filter(|judge| judge["patched"] == json!(true));
    of_patch.map(|judge| judge["output"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_right_patch_is_fixed_and_the_others_are_not() {
    let scene = shop(SERVE);
    let (ended, said) = tried(&scene, RIGHT, &[]);
    assert_eq!(said["verdict"], "fixed", "{said}{}", ended.err);
    let judges = said["judges"].as_array().unwrap();
    let judges: Vec<&Value> = judges.iter().filter(|judge| judge["judge"] == "shadow start").collect();
    assert_eq!(judges.len(), 2, "{said}");
    assert!(judges[0]["summary"].as_str().unwrap().contains("its liveness probe said"), "{said}");
    assert!(judges[1]["summary"].as_str().unwrap().contains("stayed well"), "{said}");
    for (new, word, why) in [
        (BROKEN.replace("[1:]", "[2:]"), "not-fixed", "its liveness probe said"),
        (format!("{RIGHT}raise SystemExit(3)\n"), "not-fixed", "it ended with exit code 3"),
        (format!("{RIGHT}import absent_module\n"), "not-fixed", "ModuleNotFoundError"),
        (format!("{RIGHT}def broken(:\n    pass\n"), "regressed", "cannot be parsed"),
        (format!("import os\n{RIGHT}os.kill(os.getpid(), 9)\n"), "not-fixed", "signal 9"),
    ] {
        let (verdict, reason) = verdict(&scene, &new, &[]);
        assert!(verdict == word && reason.contains(why), "{new}: {verdict}: {reason}");
    }
}

#[test]
fn people_are_told_what_every_judge_saw() {
    let scene = shop(SERVE);
    scene.write("fix.diff", &replace("shop.py", BROKEN, RIGHT));
    std::os::unix::fs::symlink("/etc/passwd", scene.path("shop/away")).unwrap();
    let words = words(&scene);
    let plain = words.iter().map(|word| if word == "json" { "plain" } else { word });
    let ended = scene.host(&plain.collect::<Vec<_>>());
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    for said in [
        "shop: the gate takes it: 1 file",
        "the trial says: fixed: the service starts and stays well; without the patch: it became ready and then",
        "shadow start, as it is: ",
        "shadow start, with the patch: it became ready and stayed well for 300 ms",
        "not in the copy: 1",
        "away: it is a link that leads elsewhere",
    ] {
        assert!(ended.out.contains(said), "`{said}` is not in {}", ended.out);
    }
}

#[test]
fn a_service_that_no_interpreter_in_a_sandbox_could_run_is_judged_too() {
    let scene = shop(ASYNC);
    assert_eq!(verdict(&scene, RIGHT, &[]).0, "fixed");
    assert_eq!(verdict(&scene, &BROKEN.replace("[1:]", "[:1]"), &[]).0, "not-fixed");
}

#[test]
fn the_components_own_tests_are_run_when_the_operator_names_them() {
    let scene = shop(SERVE);
    let tests = ["--tests", "python3 -B -m unittest -q"];
    let (_, said) = tried(&scene, RIGHT, &tests);
    assert_eq!(said["verdict"], "fixed", "{said}");
    let native: Vec<&Value> =
        said["judges"].as_array().unwrap().iter().filter(|judge| judge["judge"] == "native tests").collect();
    assert_eq!(native.len(), 3, "once as it is, and what passes is asked again: {said}");
    assert!(native[0]["summary"].as_str().unwrap().contains("exit code 1"), "{said}");
    assert!(native[0]["output"].as_str().unwrap().contains("test_many"), "{said}");
    assert!(native[1]["summary"].as_str().unwrap().contains("2 of 2 cases pass"), "{said}");

    // What satisfies the probe and nothing else.
    let special = "def total(items):\n    return 6 if items == [1, 2, 3] else sum(items[1:])\n";
    let (word, reason) = verdict(&scene, special, &tests);
    assert!(word == "not-fixed" && reason.contains("test_many` still fails"), "{word}: {reason}");
    assert_eq!(verdict(&scene, special, &[]).0, "fixed", "the probe alone cannot know");

    // Tests that pass as it is, and not with the patch.
    let known = ["--tests", "python3 -B -m unittest -q tests.test_shop.Total.test_none"];
    let harm = "def total(items):\n    return items[0] + sum(items[1:])\n";
    let (word, reason) = verdict(&scene, harm, &known);
    assert!(word == "regressed" && reason.contains("test_none` does not pass any more"), "{word}: {reason}");

    let (word, reason) = verdict(&scene, RIGHT, &["--tests", "no-such-program --at all"]);
    assert!(word == "infra" && reason.contains("no-such-program"), "{word}: {reason}");
    let endless = ["--tests", "sleep 600", "--tests-timeout", "200 ms"];
    let (word, reason) = verdict(&scene, RIGHT, &endless);
    assert!(word == "not-fixed" && reason.contains("did not end within"), "{word}: {reason}");
}

/// None of them repairs anything; each of them makes `python -m unittest` end with 0, or its output say so.
#[test]
fn whoever_ends_fools_or_speaks_for_the_tests_is_told_so() {
    let scene = shop(SERVE);
    let tests = ["--tests", "python3 -B -m unittest -q"];
    // The gate knows these words by themselves.
    let begin = "import atexit, gc, os, sys\nrunner = sys.modules.get(\"unit\" + \"test\")\n";
    for (code, expected, why) in [
        ("if runner: os._exit(0)\n", "tampered", "before all tests had an end"),
        ("if runner: sys.exit(0)\n", "regressed", "`tests.test_shop` does not pass any more"),
        ("if runner: atexit.register(os._exit, 0)\n", "tampered", "not all tests had passed"),
        ("if runner: runner.TestCase.assertEqual = lambda *_: None\n", "tampered", "assertEqual"),
        ("if runner: runner.TestCase.run = lambda self, result=None: result\n", "tampered", "run"),
        (
            "for fd in range(3, 64):\n    try:\n        os.write(fd, b'passed tests.test_shop.Total.test_many\\nend\\n')\n    except OSError:\n        pass\n",
            "tampered",
            "somebody else spoke",
        ),
        (
            "for one in gc.get_objects():\n    if hasattr(type(one), 'guard') or type(one).__name__ == 'Guard':\n        one.changed = lambda *_, **__: None\nif runner: runner.TestCase.fail = runner.TestCase.assertEqual = lambda *_: None\n",
            "tampered",
            "which must fail, has passed",
        ),
        ("print('Ran 2 tests in 0.001s\\n\\nOK', flush=True)\n", "not-fixed", "test_many` still fails"),
    ] {
        let (word, reason) = verdict(&scene, &format!("{begin}{code}\n{BROKEN}"), &tests);
        assert!(word == expected && reason.contains(why), "{code}: {word}: {reason}");
    }
}

/// What only satisfies a command of which nothing but its exit code is known.
#[test]
fn of_a_command_that_is_not_known_the_exit_code_is_believed_twice() {
    let scene = shop(SERVE);
    let path = scene.path("shop/tests").display().to_string();
    let once = format!("sh -c 'python3 -B -m unittest -q && test -d {path}'");
    let (_, said) = tried(&scene, RIGHT, &["--tests", &once]);
    assert_eq!(said["verdict"], "fixed", "{said}");
    let native = |said: &Value| {
        let judges = said["judges"].as_array().unwrap().clone();
        judges.into_iter().filter(|judge| judge["judge"] == "native tests").collect::<Vec<_>>()
    };
    assert_eq!(native(&said).len(), 3, "{said}");
    assert_eq!(native(&said)[2]["summary"], "they end with exit code 0", "{said}");
}

#[test]
fn several_diffs_of_the_same_files_are_judged_one_after_the_other() {
    let scene = shop(SERVE);
    for (name, new) in [
        ("1.diff", BROKEN.replace("[1:]", "[:1]")),
        ("2.diff", RIGHT.to_owned()),
        ("3.diff", RIGHT.replace("sum(items)", "sum(items) + 0 * len(items)")),
    ] {
        scene.write(name, &replace("shop.py", BROKEN, &new));
    }
    scene.write("0.diff", &replace("tests/test_shop.py", TESTS, "\n"));
    let mut words = words(&scene);
    words.splice(2..3, ["0.diff", "1.diff", "2.diff", "3.diff"].map(str::to_owned));
    let ended = scene.host(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let said = ended.json();
    let verdicts: Vec<&str> = said.iter().map(|said| said["verdict"].as_str().unwrap()).collect();
    assert_eq!((ended.code, &verdicts[..]), (Some(1), &["refused", "not-fixed", "fixed", "fixed"][..]));
    // What was seen of the files as they are is seen once.
    let of_base = |said: &Value| {
        let judges = said["judges"].as_array().unwrap();
        judges.iter().filter(|one| one["judge"] == "shadow start" && one["patched"] == false).count()
    };
    assert_eq!(said[1..].iter().map(of_base).collect::<Vec<_>>(), [1, 0, 0], "{}", ended.out);
}

#[test]
fn a_failure_that_does_not_show_proves_nothing() {
    let scene = shop(SERVE);
    scene.write("shop/shop.py", RIGHT);
    let other = "def total(items):\n    return sum(list(items))\n";
    scene.write("fix.diff", &replace("shop.py", RIGHT, other));
    let all = words(&scene);
    let ended = scene.host(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let said = &ended.json()[0];
    assert_eq!((ended.code, said["verdict"].as_str()), (Some(1), Some("infra")), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("does not show"), "{said}");

    scene.write("fix.diff", &replace("shop.py", RIGHT, BROKEN));
    let ended = scene.host(&all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.json()[0]["verdict"], "regressed", "{}", ended.out);
}

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

fn hostile(code: &str) -> String {
    format!("{TRY}\n{RIGHT}\n{}", code.replace("SCENE", "os.environ['MARK']"))
}

#[test]
fn nothing_outside_of_the_copy_is_written_read_or_reached() {
    let scene = shop(SERVE);
    let outside = TcpListener::bind((scene.address(), 0)).unwrap();
    outside.set_nonblocking(true).unwrap();
    let path = scene.path("live.sock");
    let local = UnixListener::bind(&path).unwrap();
    local.set_nonblocking(true).unwrap();
    let port = outside.local_addr().unwrap().port();
    let code = format!(
        r#"
attempt("beside", lambda: open(SCENE + "/beside.txt", "w"))
attempt("new", lambda: open(SCENE + "/new.txt", "w"))
attempt("etc", lambda: open("/etc/razar-was-here", "w"))
attempt("kernel", lambda: open("/proc/sys/kernel/hostname", "w").write("x"))
attempt("device", lambda: open("/dev/new", "w"))
attempt("state", lambda: os.listdir(os.environ["STATE"]))
attempt("secret", lambda: open(os.environ["STATE"] + "/secret.txt").read())
attempt("grants", lambda: repr(open(SCENE + "/grants.toml").read()))
attempt("plugins", lambda: os.listdir(os.environ["PLUGINS"]))
attempt("port", lambda: socket.create_connection(("{address}", {port}), 5))
attempt("socket", lambda: socket.socket(socket.AF_UNIX).connect(SCENE + "/live.sock"))
attempt("elsewhere", lambda: socket.create_connection(("192.0.2.1", 80), 5))
attempt("report", lambda: [name for name in os.listdir("/tmp") if "trial" in name])
attempt("root", lambda: os.setuid(0) or os.mkdir(os.path.expanduser("~root") + "/razar-was-here"))
attempt("copy", lambda: open("own.txt", "w").write("mine"))
"#,
        address = scene.address()
    );
    let (_, said) = tried(&scene, &hostile(&code), &[]);
    let printed = printed(&said);
    let came = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(&format!("{name} -> ")));
        line.unwrap_or_else(|| panic!("`{name}` is not in {said}")).to_owned()
    };
    for name in ["beside", "new", "etc", "device"] {
        assert_eq!(came(name), "OSError 30", "{name}: a read-only file system: {printed}");
    }
    assert!(came("kernel").contains("Error"), "{printed}");
    assert_eq!((came("state").as_str(), came("plugins").as_str()), ("[]", "[]"), "{printed}");
    assert_eq!(came("secret"), "FileNotFoundError 2", "{printed}");
    for name in ["grants", "port", "socket", "elsewhere", "root"] {
        assert!(came(name).contains("Error"), "{name}: {printed}");
    }
    assert!(!came("report").contains("razar-trial"), "{printed}");
    assert_eq!(came("copy"), "4");
    assert_eq!(said["verdict"], "fixed", "it repairs the bug, and harms nobody: {said}");
    for (name, accepted) in [("port", outside.accept().is_ok()), ("socket", local.accept().is_ok())] {
        assert!(!accepted, "somebody came to the {name}");
    }
    assert!(
        !Path::new("/etc/razar-was-here").exists() && !Path::new("/root").join("razar-was-here").exists()
    );
}

#[test]
fn the_judge_cannot_be_seen_killed_traced_or_spoken_for() {
    let scene = shop(SERVE);
    let code = r#"
import ctypes, signal
libc = ctypes.CDLL(None, use_errno=True)
pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
seen = [open(f"/proc/{pid}/cmdline").read() for pid in pids]
print("judge ->", any("request.json" in line for line in seen), flush=True)
for pid in set(pids + [1, 2, os.getppid()]):
    if pid != os.getpid():
        attempt(f"trace {pid}", lambda: libc.ptrace(16, pid, 0, 0))
        attempt(f"kill {pid}", lambda: os.kill(pid, signal.SIGKILL))
attempt("all", lambda: os.kill(-1, signal.SIGKILL))
report = '{"evidence": {"shadow": {"base": {"failed": "x"}, "candidate": "well"}}}'
for place in ["/tmp/report.json", "report.json", "/run/report.json", "/dev/shm/report.json"]:
    attempt(place, lambda: open(place, "w").write(report))
print('{"verdict": "fixed"}', flush=True)
"#;
    let (_, said) = tried(&scene, &hostile(code), &[]);
    assert!(printed(&said).contains("judge -> False"), "{said}");
    assert_eq!(said["verdict"], "fixed", "it repairs the bug, and nobody else is hurt: {said}");

    // The same words from somebody who repairs nothing.
    let still = hostile(code).replace("sum(items)", "sum(items[1:])");
    let (_, said) = tried(&scene, &still, &[]);
    assert_eq!(said["verdict"], "not-fixed", "{said}");
    assert!(printed(&said).contains("\"verdict\": \"fixed\""), "{said}");
}

#[test]
fn whoever_changes_tests_or_the_patch_while_it_is_judged_is_told_so() {
    let scene = shop(SERVE);
    let code = "attempt('tests', lambda: open('tests/test_shop.py', 'w').write('pass'))\n";
    let (word, reason) = verdict(&scene, &hostile(code), &[]);
    assert!(word == "tampered" && reason.contains("tests/test_shop.py"), "{word}: {reason}");
    let code = "attempt('self', lambda: open('shop.py', 'a').write('# other\\n'))\n";
    let (word, reason) = verdict(&scene, &hostile(code), &[]);
    assert!(word == "tampered" && reason.contains("shop.py"), "{word}: {reason}");
}

#[test]
fn what_is_left_behind_filled_or_multiplied_ends_with_the_trial() {
    let scene = shop(SERVE);
    let daemon = r#"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "86400"])
    os._exit(0)
"#;
    assert_eq!(verdict(&scene, &hostile(daemon), &[]).0, "fixed");

    let full = r#"
def fill():
    try:
        with open("large", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * (1 << 20))
    except OSError:
        os.remove("large")
        raise
attempt("disk", fill)
"#;
    let (_, said) = tried(&scene, &hostile(full), &[]);
    assert!(printed(&said).contains("disk -> OSError 28"), "{said}");
    assert_eq!(said["verdict"], "fixed", "it still answers: {said}");
    let (word, reason) = verdict(&scene, &hostile(&full.replace("os.remove(\"large\")", "pass")), &[]);
    assert!(
        word == "not-fixed" && reason.contains("it ended with"),
        "its output has no room: {word}: {reason}"
    );

    let bomb = r#"
if os.fork() == 0:
    while True:
        try:
            os.fork()
        except OSError:
            pass
"#;
    let (word, reason) = verdict(&scene, &hostile(bomb), &[]);
    assert!(word == "not-fixed" || word == "fixed", "{word}: {reason}");

    let hoard = r#"
def hoard():
    kept = []
    while True:
        kept.append(b"x" * (64 << 20))
attempt("memory", hoard)
"#;
    let (word, reason) = verdict(&scene, &hostile(hoard), &[]);
    assert!(word == "not-fixed", "{word}: {reason}");
}

#[test]
fn without_its_sandbox_a_trial_is_refused() {
    let scene = shop(SERVE);
    scene.write("fix.diff", &replace("shop.py", BROKEN, RIGHT));
    std::fs::create_dir(scene.path("bin")).unwrap();
    let all = words(&scene);
    let words: Vec<&str> = all.iter().map(String::as_str).collect();
    let ended = scene.begin(scene.command(&words).env("PATH", scene.path("bin"))).end();
    let said = &ended.json()[0];
    assert_eq!((ended.code, said["verdict"].as_str()), (Some(1), Some("infra")), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("`bwrap` is not in PATH"), "{said}");
    assert!(said["remedy"].as_str().unwrap().contains("install the package `bubblewrap`"), "{said}");

    // One that makes no namespaces, as where the kernel allows none.
    let refusing = scene
        .write("bin/bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
    std::fs::set_permissions(refusing, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", scene.path("bin").display());
    let ended = scene.begin(scene.command(&words).env("PATH", path)).end();
    let said = &ended.json()[0];
    assert_eq!((ended.code, said["verdict"].as_str()), (Some(1), Some("infra")), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("No permissions"), "{said}");
    assert!(said["remedy"].as_str().unwrap().contains("user namespaces"), "{said}");

    // And nobody is judge where there is none.
    let ended = scene.host(&["trial", "fix.diff"]);
    ended.complains(3, &["cannot read the request"]);
}

/// As somebody who is not root, with a native check instead of a plugin, where the tests run as root; else it is what every
/// other test here does.
#[test]
fn whoever_is_not_root_has_trials_too() {
    let scene = shop(SERVE);
    let url = scene.url("shop");
    let ask = |path: &str| {
        let code = format!("import urllib.request; urllib.request.urlopen('{url}{path}', timeout=20)");
        json!({ "command": ["python3", "-c", code], "deadline": "60 s", "timeout": "30 s", "failures": 1 })
    };
    let component = json!({
        "id": "shop", "workdir": "shop", "entrypoint": ["python3", "-B", "serve.py"],
        "env": { "HOST": scene.address(), "PORT": scene.port("shop").to_string(), "MARK": scene.path("") },
        "probes": { "startup": ask("alive"), "liveness": ask("healthz") },
    });
    scene.stack(&["all"], &[component]);
    let own = scene.path("razar-host");
    std::fs::copy(artifact::host(), &own).unwrap();
    scene.write("shop/cache.txt", "its own\n");
    let mut verdicts = Vec::new();
    for new in [RIGHT.to_owned(), BROKEN.replace("[1:]", "[:1]")] {
        scene.write("fix.diff", &replace("shop.py", BROKEN, &new));
        if rustix::process::geteuid().is_root() {
            give_away(&scene.path(""));
        }
        let words = ["patch", "check", "fix.diff", "--component", "shop", "--config", "boot_config.json"];
        let mut command = std::process::Command::new(&own);
        command
            .args(words)
            .args(["--trial", "--hold", "300 ms", "--output", "json"])
            .current_dir(scene.path(""));
        command.env("HOME", scene.path("")).env_remove("RAZAR_STATE");
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ended = scene.begin(&mut command).end();
        let said = ended.json().pop().unwrap_or_else(|| panic!("{}", ended.err));
        verdicts.push((said["verdict"].as_str().unwrap().to_owned(), said.to_string()));
    }
    assert_eq!((verdicts[0].0.as_str(), verdicts[1].0.as_str()), ("fixed", "not-fixed"), "{verdicts:?}");
    assert_eq!(left(&scene), Vec::<u32>::new());
}

const NOBODY: u32 = 65_534;

fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}
