//! `razar-host conform` on the real binary: what it says of a host in order, of one with a hole, and of plugins that use
//! less, or try more, than they are granted.

use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

use crate::corpus;
use crate::stage::Stage;

pub(crate) fn trials() -> Vec<Trial> {
    let own = |name: &str, run: fn()| {
        Trial::test(format!("conform::{name}"), move || -> Result<(), Failed> {
            run();
            Ok(())
        })
    };
    vec![
        own("a_host_in_order_has_no_hole", in_order),
        own("a_hole_is_named_and_ends_with_one", a_hole),
        own("what_is_denied_and_what_is_never_used_is_listed", denied_and_unused),
        own("a_limit_that_cannot_be_enforced_is_refused", beyond_the_ceiling),
    ]
}

fn conform(scene: &Scene, words: &[&str]) -> Ended {
    // It takes its time: no limit but that of the whole run.
    let output = scene.command(&[&["conform"], words].concat()).output().expect("the host starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn of_kind<'a>(lines: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["kind"] == kind)
}

/// A corpus of these files of cases, with all guests.
fn part(scene: &Scene, name: &str, cases: &str) -> String {
    let folder = scene.path(name);
    fs::create_dir_all(folder.join("cases")).unwrap();
    fs::write(folder.join("cases/some.toml"), cases).unwrap();
    std::os::unix::fs::symlink(corpus::folder().join("guests"), folder.join("guests")).unwrap();
    folder.display().to_string()
}

fn in_order() {
    let scene = Scene::bare();
    let grants = scene.write("grants.toml", "[probe-tcp]\nlimits = { memory = \"4 MiB\", handles = 32 }\n");
    let (plugins, grants) = (artifact::plugins().display().to_string(), grants.display().to_string());
    let all = corpus::folder().display().to_string();
    let words = ["--plugins", &plugins, "--grants", &grants, "--corpus", &all, "--output", "json"];
    let ended = conform(&scene, &words);
    let lines = ended.json();
    let sum = lines.last().unwrap();
    assert_eq!(ended.code, Some(0), "{:?}\n{}", of_kind(&lines, "sum").last(), ended.err);
    assert_eq!(
        (&sum["holes"], &sum["problems"], &sum["plugins"]),
        (&json!(0), &json!(0), &json!(5)),
        "{sum}"
    );
    assert_eq!(of_kind(&lines, "case").count(), corpus::cases().len());
    assert!(of_kind(&lines, "case").all(|line| line["held"] == true));
    // All but fuel, which nobody has set.
    assert_eq!(of_kind(&lines, "limit").count(), 5 * 20);
    let own = |limit: &str| {
        let mut found =
            of_kind(&lines, "limit").filter(|l| l["plugin"] == "probe-tcp" && l["limit"] == limit);
        found.next().unwrap_or_else(|| panic!("nothing about {limit}")).clone()
    };
    assert_eq!((&own("memory")["in_force"], &own("memory")["enforced"]), (&json!(4 << 20), &json!(true)));
    assert_eq!((&own("handles")["tried"], &own("handles")["enforced"]), (&json!(32), &json!(true)));
    assert_eq!((&own("deadline")["in_force"], &own("deadline")["tried"]), (&json!(5_000), &json!(1_000)));
    assert_eq!(ended.err, "", "hostile guests are not news here");
}

fn a_hole() {
    let scene = Scene::bare();
    let plugins = artifact::plugins().display().to_string();
    // A case that says of an honest guest that it must crash stands for a guard that is gone.
    let cases = r#"
        [A1_honest]
        about = "an honest guest crashes"
        guest = "healthy"
        expect = { end = "trap" }
        guard = { name = "none", control = {} }
    "#;
    let some = part(&scene, "some", cases);
    let ended = conform(&scene, &["--plugins", &plugins, "--corpus", &some]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    for text in [
        "hole: A1_honest (an honest guest crashes): nothing ended as `trap`",
        "hole: `memory` of probe-http is 16777216 and does not hold at 16777216: the corpus has no case about it",
        "5 plugins: 100 limits and 1 case tried; no probe was asked: name a boot configuration with `--config FILE`; 101 holes",
    ] {
        assert!(ended.out.contains(text), "`{text}` is not in:\n{}", ended.out);
    }
}

fn denied_and_unused() {
    let scene = Scene::bare();
    let package = scene.path("plugins/probe-curious");
    fs::create_dir_all(&package).unwrap();
    fs::copy(corpus::folder().join("guests/probe-hostile-net.wasm"), package.join("curious.wasm")).unwrap();
    let upstream = Stage::shared().upstream.port();
    let manifest = format!(
        "name = \"probe-curious\"\nversion = \"0.1.0\"\nwasm = \"curious.wasm\"\ndescription = \"curious\"\n\
         [request]\ntcp = [\"127.0.0.1:{upstream}\", \"127.0.0.1:9\"]\nnames = [\"nowhere.test\"]\n"
    );
    fs::write(package.join("plugin.toml"), manifest).unwrap();
    let grant = format!(
        "[probe-curious]\ntcp = [\"127.0.0.1:{upstream}\", \"127.0.0.1:9\"]\nnames = [\"nowhere.test\"]\n"
    );
    let grants = scene.write("grants.toml", &grant).display().to_string();
    let steps = json!([["get", format!("127.0.0.1:{upstream}")], ["get", "127.0.0.1:10"]]);
    let health =
        json!({ "probe": "probe-curious", "settings": { "do": "net", "steps": steps }, "timeout": "20 s" });
    scene.stack(&["all"], &[json!({ "id": "web", "entrypoint": ["sleep", "600"], "health": health })]);
    let (plugins, config) = (plugins_of(&package), scene.path("boot_config.json").display().to_string());
    let words = ["--plugins", &plugins, "--grants", &grants, "--config", &config];

    let ended = conform(&scene, &words);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    for text in [
        "asked: probe-curious about web (startup): reply",
        "denied: probe-curious about web: `tcp` denied (not-requested): `127.0.0.1:10`: no line in a grants file",
        "unused: tcp `127.0.0.1:9` of probe-curious",
        "unused: name-lookup `nowhere.test` of probe-curious",
        "no limit was tried and no case run: name a corpus with `--corpus DIR`",
    ] {
        assert!(ended.out.contains(text), "`{text}` is not in:\n{}", ended.out);
    }
    assert!(!ended.out.contains(&format!("unused: tcp `127.0.0.1:{upstream}`")), "{}", ended.out);

    let json = conform(&scene, &[&words[..], &["--output", "json"]].concat()).json();
    let unused: Vec<&str> = of_kind(&json, "unused").filter_map(|line| line["rule"].as_str()).collect();
    assert_eq!(unused, ["127.0.0.1:9", "nowhere.test"]);
    let denied = of_kind(&json, "denied").next().unwrap();
    assert_eq!((&denied["capability"], &denied["subject"]), (&json!("tcp"), &json!("127.0.0.1:10")));

    // What is asked for and not granted is found before anything runs, with the line that would allow it.
    scene.write("grants.toml", "");
    conform(&scene, &words).complains(2, &["tcp = [\"127.0.0.1:9\"]", "write below `[probe-curious]`"]);
}

fn plugins_of(package: &Path) -> String {
    package.parent().unwrap().display().to_string()
}

fn beyond_the_ceiling() {
    let scene = Scene::bare();
    let plugins = artifact::plugins().display().to_string();
    let grants =
        scene.write("grants.toml", "[probe-tcp]\nlimits = { memory = \"64 GiB\" }\n").display().to_string();
    let ended = conform(&scene, &["--plugins", &plugins, "--grants", &grants]);
    ended.complains(2, &["memory", "above the ceiling of \"2 GiB\"", "write `memory = \"2 GiB\"` or less"]);
    conform(&scene, &[]).complains(2, &["--plugins DIR"]);
    let ended = conform(&scene, &["--plugins", &plugins, "--corpus", "nowhere"]);
    ended.complains(2, &["cannot read `nowhere/cases`"]);
    fs::create_dir_all(scene.path("empty/cases")).unwrap();
    let ended = conform(&scene, &["--plugins", &plugins, "--corpus", "empty"]);
    ended.complains(2, &["cannot read `empty/cases`: there is no case in it"]);
}
