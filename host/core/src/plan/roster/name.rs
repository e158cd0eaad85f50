//! What operators call an agent, and which plugin that is.

use crate::id::PluginId;

/// Names of the original system, letters and digits only, and their plugins.
const KNOWN: &[(&str, &str)] = &[
    ("crown", "agent-crown"),
    ("glm", "agent-crown"),
    ("kimicho", "agent-kimicho"),
    ("k2", "agent-k2"),
    ("k2coder", "agent-k2"),
    ("kimi2", "agent-k2"),
    ("kimik2", "agent-k2"),
    ("airstar", "agent-airstar"),
    ("rstar", "agent-rstar"),
];

/// The plugin that a name stands for; none if no letter or digit is in it.
pub fn plugin_of(name: &str) -> Option<PluginId> {
    let lower = name.trim().to_ascii_lowercase();
    let bare = lower.strip_prefix("agent-").unwrap_or(&lower);
    let squeezed: String = bare.chars().filter(char::is_ascii_alphanumeric).collect();
    if let Some((_, plugin)) = KNOWN.iter().find(|(known, _)| *known == squeezed) {
        return plugin.parse().ok();
    }
    let words = bare.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    if words.is_empty() {
        return None;
    }
    format!("agent-{}", words.join("-")).parse().ok()
}

/// The environment variable in which the original system looks for its key.
pub(super) fn variable(name: &str) -> String {
    match plugin_of(name).as_ref().map(PluginId::as_str) {
        Some("agent-k2") => "KIMI2_API_KEY".to_owned(),
        Some("agent-airstar") => "AIRSTAR_API_KEY".to_owned(),
        Some("agent-rstar") => "RSTAR_API_KEY".to_owned(),
        _ => {
            let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            format!("{}_API_KEY", name.chars().map(letter).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_has_many_names() {
        for (plugin, names) in [
            ("agent-k2", &["K2 Coder", "kimi2", "Kimi2", "k2", "KIMI-K2", "agent-k2", "k2_coder"][..]),
            ("agent-airstar", &["Air Star", "AirStar", "airstar", "air-star"]),
            ("agent-rstar", &["rStar", "RStar", "r star", "agent-rstar"]),
            ("agent-crown", &["Crown", "CROWN"]),
            ("agent-kimicho", &["Kimi-cho", "kimicho", "Kimi Cho"]),
            ("agent-demo-agent", &["demo_agent", "Demo agent"]),
            ("agent-patch-service", &["Patch Service", "agent-patch-service"]),
        ] {
            for name in names {
                assert_eq!(plugin_of(name).unwrap().as_str(), plugin, "{name}");
            }
        }
        assert_eq!(plugin_of(" —"), None);
        assert_eq!(
            (variable("kimi2").as_str(), variable("demo agent").as_str()),
            ("KIMI2_API_KEY", "DEMO_AGENT_API_KEY")
        );
    }
}
