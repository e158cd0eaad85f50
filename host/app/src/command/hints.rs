//! What a roster says about an agent and its plugin or its grant does not: these hold, and the difference is probably a mistake.

use razar_core::grant::{HttpPlace, HttpUrl, Role, SecretSource};
use razar_core::id::PluginId;
use razar_core::plan::{Listed, Plugins as _, Roster};
use razar_core::problem::{Problem, nearest};

use crate::packages::Packages;
use crate::report::escape;

/// Every difference.
pub(super) fn strange(file: &str, roster: &Roster, packages: &Packages) -> Vec<Problem> {
    let each = roster.agents.iter().enumerate().flat_map(|(index, listed)| {
        let found = [endpoint(listed, packages), variable(listed, packages)];
        found.into_iter().flatten().map(move |(key, message)| Problem {
            file: file.to_owned(),
            place: format!("agents[{index}].{key}"),
            message,
            hint: Some("the grant in grants.toml is what holds; make the two say the same".to_owned()),
        })
    });
    each.collect()
}

/// Agents that no plugin is.
pub(super) fn absent(file: &str, roster: &Roster, packages: &Packages) -> Vec<Problem> {
    let mut here = packages.names(Role::Agent);
    here.extend(packages.idle().map(|(name, _)| name.clone()));
    let missing = |listed: &Listed| {
        let agent = &listed.rung.agent;
        (!here.contains(agent) && !packages.is_refused(agent)).then(|| agent.clone())
    };
    let each = roster.agents.iter().enumerate().filter_map(|(index, listed)| {
        let agent = missing(listed)?;
        let name = escape::line(&listed.rung.name);
        let hint = match nearest(agent.as_str(), here.iter().map(PluginId::as_str)) {
            Some(near) => format!("did you mean `{near}`? Otherwise name its directory with `--plugins DIR`"),
            None => "name its directory with `--plugins DIR`, or take it out of the roster".to_owned(),
        };
        Some(Problem {
            file: file.to_owned(),
            place: format!("agents[{index}]"),
            message: format!("`{name}` is the agent plugin `{agent}`, and there is none; it is not asked"),
            hint: Some(hint),
        })
    });
    each.collect()
}

/// The endpoint is none that it is granted.
fn endpoint(listed: &Listed, packages: &Packages) -> Option<(&'static str, String)> {
    let url = expanded(listed.endpoint.as_deref()?, |name| std::env::var(name).ok())?;
    let agent = &listed.rung.agent;
    let granted = packages.granted(agent)?;
    let parsed = url.parse::<HttpUrl>().ok();
    let allows = |place: &HttpPlace| match (place, &parsed) {
        (HttpPlace::Url(pattern), Some(url)) => pattern.allows(url),
        _ => false,
    };
    if granted.http.iter().any(|http| allows(&http.rule.place)) {
        return None;
    }
    let places: Vec<String> = granted.http.iter().map(|http| http.rule.place.to_string()).collect();
    let places = if places.is_empty() { "nothing".to_owned() } else { places.join(", ") };
    let url = escape::line(&url);
    Some(("endpoint", format!("`{url}` is not what `{agent}` is granted, which is {places}")))
}

/// The variable is none that its grant takes a secret from.
fn variable(listed: &Listed, packages: &Packages) -> Option<(&'static str, String)> {
    let variable = listed.variable.as_deref()?;
    let agent = &listed.rung.agent;
    let granted = packages.granted(agent)?;
    let mut secrets = granted.http.iter().filter_map(|http| http.secret.as_ref());
    if secrets.any(|secret| matches!(secret.source(), SecretSource::Env(name) if name == variable)) {
        return None;
    }
    Some(("auth", format!("no `secret` of `{agent}` comes from the environment variable `{variable}`")))
}

/// The text with its variables filled in; none if one is not set.
fn expanded(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (name, left) = match after.strip_prefix('{') {
            Some(after) => after.split_once('}')?,
            None => {
                let end = after.find(|letter| !is_name(letter)).unwrap_or(after.len());
                after.split_at_checked(end)?
            }
        };
        out.push_str(&value(name).filter(|value| !value.is_empty())?);
        rest = left;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_or_nothing_is_said() {
        let value = |name: &str| (name == "HOST").then(|| "h".to_owned());
        for (text, expected) in [
            ("http://x/", Some("http://x/")),
            ("http://${HOST}/v1", Some("http://h/v1")),
            ("http://$HOST/v1", Some("http://h/v1")),
            ("${OTHER}", None),
            ("${HOST", None),
        ] {
            assert_eq!(expanded(text, value).as_deref(), expected, "{text}");
        }
    }
}
