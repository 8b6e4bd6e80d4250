//! What this kernel is, what it can do, and what stands between it and us.

use std::fs;
use std::path::Path;

use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::getuid;
use ns_core::child::{self, Call};
use ns_core::probe::{self, Unmet};
use ns_core::{
    Capability, Child, Errno, Error, Kind, Named, Namespaces, NsFile, Result, namespace, process, sandbox,
    uts,
};
use transcript::Kernel;

use super::check::Group;

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

/// Devices that programs take for granted.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/tty", "/dev/urandom", "/dev/ptmx"];

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

fn newer(what: &str, since: Kernel) -> Unmet {
    Unmet::new(what, format!("run Linux {since} or newer"))
}

fn clone3() -> Result<Option<Unmet>> {
    match child::clone_with_flags(Call::Clone3, 0) {
        Err(Error::Call { errno: errno @ (Errno::ENOSYS | Errno::EPERM), .. }) => Ok(Some(Unmet::new(
            format!(
                "clone3() gives {errno:?}, as a seccomp filter has it: clone() stands in, without \
                 CLONE_NEWTIME and CLONE_INTO_CGROUP"
            ),
            "run on the host or in a virtual machine",
        ))),
        other => other.map(|_| None),
    }
}

fn ns_get_id() -> Result<Option<Unmet>> {
    // Of any kind that this kernel has.
    let kinds = Kind::ALL.into_iter();
    let file = kinds.map(|kind| NsFile::of(None, kind)).find(Result::is_ok);
    match file.unwrap_or_else(|| NsFile::of(None, Kind::Uts))?.serial() {
        Err(Error::Call { call, errno: errno @ (Errno::ENOTTY | Errno::EINVAL) }) => {
            Ok(Some(newer(&format!("{call} gives {errno:?}"), Kernel(6, 18))))
        }
        other => other.map(|_| None),
    }
}

/// Since Linux 6.2 a process that has unshared a time namespace enters it itself when it executes a program.
fn enters_time_at_exec() -> Result<Option<Unmet>> {
    if let Some(missing) = probe::sandbox(Namespaces::TIME)? {
        return Ok(Some(missing));
    }
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::TIME)?;
        me.report("time namespace", namespace::of_kind(None, Kind::Time)?)?;
        me.exec_again(AFTER_EXEC).map(drop)
    })?;
    let (before, after) = (child.fact()?, child.fact()?);
    Ok((before.value == after.value).then(|| {
        newer("leaves its caller in the old time namespace: only children are in the new one", Kernel(6, 2))
    }))
}

/// To be called first in `main`: in the child of [`enters_time_at_exec`] it does not return.
pub(crate) fn as_a_child_of_ours() {
    child::after_exec(AFTER_EXEC, |me| me.report("time namespace", namespace::of_kind(None, Kind::Time)?));
}

pub(super) fn fences() -> Group {
    let mut group = Group::new("Surroundings");
    let who = if getuid().is_root() { "root".into() } else { format!("user {}", getuid()) };
    group.add("user", who, Ok(None));
    group.add("procfs", "mounted at /proc", mounted("/proc", PROC_SUPER_MAGIC, "proc"));
    group.add("other processes", "are to be seen in /proc", Ok(hidden_processes()));
    group.add("settings", "/proc/sys is mounted writable", Ok(read_only("/proc/sys")));
    group.add("sysfs", "mounted at /sys", mounted("/sys", SYSFS_MAGIC, "sysfs"));
    group.add("devices", "/dev has those that every Linux has", Ok(devices()));
    group.add("all system calls", "reach the kernel: no seccomp filter", seccomp());
    group.add("privilege by execve()", "sudo can give root: no_new_privs is not set", Ok(no_new_privs()));
    group.add("bounding set", "execve() can give root every capability", bounding_set());
    group.add("AppArmor", "lets ordinary users make user namespaces", Ok(apparmor()));
    let chrooted = probe::is_chrooted().then(|| {
        Unmet::new(
            "this process is in a chroot: user namespaces give EPERM, and / need not be a mount",
            "run outside of it",
        )
    });
    group.add("root directory", "the mount namespace's, and no chroot", Ok(chrooted));
    group.add("own machine", "no container engine has left a mark", Ok(container()));
    group
}

/// Whether a filesystem is mounted where everybody expects it.
fn mounted(place: &str, magic: FsType, name: &str) -> Result<Option<Unmet>> {
    let found = match statfs(place) {
        Ok(found) => found.filesystem_type() == magic,
        Err(Errno::ENOENT) => false,
        Err(errno) => return Err(errno).named(|| format!("statfs(\"{place}\")")),
    };
    let missing =
        || Unmet::new(format!("no {name} is mounted at {place}"), format!("mount -t {name} {name} {place}"));
    Ok((!found).then(missing))
}

/// Whether a filesystem is mounted read-only, as in a container.
fn read_only(place: &str) -> Option<Unmet> {
    let read_only = statvfs(place).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY));
    read_only.then(|| {
        Unmet::new(format!("{place} is mounted read-only"), "run on the host or in a virtual machine")
    })
}

/// Whether /proc hides processes from us: init is anybody's to see (proc(5), `hidepid`).
fn hidden_processes() -> Option<Unmet> {
    probe::hides_processes().then(|| {
        Unmet::new(
            "/proc is mounted with hidepid: it shows an ordinary user the own processes alone",
            "run as root: sudo …, or mount -o remount,hidepid=0 /proc",
        )
    })
}

fn devices() -> Option<Unmet> {
    let lacking: Vec<_> = DEVICES.into_iter().filter(|device| !Path::new(device).exists()).collect();
    (!lacking.is_empty()).then(|| {
        Unmet::new(format!("there is no {}", lacking.join(", no ")), "mount -t devtmpfs devtmpfs /dev")
    })
}

/// Whether no program that this one executes can gain privilege, as in the terminals of some editors and snaps.
fn no_new_privs() -> Option<Unmet> {
    let is_set = nix::sys::prctl::get_no_new_privs() == Ok(true);
    is_set.then(|| {
        Unmet::new(
            "no_new_privs is set, as in some editors' and snaps' terminals: set-user-ID programs such as \
             su cannot make us root",
            "open a terminal of the system's own",
        )
    })
}

/// Whether root was deprived of capabilities, as in a container.
fn bounding_set() -> Result<Option<Unmet>> {
    let lacking = probe::deprived_of(process::status(None)?.capbnd.unwrap_or(u64::MAX));
    let names = lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok((!lacking.is_empty())
        .then(|| Unmet::new(format!("it lacks {names}"), "run where root has not been deprived of them")))
}

fn apparmor() -> Option<Unmet> {
    let knob = "kernel.apparmor_restrict_unprivileged_userns";
    let path = format!("/proc/sys/{}", knob.replace('.', "/"));
    let restricts = fs::read_to_string(path).is_ok_and(|text| text.trim() == "1");
    restricts.then(|| Unmet::Setting { name: knob.into(), value: 1 })
}

fn seccomp() -> Result<Option<Unmet>> {
    let mode = process::status(None)?.seccomp;
    Ok(match mode {
        None | Some(0) => None,
        Some(mode) => Some(Unmet::new(
            format!("Seccomp in /proc/self/status is {mode}: a filter may hide calls, as in a container"),
            "run on the host or in a virtual machine",
        )),
    })
}

/// The marks that container engines leave for the programs inside.
fn container() -> Option<Unmet> {
    let marks = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
    let mark = marks.into_iter().find(|mark| Path::new(mark).exists());
    mark.map(|mark| Unmet::new(format!("{mark} is there"), "run on the host or in a virtual machine"))
}

pub(super) fn capabilities() -> Group {
    let mut group = Group::new("Capabilities");
    for (capability, purpose) in CAPABILITIES {
        let missing =
            probe::capability(*capability).map(|unmet| Unmet::new(*purpose, lesson::unmet::remedy(&unmet)));
        group.add(capability.to_string(), *purpose, Ok(missing));
    }
    group
}
