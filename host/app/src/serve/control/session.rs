//! One client: its credential is checked, its request read within bounds, and answered. Every way it can end is an
//! ordinary one; none of them is worth more than a debug line.

use std::io;
use std::time::Duration;

use razar_core::fact::{Fact, Recorded};
use razar_core::id::ComponentId;
use razar_core::supervisor::{Command, Refused, Stage};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Shared, timeline};
use crate::drive::{Held, Kept, NotDone};
use crate::report::words::Teller;
use crate::serve::wire::{Answer, Envelope, MAX_NOTE, MAX_REQUEST, Request, StatusView, VERSION};

/// Root may do everything anyway.
const ROOT: u32 = 0;

/// The stage changes a moment before the facts that changed it are told.
const LAST_FACTS: Duration = Duration::from_millis(200);

/// One client being served.
pub(super) struct Session {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    pub(super) shared: Shared,
}

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The client went away.
    #[error("the client went away: {0}")]
    Gone(#[from] io::Error),
    /// It did not take its answer.
    #[error("the client did not read in time")]
    Unread,
}

/// Tells one client too many so, without waiting for it.
pub(super) fn turn_away(stream: UnixStream) {
    // An empty socket takes a line at once; if not, the closed connection says enough.
    let _ = stream.try_write(&line(&Answer::failed("too many clients at once; try again")));
}

impl Session {
    pub(super) fn new(stream: UnixStream, shared: Shared) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, shared }
    }

    pub(super) async fn run(mut self) {
        if let Err(ended) = self.serve().await {
            tracing::debug!(%ended, "control client");
        }
    }

    async fn serve(&mut self) -> Result<(), Ended> {
        if let Err(message) = self.check_peer() {
            return self.send(&Answer::failed(message)).await;
        }
        while let Some(request) = self.request().await? {
            match request {
                Ok(request) => self.answer(request).await?,
                // What follows a line that was not understood need not begin where it seems to.
                Err(message) => return self.send(&Answer::failed(message)).await,
            }
        }
        Ok(())
    }

    /// The file mode says it already; a handle that was passed on does not.
    fn check_peer(&self) -> Result<(), String> {
        let peer =
            self.writer.as_ref().peer_cred().map_err(|error| format!("cannot tell who asks: {error}"))?;
        let own = rustix::process::geteuid().as_raw();
        if peer.uid() == own || peer.uid() == ROOT {
            return Ok(());
        }
        Err(format!("user {} may not command a host of user {own}", peer.uid()))
    }

    /// The next request; none when the client is done, or the host is.
    async fn request(&mut self) -> Result<Option<Result<Request, String>>, Ended> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_REQUEST).unwrap_or(u64::MAX) + 1;
        let mut reader = (&mut self.reader).take(limit);
        let mut shared = self.shared.clone();
        let read = tokio::select! {
            read = timeout(self.shared.limits.request, reader.read_until(b'\n', &mut bytes)) => read,
            () = shared.closed() => return Ok(None),
        };
        match read {
            Err(_) if bytes.is_empty() => return Ok(None),
            Err(_) => return Ok(Some(Err("the request did not arrive in time".to_owned()))),
            Ok(read) => read?,
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.last() != Some(&b'\n') {
            let message = if bytes.len() > MAX_REQUEST {
                format!("a request may have {MAX_REQUEST} bytes")
            } else {
                "the request ends within its line".to_owned()
            };
            return Ok(Some(Err(message)));
        }
        Ok(Some(parse(&bytes)))
    }

    async fn answer(&mut self, request: Request) -> Result<(), Ended> {
        match request {
            Request::Status {} => {
                let answer = match self.shared.driver.look().await {
                    Ok(snapshot) => {
                        let host = Some(std::process::id());
                        let wall_lacks = Some(self.shared.wall_lacks.to_vec());
                        let status = Box::new(StatusView { host, wall_lacks, ..StatusView::from(&snapshot) });
                        Answer::Status { status }
                    }
                    Err(gone) => Answer::failed(gone.to_string()),
                };
                self.send(&answer).await
            }
            Request::Start { component } => self.command(Command::Start(component)).await,
            Request::Stop { component } => self.command(Command::Stop(component)).await,
            Request::Restart { component } => self.command(Command::Restart(component)).await,
            Request::Quarantine { component, note } => self.noted(Command::Quarantine, component, note).await,
            Request::Release { component, note } => self.noted(Command::Release, component, note).await,
            Request::HandOver { component, note } => self.noted(Command::HandOver, component, note).await,
            Request::Escalate { component, agent, note } => {
                if note.as_ref().is_some_and(|note| note.len() > MAX_NOTE) {
                    return self.too_long().await;
                }
                self.command(Command::Escalate(component, agent, note)).await
            }
            Request::RollBack { component } => self.command(Command::RollBack(component)).await,
            Request::Patch { component, diff } => self.patch(component, diff).await,
            Request::QuarantinePlugin { plugin, note } => {
                self.noted(Command::QuarantinePlugin, plugin, note).await
            }
            Request::ReleasePlugin { plugin, note } => self.noted(Command::ReleasePlugin, plugin, note).await,
            Request::Timeline { since, follow } => timeline::stream(self, since, follow).await,
            Request::Shutdown { reason } if reason.len() > MAX_NOTE => self.too_long().await,
            Request::Shutdown { reason } => self.shutdown(reason).await,
        }
    }

    async fn noted<I>(
        &mut self,
        command: fn(I, Option<String>) -> Command,
        whom: I,
        note: Option<String>,
    ) -> Result<(), Ended> {
        if note.as_ref().is_some_and(|note| note.len() > MAX_NOTE) {
            return self.too_long().await;
        }
        self.command(command(whom, note)).await
    }

    /// The diff is kept before anybody is told that it is tried.
    async fn patch(&mut self, component: ComponentId, diff: String) -> Result<(), Ended> {
        match self.shared.driver.keep(Kept::Bytes(diff.into_bytes())).await {
            Ok(diff) => self.command(Command::Patch(component, diff)).await,
            Err(why) => self.send(&Answer::failed(format!("the diff cannot be kept: {why}"))).await,
        }
    }

    async fn too_long(&mut self) -> Result<(), Ended> {
        self.send(&Answer::failed(format!("a note may have {MAX_NOTE} bytes"))).await
    }

    async fn command(&mut self, command: Command) -> Result<(), Ended> {
        let answer = match self.shared.driver.command(command).await {
            Ok(()) => Answer::Done {},
            Err(not_done) => self.not_done(&not_done),
        };
        self.send(&answer).await
    }

    /// Stops everything and says what happens meanwhile. Whoever asks second waits with the first.
    async fn shutdown(&mut self, reason: String) -> Result<(), Ended> {
        let facts = self.shared.driver.subscribe();
        match self.shared.driver.command(Command::Shutdown(reason)).await {
            Ok(()) | Err(NotDone::Refused(Refused::ShuttingDown)) => {}
            Err(not_done) => return self.send(&self.not_done(&not_done)).await,
        }
        let answer = match self.until_ended(facts).await? {
            None => Answer::Done {},
            Some(why) => self.not_done(&Held { why, kept: true }.into()),
        };
        self.send(&answer).await
    }

    /// Why not, and where: whoever asks may have several hosts.
    fn not_done(&self, not_done: &NotDone) -> Answer {
        match not_done {
            NotDone::Refused(refused) => {
                Answer::Refused { message: refused.to_string(), unknown: refused.is_of_name() }
            }
            NotDone::Held(held) => {
                Answer::failed(format!("{held} (state directory `{}`)", self.shared.state.display()))
            }
            NotDone::Gone(gone) => Answer::failed(gone.to_string()),
        }
    }

    /// Tells what happens until everything has stopped, or until that is held back: then why.
    async fn until_ended(&mut self, mut facts: Receiver<Recorded>) -> Result<Option<String>, Ended> {
        let mut stage = self.shared.driver.stage();
        let mut held = self.shared.driver.held();
        let mut teller = Teller::default();
        loop {
            let recorded = tokio::select! {
                biased;
                recorded = facts.recv() => recorded,
                // The stage is known at once even when the fact was missed; a driver that is gone has ended everything.
                () = over(&mut stage) => match timeout(LAST_FACTS, facts.recv()).await {
                    Ok(recorded) => recorded,
                    Err(_) => return Ok(None),
                },
                why = becomes_held(&mut held) => return Ok(Some(why)),
            };
            match recorded {
                Ok(recorded) => {
                    if let Some(event) = teller.event(&recorded) {
                        self.send(&Answer::Event { event }).await?;
                    }
                    if matches!(recorded.fact, Fact::BootEnded { .. }) {
                        return Ok(None);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Writes one answer, within the time the client has to take it.
    pub(super) async fn send(&mut self, answer: &Answer) -> Result<(), Ended> {
        match timeout(self.shared.limits.answer, self.writer.write_all(&line(answer))).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::Unread),
        }
    }

    /// Returns when the client has gone, and never before. What it sends meanwhile is not a request.
    pub(super) async fn gone(&mut self) {
        let mut ignored = [0; 256];
        while self.reader.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    }
}

/// Returns when everything has stopped, or the driver is gone.
async fn over(stage: &mut watch::Receiver<Option<Stage>>) {
    let _ = stage.wait_for(|stage| *stage == Some(Stage::Ended)).await;
}

/// Returns why decisions are held back, once they are.
async fn becomes_held(held: &mut watch::Receiver<Option<String>>) -> String {
    let why = held.wait_for(Option::is_some).await.map(|why| why.clone());
    match why {
        Ok(why) => why.unwrap_or_default(),
        // The driver has gone; then the stage or the facts say so.
        Err(_) => std::future::pending().await,
    }
}

fn parse(bytes: &[u8]) -> Result<Request, String> {
    let wrong = |error: serde_json::Error| format!("the request was not understood: {error}");
    let envelope: Envelope<serde_json::Value> = serde_json::from_slice(bytes).map_err(wrong)?;
    if envelope.version != VERSION {
        return Err(format!("version {} is not spoken here: use version {VERSION}", envelope.version));
    }
    serde_json::from_value(envelope.request).map_err(wrong)
}

fn line(answer: &Answer) -> Vec<u8> {
    // Strings, numbers and string keys: there is nothing that JSON could not say.
    let mut bytes = serde_json::to_vec(answer).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
