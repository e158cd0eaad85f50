//! What this program was built with, and versions of that with which nobody should run it. The list is data: it grows when
//! something is found.

use super::{Finding, Look, finding};

/// What cargo locked for this build.
const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));

/// Versions that must not run: which ones, from (included) and to (excluded), and why.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("wasmtime", "0.0.0", "48.0.8", "it lacks the security fixes of its supported line"),
    (
        "cap-primitives",
        "0.0.0",
        "4.0.3",
        "RUSTSEC-2026-0269: without `openat2` a plugin leaves its directory",
    ),
    ("sqlite", "3.7.0", "3.51.3", "resetting the write-ahead log at the wrong moment damages the database"),
    ("sqlite", "3.52.0", "3.53.0", "its authors withdrew that release"),
];

const REMEDY: &str = "build this program again from its newest release";

/// What is looked at.
pub(super) fn examine() -> Vec<Finding> {
    let sqlite = razar_ledger::sqlite_version();
    let built_in = |name| locked(LOCK, name).unwrap_or_default();
    [
        finding("wasmtime", true, judge("wasmtime", &built_in("wasmtime"))),
        finding("cap-primitives", true, judge("cap-primitives", &built_in("cap-primitives"))),
        finding("sqlite", true, judge("sqlite", sqlite)),
    ]
    .into()
}

fn judge(name: &str, version: &str) -> Look {
    let Some(number) = parse(version) else { return Err((format!("`{version}` is no version"), REMEDY)) };
    let bad = BAD.iter().find(|(bad, from, to, _)| {
        *bad == name
            && parse(from).is_some_and(|from| from <= number)
            && parse(to).is_some_and(|to| number < to)
    });
    match bad {
        Some((.., why)) => Err((format!("{version}: {why}"), REMEDY)),
        None => Ok(version.to_owned()),
    }
}

/// The version of a package; the oldest one if there are several.
fn locked(lock: &str, name: &str) -> Option<String> {
    let mut versions: Vec<&str> = lock
        .split("[[package]]")
        .filter(|package| package.lines().any(|line| line == format!("name = \"{name}\"")))
        .filter_map(|package| {
            package.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        })
        .collect();
    versions.sort_by_key(|version| parse(version));
    versions.first().map(|version| (*version).to_owned())
}

fn parse(version: &str) -> Option<[u64; 3]> {
    let release = version.split(['-', '+']).next()?;
    let mut numbers = release.split('.').map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_versions_are_named_with_the_reason_and_others_pass() {
        for (name, version, bad) in [
            ("wasmtime", "48.0.7", true),
            ("wasmtime", "48.0.8", false),
            ("wasmtime", "9.0.0", true),
            ("cap-primitives", "4.0.2", true),
            ("cap-primitives", "4.0.3", false),
            ("sqlite", "3.51.2", true),
            ("sqlite", "3.51.3", false),
            ("sqlite", "3.52.0", true),
            ("sqlite", "3.53.0", false),
            ("wasmtime", "", true),
        ] {
            assert_eq!(judge(name, version).is_err(), bad, "{name} {version}");
        }
        let two = "[[package]]\nname = \"x\"\nversion = \"2.0.0\"\n[[package]]\nname = \"x\"\nversion = \"1.9.0\"\n";
        assert_eq!(locked(two, "x").unwrap(), "1.9.0");
        assert_eq!(locked(two, "y"), None);
    }

    #[test]
    fn this_build_is_none_of_them() {
        for found in examine() {
            assert!(found.ok && parse(&found.detail).is_some(), "{found:?}");
        }
    }
}
