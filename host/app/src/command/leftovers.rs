//! `stop` when no host runs: the services of a host that was killed are taken over for as long as it takes to end
//! them. The configuration is not at hand, so they are asked to end all at once; `run` and then `stop` keeps the order.

use std::path::Path;
use std::time::Duration;

use razar_core::plan::BootPlan;
use razar_core::supervisor::{BootRequest, Command, Input, Settings, Stage, State};
use razar_ledger::{Ledger, LedgerReader, Views};

use crate::drive::{Clock, Driver, NotDone, Question, ViewWriter, Watching};
use crate::launcher::Launcher;
use crate::perform::{self, Hands};

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(50);

/// Nobody asks anything of a service that is about to end.
struct Silence;

impl Watching for Silence {
    fn watch(&mut self, _: &razar_core::id::ComponentId, _: Vec<Question>) {}
}

/// Ends what an earlier host left running; says how many processes that were.
pub(super) async fn stop(state_dir: &Path) -> Result<usize, String> {
    let state_dir = std::path::absolute(state_dir).map_err(|error| error.to_string())?;
    // Only a directory that a host has used: nothing is created by asking to stop.
    drop(LedgerReader::open(&state_dir).map_err(|error| error.to_string())?);
    let ledger = Ledger::open(&state_dir).map_err(|error| error.to_string())?;
    let facts: Result<Vec<_>, _> = ledger.replay(1).collect();
    let facts = facts.map_err(|error| error.to_string())?;
    let state = State::replay(&BootPlan::default(), Settings::default(), facts);
    let unfinished = state.durable().boot.as_ref().is_some_and(|boot| boot.stage != Stage::Ended);
    let opened = ledger.opened(&state_dir).map_err(|error| error.to_string())?;
    let views = Views::open(&ledger, &state_dir).map_err(|error| error.to_string())?;
    let views = ViewWriter::start(views).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let (launcher, events, situation) =
        Launcher::connect_or_spawn(&state_dir, program.as_path()).await.map_err(|error| error.to_string())?;
    let tokio = tokio::runtime::Handle::current();
    let (driver, handle) = Driver::new(state, ledger, views, Clock::start(), |handle| {
        let hands = Hands {
            launcher: launcher.clone(),
            driver: handle.clone(),
            // Without a configuration nothing is repaired.
            workshop: None,
            runtime: tokio.clone(),
        };
        (hands, Silence)
    });
    let driving = std::thread::Builder::new().name("driver".to_owned()).spawn(move || driver.run());
    let driving = driving.map_err(|error| error.to_string())?;
    tokio.spawn(perform::listen(events, handle.clone(), state_dir.clone()));

    handle.input(Input::Found(perform::found(&situation)));
    if unfinished {
        handle.input(Input::Boot(BootRequest { ledger: Some(opened), ..BootRequest::default() }));
        match handle.command(Command::Shutdown("asked for with `razar-host stop`".to_owned())).await {
            // An earlier host may have been stopping already.
            Ok(()) | Err(NotDone::Refused(_)) => {}
            Err(not_done) => return Err(not_done.to_string()),
        }
    }
    loop {
        let seen = handle.look().await.map_err(|error| error.to_string())?;
        let left = launcher.list().await.map_err(|error| error.to_string())?;
        if let Some(why) = seen.stuck {
            return Err(format!("{why}; then say it again: what still runs goes on"));
        }
        let over = seen.boot.is_none_or(|boot| boot.stage == Stage::Ended);
        if left.running.is_empty() && over {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    handle.close();
    let driven = tokio::task::spawn_blocking(move || driving.join()).await;
    let _ = launcher.shutdown_when_idle().await;
    match driven {
        Ok(Ok(Ok(()))) => Ok(situation.running.len()),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        _ => Err("the host's own loop ended".to_owned()),
    }
}
