//! Settings: the operator's JSON becomes the plugin's struct, or an error that names what is wrong with it.

use serde::de::DeserializeOwned;

use crate::PluginError;

/// Parses `settings`; use `#[serde(deny_unknown_fields)]` so that a typo is an error. An empty text counts as `{}`.
pub fn parse<T: DeserializeOwned>(settings: &str) -> Result<T, PluginError> {
    let text = if settings.trim().is_empty() { "{}" } else { settings };
    serde_json::from_str(text).map_err(|problem| PluginError::invalid_input(format!("settings: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PluginErrorKind;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        retries: u8,
    }

    #[test]
    fn an_empty_text_is_an_empty_object() {
        assert_eq!(parse::<Settings>(" ").unwrap().retries, 0);
        assert_eq!(parse::<Settings>(r#"{"retries":3}"#).unwrap().retries, 3);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            (r#"{"retrys":3}"#, "unknown field `retrys`"),
            (r#"{"retries":300}"#, "invalid value: integer `300`"),
            (r#"{"retries":"#, "EOF"),
        ] {
            let error = parse::<Settings>(text).unwrap_err();
            assert_eq!(error.kind, PluginErrorKind::InvalidInput);
            assert!(error.message.contains(part), "{text}: {}", error.message);
        }
    }
}
