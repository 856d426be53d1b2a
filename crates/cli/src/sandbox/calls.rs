//! Which system calls the server may still make: a seccomp filter.
//!
//! It is a list of what is allowed, not of what is denied. A list of denials is open at three ends: calls that a later
//! kernel brings (as io_uring once came), the second set of numbers that x86_64 has for x32, and whatever was forgotten.
//! The usual price of a list of allowed calls, that a newer C library dies of a call that nobody had thought of, is not
//! paid either: what is not on the list is answered ENOSYS, "this kernel has no such call", which C libraries and this
//! program meet on old kernels anyway and know how to do without. Nothing is ever killed for a call, but for calls by
//! another architecture's numbers.
//!
//! The list is wide where calls are alike in what they can do, so that a feature that reads or writes files in another
//! way does not need another list; what files those are is Landlock's business. Some calls are allowed with some
//! arguments only: no new process, no memory that is executable, no sockets but TCP, UDP and local ones, nothing pushed
//! into the terminal, no signal and no limit of another process.

use anyhow::Context as _;
use rustix::process::getpid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Puts the filter on this thread, and on every thread that it begins from now on: how many calls are left.
///
/// # Errors
/// Where the kernel has no seccomp filters, or this kind of processor has no list here.
pub(super) fn restrict() -> anyhow::Result<usize> {
    let rules = rules()?;
    let count = rules.len();
    let arch = TargetArch::try_from(std::env::consts::ARCH).context("no list of system calls for this processor")?;
    let no_such_call = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules.into_iter().collect(), no_such_call, SeccompAction::Allow, arch)?;
    let program = BpfProgram::try_from(filter)?;
    seccompiler::apply_filter(&program).context("this kernel has no seccomp filters")?;
    Ok(count)
}

/// How many calls [`restrict`] would leave.
///
/// # Errors
/// Where the kernel has no seccomp filters.
pub(super) fn expect() -> anyhow::Result<usize> {
    std::fs::metadata("/proc/sys/kernel/seccomp/actions_avail").context("this kernel has no seccomp filters")?;
    Ok(rules()?.len())
}

/// Each call with the arguments that it may have: any of the rules, or whatever where there are none.
fn rules() -> anyhow::Result<Vec<(i64, Vec<SeccompRule>)>> {
    let mut rules: Vec<(i64, Vec<SeccompRule>)> =
        [FILES, SOCKETS, WAITING, MEMORY, THREADS, QUESTIONS, OF_THIS_PROCESSOR]
            .iter()
            .flat_map(|family| family.iter().map(|&call| (call, Vec::new())))
            .collect();
    let this_process = u64::try_from(getpid().as_raw_nonzero().get())?;
    let thread = number(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND);
    let executable = number(libc::PROT_EXEC);
    rules.extend([
        // Threads, and no processes. clone3 hides its flags from filters: it is not there, and clone takes its place.
        (libc::SYS_clone, vec![when(&[argument(0, SeccompCmpOp::MaskedEq(thread), thread)?])?]),
        // What is code was code before: nothing that was sent here ever is.
        (libc::SYS_mmap, vec![when(&[argument(2, SeccompCmpOp::MaskedEq(executable), 0)?])?]),
        (libc::SYS_mprotect, vec![when(&[argument(2, SeccompCmpOp::MaskedEq(executable), 0)?])?]),
        // No raw packets, no kernel crypto, no netlink.
        (libc::SYS_socket, any_of(0, &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6])?),
        (libc::SYS_socketpair, any_of(0, &[libc::AF_UNIX])?),
        // Nobody types into the terminal that the server was started from.
        (libc::SYS_ioctl, vec![none_of(1, &[TIOCSTI, TIOCLINUX])?]),
        // abort() signals itself.
        (libc::SYS_tgkill, vec![when(&[argument(0, SeccompCmpOp::Eq, this_process)?])?]),
        // One's own limits.
        (libc::SYS_prlimit64, any_of(0, &[0])?),
        // Names of threads and of memory.
        (libc::SYS_prctl, any_of(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_GET_DUMPABLE])?),
    ]);
    Ok(rules)
}

/// Files that are open, and opening them: Landlock and the user's rights say which. Nothing here makes a device, mounts,
/// changes the root, or opens by a handle.
const FILES: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_copy_file_range,
    libc::SYS_readahead,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    libc::SYS_pipe2,
];

/// Sockets that are there, and what is done with them: what kinds can be made is said above.
const SOCKETS: &[i64] = &[
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
];

/// Waiting for sockets, time and signals.
const WAITING: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
];

/// Memory that is not code.
const MEMORY: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_msync,
];

/// Threads and their signals.
const THREADS: &[i64] = &[
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    FUTEX_WAKE,
    FUTEX_WAIT,
    FUTEX_REQUEUE,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
];

/// What a process may ask about itself and its machine.
const QUESTIONS: &[i64] = &[
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_getcpu,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
];

/// The older forms of the calls above, which only this processor still has.
#[cfg(target_arch = "x86_64")]
const OF_THIS_PROCESSOR: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
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
];
/// Renaming without flags, which the C library's headers do not name.
#[cfg(target_arch = "aarch64")]
const OF_THIS_PROCESSOR: &[i64] = &[38];

// Newer than what the C library's headers name everywhere; their numbers are the same on all processors.
const FCHMODAT2: i64 = 452;
const FUTEX_WAKE: i64 = 454;
const FUTEX_WAIT: i64 = 455;
const FUTEX_REQUEUE: i64 = 456;

// The same on both processors.
const TIOCSTI: i32 = 0x5412;
const TIOCLINUX: i32 = 0x541c;

/// Flags are never negative.
fn number(flags: i32) -> u64 {
    u64::from(flags.unsigned_abs())
}

fn argument(index: u8, is: SeccompCmpOp, value: u64) -> anyhow::Result<SeccompCondition> {
    Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, value)?)
}

fn when(conditions: &[SeccompCondition]) -> anyhow::Result<SeccompRule> {
    Ok(SeccompRule::new(conditions.to_vec())?)
}

/// The argument is one of these.
fn any_of(index: u8, values: &[i32]) -> anyhow::Result<Vec<SeccompRule>> {
    values.iter().map(|&value| when(&[argument(index, SeccompCmpOp::Eq, number(value))?])).collect()
}

/// The argument is none of these.
fn none_of(index: u8, values: &[i32]) -> anyhow::Result<SeccompRule> {
    let conditions: Result<Vec<_>, _> =
        values.iter().map(|&value| argument(index, SeccompCmpOp::Ne, number(value))).collect();
    when(&conditions?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What a file server never calls.
    const NEVER: &[i64] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone3,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_setuid,
        libc::SYS_setresuid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_mknodat,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_memfd_create,
        libc::SYS_pkey_mprotect,
        libc::SYS_seccomp,
        libc::SYS_personality,
    ];

    #[test]
    fn calls_that_no_file_server_makes_are_not_left() {
        let rules = rules().unwrap();
        let count = rules.len();
        let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
        assert_eq!(rules.len(), count, "a call is named twice, and may have lost its conditions");
        for call in NEVER {
            assert!(!rules.contains_key(call), "{call}");
        }
        // x32's numbers have this bit.
        assert!(rules.keys().all(|call| *call < 0x4000_0000));
        #[cfg(target_arch = "x86_64")]
        assert!(!rules.contains_key(&libc::SYS_fork) && !rules.contains_key(&libc::SYS_vfork));
        // Memory is given where nothing of it is to be executed.
        let executable = number(libc::PROT_EXEC);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            let only = when(&[argument(2, SeccompCmpOp::MaskedEq(executable), 0).unwrap()]).unwrap();
            assert_eq!(rules.get(&call), Some(&vec![only]));
        }
        for call in [libc::SYS_clone, libc::SYS_socket, libc::SYS_ioctl, libc::SYS_prctl, libc::SYS_prlimit64] {
            assert!(rules.get(&call).is_some_and(|rules| !rules.is_empty()), "{call}");
        }
    }
}
