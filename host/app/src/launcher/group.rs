//! Control groups: what all processes of one component may use together, held by the kernel. Its two interfaces (version
//! 2, and version 1 with one tree per controller) differ in names only. A process enters its group itself, before it
//! becomes the service, so nobody ever runs outside; a limit that cannot be held is an error, never left out.
//!
//! A component has a group for its instances, one after the other, one for its checks and one for the trial of a patch, so
//! that neither can have the service killed. Empty groups go when a launcher begins or ends; a trial removes its own, and `left` does
//! when it could not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use razar_core::id::ComponentId;
use razar_core::plan::Limit;

/// Why a component cannot be held to a limit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    /// The machine, or whoever started us, gives no groups.
    #[error(
        "`limits.{limit}` needs control groups, and {why}: let systemd give them (`Delegate=yes`, \
         `DelegateSubgroup=supervisor` and `ProtectControlGroups=no` in the unit), or leave the limit out"
    )]
    None {
        /// Which limit.
        limit: &'static str,
        /// What is missing.
        why: String,
    },
    /// The kernel said no.
    #[error("control group `{}` cannot hold `limits.{limit}`: {error}", path.display())]
    Refused {
        /// Which limit.
        limit: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Which of the kernel's two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The name that this one has for something.
    const fn name(self, (one, two): (&'static str, &'static str)) -> &'static str {
        match self {
            Self::One => one,
            Self::Two => two,
        }
    }
}

/// One way to say it to the kernel.
struct Controller {
    limit: Limit,
    name: &'static str,
    /// The file that takes the number.
    most: (&'static str, &'static str),
    /// What makes it complete, where the kernel has it: without the second, memory that is full is swapped instead.
    besides: &'static [(&'static str, Option<&'static str>)],
}

/// Names are by version. `None` is the limit itself.
const CONTROLLERS: [Controller; 2] = [
    Controller {
        limit: Limit::Memory,
        name: "memory",
        most: ("memory.limit_in_bytes", "memory.max"),
        besides: &[
            ("memory.memsw.limit_in_bytes", None),
            ("memory.swap.max", Some("0")),
            ("memory.oom.group", Some("1")),
        ],
    },
    Controller { limit: Limit::Tasks, name: "pids", most: ("pids.max", "pids.max"), besides: &[] },
];

/// Where groups of a controller can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    dir: PathBuf,
    version: Version,
}

/// Who a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The service.
    Service,
    /// Its native checks.
    Check,
    /// The trial of a patch of it.
    Trial,
}

impl Part {
    /// No name of a component has a plus in it.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Service => "",
            Self::Check => "+check",
            Self::Trial => "+trial",
        }
    }
}

/// The groups of one state directory.
#[derive(Debug)]
pub(crate) struct Groups {
    prefix: String,
    homes: BTreeMap<Limit, Result<Home, String>>,
}

impl Groups {
    /// Looks where they can be. `id` is the state directory's own.
    pub(crate) fn find(id: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (own, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
        let home = |controller: &Controller| (controller.limit, home(controller, &own, &mounts));
        Self { prefix: format!("razar-{id}-"), homes: CONTROLLERS.iter().map(home).collect() }
    }

    /// The directories of a component's group, with these limits; none when no limit needs one.
    pub(crate) fn make(
        &self,
        component: &ComponentId,
        part: Part,
        limits: &BTreeMap<String, u64>,
    ) -> Result<Vec<PathBuf>, GroupError> {
        let mut dirs = Vec::new();
        for controller in &CONTROLLERS {
            let limit = controller.limit.as_str();
            let Some(most) = limits.get(limit) else { continue };
            let home = match self.homes.get(&controller.limit) {
                Some(Ok(home)) => home,
                Some(Err(why)) => return Err(GroupError::None { limit, why: why.clone() }),
                None => continue,
            };
            let refused = |path: &Path, error| GroupError::Refused { limit, path: path.to_owned(), error };
            if home.version == Version::Two {
                let path = home.dir.join("cgroup.subtree_control");
                let wanted = format!("+{}", controller.name);
                fs::write(&path, wanted).map_err(|error| match error.kind() {
                    ErrorKind::ResourceBusy => GroupError::None {
                        limit,
                        why: format!(
                            "`{}` holds processes itself, so it cannot be divided",
                            home.dir.display()
                        ),
                    },
                    _ => refused(&path, error),
                })?;
            }
            let dir = home.dir.join(format!("{}{component}{}", self.prefix, part.suffix()));
            match fs::create_dir(&dir) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(refused(&dir, error)),
                _ => {}
            }
            hold(&dir, controller, home.version, *most).map_err(|(path, error)| refused(&path, error))?;
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        Ok(dirs)
    }

    /// How many of a component's processes the kernel has ended for want of memory, over the life of its group.
    pub(crate) fn starved(&self, component: &ComponentId) -> u64 {
        let Some(Ok(home)) = self.homes.get(&Limit::Memory) else { return 0 };
        let file = home.version.name(("memory.oom_control", "memory.events"));
        let dir = home.dir.join(format!("{}{component}{}", self.prefix, Part::Service.suffix()));
        let told = fs::read_to_string(dir.join(file)).unwrap_or_default();
        told.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).unwrap_or(0)
    }

    /// Removes groups nobody is in.
    pub(crate) fn sweep(&self) {
        for dir in self.made() {
            // The kernel keeps what somebody is in.
            let _ = fs::remove_dir(dir);
        }
    }

    /// The directories of all groups that were made.
    pub(crate) fn made(&self) -> BTreeSet<PathBuf> {
        let all = self.homes.values().flatten().filter_map(|home| fs::read_dir(&home.dir).ok());
        let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&self.prefix);
        all.flat_map(|entries| entries.flatten()).filter(ours).map(|entry| entry.path()).collect()
    }
}

/// What this machine has of it, for people: how each limit is held, or why it is not.
pub(crate) fn look() -> Result<String, String> {
    let groups = Groups::find("look");
    let mut versions = Vec::new();
    for controller in &CONTROLLERS {
        match groups.homes.get(&controller.limit) {
            Some(Ok(home)) => {
                versions.push(format!("{} (version {})", controller.name, home.version.name(("1", "2"))))
            }
            Some(Err(why)) => return Err(format!("{}: {why}", controller.name)),
            None => {}
        }
    }
    Ok(versions.join(", "))
}

/// Sets a limit and what makes it complete.
fn hold(
    dir: &Path,
    controller: &Controller,
    version: Version,
    most: u64,
) -> Result<(), (PathBuf, io::Error)> {
    let most = most.to_string();
    let main = version.name(controller.most);
    let set = |name: &str, value: &str| {
        let path = dir.join(name);
        fs::write(&path, value).map_err(|error| (path, error))
    };
    // Version 1 wants memory and swap never below memory alone: whichever way the number moves, one order is refused.
    let besides = || {
        for (name, value) in controller.besides {
            if dir.join(name).exists() {
                set(name, value.unwrap_or(&most))?;
            }
        }
        Ok(())
    };
    match set(main, &most) {
        Ok(()) => besides(),
        Err(_) => besides().and_then(|()| set(main, &most)),
    }
}

/// Where a controller's groups can be made: below the group this process is in, or beside it when that is what its
/// manager meant.
fn home(controller: &Controller, own: &str, mounts: &str) -> Result<Home, String> {
    let has = |list: &str| list.split(',').any(|name| name == controller.name);
    let member = |of: &dyn Fn(&str, &str) -> bool| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, list, path) = (fields.next()?, fields.next()?, fields.next()?);
            of(number, list).then(|| path.to_owned())
        })
    };
    let (path, mount, version) = match member(&|_, list| has(list)) {
        Some(path) => (path, mount(mounts, "cgroup", &has), Version::One),
        None => (
            member(&|number, _| number == "0").unwrap_or_default(),
            mount(mounts, "cgroup2", &|_| true),
            Version::Two,
        ),
    };
    let (root, point) = mount.ok_or("they are not mounted")?;
    let below =
        path.strip_prefix(root.trim_end_matches('/')).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let below =
        below.filter(|rest| !rest.contains("/..")).ok_or("this process's own group is not in sight")?;
    let mut dir = Path::new(&point).join(below.trim_start_matches('/'));
    if version == Version::Two {
        // `DelegateSubgroup=`: the group above is ours to divide, and this one is there so that it can be.
        if let Some(above) = dir.parent().filter(|above| delegated(above)) {
            dir = above.to_owned();
        }
        let there = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
        if !there.split_whitespace().any(|name| name == controller.name) {
            return Err(format!("`{}` has no controller `{}`", dir.display(), controller.name));
        }
    }
    match rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Ok(Home { dir, version }),
        Err(error) => Err(format!("`{}` cannot be written ({error})", dir.display())),
    }
}

/// Root and mount point of the first such mount, from `/proc/self/mountinfo`.
fn mount(mounts: &str, kind: &str, has: &dyn Fn(&str) -> bool) -> Option<(String, String)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let mut fields = after.split(' ');
        let (of, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        (of == kind && has(options)).then(|| (root.to_owned(), point.to_owned()))
    })
}

/// systemd marks what it gives away.
fn delegated(dir: &Path) -> bool {
    let mut value = [0_u8; 8];
    rustix::fs::getxattr(dir, "user.delegate", &mut value)
        .is_ok_and(|length| value.get(..length) == Some(b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,cpu,pids
32 24 0:28 /docker/x /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn the_place_of_a_group_is_read_from_what_the_kernel_says() {
        let pids = &CONTROLLERS[1];
        let place = |own: &str| home(pids, own, V1);
        let here = tempfile::tempdir().unwrap();
        let point = here.path().to_string_lossy().into_owned();
        let mounts = |kind: &str| format!("31 24 0:27 /pod {point} rw - {kind} x rw,pids\n");
        std::fs::create_dir(here.path().join("own")).unwrap();
        let found = home(pids, "8:pids:/pod/own\n0::/other\n", &mounts("cgroup"));
        assert_eq!(found, Ok(Home { dir: here.path().join("own"), version: Version::One }));
        for outside in ["8:pids:/elsewhere", "8:pids:/pod/../own", "8:pids:/podless"] {
            let said = home(pids, outside, &mounts("cgroup")).unwrap_err();
            assert!(said.contains("not in sight"), "{outside}: {said}");
        }
        let said = home(pids, "0::/pod/own\n", &mounts("cgroup2")).unwrap_err();
        assert!(said.contains("has no controller `pids`"), "{said}");
        std::fs::write(here.path().join("own/cgroup.controllers"), "cpu pids\n").unwrap();
        let found = home(pids, "0::/pod/own\n", &mounts("cgroup2"));
        assert_eq!(found, Ok(Home { dir: here.path().join("own"), version: Version::Two }));
        assert!(place("0::/\n").unwrap_err().contains("not in sight"));
        assert_eq!(home(pids, "", "").unwrap_err(), "they are not mounted");
    }

    #[test]
    fn the_first_mount_with_the_controller_is_taken() {
        let of = |kind: &str, name: &str| {
            mount(V1, kind, &|options| options.split(',').any(|option| option == name))
        };
        assert_eq!(of("cgroup", "pids"), Some(("/".into(), "/sys/fs/cgroup/pids".into())));
        assert_eq!(of("cgroup", "cpuset"), None);
        assert_eq!(of("cgroup2", "rw"), Some(("/docker/x".into(), "/sys/fs/cgroup/unified".into())));
    }
}
