//! `quarantine/<component>.json`: there while a component is in quarantine, gone when it is let out. Files of others
//! in the same directory are left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use razar_core::fact::{Fact, Recorded};
use razar_core::id::ComponentId;
use serde::Serialize;

use super::error::ViewError;
use super::{escape, files};
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "quarantine";

/// The files.
#[derive(Debug)]
pub(super) struct QuarantineFiles {
    dir: PathBuf,
    /// Every component the facts ever quarantined; none when it is out.
    wanted: BTreeMap<ComponentId, Option<String>>,
    /// What is known to be on disk.
    written: BTreeMap<ComponentId, Option<String>>,
}

#[derive(Serialize)]
struct File<'a> {
    id: &'a str,
    name: &'a str,
    reason: &'a str,
    class: &'a str,
    hint: &'a str,
    error: &'a str,
    attempts: u32,
    quarantined_at: String,
    patches_applied: [&'a str; 0],
}

impl QuarantineFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self { dir: root.join(NAME), wanted: BTreeMap::new(), written: BTreeMap::new() }
    }

    /// Takes one fact in.
    pub(super) fn fold(&mut self, recorded: &Recorded) {
        match &recorded.fact {
            Fact::Quarantined { component, reason, failure, attempts } => {
                let text = escape::json_file(&File {
                    id: component.as_str(),
                    name: component.as_str(),
                    reason: reason.as_str(),
                    class: failure.class.as_str(),
                    hint: failure.class.hint(),
                    error: &failure.error,
                    attempts: *attempts,
                    quarantined_at: moment::zulu(recorded.at),
                    patches_applied: [],
                });
                self.wanted.insert(component.clone(), Some(text));
            }
            Fact::Released { component, .. } | Fact::Reinstated { component } => {
                if let Some(wanted) = self.wanted.get_mut(component) {
                    *wanted = None;
                }
            }
            _ => {}
        }
    }

    /// Makes the directory agree.
    pub(super) fn write(&mut self) -> Result<(), ViewError> {
        for (component, wanted) in &self.wanted {
            let path = self.dir.join(format!("{component}.json"));
            let known = self.written.get(component) == Some(wanted);
            match wanted {
                Some(_) if known && path.exists() => {}
                Some(text) if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) => {}
                Some(text) => files::replace(&path, text.as_bytes())?,
                None if known => {}
                None => files::remove(&path)?,
            }
            if !known {
                self.written.insert(component.clone(), wanted.clone());
            }
        }
        Ok(())
    }
}
