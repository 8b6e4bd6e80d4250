//! What this kernel is, what it can do, and what stands between it and us.

use std::fs;
use std::path::Path;

use lesson::Kernel;
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use nix::unistd::getuid;
use ns_core::child::{self, Call};
use ns_core::probe::{self, Missing};
use ns_core::{
    Capability, Child, Errno, Error, Kind, Named, Namespaces, NsFile, Result, namespace, process, stage, uts,
};

use super::Group;

/// By its first argument this program knows that it is the child of [`enters_time_at_exec`].
const AFTER_EXEC: &str = "after execve";

/// What a capability is needed for.
const CAPABILITIES: &[(Capability, &str)] = &[
    (Capability::CAP_SYS_ADMIN, "namespaces without a user namespace of one's own; mounts"),
    (Capability::CAP_SETUID, "user IDs other than one's own; maps of them"),
    (Capability::CAP_SETGID, "group IDs other than one's own; maps of them"),
    (Capability::CAP_NET_ADMIN, "network devices, addresses and routes"),
    (Capability::CAP_SYS_CHROOT, "chroot(2); mount namespaces of others"),
    (Capability::CAP_MKNOD, "device files"),
    (Capability::CAP_SYS_RESOURCE, "limits beyond the hard ones"),
    (Capability::CAP_SYS_TIME, "the wall clock"),
    (Capability::CAP_SYS_BOOT, "reboot(2)"),
    (Capability::CAP_CHECKPOINT_RESTORE, "PIDs of one's choice"),
];

/// What changed with a release, where the change itself cannot be asked for without changing the machine.
const BY_RELEASE: &[(Kernel, &str, &str)] = &[
    (Kernel(6, 11), "pids.events", "counts a refused fork where the limit is, not where the fork was"),
    (Kernel(6, 14), "pid_max", "is one for each PID namespace"),
];

pub(super) fn switches() -> Group {
    let mut group = Group::new("Kernel");
    group.add("release", uts::release(), Ok(None));
    group.add("clone3()", "makes children", clone3());
    let pidfd = Child::spawn("probe", Namespaces::NONE, |_| Ok(())).map(|_| None);
    group.add("pidfd", "a child made with CLONE_PIDFD has one", pidfd);
    group.add("NS_GET_ID", "a number for every namespace that is never used again", ns_get_id());
    let found = "enters the time namespace that unshare(2) made";
    group.add("execve()", found, enters_time_at_exec());
    let (major, minor) = uts::kernel_version();
    for (since, check, found) in BY_RELEASE {
        let missing =
            (Kernel(major, minor) < *since).then(|| newer(&format!("{found}: not before {since}"), *since));
        group.add(*check, format!("{found} (since {since})"), Ok(missing));
    }
    group
}

fn newer(what: &str, since: Kernel) -> Missing {
    Missing::new(what, format!("run Linux {since} or newer"))
}

fn clone3() -> Result<Option<Missing>> {
    match child::born_by(Call::Clone3, 0) {
        Err(Error::Call { errno: Errno::ENOSYS, .. }) => Ok(Some(Missing::new(
            "clone3() gives ENOSYS, as a seccomp filter has it: clone() stands in, without CLONE_NEWTIME and \
             CLONE_INTO_CGROUP",
            "run on the host or in a virtual machine",
        ))),
        other => other.map(|_| None),
    }
}

fn ns_get_id() -> Result<Option<Missing>> {
    match NsFile::of(None, Kind::Uts)?.serial() {
        Err(Error::Call { call, errno: errno @ (Errno::ENOTTY | Errno::EINVAL) }) => {
            Ok(Some(newer(&format!("{call} gives {errno:?}"), Kernel(6, 18))))
        }
        other => other.map(|_| None),
    }
}

/// Since Linux 6.2 a process that has unshared a time namespace enters it itself when it executes a program.
fn enters_time_at_exec() -> Result<Option<Missing>> {
    if let Some(missing) = probe::stage(Namespaces::TIME)? {
        return Ok(Some(missing));
    }
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        stage::enter(Namespaces::TIME)?;
        me.saw("time namespace", namespace::of_kind(None, Kind::Time)?)?;
        me.exec_again(AFTER_EXEC).map(drop)
    })?;
    let (before, after) = (child.hear()?, child.hear()?);
    Ok((before.value == after.value).then(|| {
        newer("leaves its caller in the old time namespace: only children are in the new one", Kernel(6, 2))
    }))
}

/// To be called first in `main`: in the child of [`enters_time_at_exec`] it does not return.
pub(crate) fn as_a_child_of_ours() {
    child::after_exec(AFTER_EXEC, |me| me.saw("time namespace", namespace::of_kind(None, Kind::Time)?));
}

pub(super) fn fences() -> Group {
    let mut group = Group::new("Surroundings");
    let who = if getuid().is_root() { "root".into() } else { format!("user {}", getuid()) };
    group.add("user", who, Ok(None));
    group.add("procfs", "mounted at /proc", procfs());
    group.add("all system calls", "reach the kernel: no seccomp filter", seccomp());
    let knob = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    let restricts = fs::read_to_string(knob).is_ok_and(|text| text.trim() == "1");
    group.add(
        "AppArmor",
        "lets ordinary users make user namespaces",
        Ok(restricts.then(|| {
            Missing::new(
                format!("{knob} is 1"),
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root",
            )
        })),
    );
    let chrooted = probe::is_chrooted().then(|| {
        Missing::new(
            "our root directory is no mount, as in a chroot: user namespaces give EPERM",
            "run outside of it",
        )
    });
    group.add("root directory", "a mount's, and no chroot", Ok(chrooted));
    group.add("own machine", "no container engine has left a mark", Ok(container()));
    group
}

fn procfs() -> Result<Option<Missing>> {
    let kind = statfs("/proc").named(|| "statfs(\"/proc\")".into())?.filesystem_type();
    Ok((kind != PROC_SUPER_MAGIC).then(|| Missing::new("/proc is no procfs", "mount -t proc proc /proc")))
}

fn seccomp() -> Result<Option<Missing>> {
    let mode = process::status(None)?.seccomp;
    Ok(match mode {
        None | Some(0) => None,
        Some(mode) => Some(Missing::new(
            format!("Seccomp in /proc/self/status is {mode}: a filter may hide calls, as in a container"),
            "run on the host or in a virtual machine",
        )),
    })
}

/// The marks that container engines leave for the programs inside.
fn container() -> Option<Missing> {
    let marks = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
    let mark = marks.into_iter().find(|mark| Path::new(mark).exists());
    mark.map(|mark| Missing::new(format!("{mark} is there"), "run on the host or in a virtual machine"))
}

pub(super) fn capabilities() -> Group {
    let mut group = Group::new("Capabilities");
    for (capability, purpose) in CAPABILITIES {
        let missing =
            probe::capability(*capability).map(|Missing { remedy, .. }| Missing::new(*purpose, remedy));
        group.add(capability.to_string(), *purpose, Ok(missing));
    }
    group
}
