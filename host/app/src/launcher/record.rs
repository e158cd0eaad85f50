//! Which process is which instance: one small file per instance, written before anybody is told that it runs.
//!
//! A record is believed only when number, start time and the machine's boot agree with what `/proc` shows.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use razar_core::effect::Process;
use razar_core::grant::LogBegin;
use razar_core::id::{ComponentId, InstanceId};
use razar_ledger::failpoint;
use serde::{Deserialize, Serialize};

use super::place::{Place, replace};
use super::wire::OutputCap;

/// What is remembered about an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Whose.
    pub(crate) component: ComponentId,
    /// Which.
    pub(crate) instance: InstanceId,
    /// Its main process.
    pub(crate) process: Process,
    /// The machine's boot: start times are counted from it.
    pub(crate) machine_boot: String,
    /// How much of what it prints is kept.
    pub(crate) output: OutputCap,
    /// Where in the log what it prints begins; all of the log for one that an older launcher started.
    #[serde(default)]
    pub(crate) begin: LogBegin,
}

impl Record {
    /// Makes it outlive this process.
    pub(crate) fn save(&self, place: &Place) -> io::Result<()> {
        replace(&place.record(&self.component, self.instance), &serde_json::to_vec(self)?)
    }
}

/// All records there are. Files that are none are named in `strange`; half-written ones are swept.
pub(crate) fn load_all(place: &Place, strange: &mut Vec<String>) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for item in fs::read_dir(place.run())? {
        let path = item?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tmp") => remove(&path),
            Some("json") => match fs::read(&path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| serde_json::from_slice::<Record>(&bytes).map_err(|error| error.to_string()))
            {
                Ok(record) => records.push(record),
                // What a machine leaves of a record when it loses power.
                Err(_) if fs::metadata(&path).is_ok_and(|meta| meta.len() == 0) => remove(&path),
                Err(error) => strange.push(format!("{}: {error}", path.display())),
            },
            _ => {}
        }
    }
    Ok(records)
}

/// Where in the log what an instance prints begins; none when there is no record of it. Makes nothing: the state
/// directory may be gone.
pub(crate) async fn begin(state: &Path, component: &ComponentId, instance: InstanceId) -> Option<LogBegin> {
    let bytes = tokio::fs::read(Place::record_in(state, component, instance)).await.ok()?;
    let record = serde_json::from_slice::<Record>(&bytes).ok()?;
    Some(record.begin)
}

/// Forgets an instance: its record and its pipe.
pub(crate) fn forget(place: &Place, component: &ComponentId, instance: InstanceId) {
    remove(&place.record(component, instance));
    failpoint::pass("forget.record");
    remove(&place.pipe(component, instance));
}

/// Removes the pipes of nobody: what a crash between a pipe and its process leaves.
pub(crate) fn sweep_pipes(place: &Place, known: &BTreeSet<PathBuf>) -> io::Result<()> {
    sweep(place, |path, extension| extension == "out" && !known.contains(path))
}

/// Removes what is left when nobody is: a disk that failed may have kept it.
pub(crate) fn sweep_all(place: &Place) -> io::Result<()> {
    sweep(place, |_, extension| ["json", "out", "tmp"].contains(&extension))
}

fn sweep(place: &Place, is_stale: impl Fn(&Path, &str) -> bool) -> io::Result<()> {
    for item in fs::read_dir(place.run())? {
        let path = item?.path();
        if path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| is_stale(&path, extension))
        {
            remove(&path);
        }
    }
    Ok(())
}

/// Which boot of the machine this is.
pub(crate) fn machine_boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn remove(path: &Path) {
    // What cannot be removed is stale, and a stale record is never believed.
    let _ = fs::remove_file(path);
}
