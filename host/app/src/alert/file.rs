//! `monitoring/alerts/razar_<epoch ms>.json`: every alert, whatever else is set up. A file is written once and is the operator's
//! from then on: one that he removes stays away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::courier::position;
use super::told::Alert;
use super::{DIR, Fault, Way};

/// Files that are kept, the newest; the facts are in the ledger.
const KEPT: usize = 200;

/// What every name is made of.
const NAME: (&str, &str) = ("razar_", ".json");

/// Alerts of one millisecond that are told apart: more cannot be recorded in one.
const SAME: u64 = 10_000;

/// See the module.
pub(super) struct Files {
    state: PathBuf,
}

impl Files {
    pub(super) fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    fn write(&self, alert: &Alert) -> io::Result<()> {
        position::directory(&self.state)?;
        let dir = self.state.join(DIR);
        let (bytes, temp) = (alert.json(), dir.join(".razar-alert.tmp"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        let named = (alert.at.0..alert.at.0.saturating_add(SAME)).find_map(|millis| {
            let path = dir.join(format!("{}{millis}{}", NAME.0, NAME.1));
            // Another name of the finished file: it appears whole, and replaces nobody's.
            match fs::hard_link(&temp, &path) {
                // Whoever wrote it died before that was known.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    fs::read(&path).is_ok_and(|found| found == bytes).then_some(Ok(()))
                }
                made => Some(made),
            }
        });
        let removed = fs::remove_file(&temp);
        named.unwrap_or_else(|| Err(io::Error::other("there are too many files of this moment")))?;
        removed?;
        File::open(&dir)?.sync_all()?;
        forget_oldest(&dir)
    }
}

impl Way for Files {
    fn name(&self) -> &'static str {
        "file"
    }

    fn send(&mut self, alert: &Alert) -> Result<(), Fault> {
        self.write(alert).map_err(|error| Fault::Away(format!("cannot write below `{DIR}`: {error}")))
    }
}

fn forget_oldest(dir: &Path) -> io::Result<()> {
    let millis = |name: &str| name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?.parse::<u64>().ok();
    let mut found: Vec<u64> =
        fs::read_dir(dir)?.flatten().filter_map(|entry| millis(entry.file_name().to_str()?)).collect();
    found.sort_unstable();
    for old in found.iter().take(found.len().saturating_sub(KEPT)) {
        match fs::remove_file(dir.join(format!("{}{old}{}", NAME.0, NAME.1))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
