//! `signers.toml`: whose signatures the operator believes, for which plugins, and for how long. Nothing that is loaded can
//! change it.

use std::collections::BTreeMap;

use minisign_verify::PublicKey;
use schemars::JsonSchema;
use serde::Deserialize;

use super::located::{Path, Source};
use crate::problem::Problem;
use crate::time::Millis;
use crate::trust::{LastDay, NamePattern, Signer, Signers};

/// Whose signatures are believed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[schemars(title = "signers.toml")]
pub struct SignersDocument {
    /// Whether a package that nobody signed is refused.
    pub required: bool,
    /// How old a signature may be when its package is added, such as `180 d`.
    pub max_age: Option<String>,
    /// One table per key, by the operator's name for it.
    pub signer: BTreeMap<String, SignerDocument>,
}

/// One key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignerDocument {
    /// The public key: the second line of minisign's `.pub` file.
    pub key: String,
    /// The plugins it may sign: names, or beginnings of names followed by `*`.
    pub plugins: Vec<String>,
    /// The last day on which its signatures are believed, such as `2027-12-31`.
    pub not_after: Option<String>,
}

/// Longest name of a signer: it stands in tables.
const MAX_NAME: usize = 64;

/// Reads `signers.toml`; `file` is its name in messages. Everything that is wrong is said at once.
pub fn parse(file: &str, text: &str) -> Result<Signers, Vec<Problem>> {
    let mut source = Source::new(file, text);
    let mut signers = Signers::default();
    if let Some(document) = source.document::<SignersDocument>() {
        let top = Path::default();
        signers.required = document.required;
        if let Some(age) = &document.max_age {
            let hint = |_: &_| Some("write for instance `180 d`".to_owned());
            signers.max_age = source.take(&top.key("max-age"), age.parse::<Millis>(), hint);
        }
        for (name, document) in &document.signer {
            let at = top.key("signer").key(name);
            let Some(signer) = signer(&mut source, &at, name, document) else { continue };
            if let Some((other, _)) = signers.signers.iter().find(|(_, other)| other.public == signer.public)
            {
                let message = format!("has the key of `{other}`");
                let hint = Some("name each key once, with all plugins it may sign".to_owned());
                source.problem(&at.key("key"), message, hint);
            }
            signers.signers.insert(name.clone(), signer);
        }
        if signers.required && document.signer.is_empty() {
            let hint = Some("write below `[signer.NAME]`: key = \"RW…\", plugins = [\"…\"]".to_owned());
            source.problem(
                &top.key("required"),
                "signatures are required, and nobody may sign".to_owned(),
                hint,
            );
        }
    }
    if source.problems.is_empty() { Ok(signers) } else { Err(source.problems) }
}

fn signer(source: &mut Source<'_>, at: &Path, name: &str, document: &SignerDocument) -> Option<Signer> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        let hint = Some("write letters, digits, `-`, `_` and `.`".to_owned());
        source.problem(at, "the name of a signer is a short word".to_owned(), hint);
    }
    let public = PublicKey::from_base64(document.key.trim()).map_err(|_| "is no public key of minisign's");
    let public = source.take(&at.key("key"), public, |_| {
        Some("write the second line of the signer's `.pub` file".to_owned())
    });
    if document.plugins.is_empty() {
        let hint = Some("write names such as `[\"probe-queue\"]`, or `[\"*\"]` for all".to_owned());
        source.problem(&at.key("plugins"), "it may sign no plugin".to_owned(), hint);
    }
    let patterns = document.plugins.iter().enumerate().filter_map(|(index, text)| {
        let hint = |_: &_| Some("write for instance `probe-queue`, `acme-*` or `*`".to_owned());
        source.take(&at.key("plugins").index(index), text.parse::<NamePattern>(), hint)
    });
    let plugins: Vec<NamePattern> = patterns.collect();
    let not_after = document
        .not_after
        .as_ref()
        .map(|day| source.take(&at.key("not-after"), day.parse::<LastDay>(), |_| None));
    let not_after = match not_after {
        Some(day) => Some(day?),
        None => None,
    };
    Some(Signer { key: document.key.trim().to_owned(), public: public?, plugins, not_after })
}

/// The document's JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(SignersDocument).to_value()
}

#[cfg(test)]
mod tests;
