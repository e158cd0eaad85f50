//! One connection and the task that keeps it: numbers the questions, hands the answers back, and finds the next
//! launcher when this one is gone.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use razar_runtime::compile::split_note;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::place::Place;
use super::super::process::{CHECK_MARKER, SERVICE_MARKER};
use super::super::wire::{Answer, Ask, MAX_MESSAGE, MAX_REQUEST, Message, PROTOCOL, Refusal, Request};
use super::{Event, LauncherError, PATIENCE, Situation, Starter};

/// A question and who waits for its answer.
pub(super) type Asked = (Ask, oneshot::Sender<Answer>);

/// How long finding or starting a launcher may take on a busy machine.
const OPENING: Duration = Duration::from_secs(20);

/// Between two looks whether a launcher that is starting listens already.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Between two attempts to get a launcher after one died.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Most bytes of a launcher's complaint.
const MAX_WORDS: usize = 4_096;

/// One connection.
pub(super) struct Link {
    stream: UnixStream,
    inbox: Vec<u8>,
    /// Everything before this is known to hold no end of line.
    looked: usize,
    next: u64,
    state: PathBuf,
    /// Of the state directory, as the launcher says.
    id: String,
    confines: bool,
    losses: Arc<AtomicU64>,
    starter: Starter,
    /// Kept, so that it is reaped if it ends before us.
    _begun: Option<Begun>,
}

impl Link {
    /// Connects, starting a launcher when none listens.
    pub(super) async fn open(state: &Path, starter: &Starter) -> Result<Self, LauncherError> {
        let place = Place::new(state).map_err(|error| {
            LauncherError::NotStarted(format!(
                "the state directory `{}` cannot be used: {error}",
                state.display()
            ))
        })?;
        let until = Instant::now() + OPENING;
        let mut begun: Option<Begun> = None;
        while Instant::now() < until {
            if let Some(stream) = connect(&place).await {
                let mut link = Self {
                    stream,
                    inbox: Vec::new(),
                    looked: 0,
                    next: 0,
                    state: state.to_owned(),
                    id: String::new(),
                    confines: false,
                    losses: Arc::default(),
                    starter: starter.clone(),
                    _begun: None,
                };
                match timeout_at(until, link.message()).await {
                    Ok(Ok(Message::Hello(hello))) if hello.protocol == PROTOCOL => {
                        link._begun = begun;
                        link.id = hello.state;
                        link.confines = hello.confines;
                        return Ok(link);
                    }
                    Ok(Ok(Message::Hello(hello))) => {
                        let (theirs, version) = (hello.protocol, hello.version);
                        return Err(LauncherError::Protocol { theirs, ours: PROTOCOL, version });
                    }
                    // One that is just ending: the next one will be ours.
                    Ok(_) => {}
                    Err(_) => break,
                }
            } else if let Some(running) = &mut begun {
                match running.ended().await {
                    None => {}
                    // Somebody else's launcher was quicker, or has just ended.
                    Some(Ok(())) => begun = None,
                    Some(Err(words)) => return Err(LauncherError::NotStarted(words)),
                }
            } else {
                begun = Some(Begun::launch(&place, starter).map_err(LauncherError::NotStarted)?);
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(LauncherError::Silent(state.to_owned()))
    }

    /// First part of every marker.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether this launcher knows how to hold a process to limits.
    pub(super) const fn confines(&self) -> bool {
        self.confines
    }

    /// How often the launcher was lost: counted before anybody is told.
    pub(super) fn losses(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.losses)
    }

    fn lost(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }

    /// What this launcher has.
    pub(super) async fn situation(&mut self) -> Result<Situation, LauncherError> {
        let asked = self.send(Ask::List).await.map_err(|_| LauncherError::Lost)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match timeout_at(until, self.message()).await {
                Err(_) => return Err(LauncherError::Silent(self.state.clone())),
                Ok(Err(_)) => return Err(LauncherError::Lost),
                Ok(Ok(Message::Reply { id, answer: Answer::Listed { running, ended } })) if id == asked => {
                    return Ok(Situation { running, ended });
                }
                // What ends before the listing is in the listing.
                Ok(Ok(_)) => {}
            }
        }
    }

    async fn send(&mut self, ask: Ask) -> io::Result<u64> {
        let id = self.next;
        self.next += 1;
        let mut line = serde_json::to_vec(&Request { id, ask })?;
        line.push(b'\n');
        self.stream.write_all(&line).await?;
        Ok(id)
    }

    /// The next message. Nothing is lost when the future is dropped.
    async fn message(&mut self) -> io::Result<Message> {
        loop {
            let unseen = self.inbox.get(self.looked..).unwrap_or_default();
            if let Some(end) = unseen.iter().position(|byte| *byte == b'\n') {
                let rest = self.inbox.split_off(self.looked + end + 1);
                let line = std::mem::replace(&mut self.inbox, rest);
                self.looked = 0;
                return Ok(serde_json::from_slice(&line)?);
            }
            self.looked = self.inbox.len();
            if self.looked > MAX_MESSAGE {
                return Err(io::Error::other("a message without end"));
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Keeps the connection for as long as somebody may ask.
pub(super) async fn run(mut link: Link, mut asks: mpsc::Receiver<Asked>, tell: mpsc::UnboundedSender<Event>) {
    loop {
        let leaving = converse(&mut link, &mut asks, &tell).await;
        if leaving {
            return;
        }
        loop {
            let reopened = async {
                let mut fresh = Link::open(&link.state, &link.starter).await?;
                let situation = fresh.situation().await?;
                Ok::<_, LauncherError>((fresh, situation))
            };
            match reopened.await {
                Ok((fresh, situation)) => {
                    link.lost();
                    link = Link { losses: link.losses(), ..fresh };
                    // Asked before the situation was known: whoever asked has to look at it first, and decide again.
                    while asks.try_recv().is_ok() {}
                    if tell.send(Event::Reconnected(situation)).is_err() && asks.is_closed() {
                        return;
                    }
                    break;
                }
                Err(error) => {
                    tracing::error!("lost the launcher, trying again: {error}");
                    link.lost();
                    // Nobody is kept waiting for a launcher that may never come.
                    while asks.try_recv().is_ok() {}
                    if asks.is_closed() {
                        return;
                    }
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }
}

/// Until the connection breaks, or nobody is left who could ask (true).
async fn converse(
    link: &mut Link,
    asks: &mut mpsc::Receiver<Asked>,
    tell: &mpsc::UnboundedSender<Event>,
) -> bool {
    // Dropping an entry answers it with `Lost`.
    let mut waiting: BTreeMap<u64, oneshot::Sender<Answer>> = BTreeMap::new();
    let mut leaving = false;
    loop {
        tokio::select! {
            message = link.message() => match message {
                Ok(Message::Reply { id, answer }) => {
                    leaving |= matches!(answer, Answer::Leaving);
                    if let Some(waiter) = waiting.remove(&id) {
                        // Whoever asked may have given up.
                        let _ = waiter.send(answer);
                    }
                }
                Ok(Message::Ended(ending)) => {
                    // A host that drops its receiver does not want to know.
                    let _ = tell.send(Event::Ended(ending));
                }
                Ok(Message::Hello(_)) => {}
                Err(_) => {
                    link.lost();
                    return leaving;
                }
            },
            asked = asks.recv() => {
                let Some((ask, waiter)) = asked else { return true };
                if let Some(refusal) = oversize(&ask) {
                    let _ = waiter.send(refusal);
                    continue;
                }
                match link.send(ask).await {
                    Ok(id) => { waiting.insert(id, waiter); }
                    Err(_) => {
                        link.lost();
                        return leaving;
                    }
                }
            }
        }
    }
}

/// What the launcher would hang up on is refused here, by name.
fn oversize(ask: &Ask) -> Option<Answer> {
    let run = match ask {
        Ask::Start(spec) => &spec.run,
        Ask::Check(spec) => &spec.run,
        _ => return None,
    };
    let env = run.env.iter().chain(&run.base_env).map(|(name, value)| name.len() + value.len());
    // JSON may write one byte as six.
    let bytes = 6 * (run.argv.iter().map(String::len).chain(env).sum::<usize>());
    (bytes > MAX_REQUEST * 6 || serde_json::to_vec(ask).map_or(0, |line| line.len()) >= MAX_REQUEST).then(|| {
        let command = run.argv.first().map_or("", String::as_str).chars().take(80).collect::<String>();
        let message = format!(
            "arguments and environment of `{command}` are larger than {MAX_REQUEST} bytes: pass the long ones in a file"
        );
        Answer::Refused { why: Refusal::Impossible, message }
    })
}

async fn connect(place: &Place) -> Option<UnixStream> {
    let (address, _dir) = place.address().ok()?;
    UnixStream::connect(address).await.ok()
}

/// A launcher that was just started, by us or for us.
enum Begun {
    Own(Child),
    Elsewhere(UnixStream, Vec<u8>),
}

impl Begun {
    fn launch(place: &Place, starter: &Starter) -> Result<Self, String> {
        match starter {
            Starter::Own(exe) => {
                let child = launch(place, exe).map_err(|error| format!("`{}`: {error}", exe.display()))?;
                Ok(Self::Own(child))
            }
            Starter::Elsewhere(start) => {
                let begun = start().and_then(|stream| {
                    stream.set_nonblocking(true)?;
                    UnixStream::from_std(stream)
                });
                Ok(Self::Elsewhere(begun.map_err(|error| error.to_string())?, Vec::new()))
            }
        }
    }

    /// How it ended, if it did: content, or with these words.
    async fn ended(&mut self) -> Option<Result<(), String>> {
        match self {
            Self::Own(child) => match child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) if status.success() => Some(Ok(())),
                _ => Some(Err(last_words(child).await)),
            },
            Self::Elsewhere(stream, said) => loop {
                let mut piece = [0; 1_024];
                match stream.try_read(&mut piece) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                    Ok(count @ 1..) if said.len() < MAX_WORDS => {
                        said.extend_from_slice(piece.get(..count).unwrap_or_default());
                    }
                    Ok(1..) => {}
                    Ok(_) | Err(_) => {
                        let (words, status) = split_note(std::mem::take(said))
                            .unwrap_or_else(|| (Vec::new(), ExitStatus::from_raw(1 << 8)));
                        return Some(if status.success() { Ok(()) } else { Err(in_words(&words)) });
                    }
                }
            },
        }
    }
}

fn launch(place: &Place, exe: &Path) -> io::Result<Child> {
    Command::new(exe)
        .arg("launcher")
        .arg("--state")
        .arg(place.state())
        .env_remove(SERVICE_MARKER)
        .env_remove(CHECK_MARKER)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(false)
        .spawn()
}

async fn last_words(child: &mut Child) -> String {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // An unreadable complaint is none.
        let _ = stderr.take(MAX_WORDS as u64).read_to_end(&mut said).await;
    }
    in_words(&said)
}

fn in_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said).trim().to_owned();
    if said.is_empty() { "it ended without a word".to_owned() } else { said }
}
