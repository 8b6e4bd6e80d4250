//! Machines that people have, as far as one process can be given them: docs/machines.md.

use ns_core::{Errno, Kind, Namespaces};

use crate::calls::AFTER_4_18;
use crate::machine::Machine;
use crate::make::{By, machine};
use crate::{hidden, prepare};

/// Those of which no other part of the table has what matters.
pub(crate) fn people() -> Vec<Machine> {
    vec![
        machine(
            "no memory controller",
            "umount -l of its hierarchy, and /proc/cgroups says that it is off",
            By::Root,
            prepare::no_memory_controller,
        )
        .named_by("memory", "is off"),
        machine(
            "university host",
            "user 64321, hidepid=2, no_new_privs, user.max_user_namespaces is 0",
            By::Root,
            prepare::be_a_guest,
        )
        .named_by("user", "max_user_namespaces is 0")
        .without_sudo(),
        machine(
            "calls of Linux 4.18, ordinary user",
            "user 64321, ENOSYS for newer calls, no time namespaces",
            By::Root,
            || {
                prepare::refuse(AFTER_4_18, Errno::ENOSYS)?;
                prepare::refuse_kinds(Namespaces::TIME, Errno::EINVAL)?;
                hidden::let_others_answer()?;
                prepare::become_stranger()
            },
        )
        .named_by("time", "this kernel has no time namespaces")
        .hides(Kind::Time),
        machine(
            "busybox alone",
            "tmpfs on the directories of programs, with busybox in it",
            By::Root,
            prepare::busybox_alone,
        )
        .named_by("lsns", "lsns"),
        machine("busybox alone, ordinary user", "the same, user 64321", By::Root, || {
            prepare::busybox_alone()?;
            prepare::become_stranger()
        })
        .named_by("lsns", "lsns"),
        machine(
            "AppArmor's restriction",
            "user 64321, apparmor_restrict_unprivileged_userns is 1; mount gives EACCES; umount2, chroot, pivot_root, \
             sethostname, setdomainname give EPERM",
            By::Root,
            prepare::restrict_as_apparmor,
        )
        .named_by("AppArmor", "apparmor_restrict_unprivileged_userns"),
        machine(
            "docker run",
            "Docker's filter and capabilities; /proc/sys and cgroups read-only",
            By::Root,
            prepare::run_as_docker,
        )
        .named_by("all system calls", "Seccomp"),
    ]
}
