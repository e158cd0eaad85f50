//! `plugins.lock`: written, read, torn, and wrong.

use super::*;
use crate::document::located::testing::assert_says;
use crate::id::Digest;

const SIGNED: &str = include_str!("../../trust/fixture/signed.minisig");

fn lock() -> Lock {
    let pin = |version: &str, signed: bool| Pin {
        version: version.parse().unwrap(),
        digest: Digest::of(version.as_bytes()),
        from: "/srv/a \"b\" \\c.tar".to_owned(),
        added: "2026-11-22T12:00:00.000Z".to_owned(),
        downgraded_from: signed.then(|| "0.9.0-rc.1".parse().unwrap()),
        signed: signed.then(|| Signed {
            signer: "acme".to_owned(),
            key: "RWQ".to_owned(),
            text: SIGNED.to_owned(),
        }),
    };
    let name = |name: &str| name.parse::<PluginId>().unwrap();
    Lock::from([(name("probe-x"), pin("0.2.0", true)), (name("a-1"), pin("1.0.0", false))])
}

#[test]
fn what_is_written_is_what_is_read() {
    let text = render(&lock()).unwrap();
    assert_eq!(parse("plugins.lock", &text).unwrap(), lock());
    assert_eq!(
        render(&parse("plugins.lock", &text).unwrap()).unwrap(),
        text,
        "the same lock has the same text"
    );
    assert!(text.starts_with("# Which packages"), "{text}");
    assert!(text.contains("\n[probe-x]\nversion = \"0.2.0\"\ndigest = \"sha256:"), "{text}");
    assert!(text.contains("\ntrusted comment: timestamp:1700000000 file:package.tar\n"), "{text}");
    assert_eq!(parse("plugins.lock", &render(&Lock::new()).unwrap()).unwrap(), Lock::new());
}

/// A torn lock names fewer packages or none; it never names other bytes.
#[test]
fn a_lock_that_is_torn_anywhere_pins_nothing_else() {
    let (text, whole) = (render(&lock()).unwrap(), lock());
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let Ok(torn) = parse("plugins.lock", &text[..end]) else { continue };
        for (name, pin) in torn {
            let meant = &whole[&name];
            assert_eq!((pin.digest, &pin.version), (meant.digest, &meant.version), "{end}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let text = "[Probe]\nversion = \"1.0.0\"\ndigest = \"sha256:00\"\nfrom = \"x\"\nadded = \"x\"\n\
        [good]\nversion = \"one\"\ndigest = \"sha256:00\"\nfrom = \"x\"\nadded = \"x\"\nsignature = { signer = \"a\", key = \"b\", text = \"c\" }\n\
        [typo]\nversoin = \"1.0.0\"\n[bare]\n";
    assert_says(
        parse("plugins.lock", text),
        &[
            "plugins.lock: Probe (line 1,",
            "Probe.digest (line 3, column 10): `sha256:00` is not a digest",
            "good.version (line 7,",
            "good.digest (line 8,",
            "good.signature (line 11, column 13): is no signature of minisign's",
            "did you mean `version`?",
            "missing field `version`",
        ],
    );
    assert_says(parse("plugins.lock", "[probe-x]\nversion = \"0.1"), &["line 2, column"]);
    assert_says(parse("plugins.lock", "[a]\n[a]\n"), &["plugins.lock: line 2"]);
}
