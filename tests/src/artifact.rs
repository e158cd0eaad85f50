//! What is built once for a whole test run: the binary, the plugin packages, and their compiled code. It builds with
//! the commands a person would type, and only what is missing or older than its sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::repository;
use crate::wait::LIMIT;

/// What most tests load of the plugins that this repository ships.
const SHIPPED: [&str; 6] =
    ["agent-openai", "evaluator-syntax", "probe-http", "probe-log", "probe-tcp", "probe-tls"];

/// The agents among what it ships. Most tests ask none of them, and those that do have a folder of their own.
pub const AGENTS: [&str; 9] = [
    "agent-airstar",
    "agent-crown",
    "agent-k2",
    "agent-kimicho",
    "agent-lastgood",
    "agent-openai",
    "agent-opencode",
    "agent-patch-service",
    "agent-rstar",
];

/// The one that is a whole interpreter, and can only be built where `componentize-py` can be installed.
const PYTHON: &str = "evaluator-python";

/// The binary, built from the sources as they are now.
///
/// It is a hard link of what cargo built, so that a build beside the tests does not change the program under them.
pub fn host() -> &'static Path {
    static HOST: OnceLock<PathBuf> = OnceLock::new();
    HOST.get_or_init(|| {
        let folder = target_folder();
        let mut build = cargo();
        build.args(["build", "--quiet", "--package", "razar-host"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        run(&mut build);
        let built = folder.join("razar-host");
        let own = folder.join(format!("razar-host-of-{}", std::process::id()));
        sweep(&folder);
        fs::hard_link(&built, &own).or_else(|_| fs::copy(&built, &own).map(drop)).expect("a link beside it");
        own
    })
}

/// The directory of plugin packages, without the interpreter and all the agents but one: hundreds of hosts are started with it,
/// and each would read and hash them.
pub fn plugins() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| some_plugins("target/plugins-of-tests", &SHIPPED))
}

/// The directory of all agents.
pub fn agents() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| some_plugins("target/agents-of-tests", &AGENTS))
}

/// A directory of these packages.
fn some_plugins(own: &str, names: &[&str]) -> PathBuf {
    let (all, own) = (all_plugins(), repository().join(own));
    for name in names {
        let package = own.join(name);
        fs::create_dir_all(&package).expect("a folder");
        for entry in fs::read_dir(all.join(name)).expect("a package").flatten() {
            // What is built anew is another file of the same name.
            let (from, to) = (entry.path(), package.join(entry.file_name()));
            let temp = package.join(format!(".{}", std::process::id()));
            fs::hard_link(&from, &temp).expect("a link");
            fs::rename(&temp, &to).expect("a package");
            // Two names of one file stay two names.
            drop(fs::remove_file(&temp));
        }
    }
    own
}

/// The directory of all plugin packages.
fn all_plugins() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let folder = repository().join("target/plugins");
        if !SHIPPED.iter().chain(&AGENTS).all(|name| folder.join(name).join("plugin.toml").is_file()) {
            run(cargo().args(["xtask", "plugins"]));
        }
        folder
    })
}

/// The package of the interpreter, if it could be built, and a cache in which it is compiled, once for all test runs.
pub fn python() -> Option<&'static (PathBuf, PathBuf)> {
    static PACKAGE: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    let package = PACKAGE.get_or_init(|| {
        let package = all_plugins().join(PYTHON);
        if !package.join("plugin.toml").is_file() {
            return None;
        }
        let cache = repository().join("target/python-of-tests");
        let output = Command::new(host())
            // Nothing to judge: it is loaded, and that is that.
            .args(["plugin", "run", "--dev"])
            .arg(&package)
            .env("XDG_CACHE_HOME", &cache)
            .env_remove("RAZAR_STATE")
            .output()
            .expect("the host starts");
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        Some((package, cache))
    });
    package.as_ref()
}

/// The directory of plugin packages that only tests have.
pub fn guests() -> &'static Path {
    static GUESTS: OnceLock<PathBuf> = OnceLock::new();
    GUESTS.get_or_init(|| packages("tests/guests", repository().join("target/guests")))
}

/// The directory of packages of hostile guests.
pub fn hostile() -> &'static Path {
    static HOSTILE: OnceLock<PathBuf> = OnceLock::new();
    HOSTILE.get_or_init(|| packages("tests/hostile/guests", repository().join("target/hostile/packages")))
}

fn packages(of: &str, folder: PathBuf) -> PathBuf {
    run(cargo().args(["xtask", "plugins", "--dir", of, "--out"]).arg(&folder));
    folder
}

/// Gives a state directory the compiled code of the shipped plugins, as a host that ran there before had left it.
/// Compiling them anew would be most of what a scenario takes.
pub fn warm(state: &Path) {
    static CACHE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_dir, cache) = CACHE.get_or_init(|| compiled(plugins()));
    give(cache, state);
}

/// The same for all agents.
pub fn warm_agents(state: &Path) {
    static CACHE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_dir, cache) = CACHE.get_or_init(|| compiled(agents()));
    give(cache, state);
}

/// The compiled code of all packages there.
fn compiled(plugins: &Path) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(host())
        // No plugin has this name; whoever looks for it loads them all.
        .args(["plugin", "run", "all-of-them", "--plugins"])
        .arg(plugins)
        .arg("--state")
        .arg(dir.path())
        .output()
        .expect("the host starts");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let cache = dir.path().join("cache/plugins");
    (dir, cache)
}

fn give(cache: &Path, state: &Path) {
    let own = state.join("cache/plugins");
    private(state);
    private(&own);
    for entry in fs::read_dir(cache).expect("a cache").flatten() {
        fs::copy(entry.path(), own.join(entry.file_name())).expect("a copy");
    }
}

fn private(dir: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).expect("a private directory");
}

/// `target/debug` or `target/release`, wherever that is: tests run in its `deps`.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    test.parent().and_then(Path::parent).expect("`deps` and its parent").to_owned()
}

/// Removes links of test runs that have ended.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("razar-host-of-"));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another run may be faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let folder = target_folder();
    command.current_dir(repository()).env("CARGO_TARGET_DIR", folder.parent().expect("the target folder"));
    command
}

fn run(command: &mut Command) {
    let begun = std::time::Instant::now();
    let status = command.status().expect("cargo starts");
    assert!(
        status.success(),
        "`{command:?}` failed after {:?} (limit of a wait is {LIMIT:?})",
        begun.elapsed()
    );
}
