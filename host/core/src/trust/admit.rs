//! Whether a package may take its place among those that are pinned. Order: who signed it, may they, does it still count, is it
//! older than what is there. Whatever is refused changes nothing.

use semver::Version;

use super::pin::{Pin, Signed};
use super::signers::{LastDay, Signers};
use crate::id::{Digest, PluginId};
use crate::time::{Millis, Timestamp};

/// How far a signer's clock may be ahead of ours.
const AHEAD: Millis = Millis(24 * 3_600_000);

/// A package that somebody wants to add.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Its name, as its manifest says.
    pub plugin: &'a PluginId,
    /// Its version, likewise.
    pub version: &'a str,
    /// The whole package file.
    pub bytes: &'a [u8],
    /// What minisign wrote about it.
    pub signature: Option<&'a str>,
    /// Where it comes from, for people.
    pub from: &'a str,
}

/// What it is measured against.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What is pinned under its name.
    pub locked: Option<&'a Pin>,
    /// Whom the operator believes, if that was said.
    pub signers: Option<&'a Signers>,
    /// Whether a signature is wanted whatever `signers` says.
    pub require: bool,
    /// Whether something older, or less vouched for, may replace what is pinned.
    pub allow_downgrade: bool,
    /// The clock.
    pub now: Timestamp,
    /// The clock, for people.
    pub added: &'a str,
}

/// Why a package is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A signature is wanted.
    #[error("it is not signed, and signatures are required")]
    Unsigned,
    /// It is signed, and whom to believe is not said.
    #[error("it is signed, and nobody says whose signatures are believed")]
    NoSigners,
    /// No signature at all.
    #[error("what lies beside it is no signature of minisign's")]
    NotASignature,
    /// Over the file itself instead of its hash.
    #[error("its signature is of the legacy kind")]
    Legacy,
    /// By nobody we know.
    #[error("it is signed with a key that is none of the operator's signers'")]
    UnknownKey,
    /// The key's name is on it, and it does not fit.
    #[error(
        "its signature claims to be `{signer}`'s and does not fit: file, signature or trusted comment were changed"
    )]
    Forged {
        /// Whose it claims to be.
        signer: String,
    },
    /// By somebody who signs other plugins.
    #[error("`{signer}` signed it and may not sign `{plugin}`")]
    NotItsName {
        /// Who did.
        signer: String,
        /// What.
        plugin: PluginId,
    },
    /// The key had its time.
    #[error("the key of `{signer}` is believed until {not_after} and no longer")]
    Expired {
        /// Whose.
        signer: String,
        /// Its last day.
        not_after: LastDay,
    },
    /// An age is asked for, and there is none.
    #[error("its signature does not say when it was made, and may be no older than {0}")]
    Undated(Millis),
    /// Too old.
    #[error("its signature is {age} old and may be no older than {bound}")]
    Stale {
        /// How old it is.
        age: Millis,
        /// How old it may be.
        bound: Millis,
    },
    /// Of a day to come.
    #[error("its signature was made more than a day after now")]
    Future,
    /// Its manifest has no version that can be compared.
    #[error("its version `{}` is not `MAJOR.MINOR.PATCH`", .0.escape_debug())]
    NoVersion(String),
    /// What is pinned is newer.
    #[error("it is version {offered}, and {locked} is pinned: an older version is not put in its place")]
    OlderVersion {
        /// What is pinned.
        locked: Version,
        /// What was offered.
        offered: Version,
    },
    /// The same version, signed before.
    #[error("it is version {0} like what is pinned, other bytes of it, and was signed before that")]
    OlderSignature(Version),
    /// What is pinned had a signature.
    #[error("it is not signed, and what is pinned is signed by `{0}`")]
    NoLongerSigned(String),
}

impl Refused {
    /// What to do.
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Unsigned => {
                "sign it with `minisign -Sm FILE`, and name the signature with `--signature FILE`"
            }
            Self::NoSigners => {
                "name the operator's signers with `--signers FILE`, or say `--unsigned` to pin it without its signature"
            }
            Self::NotASignature => "sign it with `minisign -Sm FILE`, which writes `FILE.minisig`",
            Self::Legacy => "sign it with minisign 0.10 or newer, or with `minisign -H`",
            Self::UnknownKey => {
                "if its author is to be believed, write the key, got from the author and not with the package, below \
                 `[signer.NAME]` in the file that `--signers` names"
            }
            Self::Forged { .. } => "get package and signature again from where they were published",
            Self::NotItsName { .. } => {
                "if that is right, add the name to the signer's `plugins` in the file that `--signers` names"
            }
            Self::Expired { .. } => {
                "have it signed with a key that is still believed, or correct `not-after`"
            }
            Self::Undated(_) => "sign it without `-t`, or with `-t \"timestamp:$(date +%s)\"`",
            Self::Stale { .. } => "have it signed again, or raise `max-age`",
            Self::Future => "correct the clock of this machine, or have it signed again",
            Self::NoVersion(_) => "write for instance `version = \"0.1.0\"` in `plugin.toml`",
            Self::OlderVersion { .. } | Self::OlderSignature(_) | Self::NoLongerSigned(_) => {
                "if that is what you want, say `--allow-downgrade`, which is recorded"
            }
        };
        hint.to_owned()
    }
}

/// The pin for the lock, or why there is none.
pub fn admit(offer: &Offer<'_>, terms: &Terms<'_>) -> Result<Pin, Refused> {
    let version = Version::parse(offer.version)
        .map_err(|_| Refused::NoVersion(offer.version.chars().take(80).collect()))?;
    let signed = vouched(offer, terms)?;
    let digest = Digest::of(offer.bytes);
    let downgraded_from =
        match terms.locked.map(|locked| (locked, older(locked, &version, &digest, signed.as_ref()))) {
            Some((_, Some(refused))) if !terms.allow_downgrade => return Err(refused),
            Some((locked, Some(_))) => Some(locked.version.clone()),
            // The same bytes again: what was recorded of them stays.
            Some((locked, _)) if locked.digest == digest => locked.downgraded_from.clone(),
            _ => None,
        };
    Ok(Pin {
        version,
        digest,
        from: offer.from.to_owned(),
        added: terms.added.to_owned(),
        downgraded_from,
        signed,
    })
}

/// Who signed it, today.
fn vouched(offer: &Offer<'_>, terms: &Terms<'_>) -> Result<Option<Signed>, Refused> {
    let required = terms.require || terms.signers.is_some_and(|signers| signers.required);
    let (text, signers) = match (offer.signature, terms.signers) {
        (None, _) if required => return Err(Refused::Unsigned),
        (None, _) => return Ok(None),
        (Some(_), None) => return Err(Refused::NoSigners),
        (Some(text), Some(signers)) => (text, signers),
    };
    let signed = signers.verify(offer.plugin, offer.bytes, text)?;
    let not_after = signers.signers.get(&signed.signer).and_then(|signer| signer.not_after);
    if let Some(not_after) = not_after.filter(|day| day.is_over(terms.now)) {
        return Err(Refused::Expired { signer: signed.signer, not_after });
    }
    match (signed.at(), signers.max_age) {
        (Some(at), _) if at.since(terms.now) > AHEAD => return Err(Refused::Future),
        (Some(at), Some(bound)) if terms.now.since(at) > bound => {
            let minutes = terms.now.since(at).0 / 60_000;
            return Err(Refused::Stale { age: Millis(minutes * 60_000), bound });
        }
        (None, Some(bound)) => return Err(Refused::Undated(bound)),
        _ => {}
    }
    Ok(Some(signed))
}

/// What makes it less than what is pinned.
fn older(locked: &Pin, version: &Version, digest: &Digest, signed: Option<&Signed>) -> Option<Refused> {
    if version.cmp_precedence(&locked.version).is_lt() {
        return Some(Refused::OlderVersion { locked: locked.version.clone(), offered: version.clone() });
    }
    let before = locked.signed.as_ref()?;
    let Some(now) = signed else { return Some(Refused::NoLongerSigned(before.signer.clone())) };
    let same = version.cmp_precedence(&locked.version).is_eq() && *digest != locked.digest;
    (same && now.at() < before.at()).then(|| Refused::OlderSignature(version.clone()))
}
