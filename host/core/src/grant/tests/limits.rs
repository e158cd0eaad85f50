//! The numbers are promises: a change of one is a change of this table.

use super::*;
use crate::document::units::Bytes;
use crate::time::Millis;

#[test]
fn defaults_are_these() {
    let table = |role| -> Vec<String> {
        Limits::defaults(role)
            .lines()
            .into_iter()
            .map(|(field, value)| format!("{field} = {value}"))
            .collect()
    };
    assert_eq!(
        table(Role::Probe),
        [
            "memory = \"16 MiB\"",
            "table-elements = 20000",
            "instances = 80",
            "memories = 8",
            "tables = 16",
            "deadline = \"5 s\"",
            "hostcall = \"1 MiB\"",
            "reply = \"64 KiB\"",
            "log = \"64 KiB\"",
            "stdout = \"64 KiB\"",
            "requests = 8",
            "request-time = \"5 s\"",
            "request = \"64 KiB\"",
            "response = \"1 MiB\"",
            "headers = \"64 KiB\"",
            "handles = 64",
            "random = \"64 KiB\"",
            "concurrent = 1000",
            "disk = \"64 MiB\"",
            "files = 2000",
        ]
    );
    let some = |role| {
        let limits = Limits::defaults(role);
        (limits.memory, limits.deadline, limits.reply, limits.requests, limits.handles, limits.concurrent)
    };
    assert_eq!(some(Role::Agent), (Bytes::mib(64), Millis::seconds(120), Bytes::mib(4), 100, 1_000, 8));
    assert_eq!(some(Role::Evaluator), (Bytes::mib(512), Millis::seconds(300), Bytes::mib(8), 0, 4_000, 2));
    assert_eq!(some(Role::Tools), (Bytes::mib(64), Millis::seconds(30), Bytes::mib(1), 100, 1_000, 32));
}

#[test]
fn a_limit_is_read_and_written_by_its_name() {
    let mut change = LimitsOverride::default();
    for (at, field) in LimitField::ALL.iter().copied().enumerate() {
        change.set(field, 2_000_000 + at as u64);
    }
    let limits = Limits {
        memory: Bytes(change.memory.unwrap().0),
        fuel: change.fuel,
        ..Limits::defaults(Role::Probe)
    };
    assert_eq!(
        (limits.get(LimitField::Memory), limits.get(LimitField::Handles)),
        (Some(2_000_000), Some(64))
    );
    assert_eq!(limits.get(LimitField::Fuel), change.fuel);
    assert_eq!(change.deadline, Some(Millis(2_000_005)));
    change.set(LimitField::Handles, u64::MAX);
    assert_eq!(change.handles, Some(u32::MAX));
}

#[test]
fn defaults_lie_between_floor_and_ceiling() {
    for role in Role::ALL {
        let Limits { memory, deadline, headers, handles, requests, random, .. } = Limits::defaults(role);
        let all = LimitsOverride {
            memory: Some(memory),
            deadline: Some(deadline),
            headers: Some(headers),
            handles: Some(handles),
            requests: Some(requests),
            random: Some(random),
            ..LimitsOverride::default()
        };
        assert_eq!(Limits::defaults(role).with(&all), Ok(Limits::defaults(role)), "{role}");
        assert_eq!(Limits::defaults(role).lines().len() + 1, LimitField::ALL.len());
    }
}

#[test]
fn a_request_never_lasts_longer_than_its_call() {
    for role in Role::ALL {
        let limits = Limits::defaults(role);
        assert!(limits.request_time <= limits.deadline, "{role}");
        assert!(limits.response <= limits.memory && limits.reply <= limits.memory, "{role}");
        // Lifting an answer costs more than its own bytes.
        assert!(limits.reply.0 * 2 <= limits.hostcall.0, "{role}");
    }
}

#[test]
fn changes_outside_the_bounds_are_refused_by_name() {
    let change = LimitsOverride {
        memory: Some(Bytes::gib(64)),
        deadline: Some(Millis(1)),
        requests: Some(5),
        ..LimitsOverride::default()
    };
    let errors = Limits::defaults(Role::Probe).with(&change).unwrap_err();
    let texts: Vec<String> = errors.iter().map(|error| format!("{error}; {}", error.hint())).collect();
    assert_eq!(
        texts,
        [
            "`memory` is \"64 GiB\", above the ceiling of \"2 GiB\"; write `memory = \"2 GiB\"` or less",
            "`deadline` is \"1 ms\", below the floor of \"10 ms\"; write `deadline = \"10 ms\"` or more",
        ]
    );
    let change = LimitsOverride { reply: Some(Bytes::mib(2)), ..LimitsOverride::default() };
    let errors = Limits::defaults(Role::Probe).with(&change).unwrap_err();
    assert_eq!(
        format!("{}; {}", errors[0], errors[0].hint()),
        "`reply` is \"2 MiB\", above `hostcall` of \"1 MiB\", which it has to pass; \
         write `hostcall = \"2 MiB\"` or more"
    );
    let change = LimitsOverride { requests: Some(5), fuel: Some(1 << 30), ..LimitsOverride::default() };
    let changed = Limits::defaults(Role::Probe).with(&change).unwrap();
    assert_eq!((changed.requests, changed.fuel), (5, Some(1 << 30)));
    assert_eq!(changed.memory, Limits::defaults(Role::Probe).memory);
}

#[test]
fn programs_read_limits_as_numbers_with_their_unit_in_the_key() {
    let limits = Limits { memory: Bytes::mib(2), deadline: Millis(1_500), ..Limits::defaults(Role::Probe) };
    let measures = limits.measures();
    assert_eq!(measures.len(), limits.lines().len());
    for (key, number) in [("memory_bytes", 2 << 20), ("deadline_ms", 1_500)] {
        assert!(measures.contains(&(key.to_owned(), number)), "{key}: {measures:?}");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(measures.iter().all(|(key, _)| key.chars().all(plain)), "{measures:?}");
}
