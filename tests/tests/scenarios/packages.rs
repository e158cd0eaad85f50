//! Plugins that do not load: each is named with file and reason, the host ends in time, and the others load.

use std::fs;
use std::path::PathBuf;

use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

/// An empty component: valid, and without any role.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

fn package(scene: &Scene, dir: &str, name: &str, wasm: &[u8]) -> PathBuf {
    let manifest =
        format!("name = \"{name}\"\nversion = \"0.1.0\"\nwasm = \"it.wasm\"\ndescription = \"x\"\n");
    scene.write(&format!("{dir}/plugin.toml"), &manifest);
    let file = scene.path(&format!("{dir}/it.wasm"));
    fs::write(&file, wasm).unwrap();
    file
}

fn list(scene: &Scene, output: &str) -> Ended {
    scene.host(&["plugin", "list", "--plugins", "packages", "--output", output])
}

/// Why a package does not load.
fn about(lines: &[Value], name: &str) -> String {
    let file = format!("packages/{name}");
    let problem =
        lines.iter().find(|line| line["file"] == *file).unwrap_or_else(|| panic!("{name}: {lines:?}"));
    problem["message"].as_str().expect("a message").to_owned()
}

fn shipped(name: &str) -> Vec<u8> {
    fs::read(artifact::plugins().join(name).join(format!("{}.wasm", name.replace('-', "_")))).unwrap()
}

#[test]
fn each_that_does_not_load_is_named_with_its_reason_and_the_good_one_loads() {
    let scene = Scene::bare();
    let good = shipped("probe-tcp");
    let mut oversize = fs::File::create(package(&scene, "packages/oversize", "oversize", b"")).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 41 << 20), &mut oversize).unwrap();
    package(&scene, "packages/text", "text", b"this is no wasm at all");
    package(&scene, "packages/empty", "empty", b"");
    package(&scene, "packages/truncated", "truncated", &good[..good.len() / 2]);
    package(&scene, "packages/module", "module", b"\0asm\x01\0\0\0");
    package(&scene, "packages/no-role", "no-role", EMPTY);
    fs::remove_file(package(&scene, "packages/fifo", "fifo", b"")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(scene.path("packages/fifo/it.wasm")).status();
    assert!(made.unwrap().success());
    package(&scene, "packages/good", "good", &good);
    let ended = list(&scene, "json");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let lines = ended.json();
    let good = lines.iter().find(|line| line["name"] == "good").expect("it loads");
    assert_eq!(good["role"], "probe");
    for (name, reason) in [
        ("empty", "the file is empty"),
        ("fifo", "is not a regular file"),
        ("module", "not a component: build for `wasm32-wasip2`"),
        ("no-role", "exports no role of this host"),
        ("oversize", "is larger than"),
        ("text", "is not wasm"),
        ("truncated", "is damaged at byte"),
    ] {
        let about = about(&lines, name);
        assert!(about.contains(reason), "{name}: {about}");
    }

    // `run` begins nothing with a plugin that does not load: the probes might be missing later.
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    let run = scene.run_with(&["--plugins", "packages"]).end();
    run.complains(
        2,
        &["packages/text", "packages/truncated", "point `wasm` in `plugin.toml` at the built component"],
    );
    assert!(scene.launcher().is_none());
}

#[test]
fn two_of_one_name_are_refused_with_both_places() {
    let scene = Scene::bare();
    let good = shipped("probe-tcp");
    package(&scene, "packages/a", "twin", &good);
    package(&scene, "packages/b", "twin", &good);
    let ended = list(&scene, "plain");
    ended.complains(1, &["packages/a", "packages/b", "`twin`", "rename or remove one of them"]);
}

#[test]
fn a_manifest_that_does_not_hold_is_named_by_line() {
    let scene = Scene::bare();
    package(&scene, "packages/typo", "typo", EMPTY);
    scene.write("packages/typo/plugin.toml", "name = \"typo\"\nversion = \"1\"\nwsam = \"it.wasm\"\n");
    package(&scene, "packages/broken", "broken", EMPTY);
    scene.write("packages/broken/plugin.toml", "name = ");
    package(&scene, "packages/gone", "gone", EMPTY);
    fs::remove_file(scene.path("packages/gone/it.wasm")).unwrap();
    let ended = list(&scene, "plain");
    ended.complains(1, &["packages/typo/plugin.toml", "`wasm`", "packages/broken/plugin.toml"]);
    ended.complains(1, &["cannot read `packages/gone/it.wasm`", "did you mean `wasm`?"]);
}

#[test]
fn a_compile_bomb_is_refused_and_the_others_load() {
    let scene = Scene::bare();
    package(&scene, "packages/bomb", "bomb", &bomb());
    package(&scene, "packages/good", "good", &shipped("probe-tcp"));
    let ended = list(&scene, "json");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let lines = ended.json();
    let about = about(&lines, "bomb");
    assert!(about.contains("in one function, the limit is"), "{about}");
    assert!(lines.iter().any(|line| line["name"] == "good"), "{}", ended.out);
}

/// A component whose one module has one function of several megabytes: cheap to write, dear to compile.
fn bomb() -> Vec<u8> {
    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            if value == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id];
        bytes.extend(number(content.len()));
        bytes.extend_from_slice(content);
        bytes
    }
    // local.get 0, then again and again: block, branch to its end, end.
    let mut code = vec![0];
    for _ in 0..1_500_000 {
        code.extend([0x02, 0x40, 0x0c, 0x00, 0x0b]);
    }
    code.push(0x0b);
    let mut function = vec![1];
    function.extend(number(code.len()));
    function.extend(code);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(section(1, &[1, 0x60, 0, 0]));
    module.extend(section(3, &[1, 0]));
    module.extend(section(10, &function));
    let mut component = EMPTY.to_vec();
    component.extend(section(1, &module));
    component
}
