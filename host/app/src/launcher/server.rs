//! The loop: one thread, one `poll`, nothing that blocks. Everything it does is asked for by a host, or is the end of
//! something a host asked for.
//!
//! It goes on when hosts die, ends by itself when it has neither services nor hosts, and leaves its services running
//! when it is killed: the next launcher finds them (`adopt`).

mod adopt;
mod children;
mod requests;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use razar_core::effect::ExitStatus;
use razar_core::id::{ComponentId, InstanceId};
use razar_ledger::failpoint;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::group::Groups;
use super::left;
use super::output::RotatingLog;
use super::place::Place;
use super::probe::Check;
use super::process;
use super::record;
use super::service::{Service, Step, Waiter};
use super::session::{Session, SessionError};
use super::spawn::FileLimit;
use super::wire::{Answer, Ending, Hello, Message, OutputCap, PROTOCOL};

/// So long a launcher without services waits for a host before it ends.
const LINGER: Duration = Duration::from_secs(5);

/// Native checks at the same time; beyond that a host with a runaway configuration would fill the process table.
const MAX_CHECKS: usize = 512;

/// Hosts and command-line tools connected at the same time.
const MAX_SESSIONS: usize = 64;

/// What is left of a trial is looked for so long after it ended, and so often: whoever is killed is gone a moment later.
const SWEEPING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(100));

/// The launcher's own log: enough for years of a healthy machine.
const OWN_LOG: OutputCap = OutputCap { bytes: 1 << 20, files: 2 };

/// Why a launcher cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The state directory cannot be used.
    #[error("cannot use the state directory `{path}`: {error}; check its owner, its mode and the free space")]
    Place {
        /// As given.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// The operating system lacks something.
    #[error("this system cannot run the launcher: {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// Runs the launcher of a state directory until it has nothing left to do. Returns at once when there is one already.
pub(crate) fn run(state: &Path) -> Result<(), ServerError> {
    let system = |what| move |error: io::Error| ServerError::System { what, error };
    if rustix::process::setsid().is_err() {
        // A process group's leader cannot leave its session; a child of it can.
        let arguments = std::env::args_os().skip(1);
        Command::new("/proc/self/exe").args(arguments).spawn().map_err(system("start in the background"))?;
        return Ok(());
    }
    let failed = |error| ServerError::Place { path: state.display().to_string(), error };
    let place = Place::new(state).map_err(failed)?;
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(place.lock()).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    failpoint::pass("launcher.locked");
    place.furnish().map_err(failed)?;
    // Whatever directory the host was started in may be unmounted while services run.
    std::env::set_current_dir("/").map_err(system("leave the working directory"))?;
    let id = place.id().map_err(failed)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| system("become the subreaper")(error.into()))?;
    let (ended, on_end) = UnixStream::pair().map_err(system("make a socket pair"))?;
    ended.set_nonblocking(true).map_err(system("make a socket pair"))?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, on_end)
        .map_err(system("watch children"))?;
    let listener = listen(&place).map_err(failed)?;
    failpoint::pass("launcher.listening");

    let own_log = RotatingLog::new(place.own_log(), OWN_LOG);
    let machine_boot = record::machine_boot().map_err(system("read the machine's boot id"))?;
    let mut server = Server {
        place,
        groups: Groups::find(&id),
        id,
        machine_boot,
        limit: FileLimit::raise(),
        listener,
        child_ended: ended,
        sessions: BTreeMap::new(),
        next_session: 0,
        services: BTreeMap::new(),
        checks: Vec::new(),
        sweeping: None,
        sweep_next: Instant::now(),
        endings: BTreeMap::new(),
        own_log,
        idle_since: Instant::now(),
        leaving: false,
        buffer: vec![0; 64 << 10],
    };
    server.note(&format!("launcher {} begins, process {}", env!("CARGO_PKG_VERSION"), std::process::id()));
    server.groups.sweep();
    server.adopt().map_err(failed)?;
    server.sweep_trials();
    failpoint::pass("launcher.adopted");
    // From here on errors belong into the log; whoever started us may be gone.
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let all = [
            rustix::stdio::dup2_stdin(&null),
            rustix::stdio::dup2_stdout(&null),
            rustix::stdio::dup2_stderr(&null),
        ];
        if all.iter().any(Result::is_err) {
            server.note("the standard streams could not be closed");
        }
    }
    server.serve();
    server.note("launcher ends: nothing is left to do");
    server.end_checks();
    server.groups.sweep();
    // Whatever cannot be removed now, the next launcher does not believe.
    let _ = record::sweep_all(&server.place);
    // The lock is held until the name is gone, so that nobody else's socket is removed.
    let _ = fs::remove_file(server.place.socket());
    drop(lock);
    Ok(())
}

fn listen(place: &Place) -> io::Result<UnixListener> {
    match fs::remove_file(place.socket()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (address, _dir) = place.address()?;
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(address);
    rustix::process::umask(before); // services inherit it
    let listener = listener?;
    fs::set_permissions(place.socket(), fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

struct Server {
    place: Place,
    id: String,
    machine_boot: String,
    limit: FileLimit,
    groups: Groups,
    listener: UnixListener,
    child_ended: UnixStream,
    sessions: BTreeMap<u64, Session>,
    next_session: u64,
    services: BTreeMap<InstanceId, Service>,
    checks: Vec<Check>,
    /// A trial has ended: what is left of it is looked for until then.
    sweeping: Option<Instant>,
    sweep_next: Instant,
    endings: BTreeMap<ComponentId, Ending>,
    own_log: RotatingLog,
    idle_since: Instant,
    leaving: bool,
    buffer: Vec<u8>,
}

/// What is ready.
#[derive(Debug, Clone, Copy)]
enum Ready {
    Listener,
    Child,
    Session(u64, PollFlags),
    Handle(InstanceId),
    Output(InstanceId),
    Check(usize),
}

impl Server {
    fn serve(&mut self) {
        while !self.leaving {
            let ready = self.wait();
            for ready in ready {
                match ready {
                    Ready::Listener => self.accept(),
                    Ready::Child => self.reap(),
                    Ready::Session(id, flags) => self.hear(id, flags),
                    Ready::Handle(instance) => {
                        if let Some(service) = self.services.get_mut(&instance) {
                            service.main_ended(ExitStatus::Unknown);
                        }
                    }
                    Ready::Output(instance) => self.drain(instance),
                    Ready::Check(index) => {
                        if let Some(check) = self.checks.get_mut(index) {
                            check.drain(&mut self.buffer);
                        }
                    }
                }
            }
            self.tick();
        }
    }

    fn wait(&mut self) -> Vec<Ready> {
        let mut fds = vec![
            (Ready::Listener, PollFd::new(&self.listener, PollFlags::IN)),
            (Ready::Child, PollFd::new(&self.child_ended, PollFlags::IN)),
        ];
        for (id, session) in &self.sessions {
            let flags = if session.wants_to_write() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push((Ready::Session(*id, flags), PollFd::new(session.stream(), flags)));
        }
        for (instance, service) in &self.services {
            if let Some(handle) = service.handle.as_ref().filter(|_| service.main_lives()) {
                fds.push((Ready::Handle(*instance), PollFd::new(handle, PollFlags::IN)));
            }
            if let Some(pipe) = &service.pipe {
                fds.push((Ready::Output(*instance), PollFd::new(pipe.file(), PollFlags::IN)));
            }
        }
        for (index, check) in self.checks.iter().enumerate() {
            if !check.at_end() {
                fds.push((Ready::Check(index), PollFd::new(check.file(), PollFlags::IN)));
            }
        }
        let (names, mut fds): (Vec<Ready>, Vec<PollFd<'_>>) = fds.into_iter().unzip();
        let now = Instant::now();
        let timeout = self.next_wake().map(|at| at.saturating_duration_since(now));
        // Rounded up, so that what was waited for is due afterwards.
        let timeout = timeout.map(|span| Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        });
        // An interruption is a turn with nothing ready.
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let ready = names.into_iter().zip(fds).filter(|(_, fd)| !fd.revents().is_empty());
        ready
            .map(|(name, fd)| match name {
                Ready::Session(id, _) => Ready::Session(id, fd.revents()),
                other => other,
            })
            .collect()
    }

    fn next_wake(&self) -> Option<Instant> {
        let services = self.services.values().filter_map(Service::wake);
        let checks = self.checks.iter().map(|check| check.until);
        let idle = self.is_idle().then(|| self.idle_since + LINGER);
        let logs = self.services.values().filter_map(|service| service.log.wake());
        let sweep = self.sweeping.map(|_| self.sweep_next);
        services.chain(checks).chain(logs).chain(sweep).chain(idle).min()
    }

    fn is_idle(&self) -> bool {
        self.services.is_empty() && self.sessions.is_empty()
    }

    /// Everything that is due by the clock, and everything whose end was just noticed.
    fn tick(&mut self) {
        let now = Instant::now();
        for check in &mut self.checks {
            if check.until <= now {
                check.kill(true);
                check.until = now + Duration::from_secs(1); // should the kernel need to be told again
            }
        }
        if let Some(until) = self.sweeping
            && self.sweep_next <= now
        {
            left::sweep();
            self.sweeping = Some(until).filter(|until| now < *until);
            self.sweep_next = now + SWEEPING.1;
        }
        for service in self.services.values_mut() {
            service.log.notice_move();
        }
        let due: Vec<InstanceId> = self
            .services
            .values()
            .filter(|service| service.wake().is_some_and(|at| at <= now))
            .map(|service| service.instance)
            .collect();
        if !due.is_empty() {
            let table = process::table();
            for instance in due {
                match self.services.get_mut(&instance).map(|service| service.step(now, &table)) {
                    Some(Step::Over(ending)) => self.over(instance, ending),
                    Some(Step::Stuck) => self.stuck(instance),
                    _ => {}
                }
            }
        }
        if !self.is_idle() {
            self.idle_since = now;
        } else if self.idle_since + LINGER <= now {
            self.leaving = true;
        }
    }

    /// Trials may have been left by somebody who was killed.
    fn sweep_trials(&mut self) {
        let now = Instant::now();
        (self.sweeping, self.sweep_next) = (Some(now + SWEEPING.0), now);
    }

    /// Nobody waits for their answers any more.
    fn end_checks(&mut self) {
        let until = Instant::now() + SWEEPING.0;
        self.checks.iter_mut().for_each(|check| check.kill(false));
        let held = self.checks.iter().any(|check| check.trial);
        while !self.checks.is_empty() && Instant::now() < until {
            self.reap();
            std::thread::sleep(Duration::from_millis(5));
        }
        while (held || self.sweeping.is_some()) && left::sweep() && Instant::now() < until {
            std::thread::sleep(SWEEPING.1);
        }
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let peer = rustix::net::sockopt::socket_peercred(&stream).map(|peer| peer.uid);
        let me = rustix::process::geteuid();
        if !peer.is_ok_and(|peer| peer.is_root() || peer == me) {
            self.note("refused a connection of another user");
            return;
        }
        if self.sessions.len() >= MAX_SESSIONS {
            self.note(&format!(
                "refused a connection: {MAX_SESSIONS} are open; close some of the tools that hold them"
            ));
            return;
        }
        let Ok(session) = Session::new(stream) else { return };
        let id = self.next_session;
        self.next_session += 1;
        self.sessions.insert(id, session);
        self.say(
            id,
            &Message::Hello(Hello {
                protocol: PROTOCOL,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                state: self.id.clone(),
                pid: std::process::id(),
                confines: true,
            }),
        );
    }

    fn hear(&mut self, id: u64, flags: PollFlags) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut heard =
            if flags.contains(PollFlags::OUT) { session.flush() } else { Ok(()) }.map(|()| Vec::new());
        if heard.is_ok() && flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            heard = session.receive(&mut self.buffer);
        }
        match heard {
            Ok(requests) => requests.into_iter().for_each(|request| self.answer(id, request)),
            Err(error) => self.hang_up(id, &error),
        }
    }

    fn hang_up(&mut self, id: u64, why: &SessionError) {
        self.sessions.remove(&id);
        for check in self.checks.iter_mut().filter(|check| check.waiter.0 == id) {
            check.kill(false);
        }
        if !matches!(why, SessionError::Closed) {
            self.note(&format!("dropped a connection: {why}"));
        }
    }

    fn say(&mut self, id: u64, message: &Message) {
        if let Some(Err(error)) = self.sessions.get_mut(&id).map(|session| session.say(message)) {
            self.hang_up(id, &error);
        }
    }

    fn reply(&mut self, (session, id): Waiter, answer: Answer) {
        self.say(session, &Message::Reply { id, answer });
    }

    fn note(&mut self, text: &str) {
        let line = format!("{} {}\n", jiff::Timestamp::now(), text.replace('\n', "\\n"));
        self.own_log.write(line.as_bytes());
        // There is nobody to tell that the launcher cannot write its own log.
        let _ = self.own_log.trouble();
    }
}
