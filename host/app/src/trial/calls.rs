//! What a judged program may not ask the kernel for: more rights than it was given, in a namespace of its own; the kernel's
//! larger attack surfaces, which no service under repair needs; other processes' memory; and networks that a network namespace
//! does not hold, such as a virtual machine's way to its host. It filters the calling process and all it becomes, and nobody else.
//!
//! It is a list of refusals, because a service may be any program. A refused call gets an error and kills nobody.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, ENOSYS, EPERM};
use rustix::fs::{MemfdFlags, memfd_create};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompFilter, SeccompRule, TargetArch,
    sock_filter,
};

use crate::wall::calls::{masked, number, when};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What the kernel runs at each call, as bubblewrap reads it: in a file without a name that whoever is started next inherits.
pub(super) fn filter() -> io::Result<File> {
    let program = program().map_err(io::Error::other)?;
    let step = |step: &sock_filter| {
        let [a, b] = step.code.to_ne_bytes();
        let [c, d, e, f] = step.k.to_ne_bytes();
        [a, b, step.jt, step.jf, c, d, e, f]
    };
    let mut file = File::from(memfd_create("calls", MemfdFlags::empty())?);
    file.write_all(&program.iter().flat_map(step).collect::<Vec<u8>>())?;
    file.rewind()?;
    Ok(file)
}

fn program() -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refusal = SeccompAction::Errno(EPERM.unsigned_abs());
    let refused: BpfProgram =
        SeccompFilter::new(refused()?, SeccompAction::Allow, refusal, arch)?.try_into()?;
    Ok(unknown().into_iter().chain(refused).collect())
}

/// Calls that are said not to exist, before anything else is looked at: `clone3`, because what it wants cannot be looked at and
/// libraries use `clone` instead; and the other numbers that some kernels of x86-64 have for the same calls.
fn unknown() -> BpfProgram {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const GREATER_OR_EQUAL: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const OTHERS: u32 = 0x4000_0000;
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    let no_such_call = 0x0005_0000 | ENOSYS.unsigned_abs();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD, 0, 0, 0),
        step(GREATER_OR_EQUAL, 1, 0, OTHERS),
        step(EQUAL, 0, 1, clone3),
        step(RETURN, 0, 0, no_such_call),
    ]
}

fn refused() -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    let spaces = SPACES.map(|space| when(&[(0, masked(number(space)), number(space))]));
    rules.insert(libc::SYS_clone, spaces.into_iter().collect::<Result<_, _>>()?);
    let families = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];
    let families = families.map(|family| (0, SeccompCmpOp::Ne, number(family)));
    rules.insert(libc::SYS_socket, vec![when(&families)?]);
    rules.insert(libc::SYS_ioctl, vec![when(&[(1, SeccompCmpOp::Eq, libc::TIOCSTI)])?]);
    Ok(rules)
}

/// Namespaces that a new process could have of its own.
const SPACES: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

const REFUSED: &[i64] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
];

#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_kexec_file_load];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_one_that_the_kernel_takes() {
        let program = program().unwrap();
        assert!((8..4_096).contains(&program.len()), "{} steps", program.len());
        assert_eq!(filter().unwrap().metadata().unwrap().len(), program.len() as u64 * 8);
    }
}
