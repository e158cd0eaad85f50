//! The layer of files: Landlock. Everything that is not named here is out of reach, whatever the process's user may do.
//!
//! What is granted is granted by file, not by name: a path that is replaced later is another file, so what others replace
//! while the host runs is granted by its directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags,
    path_beneath_rules,
};

use super::Standing;

/// The rights this file knows about. An older kernel knows fewer.
const KNOWN: ABI = ABI::V6;

/// From here on a file that may not be written cannot be cut either.
const NEEDED: ABI = ABI::V3;

/// Also directories that programs of this house never read.
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// No devices, no pipes: the host makes none.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | Refer | RemoveFile | RemoveDir | MakeReg | MakeDir | MakeSym | MakeSock
});

const REMEDY: &str =
    "Linux 6.2 or newer with `landlock` in its list of security modules (`lsm=` on its command line) has it";

/// What may be touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ground {
    /// Files, and directories with all that is in them, that are read.
    pub(crate) read: BTreeSet<PathBuf>,
    /// The same, written too.
    pub(crate) write: BTreeSet<PathBuf>,
    /// Directories of which only the names are seen.
    pub(crate) list: BTreeSet<PathBuf>,
    /// The one TCP port that is listened on, if one is.
    pub(crate) port: Option<u16>,
    /// Whether sockets without a file may be called: a service manager may have one.
    pub(crate) abstract_sockets: bool,
}

/// Sets it, and says how far this kernel goes.
pub(super) fn fence(ground: &Ground) -> Standing {
    let missing = |why: String| Standing::Missing { why, remedy: REMEDY };
    match try_fence(ground) {
        Ok(LandlockStatus::Available { effective_abi, .. }) if effective_abi < NEEDED => {
            missing(format!("this kernel's Landlock is of version {}", effective_abi as i32))
        }
        Ok(LandlockStatus::Available { effective_abi, .. }) => {
            Standing::Whole(format!("version {}", effective_abi as i32))
        }
        Ok(LandlockStatus::NotEnabled) => missing("this kernel has Landlock, switched off".to_owned()),
        Ok(LandlockStatus::NotImplemented) => missing("this kernel has no Landlock".to_owned()),
        Err(error) => missing(format!("Landlock refused its rules: {error}")),
    }
}

fn try_fence(ground: &Ground) -> Result<LandlockStatus, RulesetError> {
    let mut scopes = BitFlags::from(Scope::Signal);
    if !ground.abstract_sockets {
        scopes |= Scope::AbstractUnixSocket;
    }
    // What an older kernel does not know is left out; the caller looks at the version.
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        .scope(scopes)?
        .create()?
        .add_rules(path_beneath_rules(&ground.read, READ))?
        .add_rules(path_beneath_rules(&ground.list, AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(&ground.write, WRITE))?
        .add_rules(ground.port.map(|port| Ok::<_, RulesetError>(NetPort::new(port, AccessNet::BindTcp))))?;
    Ok(rules.restrict_self()?.landlock)
}

impl Ground {
    /// What every program on this machine needs: its libraries, the resolver's and the clock's files, what the kernel says
    /// about processes. `/etc` as a whole, because whoever changes `resolv.conf` puts a new file there.
    pub(crate) fn of_any_program() -> Self {
        let mut ground = Self::default();
        for path in [
            "/etc",
            "/proc",
            "/sys/fs/cgroup",
            "/sys/devices/system/cpu",
            "/usr/share/zoneinfo",
            "/dev/urandom",
            "/dev/random",
            "/lib",
            "/lib64",
            "/usr/lib",
            "/usr/lib64",
            "/usr/local/lib",
            "/nix/store",
            "/gnu/store",
        ] {
            ground.read.insert(path.into());
        }
        // Resolvers that keep their file elsewhere keep it replaced there.
        if let Ok(file) = std::fs::canonicalize("/etc/resolv.conf") {
            ground.read.extend(file.parent().map(Path::to_owned));
        }
        ground.read.extend(std::env::current_exe().ok());
        ground.write.insert("/dev/null".into());
        ground
    }

    /// A file that is read and may be replaced by another one of its name, or is not there yet: by the nearest directory
    /// there is, but never by the root of everything. False when there is none.
    pub(crate) fn read_by_name(&mut self, file: &Path) -> bool {
        let place = file.ancestors().skip(1).find(|place| place.is_dir());
        let place = place.filter(|place| place.parent().is_some());
        let place = place.or_else(|| file.exists().then_some(file));
        self.read.extend(place.map(Path::to_owned));
        place.is_some()
    }

    /// A directory that is written to, also where links in it lead: they are the operator's doing.
    pub(crate) fn write_below(&mut self, dir: &Path) {
        self.write.insert(dir.to_owned());
        let inside =
            entries(dir).filter(|path| path.is_dir()).flat_map(|path| entries(&path).collect::<Vec<_>>());
        let links = entries(dir).chain(inside).filter(|path| path.is_symlink());
        self.write.extend(links.filter_map(|link| std::fs::canonicalize(link).ok()));
    }

    /// A directory of packages, also those that are links to elsewhere.
    pub(crate) fn read_packages(&mut self, dir: &Path) {
        self.read.insert(dir.to_owned());
        let links = entries(dir).filter(|path| path.is_symlink());
        self.read.extend(links.filter_map(|link| std::fs::canonicalize(link).ok()));
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}
