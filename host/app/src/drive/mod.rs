//! The loop: it takes what happens, lets core decide, commits the facts of the turn, and only then has the effects
//! performed. It owns the state, the ledger and the views; nobody else changes any of them. It decides nothing.
//!
//! ```text
//!  inputs ──► step ──► facts, EffectStarted ──► commit ──► answers to commands, subscribers, views
//!                        │                              └─► perform ──► inputs
//!                        └─► watches ──► probes ──► inputs
//! ```
//!
//! It runs on a thread of its own, because a commit waits for the disk. If the disk is full nothing is acted on: the
//! turn is kept and tried again, and whoever asks is told.

mod clock;
mod turn;
mod views;

use std::sync::{Arc, mpsc};

use razar_core::fact::Recorded;
use razar_core::id::{ComponentId, Digest};
use razar_core::patch::Patch;
use razar_core::supervisor::{Boot, Command, Input, PluginOut, Refused, Stage, Summary};
use razar_ledger::{AppendError, Recordings};
use tokio::sync::{broadcast, oneshot, watch};

pub(crate) use clock::Clock;
pub(crate) use turn::{Driver, Performer};
pub(crate) use views::ViewWriter;

/// How many facts a slow subscriber may be behind before it is told that it missed some.
const BACKLOG: usize = 4_096;

/// What an operator sees of the whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// The newest boot.
    pub(crate) boot: Option<Boot>,
    /// Every component.
    pub(crate) components: Vec<Summary>,
    /// Every quarantined plugin.
    pub(crate) plugins_out: Vec<PluginOut>,
    /// Why facts cannot be recorded at the moment; nothing is acted on until they can.
    pub(crate) stuck: Option<String>,
    /// The file with the facts is no longer where it was: see [`LOST`].
    pub(crate) lost: bool,
}

/// What is said when `razar.db` is not the file this host writes to.
pub(crate) const LOST: &str = "`razar.db` was removed, moved or replaced while this host runs: what happens is remembered \
     nowhere else, and the services go on. Put the state directory back in its place; if it is gone for good, stop this \
     host (Ctrl-C, which stops the services, too) and start it again";

/// Why the loop ended before it was told to, or with something to say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    /// Facts can never be recorded again.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// See [`LOST`].
    #[error(
        "`razar.db` was removed, moved or replaced while this host ran and was not put back: what happened since then is not remembered"
    )]
    Lost,
}

/// What may be sent to the driver.
pub(crate) enum Message {
    /// Something happened.
    Input(Input),
    /// Somebody asks for something.
    Command(Command, oneshot::Sender<Result<(), NotDone>>),
    /// Something is to be kept that a fact will name.
    Keep(Kept, oneshot::Sender<Result<Digest, String>>),
    /// Somebody wants what a fact names.
    Bytes(Digest, oneshot::Sender<Result<Vec<u8>, String>>),
    /// Somebody wants to look.
    Look(oneshot::Sender<Snapshot>),
    /// No more turns: the process ends.
    Close,
}

/// What is kept by its digest.
pub(crate) enum Kept {
    /// Everything a patch is.
    Patch(Patch),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Bytes that belong together; the first name the others.
    All(Vec<Arc<[u8]>>),
}

/// The way to the driver; clones share it.
#[derive(Clone)]
pub(crate) struct Handle {
    messages: mpsc::Sender<Message>,
    facts: broadcast::Sender<Recorded>,
    stage: watch::Receiver<Option<Stage>>,
    held: watch::Receiver<Option<String>>,
    recordings: Arc<Recordings>,
}

/// The driver has gone: the process is ending.
#[derive(Debug, thiserror::Error)]
#[error("the host is ending")]
pub(crate) struct Gone;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    /// It makes no sense now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nothing can be recorded, so nothing is decided or done.
    #[error(transparent)]
    Held(#[from] Held),
    /// The process is ending.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// Nothing can be recorded, so nothing is acted on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the host holds every decision back: {why}; {}", if *kept {
    "this one is kept, and carried out as soon as it can be recorded"
} else {
    "nothing was changed, so say it again then"
})]
pub(crate) struct Held {
    /// With a remedy.
    pub(crate) why: String,
    /// It was taken in before that was known, and will be carried out.
    pub(crate) kept: bool,
}

impl Handle {
    /// The way to whoever receives these messages.
    #[cfg(test)]
    pub(crate) fn new(
        messages: mpsc::Sender<Message>,
        facts: broadcast::Sender<Recorded>,
        stage: watch::Receiver<Option<Stage>>,
        held: watch::Receiver<Option<String>>,
    ) -> Self {
        let recordings = Arc::new(Recordings::below(std::path::Path::new("")));
        Self { messages, facts, stage, held, recordings }
    }

    /// Reports what happened. Lost only when the process is ending.
    pub(crate) fn input(&self, input: Input) {
        let _ = self.messages.send(Message::Input(input));
    }

    /// Asks for something; answered once the facts are committed, or at once when they cannot be.
    pub(crate) async fn command(&self, command: Command) -> Result<(), NotDone> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message::Command(command, answer)).map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)?
    }

    /// Looks at everything.
    pub(crate) async fn look(&self) -> Result<Snapshot, Gone> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message::Look(answer)).map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }

    /// Keeps bytes, on disk when this returns.
    pub(crate) async fn keep(&self, what: Kept) -> Result<Digest, String> {
        self.ask(|answer| Message::Keep(what, answer)).await
    }

    /// Bytes that were kept.
    pub(crate) async fn bytes(&self, digest: Digest) -> Result<Vec<u8>, String> {
        self.ask(|answer| Message::Bytes(digest, answer)).await
    }

    /// Where calls are kept: no turn waits for them.
    pub(crate) fn recordings(&self) -> Arc<Recordings> {
        Arc::clone(&self.recordings)
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Message,
    ) -> Result<T, String> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(message(answer)).map_err(|_| Gone.to_string())?;
        answered.await.map_err(|_| Gone.to_string())?
    }

    /// Every fact from now on, once it is committed.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Recorded> {
        self.facts.subscribe()
    }

    /// How far the boot is, as it changes.
    pub(crate) fn stage(&self) -> watch::Receiver<Option<Stage>> {
        self.stage.clone()
    }

    /// Why decisions are held back at this moment, as it changes; none when they are not.
    pub(crate) fn held(&self) -> watch::Receiver<Option<String>> {
        self.held.clone()
    }

    /// Ends the loop.
    pub(crate) fn close(&self) {
        let _ = self.messages.send(Message::Close);
    }
}

/// Told which components' questions may have changed: keeps one asker per question.
pub(crate) trait Watching {
    /// The questions to ask about a component from now on, replacing those before.
    fn watch(&mut self, component: &ComponentId, watches: Vec<Question>);
}

/// One question to keep asking.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// Which process.
    pub(crate) instance: razar_core::id::InstanceId,
    /// Its pid and start time.
    pub(crate) process: razar_core::effect::Process,
    /// Which question.
    pub(crate) phase: razar_core::fact::Phase,
    /// Of which component, with everything about it.
    pub(crate) plan: std::sync::Arc<razar_core::plan::ComponentPlan>,
}
