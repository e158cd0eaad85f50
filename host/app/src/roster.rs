//! The roster file: where it is, how it is read, and how the host changes it: who is active, and a copy of it under the name operators
//! know, `razar_ai_agents.bak`. A file that cannot be read is an error, and never replaced by another one.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use razar_core::id::Digest;
use razar_core::plan::{MAX_ROSTER, Overrides, Plugins, Roster, active, with_active};
use razar_core::problem::Problem;

use crate::cli::Stack;

/// The roster's name beside a boot configuration.
const NAME: &str = "razar_ai_agents.json";

/// The roster of a stack: the one that is named, or the one beside the boot configuration.
pub(crate) fn of(stack: &Stack) -> Option<PathBuf> {
    stack.roster.clone().or_else(|| beside(&stack.config))
}

/// The one beside a boot configuration, when it is there.
pub(crate) fn beside(config: &Path) -> Option<PathBuf> {
    let file = config.with_file_name(NAME);
    // A link that leads nowhere is an operator's mistake to be told, not a roster that is not there.
    file.symlink_metadata().is_ok().then_some(file)
}

/// Reads it.
pub(crate) fn read(
    file: &Path,
    plugins: &dyn Plugins,
    overrides: &Overrides,
) -> Result<Roster, Vec<Problem>> {
    let shown = file.display().to_string();
    let bytes = bytes(file).map_err(|message| {
        vec![Problem {
            file: shown.clone(),
            place: "file".to_owned(),
            message,
            hint: Some("name the roster with `--roster FILE`".to_owned()),
        }]
    })?;
    Roster::read(&bytes, &shown, plugins, overrides)
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(file)?.take(MAX_ROSTER as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
    if bytes.len() > MAX_ROSTER {
        return Err(format!("`{}` has more than {MAX_ROSTER} bytes", file.display()));
    }
    Ok(bytes)
}

/// The copy's name: the suffix is another one.
fn copy_of(file: &Path) -> PathBuf {
    file.with_extension("bak")
}

/// Keeps a copy, byte for byte; returns its digest and who is active in it.
pub(crate) fn save(file: &Path) -> Result<(Digest, Option<String>), String> {
    let bytes = bytes(file)?;
    let active = active(&bytes).map_err(|why| format!("`{}`: {why}", file.display()))?;
    replace(&copy_of(file), &bytes, file)?;
    Ok((Digest::of(&bytes), active))
}

/// Names this one as active; nothing else changes.
pub(crate) fn activate(file: &Path, name: &str) -> Result<(), String> {
    change(file, Some(name))
}

/// Makes it again what the copy says, byte for byte. What somebody else has written into it meanwhile stays: then only the active agent is
/// put back.
pub(crate) fn restore(file: &Path, copy: &Digest) -> Result<(), String> {
    let place = copy_of(file);
    let kept = bytes(&place)?;
    if Digest::of(&kept) != *copy {
        return Err(format!(
            "`{}` is not the copy that this host made; put `active` in `{}` right by hand",
            place.display(),
            file.display()
        ));
    }
    let wrong = |why: String| format!("`{}`: {why}", place.display());
    let before = active(&kept).map_err(wrong)?;
    let now = bytes(file)?;
    if now == kept {
        return Ok(());
    }
    let as_escalated = active(&now)
        .and_then(|active| with_active(&kept, active.as_deref()))
        .is_ok_and(|escalated| escalated == now);
    if as_escalated { replace(file, &kept, file) } else { change(file, before.as_deref()) }
}

fn change(file: &Path, name: Option<&str>) -> Result<(), String> {
    let now = bytes(file)?;
    let changed = with_active(&now, name).map_err(|why| format!("`{}`: {why}", file.display()))?;
    replace(file, &changed, file)
}

/// All of it or nothing, with mode and owner of `like`.
fn replace(file: &Path, bytes: &[u8], like: &Path) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        // A link stays one: what it leads to is replaced.
        let file = file.canonicalize().or_else(|_| std::path::absolute(file))?;
        let directory = file.parent().unwrap_or(Path::new("/"));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let fresh = directory.join(format!(".{name}.{}.new", std::process::id()));
        let meta = std::fs::metadata(like)?;
        let written = (|| {
            let mut new = File::options().write(true).create_new(true).open(&fresh)?;
            new.set_permissions(Permissions::from_mode(meta.mode() & 0o777))?;
            // Who is not root can give nothing away, and need not.
            let _ = std::os::unix::fs::fchown(&new, Some(meta.uid()), Some(meta.gid()));
            new.write_all(bytes)?;
            new.sync_all()?;
            std::fs::rename(&fresh, &file)?;
            File::open(directory)?.sync_all()
        })();
        if written.is_err() {
            // The error is what matters.
            let _ = std::fs::remove_file(&fresh);
        }
        written
    };
    write().map_err(|error| format!("`{}` cannot be written: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROSTER: &str = "{ \"active\": \"K2 Coder\",\n\t\"agents\": [\"K2 Coder\", \"rStar\"] }\n";

    fn roster(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NAME);
        std::fs::write(&file, text).unwrap();
        (dir, file)
    }

    fn text(file: &Path) -> String {
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn what_was_escalated_is_put_back_byte_for_byte() {
        let (dir, file) = roster(ROSTER);
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let (copy, active) = save(&file).unwrap();
        assert_eq!(
            (active.as_deref(), text(&dir.path().join("razar_ai_agents.bak")).as_str()),
            (Some("K2 Coder"), ROSTER)
        );
        activate(&file, "rStar").unwrap();
        assert!(text(&file).starts_with("{\n  \"active\": \"rStar\",\n  \"agents\": [\n"), "{}", text(&file));
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        restore(&file, &copy).unwrap();
        assert_eq!(text(&file), ROSTER);
        restore(&file, &copy).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let (_dir, file) = roster(ROSTER);
        let (copy, _) = save(&file).unwrap();
        activate(&file, "rStar").unwrap();
        std::fs::write(&file, text(&file).replace("\"K2 Coder\",", "\"K2 Coder\", \"Air Star\",")).unwrap();
        restore(&file, &copy).unwrap();
        let now = text(&file);
        assert!(now.contains("Air Star") && now.contains("\"active\": \"K2 Coder\""), "{now}");
    }

    #[test]
    fn what_is_no_roster_is_never_replaced() {
        let (dir, file) = roster("{ not json");
        for done in [activate(&file, "x"), save(&file).map(drop), restore(&file, &Digest::of(b"x"))] {
            assert!(done.is_err());
        }
        assert_eq!((text(&file).as_str(), std::fs::read_dir(dir.path()).unwrap().count()), ("{ not json", 1));
        let (_dir, file) = roster(ROSTER);
        save(&file).unwrap();
        let why = restore(&file, &Digest::of(b"another")).unwrap_err();
        assert!(why.contains("is not the copy") && text(&file) == ROSTER, "{why}");
    }
}
