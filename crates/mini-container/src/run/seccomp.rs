//! Which system calls are left: seccomp(2).

use ns_core::seccomp::{Action, Filter, Rule};
use ns_core::{Errno, Result};

/// Calls that a container has no use for, and that its capabilities alone do not close: many were the way out once.
///
/// A list of what is forbidden is shorter to read than one of what is allowed. Runtimes write the latter, since what
/// the kernel learns tomorrow is then refused.
#[rustfmt::skip]
const FORBIDDEN: &[libc::c_long] = &[
    // Keys belong to users, and are kept apart by user namespaces only.
    libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key,
    // A nested user namespace gives all capabilities back, and with them every path of the kernel that asks for one.
    libc::SYS_unshare, libc::SYS_setns,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_open_tree, libc::SYS_move_mount,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr,
    // Programs in the kernel, and what watches or stalls it.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_kcmp,
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    // A file by its number instead of its name: past every mount (the "shocker" escape of 2014).
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at, libc::SYS_fanotify_init,
    // The machine: its kernel, modules, clock, swap, power, accounting and log.
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_init_module, libc::SYS_finit_module,
    libc::SYS_delete_module, libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_adjtimex,
    libc::SYS_clock_adjtime, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_reboot, libc::SYS_acct,
    libc::SYS_quotactl, libc::SYS_syslog, libc::SYS_vhangup, libc::SYS_nfsservctl, libc::SYS_lookup_dcookie,
    libc::SYS_personality,
    // Where memory lies.
    libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_migrate_pages, libc::SYS_move_pages,
    #[cfg(target_arch = "x86_64")] libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")] libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")] libc::SYS_modify_ldt,
];

/// What clone(2) may not be asked for: a namespace.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// What ioctl(2) may not be asked for: to type in the place of whoever sits at the terminal.
const TYPING: [libc::Ioctl; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Puts this process, and all that come from it, behind the filters. Needs no_new_privs or CAP_SYS_ADMIN.
///
/// # Errors
/// EACCES without either; EINVAL where the kernel was built without seccomp.
pub(crate) fn filter() -> Result<()> {
    let mut rules: Vec<Rule> = FORBIDDEN.iter().map(|call| Rule::call(*call)).collect();
    rules.extend(NAMESPACES.map(|flag| Rule::call(libc::SYS_clone).with_bits(0, flag as u32)));
    rules.extend(TYPING.map(|request| Rule::call(libc::SYS_ioctl).with(1, request as u32)));
    // The same calls have a second number each, for the x32 ABI, and the kernel reports the same architecture for it.
    #[cfg(target_arch = "x86_64")]
    rules.extend(rules.clone().into_iter().map(|rule| rule.renumbered(rule.number() | 0x4000_0000)));
    Filter::new(&rules, Action::Refuse(Errno::EPERM))?.install()?;
    // clone3(2) has its flags in memory, where no filter can look. "No such call" makes the C library ask clone(2).
    Filter::new(&[Rule::call(libc::SYS_clone3)], Action::Refuse(Errno::ENOSYS))?.install()
}
