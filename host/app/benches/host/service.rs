//! The trivial service of the measured stacks: it writes down when it began, becomes ready after a while by listening,
//! writes that down, and waits for its end. It is a C program: what a service needs to begin is no part of a figure
//! about the host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Words: where to note its lives, milliseconds until it is ready, a port to listen on or `-`.
const SOURCE: &str = r#"
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    double began = now();
    if (argc != 4) return 2;
    usleep((useconds_t)atol(argv[2]) * 1000);
    int listening = -1;
    if (argv[3][0] != '-') {
        int on = 1;
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3])) };
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listening = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 128)) return 1;
    }
    double ready = now();
    char line[128];
    int length = snprintf(line, sizeof line, "%d %.6f %.6f\n", (int)getpid(), began, ready);
    int notes = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (notes < 0 || write(notes, line, (size_t)length) != length) return 1;
    close(notes);
    for (;;) {
        if (listening < 0) pause();
        else close(accept(listening, 0, 0));
    }
}
"#;

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
    let port = port.map_or_else(|| "-".to_owned(), |port| port.to_string());
    let words = [program(), notes].map(|path| path.to_string_lossy().into_owned());
    [&words[..], &[ready_after.as_millis().to_string(), port]].concat()
}

/// Compiled once a run.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (source, program) = (dir.join("service.c"), dir.join("service"));
        std::fs::write(&source, SOURCE).unwrap();
        let built = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status();
        assert!(built.is_ok_and(|status| status.success()), "no C compiler: install `cc`");
        program
    })
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
