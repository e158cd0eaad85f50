//! Packages from elsewhere: pinned by digest, signed by somebody who is believed, and never older than what was there. Whatever is
//! refused is named, and leaves directory and lock as they were, to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use minisign::KeyPair;
use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};
use serde_json::json;

use crate::disk::after_mounting;

/// One publisher, one operator, one directory of pinned plugins.
struct Stage {
    scene: Scene,
    acme: KeyPair,
}

/// Everything in a directory, as it is.
type Snapshot = BTreeMap<String, Vec<u8>>;

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(key: &KeyPair, bytes: &[u8], comment: &str) -> String {
    minisign::sign(Some(&key.pk), &key.sk, bytes, Some(comment), None).unwrap().into_string()
}

impl Stage {
    fn new() -> Self {
        let stage = Self { scene: Scene::new(), acme: KeyPair::generate_unencrypted_keypair().unwrap() };
        stage.believe("");
        stage
    }

    /// What the operator believes, and what is above it.
    fn believe(&self, above: &str) {
        self.believe_until(above, "2999-12-31");
    }

    fn believe_until(&self, above: &str, day: &str) {
        let key = self.acme.pk.to_base64();
        let table =
            format!("[signer.acme]\nkey = \"{key}\"\nplugins = [\"probe-*\"]\nnot-after = \"{day}\"\n");
        self.scene.write("signers.toml", &format!("{above}\n{table}"));
    }

    /// What a publisher makes of a probe with the tools he has: `tar`.
    fn package(&self, name: &str, version: &str) -> PathBuf {
        let manifest = format!(
            "name = \"{name}\"\nversion = \"{version}\"\nwasm = \"it.wasm\"\ndescription = \"x\"\n[request]\ntcp = [\"{{target}}\"]\n"
        );
        let dir = format!("made/{name}-{version}");
        self.scene.write(&format!("{dir}/plugin.toml"), &manifest);
        let wasm = artifact::plugins().join("probe-tcp/probe_tcp.wasm");
        fs::copy(wasm, self.scene.path(&format!("{dir}/it.wasm"))).unwrap();
        let archive = self.scene.path(&format!("{dir}.tar"));
        let mut tar = Command::new("tar");
        let tar = tar.arg("-cf").arg(&archive).arg("-C").arg(self.scene.path(&dir)).arg(".").status();
        assert!(tar.unwrap().success());
        archive
    }

    /// The same, signed beside it.
    fn release(&self, name: &str, version: &str) -> PathBuf {
        let archive = self.package(name, version);
        let comment = format!("timestamp:{}\tfile:{name}-{version}.tar\thashed", seconds());
        self.signed(&archive, &sign(&self.acme, &fs::read(&archive).unwrap(), &comment));
        archive
    }

    fn signed(&self, archive: &Path, signature: &str) {
        fs::write(format!("{}.minisig", archive.display()), signature).unwrap();
    }

    fn say(&self, words: &[&str]) -> Ended {
        let cache = self.scene.path("cache");
        self.scene.begin(self.scene.command(words).env("XDG_CACHE_HOME", cache)).end()
    }

    fn add(&self, archive: &Path, more: &[&str]) -> Ended {
        let words =
            ["plugin", "add", archive.to_str().unwrap(), "--plugins", "pinned", "--signers", "signers.toml"];
        self.say(&[&words, more].concat())
    }

    #[track_caller]
    fn added(&self, archive: &Path) {
        let ended = self.add(archive, &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }

    fn list(&self) -> Ended {
        self.say(&["plugin", "list", "--plugins", "pinned"])
    }

    fn lock(&self) -> PathBuf {
        self.scene.path("pinned/plugins.lock")
    }

    /// The archive of a plugin that is pinned.
    fn archive(&self, name: &str) -> PathBuf {
        let entries = fs::read_dir(self.scene.path("pinned")).unwrap().flatten();
        let ours =
            |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}-"));
        let found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(ours).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    fn snapshot(&self) -> Snapshot {
        let entries = fs::read_dir(self.scene.path("pinned")).unwrap().flatten();
        let entry = |path: PathBuf| (path.display().to_string(), fs::read(&path).unwrap());
        entries.map(|found| entry(found.path())).collect()
    }
}

#[test]
fn what_is_signed_is_pinned_shown_and_runs() {
    let stage = Stage::new();
    let archive = stage.release("probe-x", "0.2.0");
    let ended = stage.add(&archive, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.out.contains("probe-x 0.2.0 is pinned in pinned/plugins.lock: signed by acme"),
        "{}",
        ended.out
    );
    stage.added(&stage.package("probe-y", "1.0.0"));
    let stored = fs::read(stage.archive("probe-x")).unwrap();
    assert_eq!(stored, fs::read(&archive).unwrap(), "what was signed is what is stored");

    let listed = stage.list();
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    let line = |name: &str| listed.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("probe-x").ends_with("(pinned, signed by acme)"), "{}", listed.out);
    assert!(line("probe-y").ends_with("x (pinned)"), "{}", listed.out);
    let inspect = |output: &str| {
        stage.say(&["plugin", "inspect", "probe-x", "--plugins", "pinned", "--output", output])
    };
    let shown = inspect("plain").out;
    for text in
        ["pinned:\n  sha256:", "signed by acme, key RW", "who said: timestamp:", "made/probe-x-0.2.0.tar"]
    {
        assert!(shown.contains(text), "`{text}` is not in:\n{shown}");
    }
    let pin = &inspect("json").json()[0]["pin"];
    assert_eq!((&pin["version"], &pin["signature"]["signer"]), (&json!("0.2.0"), &json!("acme")), "{pin}");

    let address = format!("{}:{}", stage.scene.address(), stage.scene.port("nobody"));
    let words = [
        "plugin",
        "run",
        "probe-x",
        "--plugins",
        "pinned",
        "--signers",
        "signers.toml",
        "--address",
        &address,
    ];
    let ran = stage.say(&words);
    assert!(ran.code == Some(1) && ran.out.contains("outcome: unhealthy"), "{}{}", ran.out, ran.err);
    // A new version takes the place of the old one, which is gone; a directory is as good as an archive.
    let newer = stage.package("probe-y", "1.1.0");
    stage.added(newer.with_extension("").as_path());
    assert_eq!(stage.list().code, Some(0));
    assert!(fs::read_to_string(stage.lock()).unwrap().contains("version = \"1.1.0\""));
    assert!(fs::read_dir(stage.scene.path("pinned")).unwrap().count() == 3, "{:?}", stage.snapshot().keys());
}

#[test]
fn a_host_goes_on_with_what_it_has_loaded_and_the_next_one_refuses_what_was_changed() {
    let stage = Stage::new();
    let scene = &stage.scene;
    stage.added(&stage.release("probe-x", "0.2.0"));
    let address = format!("tcp://{}:{}", scene.address(), scene.port("one"));
    let health = json!({ "probe": "probe-x", "address": address, "interval": "100 ms", "deadline": "20 s" });
    scene.stack(&["all"], &[scene.web("one", json!({ "health": health }))]);
    let boot = || scene.run_with(&["--plugins", "pinned", "--signers", "signers.toml"]);
    let run = boot();
    scene.until_booted(1);
    let (archive, good) = (stage.archive("probe-x"), fs::read(stage.archive("probe-x")).unwrap());
    let mut bytes = good.clone();
    bytes[good.len() / 2] ^= 1;
    fs::write(&archive, bytes).unwrap();
    // It is asked ten times a second, and nothing is read anew: the service that ends is started, and found well again.
    scene.host(&["restart", "one", "--state", scene.state().to_str().unwrap()]);
    scene.until("the service is well again", || {
        let status =
            scene.host(&["status", "one", "--output", "json", "--state", scene.state().to_str().unwrap()]);
        scene.pids("one").len() == 2 && status.out.contains("\"ready\"")
    });
    assert_eq!(run.terminate().code, Some(0));
    boot().end().complains(2, &["probe-x: ", "was changed after it was added"]);
    fs::write(&archive, good).unwrap();
    let run = boot();
    scene.until_booted(2);
    assert_eq!(run.terminate().code, Some(0));
}

/// F14.
#[test]
fn what_is_not_as_it_was_pinned_is_refused_by_name_and_the_others_load() {
    let stage = Stage::new();
    let (x, y) = (stage.release("probe-x", "0.2.0"), stage.package("probe-y", "1.0.0"));
    stage.added(&x);
    stage.added(&y);
    let (archive, good) = (stage.archive("probe-x"), stage.snapshot());
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    let lock = fs::read_to_string(stage.lock()).unwrap();
    let digits = name.strip_prefix("probe-x-").unwrap().strip_suffix(".tar").unwrap().to_owned();
    let other_digits: String = digits.chars().rev().collect();

    let ways: [(&str, &dyn Fn()); 6] = [
        ("was changed after it was added", &|| {
            let mut bytes = fs::read(&archive).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&archive, bytes).unwrap();
        }),
        ("was changed after it was added", &|| fs::write(&archive, b"").unwrap()),
        ("is a symbolic link", &|| {
            fs::remove_file(&archive).unwrap();
            symlink(&x, &archive).unwrap();
        }),
        ("is named in `plugins.lock` and is not there", &|| fs::remove_file(&archive).unwrap()),
        ("is named in `plugins.lock` and is not there", &|| {
            fs::write(stage.lock(), lock.replace(&digits, &other_digits)).unwrap();
        }),
        // Whoever changes the version in the lock to have an older one taken for newer says what the package does not.
        ("is probe-x 0.2.0, and `plugins.lock` says probe-x 0.1.0", &|| {
            fs::write(stage.lock(), lock.replace("\"0.2.0\"", "\"0.1.0\"")).unwrap();
        }),
    ];
    for (said, change) in ways {
        change();
        let ended = stage.list();
        ended.complains(1, &[said, "probe-x: ", "razar-host plugin add"]);
        assert!(ended.out.contains("probe-y") && !ended.out.contains("probe-x"), "{said}: {}", ended.out);
        // Nothing is started with a plugin that is not what it was.
        stage.scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
        let mut run = stage.scene.run_command(&["--plugins", "pinned"]);
        let run = stage.scene.begin(run.env("XDG_CACHE_HOME", stage.scene.path("cache"))).end();
        run.complains(2, &[said]);
        assert!(stage.scene.launcher().is_none());
        fs::write(stage.lock(), &lock).unwrap();
        // The remedy that was named.
        stage.added(&x);
        assert_eq!(stage.list().code, Some(0), "{said}");
        let mended = stage.snapshot();
        assert_eq!(
            (mended.keys().collect::<Vec<_>>(), &mended[&archive.display().to_string()]),
            (good.keys().collect::<Vec<_>>(), &good[&archive.display().to_string()])
        );
    }
}

/// F14, too: what lies beside a lock and is not named in it is not loaded, and without its lock nothing is.
#[test]
fn a_lock_is_all_there_is_and_one_that_cannot_be_read_is_nothing() {
    let stage = Stage::new();
    stage.added(&stage.release("probe-x", "0.2.0"));
    let pinned = |name: &str| stage.scene.path(&format!("pinned/{name}"));
    let copy = |name: &str| {
        fs::copy(stage.package("probe-z", "0.1.0"), pinned(name)).unwrap();
    };
    copy("probe-z.tar");
    fs::create_dir(pinned("probe-z")).unwrap();
    fs::write(pinned("stray.wasm"), b"\0asm").unwrap();
    let ended = stage.list();
    ended.complains(
        1,
        &["pinned/probe-z.tar` is not named in", "pinned/probe-z`", "pinned/stray.wasm`", "not loaded"],
    );
    assert!(ended.out.contains("probe-x") && !ended.out.contains("probe-z"), "{}", ended.out);
    fs::remove_file(pinned("probe-z.tar")).unwrap();
    fs::remove_dir(pinned("probe-z")).unwrap();
    fs::remove_file(pinned("stray.wasm")).unwrap();

    // As an interrupted `plugin add` leaves it: named, not loaded, and in nobody's way.
    copy("probe-z-0123456789abcdef.tar");
    let ended = stage.list();
    ended.complains(
        0,
        &["probe-z-0123456789abcdef.tar", "a `plugin add` was interrupted", "plugin add pinned/probe-z"],
    );
    assert!(!ended.out.contains("probe-z"), "{}", ended.out);
    stage.added(&pinned("probe-z-0123456789abcdef.tar"));
    let ended = stage.list();
    assert!(ended.code == Some(0) && ended.err.is_empty() && ended.out.contains("probe-z"), "{}", ended.err);

    let (lock, text) = (stage.lock(), fs::read(stage.lock()).unwrap());
    let ways: [(&str, &dyn Fn()); 6] = [
        ("line ", &|| fs::write(&lock, &text[..text.len() / 2 + 40]).unwrap()),
        ("is not UTF-8", &|| fs::write(&lock, b"\xff\xfe").unwrap()),
        ("unknown field `digset`", &|| {
            fs::write(&lock, String::from_utf8_lossy(&text).replace("digest", "digset")).unwrap();
        }),
        ("is a symbolic link", &|| symlink("/dev/null", &lock).unwrap()),
        ("is not a regular file", &|| fs::create_dir(&lock).unwrap()),
        ("is not a regular file", &|| {
            assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
            assert!(fs::symlink_metadata(&lock).unwrap().file_type().is_fifo());
        }),
    ];
    for (said, change) in ways {
        fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock)).unwrap();
        change();
        let ended = stage.list();
        ended.complains(1, &["pinned/plugins.lock", said]);
        assert_eq!(ended.out, "", "nothing is loaded: {said}");
        let added = stage.add(&stage.release("probe-x", "0.3.0"), &[]);
        added.complains(1, &["pinned/plugins.lock", said]);
    }
    // Without its lock, an archive is nobody's.
    fs::remove_dir(&lock).or_else(|_| fs::remove_file(&lock)).unwrap();
    stage.list().complains(
        1,
        &["probe-x: ", "is a package in one file, which is loaded only where a `plugins.lock`"],
    );
}

/// F15.
#[test]
fn a_signature_that_is_not_believed_changes_nothing() {
    let stage = Stage::new();
    stage.added(&stage.release("probe-x", "0.2.0"));
    let good = stage.snapshot();
    let newer = stage.release("probe-x", "0.3.0");
    let (bytes, now) = (fs::read(&newer).unwrap(), seconds());
    let at = |seconds: u64| sign(&stage.acme, &bytes, &format!("timestamp:{seconds}"));
    let sound = at(now);
    let refused = |archive: &Path, more: &[&str], said: &[&str]| {
        let ended = stage.add(archive, more);
        ended.complains(1, said);
        assert_eq!(stage.snapshot(), good, "{said:?}");
        assert!(ended.err.contains("hint: "), "{}", ended.err);
    };

    let stranger = KeyPair::generate_unencrypted_keypair().unwrap();
    stage.signed(&newer, &sign(&stranger, &bytes, &format!("timestamp:{now}")));
    refused(&newer, &[], &["probe-x: it is signed with a key that is none of the operator's signers'"]);
    // A stranger's signature under the name of a key that is believed.
    let lines: Vec<String> = sound.lines().map(str::to_owned).collect();
    stage.signed(&newer, &sound.replace(&lines[1][20..60], &lines[3][20..60]));
    refused(&newer, &[], &["claims to be `acme`'s and does not fit"]);
    stage.signed(&newer, &sound.replace(&now.to_string(), &(now + 1).to_string()));
    refused(&newer, &[], &["trusted comment were changed"]);
    stage.signed(&newer, &sign(&stage.acme, b"another file", &format!("timestamp:{now}")));
    refused(&newer, &[], &["does not fit: file, signature or trusted comment"]);
    stage.signed(&newer, "signed\nby\nacme\n");
    refused(&newer, &[], &["is no signature of minisign's"]);
    stage.signed(&newer, &at(now + 3 * 86_400));
    refused(&newer, &[], &["more than a day after now"]);
    stage.signed(&newer, &sound);
    let mut tampered = bytes.clone();
    *tampered.last_mut().unwrap() ^= 1;
    fs::write(&newer, tampered).unwrap();
    refused(&newer, &[], &["claims to be `acme`'s and does not fit"]);
    fs::write(&newer, &bytes).unwrap();
    // It is the operator who says whom to believe, for how long and for what.
    stage.believe_until("", "2020-02-29");
    refused(&newer, &[], &["the key of `acme` is believed until 2020-02-29"]);
    stage.believe("max-age = \"30 d\"");
    stage.signed(&newer, &at(now - 31 * 86_400));
    refused(&newer, &[], &["its signature is 31 d", "may be no older than 30 d"]);
    stage.signed(&newer, &sign(&stage.acme, &bytes, "0.3.0"));
    refused(&newer, &[], &["does not say when it was made", "timestamp:"]);
    stage.believe("");
    let agent = stage.release("agent-x", "0.3.0");
    refused(&agent, &[], &["agent-x: `acme` signed it and may not sign `agent-x`"]);
    fs::remove_file(format!("{}.minisig", newer.display())).unwrap();
    refused(&newer, &["--require-signature"], &["it is not signed, and signatures are required"]);
    refused(&newer, &[], &["it is not signed, and what is pinned is signed by `acme`"]);
    stage.believe("required = true");
    refused(&newer, &["--allow-downgrade"], &["it is not signed, and signatures are required"]);
    // And then it takes what it should.
    stage.signed(&newer, &sound);
    stage.added(&newer);
    assert_eq!(stage.list().code, Some(0));
}

/// F15, too: what was published once can be offered again, and is refused when something newer is there.
#[test]
fn an_older_version_is_not_put_back_unless_somebody_says_so() {
    let stage = Stage::new();
    let (older, newer) = (stage.release("probe-x", "0.9.0"), stage.release("probe-x", "0.10.0"));
    stage.added(&older);
    stage.added(&newer);
    let good = stage.snapshot();
    stage.add(&older, &[]).complains(1, &["version 0.9.0, and 0.10.0 is pinned", "--allow-downgrade"]);
    assert_eq!(stage.snapshot(), good);
    // The same version once more, signed before: a build that its author has replaced.
    let replaced = stage.package("probe-x", "0.10.0");
    let mut bytes = fs::read(&replaced).unwrap();
    bytes.extend([0; 512]);
    fs::write(&replaced, &bytes).unwrap();
    stage.signed(&replaced, &sign(&stage.acme, &bytes, &format!("timestamp:{}", seconds() - 86_400)));
    stage
        .add(&replaced, &[])
        .complains(1, &["it is version 0.10.0 like what is pinned", "was signed before that"]);
    assert_eq!(stage.snapshot(), good);
    let chosen = stage.add(&older, &["--allow-downgrade"]);
    assert_eq!(chosen.code, Some(0), "{}", chosen.err);
    assert!(fs::read_to_string(stage.lock()).unwrap().contains("downgraded-from = \"0.10.0\""));
    let shown = stage.say(&["plugin", "inspect", "probe-x", "--plugins", "pinned"]).out;
    assert!(shown.contains("in the place of 0.10.0"), "{shown}");
}

#[test]
fn a_key_that_is_believed_no_more_takes_its_plugins_with_it() {
    let stage = Stage::new();
    stage.added(&stage.release("probe-x", "0.2.0"));
    stage.added(&stage.package("probe-y", "1.0.0"));
    let list = |dir: &str| stage.say(&["plugin", "list", "--signers", "signers.toml", "--plugins", dir]);
    assert_eq!(list("pinned").code, Some(0));
    stage.believe("required = true");
    let ended = list("pinned");
    ended.complains(1, &["probe-y: it is not signed, and signatures are required"]);
    assert!(ended.out.contains("probe-x") && !ended.out.contains("probe-y"), "{}", ended.out);
    // Also where there is no lock at all.
    stage.package("probe-z", "0.1.0");
    list("made").complains(1, &["probe-z: it is not signed"]);
    let other = Stage::new();
    fs::copy(other.scene.path("signers.toml"), stage.scene.path("signers.toml")).unwrap();
    list("pinned").complains(1, &["probe-x: it is signed with a key that is none of"]);
    // Who is believed must be known: nobody is, otherwise.
    stage.scene.write("signers.toml", "[signer.acme]\nkye = \"x\"\n");
    let ended = list("pinned");
    ended.complains(1, &["signers.toml", "line 2", "did you mean `key`?", "probe-x: "]);
    assert_eq!(ended.out, "");
    stage.scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    let check = ["check", "--config", "boot_config.json", "--plugins", "pinned", "--signers", "signers.toml"];
    stage.say(&check).complains(2, &["signers.toml", "did you mean `key`?"]);
}

#[test]
fn what_would_not_load_is_not_pinned() {
    let stage = Stage::new();
    stage.added(&stage.release("probe-x", "0.2.0"));
    let good = stage.snapshot();
    let dir = stage.package("probe-x", "0.3.0").with_extension("");
    fs::write(dir.join("it.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    stage
        .add(&dir, &["--allow-downgrade"])
        .complains(1, &["probe-x: the plugin exports no role of this host"]);
    fs::write(dir.join("plugin.toml"), "name = \"probe-x\"\nversoin = \"1\"\n").unwrap();
    stage.add(&dir, &[]).complains(1, &["plugin.toml", "did you mean `version`?"]);
    let wasm = dir.join("it.wasm");
    stage.add(&wasm, &[]).complains(1, &["it.wasm` is no package", "tar -cf FILE -C DIRECTORY ."]);
    stage.add(&dir.join("absent"), &[]).complains(2, &["cannot read"]);
    // What people have in their hands instead, by its name.
    let packed = stage.scene.path("made/it.tgz");
    let tar = Command::new("tar").arg("-czf").arg(&packed).arg("-C").arg(&dir).arg(".").status();
    assert!(tar.unwrap().success());
    stage
        .add(&packed, &[])
        .complains(1, &["it.tgz` is no package", "compressed with gzip", "gunzip -k FILE"]);
    let deep = stage.scene.path("made/deep.tar");
    let made = stage.scene.path("made");
    let tar = Command::new("tar").arg("-cf").arg(&deep).arg("-C").arg(made).arg("probe-x-0.3.0").status();
    assert!(tar.unwrap().success());
    stage
        .add(&deep, &[])
        .complains(1, &["lie in the directory `probe-x-0.3.0`", "tar -cf FILE -C probe-x-0.3.0 ."]);
    stage.scene.write("one/inner/plugin.toml", "");
    stage.add(&stage.scene.path("one"), &[]).complains(2, &["one level below", "one/inner`"]);
    assert_eq!(stage.snapshot(), good);
    // A directory of packages that were never pinned stays what it is.
    let open = stage.say(&[
        "plugin",
        "add",
        stage.package("probe-y", "0.1.0").to_str().unwrap(),
        "--plugins",
        "made",
    ]);
    open.complains(1, &["holds packages that no `plugins.lock` names", "name a directory of its own"]);
    assert!(!stage.scene.path("made/plugins.lock").exists());
    stage.say(&["plugin", "add", "x.tar"]).complains(2, &["`--plugins DIR`"]);
}

#[test]
fn what_is_taken_away_is_pinned_no_more() {
    let stage = Stage::new();
    let remove = |name: &str, dir: &str| stage.say(&["plugin", "remove", name, "--plugins", dir]);
    remove("probe-x", "nowhere").complains(2, &["has no `plugins.lock`"]);
    assert!(!stage.scene.path("nowhere").exists(), "nothing is made");
    stage.added(&stage.release("probe-x", "0.2.0"));
    let one = stage.snapshot();
    stage.added(&stage.release("probe-y", "0.1.0"));
    remove("probe-yy", "pinned").complains(2, &["probe-yy: is not pinned here", "did you mean `probe-y`?"]);
    let ended = remove("probe-y", "pinned");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.starts_with("probe-y 0.1.0 is gone from pinned"), "{}", ended.out);
    assert_eq!(stage.snapshot(), one, "as if it had never been added");
    let listed = stage.list();
    assert!(
        listed.code == Some(0) && listed.err.is_empty() && !listed.out.contains("probe-y"),
        "{}",
        listed.err
    );
    // The last one leaves a lock that names nobody: the directory stays a locked one.
    assert_eq!(remove("probe-x", "pinned").code, Some(0));
    assert_eq!(stage.snapshot().len(), 1);
    let older = stage.add(&stage.release("probe-x", "0.1.0"), &[]);
    assert_eq!(older.code, Some(0), "nothing is known of the newer one any more: {}", older.err);
}

#[test]
fn what_cannot_be_taken_away_is_not_called_gone() {
    let stage = Stage::new();
    let remove = || stage.say(&["plugin", "remove", "probe-x", "--plugins", "pinned"]);
    stage.added(&stage.release("probe-x", "0.1.0"));
    let archive = stage.archive("probe-x");
    let bytes = fs::read(&archive).unwrap();
    // Not even root removes this as a file.
    fs::remove_file(&archive).unwrap();
    fs::create_dir(&archive).unwrap();
    let name = archive.file_name().unwrap().to_str().unwrap();
    let ended = remove();
    ended.complains(1, &["names it no more", name, "cannot be removed", "nothing loads it"]);
    assert!(!ended.out.contains("is gone"), "{}", ended.out);
    let lock = fs::read_to_string(stage.lock()).unwrap();
    assert!(!lock.contains("probe-x"), "{lock}");
    // Said again when it can be removed, the same command completes it.
    fs::remove_dir(&archive).unwrap();
    fs::write(&archive, bytes).unwrap();
    let ended = remove();
    assert!(ended.code == Some(0) && ended.out.contains("is gone"), "{}{}", ended.out, ended.err);
    assert!(!archive.exists());
}

#[test]
fn packages_that_are_added_at_once_are_all_there_afterwards() {
    let stage = Stage::new();
    let packages: Vec<PathBuf> =
        (0..4).map(|number| stage.release(&format!("probe-{number}"), "0.1.0")).collect();
    // Compiled once; then they really are at once.
    stage.added(&packages[0]);
    let begun: Vec<_> = packages
        .iter()
        .map(|package| {
            let words = [
                "plugin",
                "add",
                package.to_str().unwrap(),
                "--plugins",
                "pinned",
                "--signers",
                "signers.toml",
            ];
            stage.scene.begin(stage.scene.command(&words).env("XDG_CACHE_HOME", stage.scene.path("cache")))
        })
        .collect();
    for run in begun {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    let listed = stage.list();
    assert_eq!((listed.code, listed.out.lines().count()), (Some(0), 4), "{}{}", listed.out, listed.err);
    assert!(listed.out.lines().all(|line| line.ends_with("signed by acme)")), "{}", listed.out);
}

#[test]
fn on_a_full_disk_what_was_pinned_stays_pinned() {
    let stage = Stage::new();
    let (old, new) = (stage.release("probe-x", "0.1.0"), stage.release("probe-x", "0.2.0"));
    stage.added(&old);
    let good = stage.snapshot();
    // Room for the old one and half of the new one, and afterwards a look at everything that is left there.
    let room = fs::metadata(&new).unwrap().len() * 3 / 2;
    let script = format!("mkdir small && mount -t tmpfs -o size={room} tmpfs small && cp pinned/* small/");
    let host = stage.scene.command(&[]).get_program().to_string_lossy().into_owned();
    let add = format!("{host} plugin add {} --plugins small --signers signers.toml", new.display());
    let look = "code=$?; rm pinned/*; cp small/* small/.[!.]* pinned/ 2>/dev/null; exit $code";
    let mut inside = Command::new("sh");
    inside.args(["-c", &format!("{add}; {look}")]).env("XDG_CACHE_HOME", stage.scene.path("cache"));
    let Some(mut command) = after_mounting(&stage.scene, &inside, &script) else { return };
    let ended = stage.scene.begin(&mut command).end();
    ended.complains(1, &["cannot write `small/.razar-probe-x-", "No space left on device"]);
    assert_eq!(stage.snapshot(), good, "bit for bit, and nothing half-written");
    assert_eq!(stage.list().code, Some(0));
}
