//! What of this machine makes the kernel refuse a call.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use caps::Capability;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use observation::{Kind, Refused};

use super::is_chrooted;
use crate::namespace::{self, Namespaces};
use crate::unmet::{Because, Unmet};
use crate::{capabilities, files, process};

/// Filesystems that a machine may lack or hide, the innermost first.
const FILESYSTEMS: [(&str, FsType); 2] = [("/proc", PROC_SUPER_MAGIC), ("/sys", SYSFS_MAGIC)];

/// Where settings are written, the innermost first.
const SETTINGS: [&str; 3] = ["/proc/sys", "/proc", "/sys"];

/// What a call needs that has this in it, as typed (capabilities(7)). Of a root that lacks another capability, that is no
/// reason: most containers, and many virtual machines, lack some.
const NEEDS: &[(&str, &[Capability])] = &[
    ("SOCK_RAW", &[Capability::CAP_NET_RAW]),
    ("_map", &[Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_SETFCAP]),
    ("bind(", &[Capability::CAP_NET_BIND_SERVICE]),
    ("capset", &[Capability::CAP_SETPCAP]),
    ("chmod", &[Capability::CAP_FOWNER]),
    ("chown", &[Capability::CAP_CHOWN]),
    ("chroot", &[Capability::CAP_SYS_CHROOT]),
    ("clock_settime", &[Capability::CAP_SYS_TIME]),
    ("clone", &[Capability::CAP_SYS_ADMIN]),
    ("kill(", &[Capability::CAP_KILL]),
    ("mknod", &[Capability::CAP_MKNOD]),
    ("mount", &[Capability::CAP_SYS_ADMIN]),
    ("netlink", &[Capability::CAP_NET_ADMIN]),
    ("open(", &[Capability::CAP_DAC_OVERRIDE, Capability::CAP_DAC_READ_SEARCH]),
    ("pidfd_getfd", &[Capability::CAP_SYS_PTRACE]),
    ("pivot_root", &[Capability::CAP_SYS_ADMIN]),
    ("prctl(PR_CAP", &[Capability::CAP_SETPCAP]),
    ("ptrace", &[Capability::CAP_SYS_PTRACE]),
    ("read", &[Capability::CAP_DAC_READ_SEARCH, Capability::CAP_SYS_PTRACE]),
    ("reboot", &[Capability::CAP_SYS_BOOT]),
    ("rlimit", &[Capability::CAP_SYS_RESOURCE]),
    ("setdomainname", &[Capability::CAP_SYS_ADMIN]),
    ("sete", &[Capability::CAP_SETUID, Capability::CAP_SETGID]),
    ("setgroups", &[Capability::CAP_SETGID]),
    ("sethostname", &[Capability::CAP_SYS_ADMIN]),
    ("setns", &[Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_CHROOT]),
    ("setres", &[Capability::CAP_SETUID, Capability::CAP_SETGID]),
    ("swap", &[Capability::CAP_SYS_ADMIN]),
    ("timens_offsets", &[Capability::CAP_SYS_TIME]),
    ("unshare", &[Capability::CAP_SYS_ADMIN]),
];

/// What of this machine makes the kernel refuse a call that asked for `namespaces`.
pub fn why_refused(refused: Refused, namespaces: Namespaces) -> Unmet {
    cause(&refused, namespaces).unwrap_or(Unmet::Refused { refused, because: None })
}

/// As [`why_refused`], where it can be told: what of this machine answers a call so that other machines answer
/// otherwise. The kinds of namespace that the call names count as asked for.
pub fn cause(refused: &Refused, namespaces: Namespaces) -> Option<Unmet> {
    let is_number = |file: &str, number: i64| files::number(file) == Ok(number);
    let setting = |name: &str, value| Some(Unmet::Setting { name: name.into(), value });
    let has = |kind: &Kind| Path::new(&format!("/proc/self/ns/{kind}")).exists();
    let is_file_of = |kind: &Kind| refused.call.contains(&format!("/ns/{kind}"));
    if refused.errno == Errno::ENOENT {
        let lacks = Kind::ALL.into_iter().find(|kind| is_file_of(kind) && !has(kind));
        if let Some(kind) = lacks {
            return Some(Unmet::Kind(kind));
        }
    }
    for kind in Kind::ALL {
        if !namespaces.contains(Namespaces::only(kind)) && !refused.call.contains(kind.flag()) {
            continue;
        }
        let file = format!("/proc/sys/user/max_{kind}_namespaces");
        if is_number(&file, 0) {
            return setting(&file, 0);
        }
        if !has(&kind) {
            return Some(Unmet::Kind(kind));
        }
    }
    if let Some(kind) = unknown_kind(refused) {
        return Some(Unmet::Kind(kind));
    }
    let denied = matches!(refused.errno, Errno::EPERM | Errno::EACCES);
    if denied && !is_the_hosts_root() {
        for (knob, value) in [("unprivileged_userns_clone", 0), ("apparmor_restrict_unprivileged_userns", 1)]
        {
            if is_number(&format!("/proc/sys/kernel/{knob}"), value) {
                return setting(&format!("kernel.{knob}"), value);
            }
        }
    }
    because(refused).map(|because| Unmet::Refused { refused: refused.clone(), because: Some(because) })
}

/// The kind of namespace that this kernel was built without, if that is why: it does not know the flag then (unshare(2) and
/// clone(2), EINVAL). CLONE_NEWUSER may stand beside it, for who has no privilege.
fn unknown_kind(Refused { call, errno }: &Refused) -> Option<Kind> {
    let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
    if *errno != Errno::EINVAL || !["clone", "clone3", "unshare"].contains(&name) {
        return None;
    }
    let kind = |flag: &str| Kind::ALL.into_iter().find(|kind| kind.flag() == flag);
    let mut kinds = arguments.split('|').map(kind).collect::<Option<Vec<_>>>()?;
    if kinds.len() > 1 {
        kinds.retain(|kind| *kind != Kind::User);
    }
    let [kind] = kinds.as_slice() else { return None };
    Some(*kind)
}

/// What stands between the caller and the kernel, and gives such an answer.
fn because(Refused { call, errno }: &Refused) -> Option<Because> {
    // A sysfs of one's own is refused to who sees none (user_namespaces(7), "Mount restrictions").
    if *errno == Errno::EPERM && call.contains("mount") && call.contains("sysfs") && !is_mounted("/sys") {
        return Some(Because::NotMounted("/sys"));
    }
    let named = FILESYSTEMS.into_iter().find(|(path, _)| call.contains(path));
    if let Some((path, _)) = named.filter(|_| matches!(errno, Errno::ENOENT | Errno::ENOTDIR)) {
        if !is_mounted(path) {
            return Some(Because::NotMounted(path));
        }
        return (path == "/proc" && hides_processes()).then_some(Because::HidePid);
    }
    if *errno == Errno::ENOENT {
        let device = device_in(call)?;
        return (!Path::new(device).exists()).then(|| Because::NoDevice(device.into()));
    }
    if *errno == Errno::EROFS {
        let read_only = |path: &&str| statvfs(*path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY));
        return SETTINGS.into_iter().find(read_only).map(Because::ReadOnly);
    }
    let denied = matches!(errno, Errno::EPERM | Errno::EACCES);
    let no_mount = *errno == Errno::EINVAL && (call.contains("mount") || call.contains("pivot_root"));
    if (*errno == Errno::EPERM || no_mount) && is_chrooted() {
        return Some(Because::Chrooted);
    }
    let status = process::status(None).ok()?;
    if *errno == Errno::EINVAL && status.seccomp == Some(2) && is_setns_answered_for_the_kernel(call) {
        return Some(Because::Seccomp);
    }
    // Of the filters of a process one may have a listener (seccomp(2)): here it is a container engine's.
    let listens = *errno == Errno::EBUSY && call.contains("SECCOMP_FILTER_FLAG_NEW_LISTENER");
    if (denied || listens || *errno == Errno::ENOSYS) && status.seccomp == Some(2) {
        return Some(Because::Seccomp);
    }
    let mut lacking = if denied { deprived_of(status.capbnd.unwrap_or(u64::MAX)) } else { Vec::new() };
    let needs = || NEEDS.iter().filter(|(part, _)| call.contains(part)).flat_map(|(_, needs)| *needs);
    lacking.retain(|one| needs().any(|needed| needed == one));
    (!lacking.is_empty()).then_some(Because::Deprived(lacking))
}

/// Whether something gives EINVAL to setns() with these flags before the kernel looks at its descriptor. To one with O_PATH
/// it gives EBADF, whatever the flags (open(2)).
fn is_setns_answered_for_the_kernel(call: &str) -> bool {
    let kinds = Kind::ALL.into_iter().filter(|kind| call.contains(kind.flag()));
    let kinds = kinds.map(Namespaces::only).collect();
    let path = File::options().read(true).custom_flags(OFlag::O_PATH.bits()).open("/");
    let answer =
        |path: File| namespace::enter_all_of(path.as_fd(), kinds).err().and_then(|error| error.errno());
    call.starts_with("setns(") && path.is_ok_and(|path| answer(path) == Some(Errno::EINVAL))
}

/// The device in /dev itself that a call names, as typed: `open("/dev/null")`.
fn device_in(call: &str) -> Option<&str> {
    let path = call.split('"').find(|part| part.starts_with("/dev/"))?;
    (!path["/dev/".len()..].contains('/')).then_some(path)
}

/// Whether one of [`FILESYSTEMS`] is mounted at its place.
fn is_mounted(place: &str) -> bool {
    let found = statfs(place).map(|found| found.filesystem_type());
    FILESYSTEMS.iter().any(|(path, magic)| *path == place && found == Ok(*magic))
}

/// Whether the caller is user 0 of a user namespace that maps every ID: the first one, as far as can be seen.
fn is_the_hosts_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether /proc shows a user the own processes alone (proc(5), `hidepid`).
pub fn hides_processes() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut of_proc = mounts.lines().rev().filter(|line| line.split(' ').nth(4) == Some("/proc"));
    let hides = |line: &str| {
        let options = line.rsplit(' ').next().unwrap_or_default();
        options.split(',').any(|option| option.starts_with("hidepid=") && !option.ends_with("off"))
    };
    of_proc.next().is_some_and(hides)
}

/// The capabilities that the bounding set `bounding` lacks: no execve(2) gives them back (capabilities(7)).
pub fn deprived_of(bounding: u64) -> Vec<Capability> {
    let known = capabilities::all().unwrap_or(0);
    let mut lacking: Vec<_> = caps::all().into_iter().collect();
    lacking.retain(|one| known & !bounding & one.bitmask() != 0);
    lacking.sort_by_key(Capability::index);
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_the_kernel_does_not_know_names_the_kind_that_it_lacks() {
        let unknown = |call: &str, errno| unknown_kind(&Refused { call: call.into(), errno });
        assert_eq!(unknown("unshare(CLONE_NEWTIME)", Errno::EINVAL), Some(Kind::Time));
        assert_eq!(unknown("clone3(CLONE_NEWTIME|CLONE_NEWUSER)", Errno::EINVAL), Some(Kind::Time));
        assert_eq!(unknown("unshare(CLONE_NEWUSER)", Errno::EINVAL), Some(Kind::User));
        for (call, errno) in [
            ("unshare(CLONE_NEWTIME)", Errno::EPERM),
            ("unshare(CLONE_NEWTIME|CLONE_NEWUTS)", Errno::EINVAL),
            ("setns(fd, CLONE_NEWUSER)", Errno::EINVAL),
            ("clone(CLONE_NEWNS|CLONE_FS)", Errno::EINVAL),
        ] {
            assert_eq!(unknown(call, errno), None, "{call}: {errno:?}");
        }
    }

    #[test]
    fn a_kind_that_has_its_files_is_no_reason_for_enoent() {
        let refused = |call: &str| Refused { call: call.into(), errno: Errno::ENOENT };
        assert_eq!(cause(&refused("open(\"/proc/4194305/ns/uts\")"), Namespaces::NONE), None);
    }

    #[test]
    fn without_a_filter_the_kernel_itself_answers_to_setns() {
        for call in ["setns(fd)", "setns(fd, CLONE_NEWUSER)", "setns(pidfd, CLONE_NEWPID|CLONE_NEWNS)"] {
            assert!(!is_setns_answered_for_the_kernel(call), "{call}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_a_reason_for_enoent_alone() {
        let because = |call: &str, errno| because(&Refused { call: call.into(), errno });
        let missing = "open(\"/dev/no-such-device\", O_RDONLY)";
        assert_eq!(because(missing, Errno::ENOENT), Some(Because::NoDevice("/dev/no-such-device".into())));
        assert_eq!(because("open(\"/dev\")", Errno::ENOENT), None);
        assert_eq!(because("open(\"/dev/shm/no-such-file\")", Errno::ENOENT), None);
        assert_eq!(because(missing, Errno::ENOTDIR), None);
    }

    #[test]
    fn a_capability_is_a_reason_for_what_needs_it() {
        let lacking = deprived_of(!Capability::CAP_KILL.bitmask());
        assert_eq!(lacking, [Capability::CAP_KILL]);
        assert!(
            NEEDS.iter().any(|(part, needs)| "kill(child, SIGTERM)".contains(part)
                && needs.contains(&Capability::CAP_KILL))
        );
    }
}
