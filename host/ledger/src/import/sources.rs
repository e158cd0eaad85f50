//! Which files are looked at: those the original system is known to write, in the places where it writes them. Links
//! and special files are not followed; a file that is too large is named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Ignored, Report};

/// One file: a year of a talkative mission log.
const MAX_FILE: u64 = 64 << 20;

/// Files of one directory.
const MAX_FILES: usize = 20_000;

/// A link is an error, and a fifo does not make anybody wait.
const CAREFUL: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// What a directory of the original system holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// The top: known names only, others are somebody else's.
    Top,
    /// JSON, JSON lines and the logs.
    Logs,
    /// One file an entry.
    Quarantine,
    /// The quarantine log.
    Docs,
    /// JSON files of any name.
    Json,
}

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    /// Below the imported directory, `/` between its parts.
    pub(super) name: String,
    pub(super) room: Room,
    path: PathBuf,
}

/// Rooms below the top, and those of a `logs` directory that is imported by itself.
const ROOMS: [(&str, Room); 9] = [
    ("logs", Room::Logs),
    ("logs/mission_briefs", Room::Json),
    ("mission_briefs", Room::Json),
    ("quarantine", Room::Quarantine),
    ("docs", Room::Docs),
    ("razar", Room::Top),
    ("recovery_state", Room::Json),
    ("monitoring/self_healing_ledger", Room::Json),
    ("monitoring/alerts", Room::Top),
];

/// Every file to be looked at, in the order of their names.
pub(super) fn find(dir: &Path, report: &mut Report) -> io::Result<Vec<Source>> {
    let own = match dir.canonicalize()?.file_name().and_then(|name| name.to_str()) {
        Some("logs") => Room::Logs,
        Some("quarantine") => Room::Quarantine,
        _ => Room::Top,
    };
    let mut sources = Vec::new();
    look(dir, "", own, &mut sources, report)?;
    for (below, room) in ROOMS {
        match look(&dir.join(below), below, room, &mut sources, report) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => report.ignored.push(Ignored { source: below.to_owned(), why: error.to_string() }),
            Ok(()) => {}
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn look(
    dir: &Path,
    below: &str,
    room: Room,
    sources: &mut Vec<Source>,
    report: &mut Report,
) -> io::Result<()> {
    if fs::symlink_metadata(dir)?.is_symlink() && !below.is_empty() {
        report.ignored.push(Ignored { source: below.to_owned(), why: "it is a link".to_owned() });
        return Ok(());
    }
    for (number, entry) in fs::read_dir(dir)?.enumerate() {
        let entry = entry?;
        if number >= MAX_FILES {
            let why = format!(
                "it has more than {MAX_FILES} files: import the others from a directory of their own"
            );
            report.ignored.push(Ignored { source: below.to_owned(), why });
            return Ok(());
        }
        let kind = entry.file_type()?;
        let shown = entry.file_name().to_string_lossy().into_owned();
        let name = if below.is_empty() { shown.clone() } else { format!("{below}/{shown}") };
        if kind.is_dir() || !room.wants(&shown) {
            // Elsewhere the rest belongs to other programs, and below `logs` a room is looked at by itself.
            if room == Room::Logs && !ROOMS.iter().any(|(below, _)| *below == shown || *below == name) {
                report.others.push(name);
            }
        } else if kind.is_file() {
            sources.push(Source { name, room, path: entry.path() });
        } else {
            report.ignored.push(Ignored { source: name, why: "it is a link or a special file".to_owned() });
        }
    }
    Ok(())
}

impl Room {
    fn wants(self, name: &str) -> bool {
        let json = [".json", ".jsonl", ".json.bak"].iter().any(|end| name.ends_with(end));
        match self {
            // The roster holds tokens; it is configuration, not history.
            _ if name.starts_with('.') || name.starts_with("razar_ai_agents") => false,
            Self::Logs => json || ["razar.log", "boot_orchestrator.log", "audit.log"].contains(&name),
            Self::Json => json,
            Self::Quarantine => true,
            Self::Docs => name == "quarantine_log.md",
            Self::Top => {
                let known = [
                    "agent_interactions.jsonl",
                    "audit.log",
                    "boot_orchestrator.log",
                    "mission_brief.json",
                    "nazarick_startup.json",
                    "operator_escalations.jsonl",
                    "patch_history.jsonl",
                    "quarantine_log.md",
                    "razar.log",
                    "self_heal.jsonl",
                    "self_healing.json",
                ];
                known.contains(&name) || (json && name.starts_with("razar_"))
            }
        }
    }
}

impl Source {
    /// All of it; why not, in words.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        let open = || -> io::Result<(File, u64)> {
            let flags = i32::try_from(CAREFUL.bits()).map_err(io::Error::other)?;
            let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path)?;
            let found = file.metadata()?;
            if !found.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            Ok((file, found.len()))
        };
        let (file, length) = open().map_err(|error| error.to_string())?;
        if length > MAX_FILE {
            return Err(format!("it has {length} bytes, more than {MAX_FILE}: split it"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// The name of the file without its directory and its last extension.
    pub(super) fn stem(&self) -> &str {
        let name = self.file_name();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }

    /// The name of the file without its directory.
    pub(super) fn file_name(&self) -> &str {
        self.name.rsplit_once('/').map_or(self.name.as_str(), |(_, name)| name)
    }
}
