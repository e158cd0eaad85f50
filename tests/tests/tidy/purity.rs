//! What must be absent from core's sources: tests and benches of core may do as they like.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::none;
use crate::tokens::{Tests, names, test_modules};
use crate::tree::{self, Source};

/// Types that say where something is, and reach nothing.
const ADDRESSES: &[&str] =
    &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6", "AddrParseError"];

fn is_forbidden(path: &str) -> bool {
    let segments: Vec<_> = path.split("::").collect();
    match segments.as_slice() {
        ["std", "fs" | "env" | "process" | "thread" | "os", ..] => true,
        ["std" | "core", "net", rest @ ..] => !rest.first().is_some_and(|name| ADDRESSES.contains(name)),
        _ => segments.iter().any(|segment| ["Instant", "SystemTime"].contains(segment)),
    }
}

#[test]
fn core_has_no_clock_no_files_no_network_no_environment_and_no_threads() {
    let core = Path::new("host/core/src");
    let sources: Vec<_> = tree::rust().iter().filter(|source| source.file.starts_with(core)).collect();
    let tests = sources.iter().flat_map(|source| test_modules(&source.file, &source.text));
    let tests: BTreeSet<PathBuf> = tests.collect();
    let mut findings = Vec::new();
    let mut looked_at = 0;
    for Source { file, text, .. } in sources {
        if tests.iter().any(|test| file.starts_with(test)) {
            continue;
        }
        looked_at += 1;
        let names = names(text, Tests::Excluded);
        let forbidden = names.iter().filter(|name| is_forbidden(&name.path));
        findings.extend(forbidden.map(|name| format!("{}:{}: `{}`", file.display(), name.line, name.path)));
    }
    assert!(looked_at > 5, "core's sources were not found under {}", core.display());
    none(&findings, "take the value as an argument; razar-host asks the world and core decides");
}

#[test]
fn addresses_are_words_but_sockets_are_not() {
    for (path, forbidden) in [
        ("std::net::IpAddr", false),
        ("std::net::SocketAddr", false),
        ("std::net::TcpStream", true),
        ("std::net", true),
        ("std::net::*", true),
        ("std::fs", true),
        ("std::env::var", true),
        ("std::process::Command", true),
        ("std::thread::spawn", true),
        ("std::time::Duration", false),
        ("std::time::Instant", true),
        ("time::SystemTime::now", true),
        ("env", false),
        ("std::collections::BTreeMap", false),
    ] {
        assert_eq!(is_forbidden(path), forbidden, "{path}");
    }
}
