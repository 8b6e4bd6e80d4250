//! The seccomp filter of system calls: seccomp(2).

use ns_core::seccomp::{Action, Filter, Rule};
use ns_core::{Errno, Result};

/// System calls that a container does not need. Dropping capabilities does not block all of them, and many have been used
/// for breakouts.
///
/// A list of forbidden calls is shorter than a list of allowed ones. Runtimes use lists of allowed calls, so that new
/// calls of later kernels are forbidden too.
#[rustfmt::skip]
const FORBIDDEN: &[libc::c_long] = &[
    // Keys belong to users, and only user namespaces separate them.
    libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key,
    // A nested user namespace gives all capabilities back, and with them access to more kernel code.
    libc::SYS_unshare, libc::SYS_setns,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_open_tree, libc::SYS_move_mount,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr,
    // BPF programs, and calls that trace or stall the kernel.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_kcmp,
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    // Files by file handle instead of path: this bypasses mounts (the "shocker" breakout of 2014).
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at, libc::SYS_fanotify_init,
    // The machine: its kernel, modules, clock, swap, power, accounting and log.
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_init_module, libc::SYS_finit_module,
    libc::SYS_delete_module, libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_adjtimex,
    libc::SYS_clock_adjtime, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_reboot, libc::SYS_acct,
    libc::SYS_quotactl, libc::SYS_syslog, libc::SYS_vhangup, libc::SYS_nfsservctl, libc::SYS_lookup_dcookie,
    libc::SYS_personality,
    // The placement of memory.
    libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_migrate_pages, libc::SYS_move_pages,
    #[cfg(target_arch = "x86_64")] libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")] libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")] libc::SYS_modify_ldt,
];

/// Flags of clone(2) that are forbidden: new namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Requests of ioctl(2) that are forbidden: they put input into a terminal, as if the user had typed it.
const TYPING: [libc::Ioctl; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// The filter for init and its descendants.
///
/// # Errors
/// As [`Filter::new`].
pub(crate) fn filter() -> Result<Filter> {
    let calls = FORBIDDEN.iter().map(|call| Rule::call(*call));
    let namespaces = NAMESPACES.map(|flag| Rule::call(libc::SYS_clone).with_bits(0, flag as u32));
    let typing = TYPING.map(|request| Rule::call(libc::SYS_ioctl).with(1, request as u32));
    let mut rules: Vec<(Rule, Action)> =
        calls.chain(namespaces).chain(typing).map(|rule| (rule, Action::Refuse(Errno::EPERM))).collect();
    // The flags of clone3(2) are in memory, which a filter cannot read. On ENOSYS, the C library uses clone(2) instead.
    rules.push((Rule::call(libc::SYS_clone3), Action::Refuse(Errno::ENOSYS)));
    Filter::of(&rules)
}
