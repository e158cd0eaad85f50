//! The files operators know, written from recorded facts and from nothing else. A view may be late, never wrong: it
//! is projected after the commit, a failure keeps what is still to be written and is tried again at the next turn, and
//! an interruption anywhere is completed at the next start.
//!
//! | file | kind | kept |
//! |---|---|---|
//! | `logs/razar_state.json` | replaced | newest 1,000 events, this boot's components |
//! | `logs/razar_ai_patches.json` | replaced | newest 200 records |
//! | `logs/razar_long_task.json` | replaced | newest 500 attempts |
//! | `monitoring/self_healing_ledger/razar_agent_trends.json` | replaced | newest 2,000 days of an agent and a component |
//! | `logs/razar_boot_history.json` | replaced | newest 200 boots, of 20,000 components together |
//! | `monitoring/boot_metrics.prom` | replaced | newest boot |
//! | `logs/razar.log`, `logs/boot_orchestrator.log`, `logs/patch_history.jsonl`, `logs/razar_ai_invocations.json`, `docs/quarantine_log.md` | appended | 4 MiB and the four segments before, as `<file>.<n>` |
//! | `logs/mission_briefs/` | one a boot | newest 20 |
//! | `logs/patch_backups/` | one a file that a patch changed | those of the newest 50 patches, at most 32 MiB |
//! | `quarantine/` | one a component | while it is in quarantine |
//!
//! The facts themselves are kept for ever: they are the record.

mod append;
mod boot_log;
mod briefs;
mod cursor;
mod error;
mod escape;
mod files;
mod invocations;
mod long_task;
mod metrics;
mod mission_log;
mod patch_backups;
mod patches;
mod quarantine_files;
mod quarantine_log;
mod runs;
mod stack;
mod state;
mod timeline;
mod trends;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};

use razar_core::fact::Recorded;
use rusqlite::Connection;

pub use self::error::{Behind, ViewError};
pub use self::invocations::newest as newest_invocations;
pub use self::mission_log::Event;
pub use self::timeline::{Entry, Timeline};

use self::append::AppendView;
use self::patches::PatchEvent;
use self::whole::WholeView;
use crate::blob;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::meta;
use crate::patches as patch;
use crate::replay::Replay;

const HISTORY: &str = "logs/razar_boot_history.json";

/// Where the trends are.
const TRENDS: &str = "monitoring/self_healing_ledger";

/// All of them. It holds a connection of its own, so it may live on another thread than the ledger.
#[derive(Debug)]
pub struct Views {
    connection: Connection,
    root: PathBuf,
    segment: u64,
    model: Model,
    logs: [AppendView; 5],
    state_file: WholeView,
    patches_file: WholeView,
    long_task_file: WholeView,
    trends_file: WholeView,
    history_file: WholeView,
    metrics_file: WholeView,
    behind: Vec<Behind>,
}

/// What the facts say, folded for the files; starts over whenever a file has to be.
#[derive(Debug)]
struct Model {
    seq: u64,
    stack: stack::Stack,
    runs: runs::Runs,
    /// The revision of the runs that is on disk.
    drawn: u64,
    patches: patches::Patches,
    /// The revision of the patches that is on disk.
    patches_drawn: u64,
    long_task: long_task::LongTask,
    /// The revision of the long task that is on disk.
    long_task_drawn: u64,
    trends: trends::Trends,
    /// The revision of the trends that is on disk.
    trends_drawn: u64,
    backups: patch_backups::PatchBackups,
    chronicle: state::Chronicle,
    quarantine: quarantine_files::QuarantineFiles,
    briefs: briefs::Briefs,
}

impl Views {
    /// Brings every file below `root` up to date with the ledger. Only a ledger that cannot be read is an error; a file
    /// that cannot be written is [behind](Self::behind).
    pub fn open(ledger: &Ledger, root: &Path) -> Result<Self, LedgerError> {
        Self::with_segments(ledger, root, append::SEGMENT)
    }

    fn with_segments(ledger: &Ledger, root: &Path, segment: u64) -> Result<Self, LedgerError> {
        // Only now: later it is missing because somebody moved it. What is missing now, every file says.
        let _ = fs::create_dir_all(root);
        for dir in
            ["logs", briefs::NAME, patch_backups::NAME, quarantine_files::NAME, "docs", "monitoring", TRENDS]
        {
            files::sweep(&root.join(dir));
        }
        let mut views = Self {
            connection: ledger.relaxed()?,
            root: root.to_owned(),
            segment,
            model: Model::new(root),
            logs: logs(root, segment),
            state_file: WholeView::new(root, state::NAME),
            patches_file: WholeView::new(root, patches::PATCHES),
            long_task_file: WholeView::new(root, long_task::NAME),
            trends_file: WholeView::new(root, trends::NAME),
            history_file: WholeView::new(root, HISTORY),
            metrics_file: WholeView::new(root, metrics::NAME),
            behind: Vec::new(),
        };
        views.reload()?;
        views.write();
        Ok(views)
    }

    /// Shows these facts, which are committed, and whatever an earlier call could not write. Facts of several turns may
    /// be given at once; facts that were not given are read from the ledger.
    pub fn project(&mut self, recorded: &[Recorded]) -> Result<&[Behind], LedgerError> {
        for recorded in recorded {
            if recorded.seq > self.model.seq.saturating_add(1) {
                self.catch_up()?;
            }
            self.fold(recorded);
        }
        self.write();
        let shortened = |behind: &Behind| matches!(behind.error, ViewError::Shortened(_));
        if self.behind.iter().any(shortened) {
            self.reload()?;
            self.write();
        }
        Ok(&self.behind)
    }

    /// Writes every file anew from the first fact; what is there and differs is kept aside.
    pub fn rebuild(&mut self) -> Result<&[Behind], LedgerError> {
        cursor::forget(&self.connection)?;
        self.reload()?;
        self.write();
        Ok(&self.behind)
    }

    /// The views that could not be written, and why.
    pub fn behind(&self) -> &[Behind] {
        &self.behind
    }

    /// Forgets what was folded and folds everything again.
    fn reload(&mut self) -> Result<(), LedgerError> {
        self.model = Model::new(&self.root);
        self.logs = logs(&self.root, self.segment);
        for log in &mut self.logs {
            log.load(&self.connection)?;
        }
        let Self {
            state_file, patches_file, long_task_file, trends_file, history_file, metrics_file, ..
        } = self;
        for file in [state_file, patches_file, long_task_file, trends_file, history_file, metrics_file] {
            file.forget();
        }
        self.catch_up()
    }

    fn catch_up(&mut self) -> Result<(), LedgerError> {
        let Self { connection, model, logs, .. } = self;
        let head = meta::head(connection)?;
        for recorded in Replay::new(connection, model.seq.saturating_add(1), head) {
            fold(model, logs, &recorded?);
        }
        Ok(())
    }

    fn fold(&mut self, recorded: &Recorded) {
        fold(&mut self.model, &mut self.logs, recorded);
    }

    fn write(&mut self) {
        let Self {
            connection,
            model,
            logs,
            root,
            state_file,
            patches_file,
            long_task_file,
            trends_file,
            history_file,
            metrics_file,
            behind,
            ..
        } = self;
        behind.clear();
        let mut note = |view: &'static str, written: Result<(), ViewError>| {
            behind.extend(written.err().map(|error| Behind { view, error }));
        };
        for log in logs {
            note(log.name, log.write(connection));
        }
        note(quarantine_files::NAME, model.quarantine.write());
        note(briefs::NAME, model.briefs.write(connection));
        let patch = |digest: &_| patch::load(digest, |digest| blob::get(connection, digest));
        note(patch_backups::NAME, model.backups.write(patch));
        if model.seq == 0 {
            return;
        }
        if let Some(run) = model.runs.latest() {
            note(metrics_file.name, metrics_file.write(connection, model.seq, metrics::render(run)));
        }
        let revision = model.runs.revision();
        if revision > 0 && !(model.drawn == revision && history_file.is_there()) {
            let written = history_file.write(connection, model.seq, escape::json_file(&model.runs));
            if written.is_ok() {
                model.drawn = revision;
            }
            note(history_file.name, written);
        }
        let revision = model.patches.revision();
        if revision > 0 && !(model.patches_drawn == revision && patches_file.is_there()) {
            let text = model.patches.render(|digest| patch(digest).ok());
            let written = patches_file.write(connection, model.seq, text);
            if written.is_ok() {
                model.patches_drawn = revision;
            }
            note(patches_file.name, written);
        }
        let revision = model.long_task.revision();
        if revision > 0 && !(model.long_task_drawn == revision && long_task_file.is_there()) {
            let written = long_task_file.write(connection, model.seq, model.long_task.render());
            if written.is_ok() {
                model.long_task_drawn = revision;
            }
            note(long_task_file.name, written);
        }
        let revision = model.trends.revision();
        if revision > 0 && !(model.trends_drawn == revision && trends_file.is_there()) {
            // Two directories deep.
            let written = files::parent(&root.join(TRENDS))
                .and_then(|_| trends_file.write(connection, model.seq, model.trends.render()));
            if written.is_ok() {
                model.trends_drawn = revision;
            }
            note(trends_file.name, written);
        }
        let state = meta::head_at(connection, model.seq).map_err(ViewError::from).and_then(|head| {
            state_file.write(connection, model.seq, model.chronicle.render(&model.stack, head))
        });
        note(state_file.name, state);
    }
}

fn fold(model: &mut Model, logs: &mut [AppendView], recorded: &Recorded) {
    if recorded.seq <= model.seq {
        return;
    }
    for log in logs {
        log.fold(&model.stack, recorded);
    }
    model.runs.fold(&model.stack, recorded);
    model.chronicle.fold(&model.stack, recorded);
    model.quarantine.fold(recorded);
    model.briefs.fold(recorded);
    model.long_task.fold(&model.stack, recorded);
    model.trends.fold(&model.stack, recorded);
    if let Some(event) = PatchEvent::told_by(&model.stack, recorded) {
        model.backups.fold(recorded.at, &event);
        model.patches.fold(recorded.at, event);
    }
    model.stack.apply(recorded);
    model.seq = recorded.seq;
}

fn logs(root: &Path, segment: u64) -> [AppendView; 5] {
    [
        AppendView::new(root, mission_log::NAME, "", mission_log::lines, segment),
        AppendView::new(root, boot_log::NAME, "", boot_log::lines, segment),
        AppendView::new(root, patches::HISTORY, "", patches::lines, segment),
        AppendView::new(root, invocations::NAME, "", invocations::lines, segment),
        AppendView::new(root, quarantine_log::NAME, quarantine_log::HEADER, quarantine_log::lines, segment),
    ]
}

impl Model {
    fn new(root: &Path) -> Self {
        Self {
            seq: 0,
            stack: stack::Stack::default(),
            runs: runs::Runs::default(),
            drawn: 0,
            patches: patches::Patches::default(),
            patches_drawn: 0,
            long_task: long_task::LongTask::default(),
            long_task_drawn: 0,
            trends: trends::Trends::default(),
            trends_drawn: 0,
            backups: patch_backups::PatchBackups::new(root),
            chronicle: state::Chronicle::default(),
            quarantine: quarantine_files::QuarantineFiles::new(root),
            briefs: briefs::Briefs::new(root),
        }
    }
}

#[cfg(test)]
mod tests;
