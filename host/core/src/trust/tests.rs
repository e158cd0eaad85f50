//! Every way in which a package may not take its place, against signatures of the real minisign.
//!
//! The files in `fixture` were made with minisign 0.11 of Debian 12, over [`BYTES`] and [`OTHER`]: `minisign -G -W`, then
//! `minisign -S -m FILE -t COMMENT`, with `-l` for the legacy one. The secret keys were thrown away.

use std::collections::BTreeMap;

use super::*;
use crate::id::{Digest, PluginId};
use crate::time::{Millis, Timestamp};

const BYTES: &[u8] = b"a package, as bytes\n";
const OTHER: &[u8] = b"other bytes of it\n";

/// Over [`BYTES`], `timestamp:1700000000 file:package.tar`.
const SIGNED: &str = include_str!("fixture/signed.minisig");
/// Over [`OTHER`], `timestamp:1600000000`.
const EARLIER: &str = include_str!("fixture/earlier.minisig");
/// Over [`BYTES`], `version 3`.
const UNDATED: &str = include_str!("fixture/undated.minisig");
/// Over [`BYTES`] without hashing it first.
const LEGACY: &str = include_str!("fixture/legacy.minisig");
/// Over [`BYTES`] with another key.
const STRANGER: &str = include_str!("fixture/stranger.minisig");

/// When [`SIGNED`] was made, in the middle of November 2023.
const THEN: u64 = 1_700_000_000_000;
const DAY: u64 = 86_400_000;

fn signers() -> Signers {
    let file = include_str!("fixture/signer.pub");
    let key = file.lines().nth(1).unwrap().to_owned();
    let public = minisign_verify::PublicKey::from_base64(&key).unwrap();
    let signer = Signer { key, public, plugins: vec!["probe-*".parse().unwrap()], not_after: None };
    Signers { signers: BTreeMap::from([("acme".to_owned(), signer)]), ..Signers::default() }
}

/// One case: everything that may differ, with what is sound.
struct Case {
    plugin: &'static str,
    version: &'static str,
    bytes: &'static [u8],
    signature: Option<String>,
    signers: Option<Signers>,
    locked: Option<Pin>,
    require: bool,
    allow_downgrade: bool,
    now: u64,
}

fn sound() -> Case {
    Case {
        plugin: "probe-x",
        version: "0.2.0",
        bytes: BYTES,
        signature: Some(SIGNED.to_owned()),
        signers: Some(signers()),
        locked: None,
        require: false,
        allow_downgrade: false,
        now: THEN + DAY,
    }
}

impl Case {
    fn admit(&self) -> Result<Pin, Refused> {
        let plugin: PluginId = self.plugin.parse().unwrap();
        let offer = Offer {
            plugin: &plugin,
            version: self.version,
            bytes: self.bytes,
            signature: self.signature.as_deref(),
            from: "here",
        };
        let terms = Terms {
            locked: self.locked.as_ref(),
            signers: self.signers.as_ref(),
            require: self.require,
            allow_downgrade: self.allow_downgrade,
            now: Timestamp(self.now),
            added: "today",
        };
        admit(&offer, &terms)
    }

    #[track_caller]
    fn refused(self) -> Refused {
        let refused = self.admit().expect_err("it should be refused");
        assert!(!refused.hint().is_empty());
        refused
    }
}

#[test]
fn what_minisign_signed_is_pinned_with_its_digest_and_its_signer() {
    let pin = sound().admit().unwrap();
    let signed = pin.signed.unwrap();
    assert_eq!((pin.digest, pin.version.to_string()), (Digest::of(BYTES), "0.2.0".to_owned()));
    assert_eq!((signed.signer.as_str(), signed.at()), ("acme", Some(Timestamp(THEN))));
    assert_eq!(signed.comment().unwrap(), "timestamp:1700000000 file:package.tar");
    let unsigned = Case { signature: None, signers: None, ..sound() }.admit().unwrap();
    assert_eq!(unsigned.signed, None, "a digest alone is a pin, too");
}

#[test]
fn a_signature_that_is_not_believed_is_refused_by_its_reason() {
    let with = |signature: &str| Case { signature: Some(signature.to_owned()), ..sound() };
    assert_eq!(with(STRANGER).refused(), Refused::UnknownKey);
    assert_eq!(with(LEGACY).refused(), Refused::Legacy);
    for bad in [
        "",
        "signed, believe me",
        &SIGNED.replace("RUQ", "RUU"),
        &"x".repeat(1 << 20),
        &SIGNED.replace("trusted comment: ", ""),
    ] {
        assert_eq!(with(bad).refused(), Refused::NotASignature, "{bad:.60}");
    }
    let forged = Refused::Forged { signer: "acme".to_owned() };
    assert_eq!(Case { bytes: OTHER, ..sound() }.refused(), forged, "of another file");
    assert_eq!(with(&SIGNED.replace("1700000000", "1800000000")).refused(), forged, "a younger comment");
    assert_eq!(
        with(&SIGNED.replace("RUQqsXOSptzR6aF6", "RUQqsXOSptzR6aF7")).refused(),
        forged,
        "another signature"
    );
    let name = Case { plugin: "agent-x", ..sound() }.refused();
    assert!(matches!(name, Refused::NotItsName { .. }), "{name}");
    assert_eq!(Case { signers: None, ..sound() }.refused(), Refused::NoSigners);
}

#[test]
fn every_changed_byte_of_a_package_is_noticed() {
    for place in 0..BYTES.len() {
        let mut changed = BYTES.to_vec();
        changed[place] ^= 1;
        let name = "probe-x".parse().unwrap();
        let said = signers().verify(&name, &changed, SIGNED).unwrap_err();
        assert_eq!(said, Refused::Forged { signer: "acme".to_owned() }, "byte {place}");
    }
}

#[test]
fn a_signature_is_wanted_where_one_is_required() {
    let required = Signers { required: true, ..signers() };
    let unsigned = |signers, require| Case { signature: None, signers, require, ..sound() };
    assert_eq!(unsigned(Some(required.clone()), false).refused(), Refused::Unsigned);
    assert_eq!(unsigned(None, true).refused(), Refused::Unsigned);
    assert!(unsigned(Some(signers()), false).admit().is_ok());
    assert!(Case { signers: Some(required), ..sound() }.admit().is_ok());
}

#[test]
fn a_key_and_a_signature_have_their_time() {
    let until = |day: &str| {
        let mut signers = signers();
        signers.signers.get_mut("acme").unwrap().not_after = Some(day.parse().unwrap());
        Case { signers: Some(signers), ..sound() }
    };
    // 2023-11-14T22:13:20Z and a day.
    assert!(until("2023-11-15").admit().is_ok());
    assert!(matches!(until("2023-11-14").refused(), Refused::Expired { .. }));
    let within = |age: u64| Some(Signers { max_age: Some(Millis(age)), ..signers() });
    assert!(Case { signers: within(DAY), ..sound() }.admit().is_ok());
    let stale = Case { signers: within(DAY - 1), ..sound() }.refused();
    assert_eq!(stale, Refused::Stale { age: Millis(DAY), bound: Millis(DAY - 1) });
    let undated = |signers| Case { signature: Some(UNDATED.to_owned()), signers, ..sound() };
    assert_eq!(undated(within(DAY)).refused(), Refused::Undated(Millis(DAY)));
    assert!(undated(Some(signers())).admit().is_ok(), "nobody asked for its age");
    assert!(Case { now: THEN - DAY, ..sound() }.admit().is_ok(), "clocks differ");
    assert_eq!(Case { now: THEN - DAY - 1, ..sound() }.refused(), Refused::Future);
}

#[test]
fn what_is_older_than_what_is_pinned_takes_its_place_only_if_somebody_says_so() {
    let locked = |version: &str| Some(Pin { version: version.parse().unwrap(), ..sound().admit().unwrap() });
    for version in ["0.2.1", "0.10.0", "1.0.0-rc.1"] {
        let said = Case { locked: locked(version), ..sound() }.refused();
        assert!(matches!(said, Refused::OlderVersion { .. }), "{version}: {said}");
    }
    for version in ["0.1.9", "0.2.0", "0.2.0-rc.1", "0.2.0+build.7"] {
        assert!(Case { locked: locked(version), ..sound() }.admit().is_ok(), "{version}");
    }
    let chosen = Case { locked: locked("0.3.0"), allow_downgrade: true, ..sound() }.admit().unwrap();
    assert_eq!(chosen.downgraded_from, Some("0.3.0".parse().unwrap()));
    let again = Case { locked: Some(chosen), ..sound() }.admit().unwrap();
    assert_eq!(again.downgraded_from, Some("0.3.0".parse().unwrap()), "adding it again does not forget it");

    let earlier =
        || Case { bytes: OTHER, signature: Some(EARLIER.to_owned()), locked: locked("0.2.0"), ..sound() };
    assert_eq!(earlier().refused(), Refused::OlderSignature("0.2.0".parse().unwrap()));
    assert!(Case { locked: locked("0.1.0"), ..earlier() }.admit().is_ok(), "a newer version is one");
    let unsigned = || Case { signature: None, locked: locked("0.1.0"), ..sound() };
    assert_eq!(unsigned().refused(), Refused::NoLongerSigned("acme".to_owned()));
    let allowed = Case { allow_downgrade: true, ..unsigned() }.admit().unwrap();
    assert_eq!((allowed.signed, allowed.downgraded_from), (None, Some("0.1.0".parse().unwrap())));
    // What says that it wants something older does not thereby say that it believes everybody.
    let forged = Case { bytes: OTHER, allow_downgrade: true, locked: locked("0.3.0"), ..sound() }.refused();
    assert!(matches!(forged, Refused::Forged { .. }), "{forged}");
}

#[test]
fn names_fit_as_a_whole_or_by_their_beginning() {
    for (pattern, fits, not) in
        [("probe-x", "probe-x", "probe-xy"), ("probe-*", "probe-xy", "agent-x"), ("*", "a", "")]
    {
        let pattern: NamePattern = pattern.parse().unwrap();
        assert!(pattern.fits(&fits.parse().unwrap()), "{pattern} {fits}");
        assert!(not.parse().map_or(true, |not| !pattern.fits(&not)), "{pattern} {not}");
    }
    for bad in ["", "**", "*x", "a*b", "Probe", "a\u{1b}"] {
        let said = bad.parse::<NamePattern>().unwrap_err().to_string();
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
}

#[test]
fn days_are_those_of_the_calendar() {
    for (day, last_second) in [
        ("1970-01-01", 86_399),
        ("2000-02-29", 951_868_799),
        ("2023-11-14", 1_700_006_399),
        ("2024-12-31", 1_735_689_599),
        ("2100-03-01", 4_107_628_799),
        ("9999-12-31", 253_402_300_799_u64),
    ] {
        let parsed: LastDay = day.parse().unwrap();
        assert_eq!(parsed.to_string(), day);
        assert!(!parsed.is_over(Timestamp(last_second * 1000 + 999)), "{day}");
        assert!(parsed.is_over(Timestamp(last_second * 1000 + 1000)), "{day}");
    }
    for bad in [
        "",
        "2027",
        "2027-13-01",
        "2027-02-29",
        "2100-02-29",
        "2027-00-10",
        "2027-1-1",
        "1969-12-31",
        "2027-01-32",
        "+027-01-01",
    ] {
        assert!(bad.parse::<LastDay>().is_err(), "{bad}");
    }
}

#[test]
fn a_comment_says_when_or_does_not() {
    for (comment, seconds) in [
        ("timestamp:1700000000\tfile:x.tar\thashed", Some(1_700_000_000)),
        ("v0.2.0 timestamp:7", Some(7)),
        ("file:timestamp:9", None),
        ("timestamp:soon", None),
        ("timestamp:-1", None),
        ("", None),
    ] {
        assert_eq!(signed_at(comment), seconds.map(|seconds: u64| Timestamp(seconds * 1000)), "{comment:?}");
    }
    assert_eq!(signed_at("timestamp:18446744073709551615"), Some(Timestamp(u64::MAX)), "no overflow");
}
