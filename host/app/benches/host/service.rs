//! The trivial service of the measured stacks: it writes down when it began, becomes ready after a while by listening,
//! writes that down, and waits for its end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The first word of the command line of a service.
pub(crate) const WORD: &str = "as-service";

/// What it wrote down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Life {
    /// Which process.
    pub(crate) pid: i32,
    /// Its first instruction, seconds since 1970.
    pub(crate) began: f64,
    /// It listened.
    pub(crate) ready: f64,
}

/// Command line of a service that notes its lives in a file.
pub(crate) fn command(notes: &Path, ready_after: Duration, port: Option<u16>) -> Vec<String> {
    let program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let port = port.map_or_else(|| "-".to_owned(), |port| port.to_string());
    vec![
        program,
        WORD.to_owned(),
        notes.to_string_lossy().into_owned(),
        ready_after.as_millis().to_string(),
        port,
    ]
}

/// Its life.
pub(crate) fn main(words: &[String]) {
    let began = now();
    let ready_after = Duration::from_millis(words[1].parse().unwrap());
    std::thread::sleep(ready_after);
    let listening = words[2].parse::<u16>().ok().map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let ready = now();
    let mut notes = OpenOptions::new().create(true).append(true).open(PathBuf::from(&words[0])).unwrap();
    let pid = std::process::id();
    notes.write_all(format!("{pid} {began:.6} {ready:.6}\n").as_bytes()).unwrap();
    match listening {
        Some(listening) => listening.incoming().for_each(drop),
        None => loop {
            std::thread::park();
        },
    }
}

/// All lives noted in a file so far.
pub(crate) fn lives(notes: &Path) -> Vec<Life> {
    let text = std::fs::read_to_string(notes).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split(' ');
        Some(Life {
            pid: words.next()?.parse().ok()?,
            began: words.next()?.parse().ok()?,
            ready: words.next()?.parse().ok()?,
        })
    };
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .filter_map(|text| line(text.trim()))
        .collect()
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
