//! `plugins.lock`: which packages may be loaded from the directory it lies in, and no others. The host writes it, people read
//! it, and a key that nobody knows is refused like everywhere else.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::located::{Path, Source};
use crate::grant::is_deceptive;
use crate::id::PluginId;
use crate::problem::Problem;
use crate::trust::{Lock, Pin, Signed};

/// Which packages may be loaded: one table per plugin.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "plugins.lock")]
pub struct LockDocument(pub BTreeMap<String, PinDocument>);

/// One package.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PinDocument {
    /// Its version.
    pub version: String,
    /// `sha256:` of the package file.
    pub digest: String,
    /// Where it was added from.
    pub from: String,
    /// When.
    pub added: String,
    /// The version before, where somebody chose something older or less vouched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgraded_from: Option<String>,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureDocument>,
}

/// A signature that was verified when the package was added.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureDocument {
    /// The operator's name for the key.
    pub signer: String,
    /// The public key, as minisign prints it.
    pub key: String,
    /// The signature, as minisign wrote it.
    pub text: String,
}

/// What stands above what the host writes.
const HEADER: &str =
    "# Which packages are loaded from this directory, and no others. Written by `razar-host plugin add`.\n";

/// What is wrong is mended by adding the package again.
const AGAIN: &str =
    "add the package again with `razar-host plugin add`; a lock that cannot be read is moved away before";

/// Longest remark for people.
const MAX_REMARK: usize = 4096;

/// Reads `plugins.lock`; `file` is its name in messages. Everything that is wrong is said at once.
pub fn parse(file: &str, text: &str) -> Result<Lock, Vec<Problem>> {
    let mut source = Source::new(file, text);
    let mut lock = Lock::new();
    for key in source.keys() {
        let at = Path::default().key(&key);
        let Some(document) = source.part::<PinDocument>(&key) else { continue };
        let name = source.take(&at, key.parse::<PluginId>(), |_| Some(AGAIN.to_owned()));
        let pin = pin(&mut source, &at, document);
        if let (Some(name), Some(pin)) = (name, pin) {
            lock.insert(name, pin);
        }
    }
    if source.problems.is_empty() { Ok(lock) } else { Err(source.problems) }
}

fn pin(source: &mut Source<'_>, at: &Path, document: PinDocument) -> Option<Pin> {
    let again = || Some(AGAIN.to_owned());
    let version = source.take(&at.key("version"), document.version.parse(), |_| again());
    let digest = source.take(&at.key("digest"), document.digest.parse(), |_| again());
    let before = document
        .downgraded_from
        .map(|before| source.take(&at.key("downgraded-from"), before.parse(), |_| again()));
    for (key, remark) in [("from", &document.from), ("added", &document.added)] {
        if remark.len() > MAX_REMARK || remark.chars().any(is_deceptive) {
            source.problem(&at.key(key), "is no short line of text".to_owned(), again());
        }
    }
    let signed =
        document.signature.map(|SignatureDocument { signer, key, text }| Signed { signer, key, text });
    if let Some(signed) = &signed
        && (signed.comment().is_none() || signed.signer.chars().chain(signed.key.chars()).any(is_deceptive))
    {
        source.problem(&at.key("signature"), "is no signature of minisign's".to_owned(), again());
    }
    let downgraded_from = match before {
        Some(before) => Some(before?),
        None => None,
    };
    Some(Pin {
        version: version?,
        digest: digest?,
        from: document.from,
        added: document.added,
        downgraded_from,
        signed,
    })
}

/// The text of a lock: the same lock always has the same text.
pub fn render(lock: &Lock) -> Result<String, toml::ser::Error> {
    let pins = lock.iter().map(|(name, pin)| {
        let signature =
            pin.signed.clone().map(|Signed { signer, key, text }| SignatureDocument { signer, key, text });
        let document = PinDocument {
            version: pin.version.to_string(),
            digest: pin.digest.to_string(),
            from: pin.from.clone(),
            added: pin.added.clone(),
            downgraded_from: pin.downgraded_from.as_ref().map(ToString::to_string),
            signature,
        };
        (name.to_string(), document)
    });
    Ok(format!("{HEADER}\n{}", toml::to_string_pretty(&LockDocument(pins.collect()))?))
}

/// The document's JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(LockDocument).to_value()
}

#[cfg(test)]
mod tests;
