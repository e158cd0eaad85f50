//! `plugin add`: a package from elsewhere, measured and pinned. It decides nothing: core admits or refuses, the runtime says
//! whether the package would load, and only then the directory is touched.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use razar_core::document::grants::{self, Grants};
use razar_core::problem::Problem;
use razar_core::trust::{Offer, Pin, Terms, admit};
use razar_runtime::archive::{self, MAX_ARCHIVE};
use razar_runtime::locked::{LOCK, bytes};
use razar_runtime::package::{Package, PackageError};
use serde_json::json;

use super::super::{Exit, complain, one_shot_kept, say, show_problems};
use super::store::{Store, StoreError};
use super::{likeness, pin_json};
use crate::cli::{self, Output};
use crate::packages::{check_schema, read_signers};
use crate::report::{escape, moment};

/// A signature is four short lines.
const MAX_SIGNATURE: usize = 64 << 10;

/// How it ends where it goes no further.
struct Ended(Exit, Vec<Problem>);

impl Ended {
    fn problem(exit: Exit, file: &Path, place: &str, message: String, hint: Option<String>) -> Self {
        let file = file.display().to_string();
        Self(exit, vec![Problem { file, place: place.to_owned(), message, hint }])
    }
}

pub(super) async fn add(arguments: &cli::PluginAdd) -> Exit {
    let output = arguments.output;
    let [dir] = arguments.plugins.plugins.as_slice() else {
        complain(output, "where to? name one directory of pinned plugins with `--plugins DIR`");
        return Exit::Usage;
    };
    match try_add(arguments, dir).await {
        Ok((package, pin)) => {
            tell(&package, &pin, dir, output);
            Exit::Done
        }
        Err(Ended(exit, problems)) => {
            show_problems(&problems, output);
            exit
        }
    }
}

async fn try_add(arguments: &cli::PluginAdd, dir: &Path) -> Result<(Package, Pin), Ended> {
    let place = &arguments.package;
    let refused = |place: &str, message: String, hint: Option<String>| {
        Ended::problem(Exit::Failed, &arguments.package, place, message, hint)
    };
    let archive = read(place).map_err(|error| {
        let (exit, hint) = match is_not_there(&error) {
            true => (Exit::Usage, likeness::below(place)),
            false => (Exit::Failed, None),
        };
        Ended::problem(exit, place, "package", error.to_string(), hint)
    })?;
    let package = match archive::read(&archive, place) {
        Ok(package) => package,
        Err(PackageError::Manifest(problems)) => return Err(Ended(Exit::Failed, problems)),
        Err(error) => return Err(refused("package", error.to_string(), None)),
    };
    let signature = signature(arguments)?;
    let signers = arguments.plugins.signers.as_deref().map(read_signers).transpose();
    let signers = signers.map_err(|problems| Ended(Exit::Usage, problems))?;
    let grants = match &arguments.plugins.grants {
        Some(file) => read_grants(file)?,
        None => Grants::new(),
    };
    let store = Store::open(dir).map_err(|error| unusable(dir, error))?;
    let name = package.manifest.name.clone();
    let from = std::path::absolute(place).unwrap_or_else(|_| place.clone());
    let (now, from) = (moment::now(), escape::line(&from.display().to_string()));
    let offer = Offer {
        plugin: &name,
        version: &package.manifest.version,
        bytes: &archive,
        signature: signature.as_deref(),
        from: &from,
    };
    let terms = Terms {
        locked: store.pin(&name),
        signers: signers.as_ref(),
        require: arguments.require_signature,
        allow_downgrade: arguments.allow_downgrade,
        now,
        added: &moment::zulu(now),
    };
    let pin =
        admit(&offer, &terms).map_err(|why| refused(name.as_str(), why.to_string(), Some(why.hint())))?;
    check_schema(&package).map_err(|message| refused("settings", message, None))?;
    let runtime =
        one_shot_kept().map_err(|error| Ended::problem(Exit::Internal, place, "package", error, None))?;
    let grant = grants.get(&name).cloned().unwrap_or_default();
    let loaded = runtime.load(package.source(), &grant).await;
    loaded.map_err(|error| refused(name.as_str(), error.to_string(), None))?;
    store.put(&name, pin.clone(), &archive).map_err(|error| unusable(dir, error))?;
    Ok((package, pin))
}

/// The package as one file: what is hashed here is what is stored.
fn read(place: &Path) -> Result<Vec<u8>, PackageError> {
    if place.is_dir() {
        return archive::pack(place);
    }
    // The operator may name it by a link; a pinned one is none.
    let file = std::fs::canonicalize(place)
        .map_err(|source| PackageError::Read { path: place.to_owned(), source })?;
    let bytes = bytes(&file, MAX_ARCHIVE)?;
    if archive::is_archive(&bytes) {
        return Ok(bytes);
    }
    Err(PackageError::Archive { path: place.to_owned(), reason: likeness::of_file(&bytes) })
}

fn is_not_there(error: &PackageError) -> bool {
    matches!(error, PackageError::Read { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// What minisign wrote about it: where that was said to be, or beside it.
fn signature(arguments: &cli::PluginAdd) -> Result<Option<String>, Ended> {
    let beside = || {
        let mut beside = arguments.package.clone().into_os_string();
        beside.push(".minisig");
        Some(PathBuf::from(beside)).filter(|file| file.symlink_metadata().is_ok())
    };
    let Some(file) = arguments.signature.clone().or_else(|| if arguments.unsigned { None } else { beside() })
    else {
        return Ok(None);
    };
    let refused = |message: String| Ended::problem(Exit::Failed, &file, "signature", message, None);
    let read = std::fs::canonicalize(&file).map_err(|error| refused(format!("cannot be read: {error}")));
    let read = bytes(&read?, MAX_SIGNATURE).map_err(|error| refused(error.to_string()))?;
    String::from_utf8(read)
        .map(Some)
        .map_err(|_| refused("is not a signature: it is not UTF-8 text".to_owned()))
}

fn read_grants(file: &Path) -> Result<Grants, Ended> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Ended::problem(Exit::Usage, file, "file", format!("cannot be read: {error}"), None)
    })?;
    grants::parse(&file.display().to_string(), &text).map_err(|problems| Ended(Exit::Usage, problems))
}

fn unusable(dir: &Path, error: StoreError) -> Ended {
    Ended(Exit::Failed, error.problems(dir))
}

fn tell(package: &Package, pin: &Pin, dir: &Path, output: Output) {
    let name = &package.manifest.name;
    if output == Output::Json {
        return say(&json!({ "plugin": name, "pin": pin_json(pin) }).to_string());
    }
    let signed = match &pin.signed {
        Some(signed) => format!("signed by {}", signed.signer),
        None => "not signed".to_owned(),
    };
    let lock = dir.join(LOCK);
    say(&escape::line(&format!("{name} {} is pinned in {}: {signed}", pin.version, lock.display())));
    say(&pin.digest.to_string());
}
