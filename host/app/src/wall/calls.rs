//! The layer of system calls: two seccomp filters, one above the other.
//!
//! The first lets through what a program needs that reads and writes files, talks over sockets and has threads. To
//! everything else it says that there is no such call (`ENOSYS`): that is what libraries are told by an old kernel, and
//! they know what to do instead. The second says `EPERM` to what somebody who has taken over the process would want
//! next, so that it is a refusal and looks like one. Neither kills: a wrong answer would cost the stack its supervisor.

use std::collections::BTreeMap;

use libc::{
    AF_INET, AF_INET6, AF_UNIX, CLONE_THREAD, ENOSYS, EPERM, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD,
    IPPROTO_TCP, IPPROTO_UDP, PR_GET_NAME, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_VMA, SOCK_DGRAM,
    SOCK_STREAM, TCGETS, TCGETS2, TIOCGWINSZ,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::Standing;

/// The kind of a socket without its flags.
const KIND: u64 = 0xf;

/// Kinds of sockets that pass the network's layers by: `SOCK_RAW`, `SOCK_RDM`, `SOCK_SEQPACKET`, `SOCK_DCCP`,
/// `SOCK_PACKET`.
const ODD_KINDS: [u64; 5] = [3, 4, 5, 6, 10];

const REMEDY: &str = "a kernel with `CONFIG_SECCOMP_FILTER` on x86-64 or ARM64 has it; a container may have to be told to allow \
                      the call `seccomp`";

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Sets both.
pub(super) fn filter() -> Standing {
    let set = || -> Result<(), seccompiler::Error> {
        for program in programs()? {
            apply_filter(&program)?;
        }
        Ok(())
    };
    match set() {
        Ok(()) => Standing::Whole("two filters".to_owned()),
        Err(error) => {
            Standing::Missing { why: format!("system calls cannot be filtered: {error}"), remedy: REMEDY }
        }
    }
}

/// What the kernel runs at each call, in the order it must be set.
pub(crate) fn programs() -> Result<[BpfProgram; 2], BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let usual = SeccompFilter::new(usual()?, errno(ENOSYS), SeccompAction::Allow, arch)?;
    let wanted = SeccompFilter::new(wanted()?, SeccompAction::Allow, errno(EPERM), arch)?;
    // Of two filters that refuse, the newer one is believed.
    Ok([usual.try_into()?, wanted.try_into()?])
}

/// What a program needs.
fn usual() -> Result<Rules, BackendError> {
    let mut rules: Rules =
        FILES.iter().chain(MEMORY).chain(WORK).chain(NET).chain(OLD).map(|call| (*call, vec![])).collect();
    let me = u64::from(std::process::id());
    // Threads, and nothing else. What `clone3` wants cannot be looked at; without it libraries use `clone`.
    rules.insert(libc::SYS_clone, vec![when(&[(0, masked(number(CLONE_THREAD)), number(CLONE_THREAD))])?]);
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        rules.insert(call, vec![when(&[(0, SeccompCmpOp::Eq, me)])?]);
    }
    // To ask for a limit, not to set one.
    rules.insert(libc::SYS_prlimit64, vec![pointer(2, SeccompCmpOp::Eq)?]);
    let one_of = |index, values: &[u64]| -> Result<Vec<SeccompRule>, BackendError> {
        values.iter().map(|value| when(&[(index, SeccompCmpOp::Eq, *value)])).collect()
    };
    let asks = [TCGETS, TCGETS2, TIOCGWINSZ, FIONBIO, FIONREAD, FIOCLEX, FIONCLEX];
    rules.insert(libc::SYS_ioctl, one_of(1, &asks)?);
    let names = [PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_SET_NO_NEW_PRIVS].map(number);
    rules.insert(libc::SYS_prctl, one_of(0, &names)?);
    let mut sockets = vec![
        when(&[(0, SeccompCmpOp::Eq, number(AF_UNIX)), (1, masked(KIND), number(SOCK_STREAM))])?,
        when(&[(0, SeccompCmpOp::Eq, number(AF_UNIX)), (1, masked(KIND), number(SOCK_DGRAM))])?,
    ];
    for family in [AF_INET, AF_INET6] {
        for (kind, own) in [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)] {
            for protocol in [0, own] {
                sockets.push(when(&[
                    (0, SeccompCmpOp::Eq, number(family)),
                    (1, masked(KIND), number(kind)),
                    (2, SeccompCmpOp::Eq, number(protocol)),
                ])?);
            }
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    Ok(rules)
}

/// What somebody wants who should not be here.
fn wanted() -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().chain(OLD_REFUSED).map(|call| (*call, vec![])).collect();
    let me = u64::from(std::process::id());
    rules.insert(libc::SYS_clone, vec![when(&[(0, masked(number(CLONE_THREAD)), 0)])?]);
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        rules.insert(call, vec![when(&[(0, SeccompCmpOp::Ne, me)])?]);
    }
    rules.insert(libc::SYS_prlimit64, vec![pointer(2, SeccompCmpOp::Ne)?]);
    rules.insert(libc::SYS_ioctl, vec![when(&[(1, SeccompCmpOp::Eq, libc::TIOCSTI)])?]);
    let families = [AF_UNIX, AF_INET, AF_INET6].map(|family| (0, SeccompCmpOp::Ne, number(family)));
    let mut sockets = vec![when(&families)?];
    for kind in ODD_KINDS {
        sockets.push(when(&[(1, masked(KIND), kind)])?);
    }
    for (kind, own) in [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)] {
        sockets.push(when(&[
            (0, SeccompCmpOp::Ne, number(AF_UNIX)),
            (1, masked(KIND), number(kind)),
            (2, SeccompCmpOp::Ne, 0),
            (2, SeccompCmpOp::Ne, number(own)),
        ])?);
    }
    rules.insert(libc::SYS_socket, sockets);
    Ok(rules)
}

/// All of these arguments are so. Of each, 32 bits are looked at: the kernel takes no more of them.
pub(crate) fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let condition = |(index, op, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*index, SeccompCmpArgLen::Dword, op.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

/// This argument is no pointer, or is one.
fn pointer(index: u8, op: SeccompCmpOp) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Qword, op, 0)?])
}

/// These bits of it.
pub(crate) const fn masked(mask: u64) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(mask)
}

/// A constant as the kernel compares it.
pub(crate) const fn number(constant: i32) -> u64 {
    constant.unsigned_abs() as u64
}

const FILES: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_lseek,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_getcwd,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_memfd_create,
];

const MEMORY: &[i64] = &[
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_brk,
    libc::SYS_membarrier,
];

/// Threads, waiting, signals of its own, the clock, who it is.
const WORK: &[i64] = &[
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigpending,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getrandom,
    // The second filter is set under the first, and refuses it from then on.
    libc::SYS_seccomp,
];

const NET: &[i64] = &[
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
];

/// Older names of the same, which newer processors never had.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

const REFUSED: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
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
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_mknodat,
    libc::SYS_fchownat,
    libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
];

#[cfg(target_arch = "x86_64")]
const OLD_REFUSED: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_REFUSED: &[i64] = &[];
