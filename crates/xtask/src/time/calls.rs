//! The system calls in which a program waits: their names, and the descriptors for which they wait.

use libc::c_long;

/// Calls that all architectures have, with their names.
const CALLS: &[(c_long, &str)] = &[
    (libc::SYS_read, "read"),
    (libc::SYS_pread64, "pread"),
    (libc::SYS_write, "write"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_close, "close"),
    (libc::SYS_ppoll, "poll"),
    (libc::SYS_epoll_pwait, "epoll_wait"),
    (libc::SYS_pselect6, "select"),
    (libc::SYS_wait4, "wait"),
    (libc::SYS_waitid, "wait"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "nanosleep"),
    (libc::SYS_rt_sigtimedwait, "sigwait"),
    (libc::SYS_rt_sigsuspend, "sigsuspend"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone"),
    (libc::SYS_execve, "execve"),
    (libc::SYS_execveat, "execve"),
    (libc::SYS_exit, "exit"),
    (libc::SYS_exit_group, "exit"),
    (libc::SYS_unshare, "unshare"),
    (libc::SYS_setns, "setns"),
    (libc::SYS_mount, "mount"),
    (libc::SYS_umount2, "umount"),
    (libc::SYS_pivot_root, "pivot_root"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_open_tree, "open_tree"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (libc::SYS_fsmount, "fsmount"),
    (libc::SYS_fsconfig, "fsconfig"),
    (libc::SYS_sendto, "send"),
    (libc::SYS_sendmsg, "send"),
    (libc::SYS_recvfrom, "recv"),
    (libc::SYS_recvmsg, "recv"),
    (libc::SYS_accept, "accept"),
    (libc::SYS_accept4, "accept"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_socket, "socket"),
    (libc::SYS_unlinkat, "rmdir"),
    (libc::SYS_mkdirat, "mkdir"),
    (libc::SYS_ioctl, "ioctl"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_mmap, "mmap"),
    (libc::SYS_munmap, "munmap"),
    (libc::SYS_prctl, "prctl"),
    (libc::SYS_seccomp, "seccomp"),
    (libc::SYS_kill, "kill"),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
    (libc::SYS_swapon, "swapon"),
    (libc::SYS_swapoff, "swapoff"),
    (libc::SYS_keyctl, "keyctl"),
    (libc::SYS_getdents64, "getdents"),
    (libc::SYS_readlinkat, "readlink"),
    (libc::SYS_memfd_create, "memfd_create"),
];

/// Calls of x86-64 alone; elsewhere the C library makes others in their place.
#[cfg(target_arch = "x86_64")]
const MORE: &[(c_long, &str)] = &[
    (libc::SYS_poll, "poll"),
    (libc::SYS_select, "select"),
    (libc::SYS_epoll_wait, "epoll_wait"),
    (libc::SYS_pause, "pause"),
    (libc::SYS_fork, "fork"),
    (libc::SYS_vfork, "vfork"),
    (libc::SYS_open, "open"),
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_rmdir, "rmdir"),
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_readlink, "readlink"),
];
#[cfg(not(target_arch = "x86_64"))]
const MORE: &[(c_long, &str)] = &[];

/// The name of a call as its manual page has it, or its number.
pub(super) fn name(call: i64) -> String {
    let known = CALLS.iter().chain(MORE).find(|(number, _)| *number == call);
    known.map_or_else(|| format!("call {call}"), |(_, name)| (*name).to_string())
}

/// The descriptors for which a call waits, by its arguments. `pollfds` reads that many at an address of its process; none
/// where that fails.
pub(super) fn waited_for(
    call: i64,
    arguments: &[u64],
    pollfds: impl Fn(u64, u64) -> Option<Vec<i32>>,
) -> Option<Vec<i32>> {
    let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
    match name(call).as_str() {
        "poll" if argument(1) == 0 => Some(Vec::new()),
        "poll" => pollfds(argument(0), argument(1)),
        "read" | "write" | "recv" | "send" | "accept" | "flock" | "ioctl" | "fsync" | "epoll_wait" => {
            // A descriptor is the lower half of its register.
            Some(vec![argument(0) as i32])
        }
        _ => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_waits_for_its_descriptors() {
        let none = |_, _| None;
        assert_eq!(waited_for(libc::SYS_read, &[5, 0x7f00, 1], none), Some(vec![5]));
        let poll = waited_for(libc::SYS_ppoll, &[0x7f00, 2, 0x7f08, 0], |at, count| {
            assert_eq!((at, count), (0x7f00, 2));
            Some(vec![3, 4])
        });
        assert_eq!(poll, Some(vec![3, 4]));
        assert_eq!(waited_for(libc::SYS_ppoll, &[0x7f00, 2], none), None);
        assert_eq!(waited_for(libc::SYS_ppoll, &[0, 0, 0x7f08], none), Some(Vec::new()));
        assert_eq!(waited_for(libc::SYS_unshare, &[0x4000_0000], none), Some(Vec::new()));
    }

    #[test]
    fn a_call_has_its_name_or_its_number() {
        assert_eq!(name(libc::SYS_umount2), "umount");
        assert_eq!(name(9999), "call 9999");
    }
}
