//! `plugin add` and `plugin remove`, killed in the middle: the lock is the truth, what it does not name is not loaded, and the same
//! command, said again, completes it.

use std::fs;
use std::path::Path;

use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};

/// Where it is killed, and whether the new version is what the lock names then.
const PLACES: &[(&str, bool)] =
    &[("pin.copied", false), ("pin.placed", false), ("pin.written", false), ("pin.locked", true)];

fn package(scene: &Scene, version: &str) -> String {
    let dir = format!("made/{version}");
    let manifest =
        format!("name = \"probe-x\"\nversion = \"{version}\"\nwasm = \"it.wasm\"\ndescription = \"x\"\n");
    let made = scene.write(&format!("{dir}/plugin.toml"), &manifest);
    let made = made.parent().unwrap();
    fs::copy(artifact::plugins().join("probe-tcp/probe_tcp.wasm"), made.join("it.wasm")).unwrap();
    made.display().to_string()
}

fn say(scene: &Scene, words: &[&str], places: &Path) -> Ended {
    let mut command = scene.command(&[words, &["--plugins", "pinned"]].concat());
    scene.begin(command.env("RAZAR_FAILPOINTS", places).env("XDG_CACHE_HOME", scene.path("cache"))).end()
}

#[test]
fn a_package_that_was_being_added_is_the_old_one_or_the_new_one() {
    for (place, new) in PLACES {
        let scene = Scene::bare();
        let places = scene.path("places");
        fs::create_dir_all(&places).unwrap();
        let (old, newer) = (package(&scene, "0.1.0"), package(&scene, "0.2.0"));
        assert_eq!(say(&scene, &["plugin", "add", &old], &places).code, Some(0));
        fs::write(places.join(place), "0").unwrap();
        let ended = say(&scene, &["plugin", "add", &newer], &places);
        assert_eq!(ended.code, None, "nobody died at {place}: {}", ended.err);
        fs::remove_file(places.join("fired")).unwrap();

        let listed = say(&scene, &["plugin", "list"], &places);
        let version = if *new { "0.2.0" } else { "0.1.0" };
        assert!(
            listed.code == Some(0) && listed.out.contains(version),
            "{place}: {}{}",
            listed.out,
            listed.err
        );
        assert_eq!(listed.out.lines().count(), 1, "{place}: {}", listed.out);
        // From the moment it has its name until it is in the lock, or until the old one is gone.
        let left = *place != "pin.copied";
        assert_eq!(listed.err.contains("a `plugin add` was interrupted"), left, "{place}: {}", listed.err);

        let again = say(&scene, &["plugin", "add", &newer], &places);
        assert_eq!(again.code, Some(0), "{place}: {}", again.err);
        let listed = say(&scene, &["plugin", "list"], &places);
        assert!(
            listed.out.contains("0.2.0") && listed.err.is_empty(),
            "{place}: {}{}",
            listed.out,
            listed.err
        );
        let there: Vec<_> =
            fs::read_dir(scene.path("pinned")).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(there.len(), 2, "{place}: {there:?}");
    }
}

#[test]
fn a_package_that_was_being_taken_away_is_there_or_is_not() {
    for (place, gone) in [("pin.written", false), ("unpin.locked", true)] {
        let scene = Scene::bare();
        let places = scene.path("places");
        fs::create_dir_all(&places).unwrap();
        assert_eq!(say(&scene, &["plugin", "add", &package(&scene, "0.1.0")], &places).code, Some(0));
        fs::write(places.join(place), "0").unwrap();
        let ended = say(&scene, &["plugin", "remove", "probe-x"], &places);
        assert_eq!(ended.code, None, "nobody died at {place}: {}", ended.err);
        fs::remove_file(places.join("fired")).unwrap();

        let listed = say(&scene, &["plugin", "list"], &places);
        assert_eq!(listed.code, Some(0), "every file that the lock names is there: {}", listed.err);
        assert_eq!(listed.out.is_empty(), gone, "{place}: {}", listed.out);
        assert_eq!(listed.err.contains("or a `plugin remove`"), gone, "{place}: {}", listed.err);

        let again = say(&scene, &["plugin", "remove", "probe-x"], &places);
        assert_eq!(again.code, Some(0), "{place}: {}", again.err);
        let there: Vec<_> =
            fs::read_dir(scene.path("pinned")).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(there, ["plugins.lock"], "{place}");
    }
}
