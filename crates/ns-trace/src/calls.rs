//! The calls that stop: those that make or change what a container consists of.

use libc::c_long;
use ns_core::seccomp::{Action, Filter, Rule};

use crate::flags::each_namespace;

/// Calls that always stop, with the names of their manual pages.
const ALWAYS: &[(c_long, &str)] = &[
    (libc::SYS_unshare, "unshare"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_setns, "setns"),
    (libc::SYS_mount, "mount"),
    (libc::SYS_umount2, "umount2"),
    (libc::SYS_pivot_root, "pivot_root"),
    (libc::SYS_chroot, "chroot"),
    (libc::SYS_fsopen, "fsopen"),
    (libc::SYS_fspick, "fspick"),
    (libc::SYS_fsconfig, "fsconfig"),
    (libc::SYS_fsmount, "fsmount"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_open_tree, "open_tree"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (libc::SYS_sethostname, "sethostname"),
    (libc::SYS_setdomainname, "setdomainname"),
    (libc::SYS_capset, "capset"),
    (libc::SYS_seccomp, "seccomp"),
    (libc::SYS_setuid, "setuid"),
    (libc::SYS_setgid, "setgid"),
    (libc::SYS_setreuid, "setreuid"),
    (libc::SYS_setregid, "setregid"),
    (libc::SYS_setresuid, "setresuid"),
    (libc::SYS_setresgid, "setresgid"),
    (libc::SYS_setgroups, "setgroups"),
    (libc::SYS_execve, "execve"),
    (libc::SYS_execveat, "execveat"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_openat2, "openat2"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, "creat"),
];

/// Calls that stop with some arguments, and those that are looked at once a process has a descriptor of interest.
const SOMETIMES: &[(c_long, &str)] = &[
    (libc::SYS_clone, "clone"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_socket, "socket"),
    (libc::SYS_prctl, "prctl"),
    (libc::SYS_write, "write"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_close, "close"),
    (libc::SYS_close_range, "close_range"),
    (libc::SYS_dup, "dup"),
    (libc::SYS_dup3, "dup3"),
    (libc::SYS_fcntl, "fcntl"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_dup2, "dup2"),
];

/// Operations of prctl(2) that stop.
const PRCTL: [i32; 5] = [
    libc::PR_CAPBSET_DROP,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_SET_SECCOMP,
    libc::PR_SET_SECUREBITS,
    // It is not reported. A report names who made the call.
    libc::PR_SET_NAME,
];

/// The name of a call that may be looked at; none for all others.
pub(crate) fn name(number: u64) -> Option<&'static str> {
    let of = |table: &'static [(c_long, &'static str)]| {
        table.iter().find(|(call, _)| *call as u64 == number).map(|(_, name)| *name)
    };
    of(ALWAYS).or_else(|| of(SOMETIMES))
}

/// The filter by which only these calls stop.
///
/// # Errors
/// On an architecture that is not known.
pub(crate) fn filter() -> ns_core::Result<Filter> {
    let mut rules: Vec<Rule> = ALWAYS.iter().map(|(call, _)| Rule::call(*call)).collect();
    rules.extend(each_namespace().map(|flag| Rule::call(libc::SYS_clone).with_bits(0, flag as u32)));
    for access in [libc::O_WRONLY, libc::O_RDWR] {
        rules.push(Rule::call(libc::SYS_openat).with_bits(2, access as u32));
        #[cfg(target_arch = "x86_64")]
        rules.push(Rule::call(libc::SYS_open).with_bits(1, access as u32));
    }
    rules.push(Rule::call(libc::SYS_unlinkat).with_bits(2, libc::AT_REMOVEDIR as u32));
    rules.push(Rule::call(libc::SYS_socket).with(0, libc::AF_NETLINK as u32));
    let cleared = Rule::call(libc::SYS_prctl).with(1, libc::PR_CAP_AMBIENT_CLEAR_ALL as u32);
    rules.push(cleared);
    rules.extend(PRCTL.map(|operation| Rule::call(libc::SYS_prctl).with(0, operation as u32)));
    Filter::new(&rules, Action::Stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_name() {
        assert_eq!(name(libc::SYS_unshare as u64), Some("unshare"));
        assert_eq!(name(libc::SYS_write as u64), Some("write"));
        assert_eq!(name(libc::SYS_getpid as u64), None);
    }

    #[test]
    fn the_filter_is_one_that_the_kernel_may_take() {
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")) {
            assert!(filter().is_ok());
        }
    }
}
