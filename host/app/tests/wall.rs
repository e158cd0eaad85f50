//! What the wall keeps in. Without an argument this binary runs the tests; with `behind DIR` it raises the host's own wall
//! around itself, with the host's own code, and then tries to get out by every way that it can say in safe Rust. What it
//! cannot say (`bpf`, `ptrace`, …) a Python process tries under the very same filters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stdout, reason = "what was refused, for whoever reads the output of a failure")]

#[allow(dead_code, unused_imports, reason = "compiled into the test, whose business is what it keeps in")]
#[path = "../src/wall/mod.rs"]
mod wall;

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use landlock::{AccessFs, LandlockStatus, Ruleset, RulesetAttr as _};
use libtest_mimic::{Arguments, Trial};
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};
use rustix::process::{chroot, test_kill_process};
use rustix::thread::{UnshareFlags, move_into_link_name_space, set_thread_uid};
use wall::{Ground, Layer, Standing, calls, raise};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, behind, dir] = words.as_slice()
        && behind == "behind"
    {
        try_everything(&Stage::at(Path::new(dir)));
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        trial("nothing_gets_out_and_the_host_can_still_work", nothing_gets_out),
        trial("what_rust_cannot_say_safely_is_refused_by_the_same_filters", same_filters),
        trial("each_layer_says_what_it_is", each_layer_says_what_it_is),
        trial("a_file_that_is_not_there_yet_is_granted_by_the_nearest_directory", by_name),
        trial("behind_an_empty_wall_there_is_no_file", no_file),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test: it passes unless it panics.
fn trial(name: &str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// What there is inside and outside.
struct Stage {
    state: PathBuf,
    granted: PathBuf,
    outside: PathBuf,
}

impl Stage {
    fn at(dir: &Path) -> Self {
        Self { state: dir.join("state"), granted: dir.join("granted"), outside: dir.join("outside") }
    }

    fn build(&self) {
        for dir in [&self.state, &self.granted, &self.outside] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("file"), "text").unwrap();
        }
        fs::copy("/bin/true", self.state.join("program")).unwrap();
        // Where an operator keeps logs on another disk.
        let disk = self.outside.with_file_name("disk");
        fs::create_dir(&disk).unwrap();
        std::os::unix::fs::symlink(disk, self.state.join("other")).unwrap();
    }
}

fn nothing_gets_out() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::at(dir.path());
    stage.build();
    let me = std::env::current_exe().unwrap();
    let ended = Command::new(me).arg("behind").arg(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let left: Vec<_> = fs::read_dir(&stage.outside).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(fs::read_to_string(stage.outside.join("file")).unwrap(), "text");
}

/// The attempts, in a process that has one thread when the wall is raised.
fn try_everything(stage: &Stage) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let name = format!("razar-wall-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let name_space = fs::File::open("/proc/self/ns/uts").unwrap();
    let mut ground = Ground::of_any_program();
    ground.port = Some(free);
    ground.write_below(&stage.state);
    ground.read.insert(stage.granted.clone());
    let kernel = landlock_of_the_kernel();
    let layers = raise(&ground);
    let stands = |name: &str| layers.iter().any(|layer| layer.name == name && layer.missing().is_none());
    // What this machine has must stand: what is missing is not tried.
    assert_eq!(version(&layers), if kernel < 3 { 0 } else { kernel }, "{layers:?}");
    assert_eq!(stands("seccomp"), Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(), "{layers:?}");
    assert!(stands("capabilities"), "{layers:?}");
    if stands("landlock") {
        files(stage);
    }
    if version(&layers) >= 4 {
        refused("listening on another port", TcpListener::bind("127.0.0.1:0"));
        drop(TcpListener::bind(("127.0.0.1", free)).expect("the port of the metrics"));
    }
    if version(&layers) >= 6 {
        let parent = rustix::process::getppid().unwrap();
        refused("a signal to somebody else", test_kill_process(parent));
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        // Its own is of its own domain only when it was made behind the wall.
        refused("a socket without a file", UnixStream::connect_addr(&address));
    }
    if stands("seccomp") {
        system_calls(stage, &name_space);
    }
    still_works(stage, &listener);
}

/// Asked of the kernel itself, on a thread that has ended when the wall is raised; 0 for none.
fn landlock_of_the_kernel() -> u32 {
    let asked = std::thread::spawn(|| {
        let rules = Ruleset::default().handle_access(AccessFs::Execute).unwrap().create().unwrap();
        rules.restrict_self().unwrap().landlock
    });
    match asked.join().unwrap() {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
    }
}

fn version(layers: &[Layer]) -> u32 {
    let landlock = layers.iter().find(|layer| layer.name == "landlock").unwrap();
    let Standing::Whole(version) = &landlock.standing else { return 0 };
    version.trim_start_matches("version ").parse().unwrap()
}

fn files(stage: &Stage) {
    let (inside, granted) = (stage.state.join("file"), stage.granted.join("file"));
    let (file, fresh) = (stage.outside.join("file"), stage.outside.join("fresh"));
    refused("reading outside", fs::read(&file));
    refused("listing outside", fs::read_dir(&stage.outside));
    refused("writing outside", fs::OpenOptions::new().append(true).open(&file));
    refused("a new file outside", fs::write(&fresh, "x"));
    refused("a new directory outside", fs::create_dir(&fresh));
    refused("cutting a file outside", fs::OpenOptions::new().write(true).truncate(true).open(&file));
    refused("removing a file outside", fs::remove_file(&file));
    refused("moving a file out", fs::rename(&inside, &fresh));
    refused("moving a file in", fs::rename(&file, stage.state.join("stolen")));
    refused("a second name for a file outside", fs::hard_link(&file, stage.state.join("stolen")));
    refused("a link outside", std::os::unix::fs::symlink("/etc/passwd", &fresh));
    refused("a socket outside", UnixListener::bind(&fresh));
    refused("writing to what is granted for reading", fs::OpenOptions::new().append(true).open(&granted));
    refused("a new file in what is granted for reading", fs::write(stage.granted.join("new"), "x"));
    // A link inside leads nowhere.
    let link = stage.state.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    refused("reading through a link", fs::read(&link));
    refused("reading the parent's memory", fs::File::open(format!("/proc/{}/mem", parent())));
    refused("reading the parent's environment", fs::read(format!("/proc/{}/environ", parent())));
    refused("writing its own memory", fs::OpenOptions::new().write(true).open("/proc/self/mem"));
    refused("a setting of the kernel", fs::OpenOptions::new().write(true).open("/proc/sys/kernel/hostname"));
}

fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

fn system_calls(stage: &Stage, name_space: &fs::File) {
    refused("a program", Command::new("/bin/true").spawn());
    let program = stage.state.join("program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    refused("a program of its own", Command::new(&program).spawn());
    for (what, family, kind, protocol) in [
        ("a raw socket", AddressFamily::INET, SocketType::RAW, Some(rustix::net::ipproto::ICMP)),
        ("a raw socket of IPv6", AddressFamily::INET6, SocketType::RAW, Some(rustix::net::ipproto::ICMPV6)),
        ("a ping socket", AddressFamily::INET, SocketType::DGRAM, Some(rustix::net::ipproto::ICMP)),
        ("a socket of packets", AddressFamily::PACKET, SocketType::RAW, None),
        ("a socket to the kernel's routes", AddressFamily::NETLINK, SocketType::RAW, None),
        (
            "a socket to the kernel's sockets",
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            Some(netlink::SOCK_DIAG),
        ),
        ("a socket to a hypervisor", AddressFamily::from_raw(40), SocketType::STREAM, None),
        ("a socket to the kernel's ciphers", AddressFamily::from_raw(38), SocketType::SEQPACKET, None),
        ("a socket of records", AddressFamily::UNIX, SocketType::SEQPACKET, None),
    ] {
        refused(what, socket_with(family, kind, SocketFlags::CLOEXEC, protocol));
    }
    refused("another user", set_thread_uid(rustix::fs::Uid::from_raw(65_534)));
    refused("another root", chroot(&stage.state));
    refused("a name space", move_into_link_name_space(std::os::fd::AsFd::as_fd(name_space), None));
    #[expect(deprecated, reason = "the sound one is the same call")]
    let unshared = rustix::thread::unshare(UnshareFlags::NEWUSER);
    refused("a name space of its own", unshared);
    let pipe = stage.state.join("pipe");
    refused("a pipe with a name", rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0));
    let limit = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
    refused("another limit", rustix::process::setrlimit(rustix::process::Resource::Nofile, limit));
}

/// All that the host does behind it every day.
fn still_works(stage: &Stage, listener: &TcpListener) {
    let file = stage.state.join("database");
    fs::write(&file, "one").unwrap();
    fs::rename(&file, stage.state.join("kept")).unwrap();
    fs::create_dir(stage.state.join("logs")).unwrap();
    fs::rename(stage.state.join("kept"), stage.state.join("logs/kept")).unwrap();
    fs::remove_dir_all(stage.state.join("logs")).unwrap();
    fs::write(stage.state.join("other/log"), "through a link of the operator's").unwrap();
    assert_eq!(fs::read_to_string(stage.granted.join("file")).unwrap(), "text");
    let socket = stage.state.join("socket");
    let local = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let address = listener.local_addr().unwrap();
    // Threads that were started behind the wall can do as little.
    let outside = stage.outside.join("file");
    std::thread::spawn(move || {
        UnixStream::connect(&socket).unwrap();
        TcpStream::connect(address).unwrap().write_all(b"x").unwrap();
        assert!(Command::new("/bin/true").spawn().is_err() || fs::read(outside).is_err());
    })
    .join()
    .unwrap();
    local.accept().unwrap();
    let mut said = [0];
    listener.accept().unwrap().0.read_exact(&mut said).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address).unwrap();
    assert!(("localhost", 80).to_socket_addrs().unwrap().next().is_some());
    assert!(fs::read_to_string(format!("/proc/{}/stat", parent())).unwrap().contains(')'));
}

/// It fails, with one of the answers that say no: never another one, which would mean that something else was wrong.
#[track_caller]
fn refused<T>(what: &str, tried: Result<T, impl Into<io::Error>>) {
    let Err(error) = tried else { panic!("it succeeded: {what}") };
    let error: io::Error = error.into();
    let no = error.kind() == ErrorKind::PermissionDenied
        || error.raw_os_error() == Some(Errno::XDEV.raw_os_error());
    assert!(no, "{what}: {error}");
    println!("{what}: {error}");
}

/// Sets filters that were given as bytes, calls what was asked for with nothing but zeros, and prints what came back.
const CALLER: &str = r#"
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
filters = [open(name, "rb").read() for name in sys.argv[1:3]]
seccomp, *calls = [int(word) for word in sys.argv[3:]]
assert libc.prctl(38, 1, 0, 0, 0) == 0
for one in filters:
    program = Program(len(one) // 8, one)
    assert libc.syscall(seccomp, 1, 0, ctypes.byref(program)) == 0, ctypes.get_errno()
for call in calls:
    ctypes.set_errno(0)
    result = libc.syscall(call, 0, 0, 0, 0, 0, 0)
    print(call, result, ctypes.get_errno())
"#;

fn same_filters() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (number, program) in calls::programs().unwrap().iter().enumerate() {
        let bytes: Vec<u8> = program
            .iter()
            .flat_map(|one| [&one.code.to_ne_bytes()[..], &[one.jt, one.jf], &one.k.to_ne_bytes()].concat())
            .collect();
        names.push(dir.path().join(number.to_string()));
        fs::write(&names[number], bytes).unwrap();
    }
    let refused = [
        libc::SYS_bpf,
        libc::SYS_ptrace,
        libc::SYS_perf_event_open,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_setns,
        libc::SYS_open_by_handle_at,
        libc::SYS_seccomp,
        libc::SYS_landlock_create_ruleset,
        libc::SYS_personality,
        libc::SYS_clone,
        libc::SYS_settimeofday,
        libc::SYS_capset,
        libc::SYS_setsid,
        libc::SYS_reboot,
    ];
    // There is no such call, or so it is told.
    let unknown = [libc::SYS_clone3, libc::SYS_inotify_init1, libc::SYS_mq_open, libc::SYS_semget, 2_000];
    let numbers = [libc::SYS_seccomp]
        .iter()
        .chain(&refused)
        .chain(&unknown)
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    let output = Command::new("python3").arg("-c").arg(CALLER).args(&names).args(numbers).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for (calls, errno) in [(&refused[..], libc::EPERM), (&unknown, libc::ENOSYS)] {
        for call in calls {
            assert!(said.lines().any(|line| line == format!("{call} -1 {errno}")), "{call}: {said}");
        }
    }
}

/// On a thread of its own, so that the wall falls with it.
fn each_layer_says_what_it_is() {
    let layers = std::thread::spawn(|| raise(&Ground::of_any_program())).join().unwrap();
    assert_eq!(layers.each_ref().map(|layer| layer.name), ["landlock", "capabilities", "seccomp"]);
    for layer in &layers {
        match &layer.standing {
            Standing::Whole(version) => assert!(!version.is_empty() && layer.missing().is_none()),
            Standing::Missing { why, remedy } => assert!(!why.is_empty() && !remedy.is_empty(), "{layer:?}"),
        }
    }
    fs::write(tempfile::tempdir().unwrap().path().join("x"), "x").expect("this thread stands outside");
}

fn by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = Ground::default();
    assert!(ground.read_by_name(&dir.path().join("not/yet/app.log")));
    assert_eq!(ground.read.iter().collect::<Vec<_>>(), [dir.path()]);
    assert!(!ground.read_by_name(Path::new("/no-such-directory/app.log")), "not everything there is");
    assert_eq!(ground.read.len(), 1);
}

/// What a plugin compiler has, on a thread of its own.
fn no_file() {
    let tried = std::thread::spawn(|| {
        let layers = raise(&Ground::default());
        (version(&layers), [fs::read("/etc/passwd"), fs::read("/proc/self/status"), fs::read("/dev/null")])
    });
    let (version, tried) = tried.join().unwrap();
    for read in tried.into_iter().filter(|_| version > 0) {
        refused("a file", read);
    }
    assert_eq!(version, landlock_of_the_kernel());
    assert!(fs::read("/etc/passwd").is_ok(), "this thread stands outside");
}
