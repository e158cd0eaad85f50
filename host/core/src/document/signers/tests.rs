//! `signers.toml`: the shipped example, and everything that can be wrong.

use super::*;
use crate::document::located::testing::assert_says;

const KEY: &str = "RWQqsXOSptzR6Q7W4Ch25dHZVcpJ56ZbiER/0HzmNnrOiho9k7Bq1oJ+";
const OTHER: &str = "RWQ5mExCYQqHl2OZ+DMLf024WLaYJO/7VDMki/CWxKuMc46qsBywCTvZ";

#[test]
fn the_shipped_example_is_read_as_it_is_meant() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/signers.toml");
    let signers = parse("config/signers.toml", &std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(!signers.required && signers.max_age.is_some());
    assert!(signers.signers.values().any(|signer| signer.not_after.is_some()));
    assert_eq!(
        parse("signers.toml", "").unwrap(),
        Signers::default(),
        "nobody is believed, and nobody has to be"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = format!(
        "max-age = \"180\"\n[signer.one]\nkey = \"{KEY}\"\nplugins = []\nnot-after = \"2027-02-30\"\n\
         [signer.two]\nkey = \"RWQ\"\nplugins = [\"Probe\", \"probe-*\"]\n\
         [signer.three]\nkey = \"{OTHER}\"\nplugins = [\"*\"]\n\
         [signer.four]\nkey = \"{OTHER}\"\nplugins = [\"*\"]\n\
         [signer.\"a b\"]\nkey = \" \"\nplugins = [\"*\"]\n"
    );
    assert_says(
        parse("signers.toml", &text),
        &[
            "signers.toml: max-age (line 1, column 11): `180` has no unit",
            "signer.one.plugins (line 4, column 11): it may sign no plugin",
            "signer.one.not-after (line 5, column 13): `2027-02-30` is no day",
            "signer.two.key (line 7, column 7): is no public key of minisign's",
            "signer.two.plugins[0] (line 8, column 12): `Probe` is neither",
            "has the key of `four`",
            "the name of a signer is a short word",
            "signer.a b.key",
        ],
    );
    assert_says(
        parse("signers.toml", "required = true\n"),
        &["signatures are required, and nobody may sign"],
    );
    assert_says(parse("signers.toml", "[signer.x]\nkey = \"\"\nplugin = []\n"), &["did you mean `plugins`?"]);
    assert_says(parse("signers.toml", "requierd = true\n"), &["did you mean `required`?"]);
}
