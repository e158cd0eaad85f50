//! One frame of the live view: a heading and one line a component, never more lines than the terminal has and never
//! wider than it is. A pure function of what is seen; drawing it is the loop's business.

use console::{Alignment, pad_str, truncate_str};
use razar_core::supervisor::{Status, Summary};
use razar_core::time::Timestamp;

use super::{escape, moment, summary::stage_word};
use crate::drive::Snapshot;

/// Less than this is no table any more.
const MIN_WIDTH: usize = 20;
/// Longest name shown in full.
const MAX_NAME: usize = 28;

/// The lines to show now.
pub(super) fn frame(snapshot: &Snapshot, now: Timestamp, rows: usize, columns: usize) -> Vec<String> {
    let width = columns.max(MIN_WIDTH);
    let mut lines = vec![heading(snapshot, now)];
    if let Some(stuck) = &snapshot.stuck {
        lines.push(format!("! nothing can be recorded, so nothing is acted on: {}", escape::line(stuck)));
    }
    if snapshot.lost {
        lines.push(format!("! {}", crate::drive::LOST));
    }
    let room = rows.saturating_sub(lines.len() + 1).max(1);
    let shown = shown(&snapshot.components, room);
    let name = shown.iter().map(|s| s.id.as_str().len()).max().unwrap_or(0).min(MAX_NAME);
    lines.extend(shown.iter().map(|summary| row(summary, name, now)));
    let hidden = snapshot.components.len() - shown.len();
    if hidden > 0 {
        lines.push(format!("  … and {hidden} more; `razar-host status` lists them"));
    }
    lines.truncate(rows.max(1));
    lines
        .iter()
        .map(|line| truncate_str(line.trim_end(), width.saturating_sub(1), "…").into_owned())
        .collect()
}

fn heading(snapshot: &Snapshot, now: Timestamp) -> String {
    let Some(boot) = &snapshot.boot else { return "no boot".to_owned() };
    let ready = snapshot.components.iter().filter(|summary| summary.status == Status::Ready).count();
    let mission =
        boot.mission.as_deref().map(|mission| format!(" · {}", escape::line(mission))).unwrap_or_default();
    format!(
        "boot {}{mission} · {} · {ready}/{} ready · {}",
        boot.id,
        stage_word(boot.stage),
        snapshot.components.len(),
        moment::span(now.since(boot.since))
    )
}

/// All that fit; when not all do, those that are not ready come first and one line is kept for the rest.
fn shown(components: &[Summary], room: usize) -> Vec<&Summary> {
    if components.len() <= room {
        return components.iter().collect();
    }
    let mut shown: Vec<&Summary> = components.iter().collect();
    shown.sort_by_key(|summary| matches!(summary.status, Status::Ready | Status::Waiting));
    shown.truncate(room.saturating_sub(1));
    shown
}

fn row(summary: &Summary, name: usize, now: Timestamp) -> String {
    let since = summary.since.map(|since| moment::span(now.since(since))).unwrap_or_default();
    let reason = summary.reason.as_deref().map(escape::line).unwrap_or_default();
    format!(
        "{} {} {:<11} {since:>12}  {reason}",
        mark(summary.status),
        pad_str(summary.id.as_str(), name, Alignment::Left, Some("…")),
        summary.status.as_str(),
    )
}

/// Readable without color.
const fn mark(status: Status) -> char {
    match status {
        Status::Ready => '+',
        Status::Quarantined | Status::Blocked => 'x',
        Status::Unready | Status::Flapping | Status::BackingOff | Status::Repairing => '!',
        Status::Waiting | Status::Starting | Status::Stopping => '.',
        Status::Stopped => '-',
    }
}
