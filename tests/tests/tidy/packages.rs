//! Versions that must not be older, and dependencies that must be used.

use std::collections::BTreeSet;

use semver::{Version, VersionReq};

use crate::none;
use crate::tokens::Name;
use crate::tree;
use crate::workspace::{directory, members, sources};

/// Lines that carry security fixes this host rests on.
const MINIMUM: &[(&str, &str, &str)] = &[
    ("wasmtime", ">=48.0.8, <49", "the supported line with the fixes of record"),
    ("wasmtime-wasi", ">=48.0.8, <49", "the supported line with the fixes of record"),
    ("wasmtime-wasi-http", ">=48.0.8, <49", "the supported line with the fixes of record"),
    ("wasmtime-wasi-config", ">=48.0.8, <49", "the supported line with the fixes of record"),
    ("cap-std", ">=4.0.3", "RUSTSEC-2026-0269"),
    ("cap-primitives", ">=4.0.3", "RUSTSEC-2026-0269"),
    ("tar", ">=0.4.46", "RUSTSEC-2026-0067, RUSTSEC-2026-0068"),
];

/// What this house was asked to be built with.
const FIXED: &[&str] = &[
    "wasmtime",
    "wasmtime-wasi",
    "wit-bindgen",
    "tokio",
    "serde",
    "serde_json",
    "clap",
    "reqwest",
    "prometheus",
    "tracing",
    "sha2",
    "cap-std",
];

#[test]
fn locked_versions_carry_the_security_fixes() {
    let lock: toml::Table = tree::read("Cargo.lock".as_ref()).parse().expect("`Cargo.lock` is TOML");
    let packages = lock.get("package").and_then(toml::Value::as_array).expect("`Cargo.lock` lists packages");
    let mut findings = Vec::new();
    for (wanted, requirement, reason) in MINIMUM {
        let required = VersionReq::parse(requirement).expect("the table is valid");
        let text =
            |package: &toml::Value, key| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let locked = packages.iter().filter(|package| text(package, "name").as_deref() == Some(*wanted));
        let versions: Vec<_> = locked.filter_map(|package| text(package, "version")).collect();
        if versions.is_empty() {
            findings.push(format!("{wanted} is not in `Cargo.lock`"));
        }
        for version in versions {
            if !required.matches(&Version::parse(&version).expect("cargo writes valid versions")) {
                findings.push(format!("{wanted} {version} is locked, {requirement} is needed: {reason}"));
            }
        }
    }
    none(&findings, "`cargo update -p <package>`, and commit `Cargo.lock`");
}

#[test]
fn the_packages_this_house_is_built_with_are_really_used() {
    let mut used = BTreeSet::new();
    for member in members() {
        let named = words(member);
        let declared = member.dependencies.iter().map(|dependency| dependency.name.as_str());
        used.extend(declared.filter(|name| named.contains(&name.replace('-', "_"))));
    }
    let unused: Vec<_> =
        FIXED.iter().filter(|name| !used.contains(**name)).map(|name| (*name).to_owned()).collect();
    none(&unused, "use it where the design says, in a member that declares it");
}

#[test]
fn every_declared_dependency_is_named_in_the_sources() {
    let mut findings = Vec::new();
    for member in members() {
        let named = words(member);
        for dependency in &member.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            if !named.contains(&name.replace('-', "_")) {
                findings.push(format!("{}/Cargo.toml: `{name}`", directory(member).display()));
            }
        }
    }
    none(&findings, "take the line out");
}

#[test]
fn every_workspace_dependency_has_a_member() {
    let root: toml::Table = tree::read("Cargo.toml".as_ref()).parse().expect("`Cargo.toml` is TOML");
    let shared = root.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let shared = shared.and_then(toml::Value::as_table).expect("the workspace shares dependencies");
    let declared: BTreeSet<_> = members()
        .into_iter()
        .flat_map(|member| &member.dependencies)
        .map(|dependency| dependency.rename.as_ref().unwrap_or(&dependency.name).as_str())
        .collect();
    let unused = shared.keys().filter(|name| !declared.contains(name.as_str()));
    let findings: Vec<_> = unused.map(|name| format!("Cargo.toml: `{name}`")).collect();
    none(&findings, "take the line out of `[workspace.dependencies]`, or inherit it where it is used");
}

/// Every word of a crate's code.
fn words(member: &cargo_metadata::Package) -> BTreeSet<String> {
    let names = sources(member).into_iter().flat_map(|source| &source.names);
    names.flat_map(Name::segments).map(str::to_owned).collect()
}
