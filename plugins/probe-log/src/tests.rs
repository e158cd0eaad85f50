//! The plugin's logic against real files.

use razar_sdk::{Health, PluginErrorKind};
use tempfile::TempDir;

use super::*;

const NOW_MS: u64 = 1_800_000_000_000;

fn log(text: &str, age_seconds: u64) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tail"), text).unwrap();
    let modified = NOW_MS - age_seconds * 1_000;
    let meta = format!(r#"{{"size":{},"modified_unix_ms":{modified},"truncated":false}}"#, text.len());
    fs::write(folder.path().join("meta.json"), meta).unwrap();
    folder
}

fn look(folder: &TempDir, settings: &str) -> Report {
    judge(&razar_sdk::parse_settings(settings).unwrap(), folder.path(), NOW_MS).unwrap()
}

#[test]
fn every_setting_decides() {
    for (text, settings, health, summary) in [
        ("started\n", "{}", Health::Healthy, "written 30 s ago"),
        ("", "{}", Health::Healthy, "written 30 s ago"),
        ("x started y\n", r#"{"contains":"started"}"#, Health::Healthy, "written 30 s ago"),
        ("starting\n", r#"{"contains":"started"}"#, Health::Unhealthy, "log does not contain `started`"),
        ("", r#"{"contains":"started"}"#, Health::Unhealthy, "log does not contain `started`"),
        ("fine\n", r#"{"absent":"PANIC"}"#, Health::Healthy, "written 30 s ago"),
        (
            "started\nPANIC\n",
            r#"{"contains":"started","absent":"PANIC"}"#,
            Health::Unhealthy,
            "log contains `PANIC`",
        ),
        ("fine\n", r#"{"max_age_seconds":30}"#, Health::Healthy, "written 30 s ago"),
        (
            "fine\n",
            r#"{"max_age_seconds":29}"#,
            Health::Unhealthy,
            "log was last written 30 s ago, at most 29 s allowed",
        ),
    ] {
        let report = look(&log(text, 30), settings);
        assert_eq!((&report.health, report.summary.as_str()), (&health, summary), "{text:?} {settings}");
        assert_eq!(report.measurements[0].value, 30.0);
    }
}

#[test]
fn a_text_across_two_reads_is_found() {
    for shift in 0..8 {
        let text = format!("{}NEEDLE{}", "x".repeat(PIECE - shift), "y".repeat(3 * PIECE));
        assert_eq!(look(&log(&text, 0), r#"{"contains":"NEEDLE"}"#).health, Health::Healthy, "{shift}");
        assert_eq!(look(&log(&text, 0), r#"{"absent":"NEEDLE"}"#).health, Health::Unhealthy, "{shift}");
    }
}

#[test]
fn a_log_that_is_not_utf8_is_read_all_the_same() {
    let folder = log("", 0);
    fs::write(folder.path().join("tail"), b"\xff\xfe started \x80").unwrap();
    assert_eq!(look(&folder, r#"{"contains":"started"}"#).health, Health::Healthy);
}

#[test]
fn a_missing_file_is_unhealthy() {
    let folder = TempDir::new().unwrap();
    let report = look(&folder, "{}");
    assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, "log file is missing"));
}

#[test]
fn a_clock_that_went_back_is_no_reason_to_complain() {
    let folder = log("fine", 0);
    let settings = razar_sdk::parse_settings(r#"{"max_age_seconds":1}"#).unwrap();
    let report = judge(&settings, folder.path(), NOW_MS - 60_000).unwrap();
    assert_eq!(report.health, Health::Healthy);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    for (settings, part) in [
        (r#"{"contain":"x"}"#, "unknown field `contain`"),
        (r#"{"max_age_seconds":-1}"#, "invalid value"),
        (r#"{"absent":7}"#, "invalid type"),
    ] {
        let error = ProbeLog::check(Target::new("worker").with_settings(settings)).unwrap_err();
        assert_eq!(error.kind, PluginErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{}", error.message);
    }
}
