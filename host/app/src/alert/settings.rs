//! Where alerts go, as the environment says; the names are the original's. What is wrong with a variable is said by its name,
//! without its value where that may be a secret, and that way stays off.

use std::ffi::OsString;
use std::path::Path;

use lettre::message::{Mailbox, Mailboxes};

use super::Way;
use super::file::Files;
use super::mail::Mail;
use super::webhook::Webhook;
use crate::environment;

/// The names of all ways.
pub(super) const ALL: [&str; 3] = ["file", "webhook", "mail"];

const WEBHOOK: &str = "RAZAR_ALERT_WEBHOOK";
const EMAIL: &str = "RAZAR_ALERT_EMAIL";
const SENDER: &str = "RAZAR_ALERT_EMAIL_SENDER";
const SERVER: &str = "RAZAR_ALERT_EMAIL_SMTP";
const PORT: &str = "RAZAR_ALERT_EMAIL_PORT";

/// The ways that are set up, and what is wrong with the others.
pub(super) fn ways(
    variable: impl Fn(&str) -> Option<OsString>,
    state: &Path,
) -> (Vec<Box<dyn Way>>, Vec<String>) {
    let mut ways: Vec<Box<dyn Way>> = vec![Box::new(Files::new(state))];
    let mut warnings = Vec::new();
    let text = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty())?;
        Some(value.to_string_lossy().trim().to_owned())
    };
    if let Some(url) = text(WEBHOOK) {
        match Webhook::new(&url) {
            Some(webhook) => ways.push(Box::new(webhook)),
            None => warnings.push(format!("{WEBHOOK} is no http or https URL: no alert is sent there")),
        }
    }
    if let Some(to) = text(EMAIL) {
        match mail(&to, &variable, &mut warnings) {
            Ok(mail) => ways.push(Box::new(mail)),
            Err(why) => warnings.push(format!("{why}: no alert is sent by mail")),
        }
    }
    (ways, warnings)
}

fn mail(
    to: &str,
    variable: &impl Fn(&str) -> Option<OsString>,
    warnings: &mut Vec<String>,
) -> Result<Mail, String> {
    let or = |name: &str, default: &str| {
        let value = variable(name).map(|value| value.to_string_lossy().trim().to_owned());
        value.filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let to: Mailboxes = to.parse().map_err(|error| format!("{EMAIL} is no mail address ({error})"))?;
    let from: Mailbox = or(SENDER, "razar@localhost")
        .parse()
        .map_err(|error| format!("{SENDER} is no mail address ({error})"))?;
    let (port, warning) = environment::parse(PORT, variable(PORT).as_deref(), "25", |text| text.parse().ok());
    warnings.extend(warning);
    Mail::new(from, to, &or(SERVER, "localhost"), port.unwrap_or(25))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(variables: &[(&str, &str)]) -> (Vec<&'static str>, Vec<String>) {
        let variable = |name: &str| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        };
        let (ways, warnings) = ways(variable, Path::new("/nowhere"));
        (ways.iter().map(|way| way.name()).collect(), warnings)
    }

    #[test]
    fn the_environment_says_which_ways_there_are() {
        assert_eq!(set(&[]).0, ["file"]);
        assert_eq!(set(&[(WEBHOOK, ""), (EMAIL, "")]).0, ["file"]);
        let all =
            set(&[(WEBHOOK, "https://hooks.example/T0/c4nary"), (EMAIL, "ops@example.com, b@example.com")]);
        assert_eq!(all, (ALL.to_vec(), Vec::new()));
        let odd = set(&[(EMAIL, "ops@example.com"), (PORT, "smtp")]);
        assert_eq!((odd.0, odd.1.len()), (vec!["file", "mail"], 1));
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for (name, value) in
            [(WEBHOOK, "hooks.example/c4nary"), (WEBHOOK, "file:///c4nary"), (EMAIL, "c4nary nobody")]
        {
            let (ways, warnings) = set(&[(name, value)]);
            assert_eq!((ways, warnings.len()), (vec!["file"], 1), "{value}");
            assert!(warnings[0].starts_with(name) && !warnings[0].contains("c4nary"), "{warnings:?}");
        }
        let sender = set(&[(EMAIL, "ops@example.com"), (SENDER, "nobody at all")]);
        assert!(sender.1[0].starts_with(SENDER), "{:?}", sender.1);
    }
}
