//! The system calls that machines refuse in turn.

use libc::c_long;

/// Each by its name and its numbers, all by which the C library may make it.
pub(crate) const CALLS: &[(&str, &[c_long])] = &[
    ("add_key", &[libc::SYS_add_key]),
    ("bpf", &[libc::SYS_bpf]),
    ("capset", &[libc::SYS_capset]),
    ("chroot", &[libc::SYS_chroot]),
    ("clone3", &[libc::SYS_clone3]),
    ("close_range", &[libc::SYS_close_range]),
    ("io_uring_setup", &[libc::SYS_io_uring_setup]),
    ("kcmp", &[libc::SYS_kcmp]),
    ("keyctl", &[libc::SYS_keyctl]),
    ("memfd_create", &[libc::SYS_memfd_create]),
    ("mknodat", MKNOD),
    ("mount", &[libc::SYS_mount]),
    ("mount_setattr", &[libc::SYS_mount_setattr]),
    ("move_mount", &[libc::SYS_move_mount]),
    ("mq_open", &[libc::SYS_mq_open]),
    ("msgget", &[libc::SYS_msgget]),
    ("name_to_handle_at", &[libc::SYS_name_to_handle_at]),
    ("open_tree", &[libc::SYS_open_tree]),
    ("openat2", &[libc::SYS_openat2]),
    ("perf_event_open", &[libc::SYS_perf_event_open]),
    ("personality", &[libc::SYS_personality]),
    ("pidfd_getfd", &[libc::SYS_pidfd_getfd]),
    ("pidfd_open", &[libc::SYS_pidfd_open]),
    ("pidfd_send_signal", &[libc::SYS_pidfd_send_signal]),
    ("pivot_root", &[libc::SYS_pivot_root]),
    ("ptrace", &[libc::SYS_ptrace]),
    ("reboot", &[libc::SYS_reboot]),
    ("seccomp", &[libc::SYS_seccomp]),
    ("semget", &[libc::SYS_semget]),
    ("setdomainname", &[libc::SYS_setdomainname]),
    ("setgroups", &[libc::SYS_setgroups]),
    ("sethostname", &[libc::SYS_sethostname]),
    ("setns", &[libc::SYS_setns]),
    ("shmget", &[libc::SYS_shmget]),
    ("syslog", &[libc::SYS_syslog]),
    ("umount2", &[libc::SYS_umount2]),
    ("unshare", &[libc::SYS_unshare]),
];

#[cfg(target_arch = "x86_64")]
const MKNOD: &[c_long] = &[libc::SYS_mknod, libc::SYS_mknodat];
#[cfg(not(target_arch = "x86_64"))]
const MKNOD: &[c_long] = &[libc::SYS_mknodat];

/// Those that came after Linux 4.18, which distributions for servers kept for years.
pub(crate) const AFTER_4_18: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_close_range,
    libc::SYS_faccessat2,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_io_uring_setup,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_openat2,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
];
