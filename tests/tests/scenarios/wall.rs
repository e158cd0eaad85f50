//! The host's second wall as operators meet it: it stands around the host and nothing else, everything goes on behind it,
//! and a machine that has no such wall is told so. What it keeps in is shown by `host/app/tests/wall.rs`.

use std::fs;
use std::process::{Command, Stdio};

use razar_tests::process::{alive, kill};
use razar_tests::scene::Scene;
use serde_json::{Value, json};

/// Answers some system calls with `ENOSYS`, as a kernel or a container without them does, then becomes its arguments.
const WITHOUT: &str = r#"
import ctypes, os, struct, sys
numbers = [int(word) for word in sys.argv[1].split(",")]
program = [(0x20, 0, 0, 0)]
for number in numbers:
    program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38)]
program += [(0x06, 0, 0, 0x7fff0000)]
code = b"".join(struct.pack("HBBI", *line) for line in program)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(program), code)), 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"#;

/// `seccomp` by the number it has on this processor.
const SECCOMP: &str = if cfg!(target_arch = "x86_64") { "317" } else { "277" };

/// `landlock_create_ruleset`: the same everywhere.
const LANDLOCK: &str = "444";

/// The same command on a machine without these system calls.
fn without(calls: &str, command: &Command) -> Command {
    let mut without = Command::new("python3");
    without.args(["-S", "-c", WITHOUT, calls]).arg(command.get_program()).args(command.get_args());
    without.current_dir(command.get_current_dir().expect("the stage"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => without.env(name, value),
            None => without.env_remove(name),
        };
    }
    without
}

/// `Seccomp` and `NoNewPrivs` of a process or a thread.
fn walls(process: &str) -> (String, String) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("every kernel says so").trim().to_owned()
    };
    (field("Seccomp"), field("NoNewPrivs"))
}

/// What a process has started with its first thread.
fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn whole() -> (String, String) {
    ("2".to_owned(), "1".to_owned())
}

#[test]
fn the_host_is_behind_it_and_its_services_are_not() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("one", json!({})), scene.web("two", json!({ "depends_on": ["one"] }))]);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.complaints(), "", "nothing is missing on this machine");
    let threads = fs::read_dir(format!("/proc/{}/task", run.pid())).unwrap().flatten();
    let threads: Vec<String> = threads.map(|thread| thread.file_name().into_string().unwrap()).collect();
    assert!(threads.len() > 2, "{threads:?}");
    for thread in threads {
        assert_eq!(walls(&format!("{}/task/{thread}", run.pid())), whole());
    }
    let ours = walls("self");
    for pid in [scene.pid("one"), scene.pid("two"), scene.launcher().unwrap()] {
        assert_eq!(walls(&pid.to_string()), ours, "{pid} is as free as this test");
    }
    // Stopping, starting and relaunching need a process that is not behind it.
    let state = scene.state().display().to_string();
    for word in ["restart", "stop", "start"] {
        assert_eq!(scene.host(&[word, "two", "--state", &state]).code, Some(0), "{word}");
    }
    kill(scene.pid("one"));
    scene.until_logged("recovery", "one", "success", 1);
    assert_eq!(walls(&scene.pid("one").to_string()), ours);
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn plugins_are_compiled_from_behind_it_and_a_refused_configuration_leaves_nothing() {
    let scene = Scene::bare();
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 600", "health": "proces" })]);
    let ended = scene.run().end();
    ended.complains(2, &["components[0].health"]);
    assert!(!scene.state().exists(), "{:?}", fs::read_dir(scene.state()).map(Iterator::count));

    scene.stack(&["all"], &[scene.web("one", json!({}))]);
    let run = scene.run();
    scene.until_booted(1);
    let compiled = fs::read_dir(scene.state().join("cache/plugins")).unwrap().count();
    assert!(compiled > 4, "{compiled} files: the key and a plugin each");
    assert_eq!(walls(&run.pid().to_string()), whole());
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn the_plugin_compiler_sees_nothing_but_what_it_is_given() {
    let scene = Scene::bare();
    let mut command = scene.command(&["compile-plugin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut compiler = command.spawn().unwrap();
    // It waits for the first byte of its input.
    let pid = compiler.id().to_string();
    scene.until("the compiler is behind its wall", || walls(&pid) == whole());
    drop(compiler.stdin.take());
    assert!(!compiler.wait().unwrap().success(), "nothing is no plugin");
}

#[test]
fn logs_are_read_that_were_not_there_when_the_wall_was_raised_and_that_are_rotated() {
    let scene = Scene::new();
    scene.write("logs/keep", "");
    let log = scene.path("logs/app/web.log");
    let health = json!({
        "log": log, "settings": { "contains": "ready" }, "interval": "50 ms", "failures": 1, "window": 1
    });
    let script = "mkdir -p logs/app; echo ready > logs/app/web.log; exec sleep 600";
    let web = json!({
        "id": "web", "entrypoint": ["sh", "-c", script], "health": health, "restart": { "retries": 0, "backoff": "10 ms" }
    });
    scene.stack(&["all"], &[web]);
    let run = scene.run();
    scene.until_booted(1);
    fs::write(scene.path("logs/app/new"), "ready again\n").unwrap();
    fs::rename(scene.path("logs/app/new"), &log).unwrap();
    let probes = || {
        let metrics = scene.get(scene.port("metrics"), "/metrics").unwrap_or_default();
        metrics
            .lines()
            .filter(|line| line.contains("liveness") && line.contains("_count"))
            .map(str::to_owned)
            .next()
    };
    let before = probes();
    scene.until("it was asked again", || probes() != before);
    assert_eq!(scene.logged("error", "web", "fail").len(), 0, "{}", scene.story());
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn a_host_killed_while_plugins_are_compiled_leaves_neither_processes_nor_directories() {
    let scene = Scene::bare();
    scene.stack(&["all"], &[scene.web("one", json!({}))]);
    let run = scene.run();
    let porter = || children(run.pid()).first().copied();
    scene.until("a compiler works", || porter().is_some_and(|porter| !children(porter).is_empty()));
    let porter = porter().expect("it lives");
    let compilers = children(porter);
    run.kill();
    scene.until("the porter has gone", || !alive(porter));
    scene.until("and the compilers", || compilers.iter().all(|compiler| !alive(*compiler)));
    assert!(!scene.state().exists(), "it was made for this host, and nothing was put there");
}

#[test]
fn without_its_helper_it_goes_on_watching_and_stops_everything_in_order() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("one", json!({})), scene.web("two", json!({ "depends_on": ["one"] }))]);
    let run = scene.run();
    scene.until_booted(1);
    let children = children(run.pid());
    assert_eq!(children.len(), 1, "the porter");
    kill(children[0]);
    kill(scene.pid("two"));
    scene.until_logged("recovery", "two", "success", 1);
    let launcher = scene.launcher().unwrap();
    assert!(alive(launcher));
    assert_eq!(run.terminate().code, Some(0));
    assert_eq!(scene.order("stop"), ["two", "one"]);
}

#[test]
fn a_machine_without_a_layer_is_told_so_and_refused_where_the_wall_is_required() {
    for (calls, name, remedy) in
        [(LANDLOCK, "`landlock`", "Linux 6.2 or newer"), (SECCOMP, "`seccomp`", "CONFIG_SECCOMP_FILTER")]
    {
        let scene = Scene::new();
        scene.stack(&["all"], &[scene.web("one", json!({}))]);
        let run = scene.begin(&mut without(calls, &scene.run_command(&[])));
        scene.until_booted(1);
        let said = run.complaints();
        assert!(
            said.contains(&format!("warning: the host's wall lacks {name}")) && said.contains(remedy),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "once: {said}");
        let state = scene.state().display().to_string();
        let status = scene.host(&["status", "--output", "json", "--state", &state]).json().remove(0);
        assert_eq!(status["wall_lacks"], json!([name.trim_matches('`')]));
        let status = scene.host(&["status", "--state", &state]).out;
        assert!(status.contains(&format!("wall lacks {}", name.trim_matches('`'))), "{status}");
        assert_eq!(run.terminate().code, Some(0));

        let run = scene.begin(&mut without(calls, &scene.run_command(&["--require-sandbox"])));
        let launched = scene.pids("one").len();
        run.end()
            .complains(1, &[&format!("error: the host's wall lacks {name}"), remedy, "nothing was started"]);
        assert_eq!(scene.pids("one").len(), launched);
    }
}

#[test]
fn it_can_be_required_and_it_can_be_switched_off_which_is_said() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("one", json!({}))]);
    let run = scene.run_with(&["--require-sandbox"]);
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));

    let run = scene.run_with(&["--wall", "off"]);
    scene.until_booted(2);
    assert!(run.complaints().contains("without its wall (`--wall off`)"), "{}", run.complaints());
    assert_eq!(walls(&run.pid().to_string()), walls("self"));
    assert_eq!(run.terminate().code, Some(0));
    let both = scene.run_with(&["--wall", "off", "--require-sandbox"]).end();
    both.complains(2, &["exclude each other"]);
}

#[test]
fn the_doctor_names_what_is_missing_with_a_remedy_and_ends_with_a_code_of_its_own() {
    let scene = Scene::bare();
    let command = scene.command(&["doctor", "--output", "json", "--state", "state"]);
    let whole = scene.begin(&mut scene.command(&["doctor", "--output", "json", "--state", "state"])).end();
    assert_eq!(whole.code, Some(0), "{}", whole.out);
    assert!(!scene.state().exists(), "it makes nothing");
    let lines = whole.json();
    let checks: Vec<&str> = lines.iter().filter_map(|line| line["check"].as_str()).collect();
    for check in
        ["landlock", "capabilities", "seccomp", "state-directory", "disk-space", "wasmtime", "sqlite"]
    {
        let found =
            lines.iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("{check}: {checks:?}"));
        assert_eq!((&found["needed"], &found["ok"]), (&json!(true), &json!(true)), "{found}");
    }
    for check in ["openat2", "user-namespaces", "bubblewrap", "control-groups"] {
        let found =
            lines.iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("{check}: {checks:?}"));
        assert_eq!(found["needed"], false);
        assert_eq!(found["ok"] == json!(true), found["remedy"].is_null(), "{found}");
    }
    assert_eq!(lines.last().unwrap()["ok"], true);

    let lacking = scene.begin(&mut without(LANDLOCK, &command)).end();
    assert_eq!(lacking.code, Some(1), "{}", lacking.out);
    let lines = lacking.json();
    let found = lines.iter().find(|line| line["check"] == "landlock").unwrap();
    assert_eq!(found["ok"], false);
    assert!(found["remedy"].as_str().unwrap().contains("Linux 6.2"), "{found}");
    assert_eq!(lines.last().unwrap()["missing"], 1);

    let people =
        scene.begin(&mut without(LANDLOCK, &scene.command(&["doctor", "--state", "service.py"]))).end();
    assert_eq!(people.code, Some(1));
    for text in [
        "missing  landlock",
        "hint: Linux 6.2 or newer",
        "missing  state-directory",
        "something that is needed is missing",
    ] {
        assert!(people.out.contains(text), "`{text}` is not in: {}", people.out);
    }
}

#[test]
fn a_component_is_held_to_what_its_document_says() {
    let scene = Scene::new();
    let held = json!({ "no_new_privileges": true, "limits": { "open_files": 100, "core_dump": "0 B" } });
    scene.stack(&["all"], &[scene.web("held", held), scene.web("free", json!({}))]);
    let run = scene.run();
    scene.until_booted(1);
    let (held, free) = (scene.pid("held").to_string(), scene.pid("free").to_string());
    assert_eq!(walls(&held).1, "1");
    assert_eq!(walls(&free), walls("self"));
    let limit = |pid: &str, name: &str| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        line.split_ascii_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit(&held, "Max open files"), ["100", "100"]);
    assert_eq!(limit(&held, "Max core file size"), ["0", "0"]);
    assert_eq!(limit(&free, "Max open files"), limit("self", "Max open files"));
    assert_eq!(run.terminate().code, Some(0));

    // It is another program to its supervisor: held to more, it is launched anew.
    let more = json!({ "no_new_privileges": true, "limits": { "open_files": 80 } });
    scene.stack(&["all"], &[scene.web("held", more), scene.web("free", json!({}))]);
    let run = scene.run();
    scene.until_booted(2);
    assert_eq!(limit(&scene.pid("held").to_string(), "Max open files"), ["80", "80"]);
    assert_eq!(run.terminate().code, Some(0));

    scene.stack(&["all"], &[scene.web("held", json!({ "limits": { "open_files": 2, "memory": "1 MiB" } }))]);
    let plugins = razar_tests::artifact::plugins().display().to_string();
    let check = scene.host(&["check", "--config", "boot_config.json", "--plugins", &plugins]);
    check.complains(
        2,
        &["components[0].limits.open_files", "must be at least 16", "components[0].limits.memory"],
    );
}

#[test]
fn all_processes_of_a_component_are_held_together_or_it_is_not_started() {
    let scene = Scene::new();
    let doctor = scene.host(&["doctor", "--output", "json", "--state", "state"]).json();
    let groups = doctor.iter().find(|line| line["check"] == "control-groups").unwrap()["ok"] == true;
    let service = |id: &str, command: &[&str], limits: Value| {
        json!({ "id": id, "layer": "all", "entrypoint": command, "health": "process", "limits": limits,
            "restart": { "retries": 0 } })
    };
    let crowd = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; wait";
    let glutton = "import time; food = bytearray(b'x') * (400 << 20); time.sleep(600)";
    let modest = "import time; food = bytearray(b'x') * (8 << 20); time.sleep(600)";
    scene.stack(
        &["all"],
        &[
            service("crowd", &["sh", "-c", crowd], json!({ "tasks": 6 })),
            service("glutton", &["python3", "-c", glutton], json!({ "memory": "64 MiB" })),
            service("modest", &["python3", "-c", modest], json!({ "memory": "64 MiB", "tasks": 6 })),
        ],
    );
    let run = scene.run();
    if !groups {
        for id in ["crowd", "glutton", "modest"] {
            scene.until_logged("quarantine", id, "quarantined", 1);
        }
        assert!(scene.story().contains("needs control groups, and"), "{}", scene.story());
        assert_eq!(run.terminate().code, Some(0));
        return;
    }
    scene.until("the crowd to be too many", || scene.file("logs/services/crowd.log").contains("fork"));
    scene.until_logged("quarantine", "crowd", "quarantined", 1);
    scene.until_logged("quarantine", "glutton", "quarantined", 1);
    let words = &scene.logged("quarantine", "glutton", "quarantined")[0]["details"];
    assert!(words.as_str().unwrap().contains("reached `limits.memory`"), "{words}");
    let held = |pid: &u32| {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let mut groups = own.lines().filter(|line| line.contains("/razar-")).peekable();
        groups.peek().is_some() && groups.all(|line| line.ends_with("-modest"))
    };
    scene.until("the modest one to go on", || scene.running().iter().any(held));
    assert_eq!(run.terminate().code, Some(0));
}
