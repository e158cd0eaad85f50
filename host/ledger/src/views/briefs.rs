//! `logs/mission_briefs/<mission>_<time>.json`: the brief of every boot as it was given, the newest of them kept.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use razar_core::fact::{Fact, Recorded};
use razar_core::id::{Digest, MAX_NAME};
use rusqlite::Connection;

use super::error::ViewError;
use super::files;
use crate::blob;
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/mission_briefs";
/// Briefs that are kept; their bytes stay in the ledger.
pub(super) const KEPT: usize = 20;

/// The archive.
#[derive(Debug)]
pub(super) struct Briefs {
    dir: PathBuf,
    kept: VecDeque<Brief>,
    /// Names that rotation gave up and that may still be on disk.
    dropped: VecDeque<String>,
}

#[derive(Debug)]
struct Brief {
    name: String,
    digest: Digest,
}

impl Briefs {
    pub(super) fn new(root: &Path) -> Self {
        Self { dir: root.join(NAME), kept: VecDeque::new(), dropped: VecDeque::new() }
    }

    /// Takes one fact in.
    pub(super) fn fold(&mut self, recorded: &Recorded) {
        let Fact::BootStarted { boot, mission, brief: Some(digest), .. } = &recorded.fact else { return };
        let mut name = format!("{}_{}", file_name(mission.as_deref()), moment::file(recorded.at));
        let taken = format!("{name}.json");
        if self.kept.iter().any(|brief| brief.name == taken) {
            // Two boots within one second.
            name = format!("{name}-{boot}");
        }
        self.kept.push_back(Brief { name: format!("{name}.json"), digest: *digest });
        if self.kept.len() > KEPT {
            self.dropped.extend(self.kept.pop_front().map(|brief| brief.name));
        }
        if self.dropped.len() > KEPT {
            self.dropped.pop_front();
        }
    }

    /// Makes the directory agree.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), ViewError> {
        while let Some(name) = self.dropped.front() {
            files::remove(&self.dir.join(name))?;
            self.dropped.pop_front();
        }
        for brief in &self.kept {
            let path = self.dir.join(&brief.name);
            // Written whole or not at all, and named after what it holds: there is nothing to compare.
            if !path.exists() {
                let bytes = blob::get(connection, &brief.digest)?.ok_or(ViewError::Brief(brief.digest))?;
                files::replace(&path, &bytes)?;
            }
        }
        Ok(())
    }
}

/// A mission's name is free text; a file's is not.
fn file_name(mission: Option<&str>) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = mission.unwrap_or_default().chars().take(MAX_NAME).map(safe).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "boot".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mission_cannot_choose_another_directory() {
        for (mission, name) in [
            (None, "boot"),
            (Some(""), "boot"),
            (Some("demo"), "demo"),
            (Some("../../etc/x"), "_.._etc_x"),
            (Some("-rf .hidden\n"), "rf_.hidden_"),
            (Some("é"), "_"),
        ] {
            assert_eq!(file_name(mission), name, "{mission:?}");
        }
    }
}
