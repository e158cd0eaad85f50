//! What happened, from the ledger, and what happens from now on, from the driver: without a gap and without a fact
//! twice between the two, however far a slow client falls behind.

use std::path::Path;

use razar_core::fact::Recorded;
use razar_ledger::{LedgerError, LedgerReader};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;

use super::session::{Ended, Session};
use crate::report::words::{Event, Teller};
use crate::serve::wire::Answer;

/// Events read ahead of the client.
const AHEAD: usize = 64;

/// Where the telling is.
#[derive(Default)]
struct Told {
    teller: Teller,
    /// The newest fact looked at.
    seq: u64,
}

/// Sends the past, then what follows when that is wanted.
pub(super) async fn stream(session: &mut Session, since: Option<u64>, follow: bool) -> Result<(), Ended> {
    // Before the past is read, so that nothing falls between.
    let facts = session.shared.driver.subscribe();
    match past(session, since, Told::default()).await? {
        Err(message) => session.send(&Answer::failed(message)).await,
        Ok(told) if follow => present(session, since, told, facts).await,
        Ok(_) => session.send(&Answer::Done {}).await,
    }
}

async fn past(session: &mut Session, since: Option<u64>, told: Told) -> Result<Result<Told, String>, Ended> {
    let (events, mut read) = mpsc::channel(AHEAD);
    let state = session.shared.state.clone();
    // A ledger is read with waits for the disk.
    let reading = tokio::task::spawn_blocking(move || read_ledger(&state, since, told, &events));
    while let Some(event) = read.recv().await {
        session.send(&Answer::Event { event }).await?;
    }
    Ok(match reading.await {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("reading the ledger ended early: {error}")),
    })
}

fn read_ledger(
    state: &Path,
    since: Option<u64>,
    mut told: Told,
    events: &mpsc::Sender<Event>,
) -> Result<Told, LedgerError> {
    let reader = LedgerReader::open(state)?;
    for recorded in reader.replay(told.seq + 1)? {
        if let Some(event) = told.take(&recorded?, since)
            && events.blocking_send(event).is_err()
        {
            break;
        }
    }
    Ok(told)
}

async fn present(
    session: &mut Session,
    since: Option<u64>,
    mut told: Told,
    mut facts: Receiver<Recorded>,
) -> Result<(), Ended> {
    let mut shared = session.shared.clone();
    loop {
        let recorded = tokio::select! {
            biased;
            recorded = facts.recv() => recorded,
            () = session.gone() => return Ok(()),
            () = shared.closed() => return session.send(&Answer::Done {}).await,
        };
        match recorded {
            Ok(recorded) if recorded.seq <= told.seq => {}
            Ok(recorded) => {
                if let Some(event) = told.take(&recorded, since) {
                    session.send(&Answer::Event { event }).await?;
                }
            }
            Err(RecvError::Lagged(_)) => match past(session, since, told).await? {
                Ok(caught_up) => told = caught_up,
                Err(message) => return session.send(&Answer::failed(message)).await,
            },
            Err(RecvError::Closed) => return session.send(&Answer::Done {}).await,
        }
    }
}

impl Told {
    fn take(&mut self, recorded: &Recorded, since: Option<u64>) -> Option<Event> {
        self.seq = recorded.seq;
        self.teller.event(recorded).filter(|event| since.is_none_or(|since| event.at >= since))
    }
}
