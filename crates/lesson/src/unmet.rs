//! How to get what a machine or its user lacks.

use std::path::Path;

use nix::unistd::getuid;
use ns_core::probe::{Because, Elsewhere, NoParent, Unmet};
use ns_core::{Child, Errno, Kind, Reporter};

/// What v2 has instead of a controller that it never has (cgroup-v2.rst).
const INSTEAD: [(&str, &str); 5] = [
    ("cpuacct", "cpu.stat, which every v2 cgroup has"),
    ("devices", "a BPF program on the cgroup (BPF_PROG_TYPE_CGROUP_DEVICE)"),
    ("freezer", "cgroup.freeze, which every v2 cgroup has"),
    ("net_cls", "packet filters that match a cgroup's path"),
    ("net_prio", "packet filters that match a cgroup's path"),
];

/// What makes systemd hand a cgroup over, with all controllers enabled above it (systemd.resource-control(5)).
const DELEGATED: &str = "systemd-run --user --scope -p Delegate=yes …, or run as root: sudo …";

/// The names by which a child that probes reports what it finds.
const LACKING: &str = "lacking";
const REMEDY: &str = "remedy";

const MOUNT_V2: &str = "as root, mount -t cgroup2 none DIRECTORY";

/// What is lacking, and how to get it, in one line.
pub fn in_words(unmet: &Unmet) -> String {
    format!("{unmet}; to get it: {}", remedy(unmet))
}

/// Where sudo(8) gives root.
const ELSEWHERE: &str = "in a terminal without no_new_privs, ";

/// How to get it, in one line.
pub fn remedy(unmet: &Unmet) -> String {
    let remedy = plain_remedy(unmet);
    // Where no program gives privilege, one that needs sudo(8) cannot be followed.
    let sudo_fails = remedy.contains("sudo") && nix::sys::prctl::get_no_new_privs() == Ok(true);
    // A remedy that was asked for once may be part of another.
    if sudo_fails && !remedy.starts_with(ELSEWHERE) { format!("{ELSEWHERE}{remedy}") } else { remedy }
}

fn plain_remedy(unmet: &Unmet) -> String {
    match unmet {
        Unmet::Capability(_) if getuid().is_root() => "run where root has not been deprived of it".into(),
        Unmet::Capability(_) | Unmet::Write(_) => "run as root: sudo …".into(),
        Unmet::Kind(kind) => format!("run a kernel that was built with {}", option(*kind)),
        Unmet::Setting { name, value } => setting(name, *value),
        Unmet::Refused { refused, because } => refusal(refused.errno, because.as_ref()).into(),
        Unmet::Sysfs(_) => "run where all of /sys is to be seen: on a host or in a virtual machine".into(),
        Unmet::Untraced => "run it without strace or a debugger".into(),
        Unmet::Expendable => "run it in a virtual machine: scripts/vm --user root -- PROGRAM".into(),
        Unmet::File(_) => "run one that has it".into(),
        Unmet::Program(name) => format!("install {name}"),
        Unmet::CgroupV2 => MOUNT_V2.into(),
        Unmet::Controller { name, instead } => controller(name, instead),
        Unmet::CgroupParent(why) => parent(why),
        Unmet::Other { remedy, .. } => remedy.clone(),
    }
}

/// For a child that probes what its parent cannot ask: reports what is lacking.
///
/// # Errors
/// EPIPE when the parent is gone.
pub fn report(me: &mut Reporter, unmet: &Unmet) -> ns_core::Result<()> {
    me.report(LACKING, unmet.to_string())?;
    me.report(REMEDY, remedy(unmet))
}

/// What a child that probes has found lacking; nothing if it ends and reports nothing.
///
/// # Errors
/// When the child gave up, which says nothing about the machine.
pub fn reported_by(mut child: Child) -> ns_core::Result<Option<Unmet>> {
    let facts = child.facts()?;
    let find = |what: &str| facts.iter().find(|fact| fact.what == what).map(|fact| fact.value.to_string());
    Ok(find(LACKING).map(|what| Unmet::new(what, find(REMEDY).unwrap_or_default())))
}

/// A program that is lacking, with the package of Debian that has it.
pub fn in_package(unmet: Unmet, package: &str) -> Unmet {
    Unmet::new(unmet.to_string(), format!("apt-get install {package}"))
}

/// A setting that forbids namespaces has two values that matter.
fn setting(name: &str, value: i64) -> String {
    if let Some(kind) = name.strip_prefix("/proc/sys/user/") {
        return format!("sysctl user.{kind}=10000");
    }
    format!("sysctl {name}={}, or run as root", i64::from(value == 0))
}

fn refusal(errno: Errno, because: Option<&Because>) -> &'static str {
    match (because, errno) {
        (Some(Because::Chrooted), _) => "run outside the chroot",
        (Some(Because::Seccomp | Because::ReadOnly(_)), _) => "run on the host or in a virtual machine",
        (Some(Because::Deprived(_)), _) => "run where root has not been deprived of it",
        (Some(Because::NotMounted("/sys")), _) => "mount -t sysfs sysfs /sys",
        (Some(Because::NotMounted(_)), _) => "mount -t proc proc /proc",
        (Some(Because::NoDevice(_)), _) => "mount -t devtmpfs devtmpfs /dev, or run on the host",
        (Some(Because::HidePid), _) => "mount -o remount,hidepid=0 /proc, or run as root",
        (None, Errno::EAGAIN) => "raise the limit on processes: ulimit -u, or pids.max of the cgroup",
        (None, Errno::EMFILE | Errno::ENFILE) => "raise the limit on open files: ulimit -n 1024",
        (None, Errno::EFBIG) => "raise the limit on the size of files: ulimit -f unlimited",
        (None, Errno::ENOMEM) => {
            "raise the limit on memory: ulimit -v unlimited, or memory.max of the cgroup"
        }
        (None, Errno::ENOSPC) => {
            "raise the limit of that kind with sysctl, or end processes that hold namespaces"
        }
        (None, Errno::EINVAL) => "run a kernel that has it: a newer one, or one that was built with it",
        (None, _) => "run as root, or in a virtual machine",
    }
}

fn controller(name: &str, instead: &Elsewhere) -> String {
    let shown = name.escape_debug();
    let mount_v1 = || format!("in a virtual machine, mount -t cgroup -o {shown} none DIRECTORY");
    match instead {
        Elsewhere::NotInV2 => {
            let instead = INSTEAD.iter().find(|(own, _)| *own == name);
            instead.map_or_else(mount_v1, |(_, instead)| format!("take {instead}"))
        }
        // systemd mounts what its boot option says; any other init finds no such controller on v1.
        Elsewhere::OnV1(_) if is_systemd() => "boot with systemd.unified_cgroup_hierarchy=1".into(),
        Elsewhere::OnV1(_) => format!("boot with cgroup_no_v1={shown}"),
        Elsewhere::OnV2 | Elsewhere::Unmounted { on_v2: false, .. } => mount_v1(),
        Elsewhere::Unmounted { v2_is_mounted: true, .. } => {
            "run where cgroup.controllers lists it: on the host, not in a container".into()
        }
        Elsewhere::Unmounted { .. } => MOUNT_V2.into(),
        // A Raspberry Pi's firmware adds cgroup_disable=memory in front of what its cmdline.txt says.
        Elsewhere::Off if name == "memory" => {
            "boot with cgroup_enable=memory on the kernel's command line (Raspberry Pi: cmdline.txt)".into()
        }
        // From 6.12 on /proc/cgroups lists no memory controller where the kernel has none for v1, on or off.
        Elsewhere::Unknown if name == "memory" => {
            "boot with cgroup_enable=memory on the kernel's command line (Raspberry Pi: cmdline.txt), or a kernel that has it"
                .into()
        }
        Elsewhere::Off => format!("boot without cgroup_disable={shown} on the kernel's command line"),
        Elsewhere::Unknown => "a kernel that has it".into(),
    }
}

fn parent(why: &NoParent) -> String {
    match why {
        NoParent::Threaded => "run from a cgroup whose cgroup.type is domain".into(),
        NoParent::Refused { refused, in_v2 } => match refused.errno {
            Errno::EROFS => {
                "mount cgroupfs writable: on the host, or in a container that is started with --privileged"
            }
            Errno::EAGAIN => "raise cgroup.max.descendants and cgroup.max.depth of the cgroups above",
            _ if *in_v2 && is_systemd() => DELEGATED,
            _ => "run as root of the host: sudo …",
        }
        .into(),
        NoParent::NotEnabled { controller, top, may_enable } => {
            let (shown, file) = (controller.escape_debug(), top.join("cgroup.subtree_control"));
            let enable = format!("echo +{shown} > {}", file.display());
            if *may_enable {
                enable
            } else if is_systemd() {
                DELEGATED.into()
            } else {
                format!("move the processes of {} into cgroups below it, then {enable}", top.display())
            }
        }
    }
}

/// The option of the kernel's configuration that a kind of namespace comes with.
fn option(kind: Kind) -> &'static str {
    match kind {
        Kind::Cgroup => "CONFIG_CGROUPS",
        Kind::Ipc => "CONFIG_IPC_NS",
        Kind::Mnt => "mount namespaces, as every kernel is",
        Kind::Net => "CONFIG_NET_NS",
        Kind::Pid => "CONFIG_PID_NS",
        Kind::Time => "CONFIG_TIME_NS (WSL2's own has none)",
        Kind::User => "CONFIG_USER_NS",
        Kind::Uts => "CONFIG_UTS_NS",
    }
}

/// sd_booted(3)
fn is_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

#[cfg(test)]
mod tests {
    use ns_core::{Capability, Refused};

    use super::*;

    #[test]
    fn whatever_is_lacking_has_a_remedy_of_one_line() {
        let refused = |errno| Refused { call: "mkdir /c/inception-…".into(), errno };
        let controller = |instead| Unmet::Controller { name: "no\nsense".into(), instead };
        let unmounted = |on_v2, v2_is_mounted| controller(Elsewhere::Unmounted { on_v2, v2_is_mounted });
        let mut all = vec![
            Unmet::Capability(Capability::CAP_SYS_ADMIN),
            Unmet::Kind(Kind::Time),
            Unmet::Setting { name: "kernel.unprivileged_userns_clone".into(), value: 0 },
            Unmet::Sysfs(Errno::EPERM),
            Unmet::Untraced,
            Unmet::Expendable,
            Unmet::File("/proc/sys/kernel/pid_max".into()),
            Unmet::Write("/proc/sys/kernel/pid_max".into()),
            Unmet::Program("ip".into()),
            Unmet::CgroupV2,
            controller(Elsewhere::NotInV2),
            controller(Elsewhere::OnV1("/v1".into())),
            controller(Elsewhere::OnV2),
            unmounted(false, false),
            unmounted(true, false),
            unmounted(true, true),
            controller(Elsewhere::Off),
            controller(Elsewhere::Unknown),
            Unmet::CgroupParent(NoParent::Threaded),
            Unmet::new("a second CPU", "run it where there are two"),
        ];
        for errno in [Errno::EROFS, Errno::EACCES, Errno::EAGAIN, Errno::ENOSPC, Errno::EINVAL, Errno::EPERM]
        {
            all.extend(
                [true, false]
                    .map(|in_v2| Unmet::CgroupParent(NoParent::Refused { refused: refused(errno), in_v2 })),
            );
            all.extend(
                [
                    None,
                    Some(Because::Chrooted),
                    Some(Because::Seccomp),
                    Some(Because::Deprived(vec![Capability::CAP_KILL, Capability::CAP_CHOWN])),
                    Some(Because::ReadOnly("/proc/sys")),
                    Some(Because::NotMounted("/sys")),
                    Some(Because::NoDevice("/dev/null".into())),
                    Some(Because::HidePid),
                ]
                .map(|because| Unmet::Refused { refused: refused(errno), because }),
            );
        }
        all.extend([true, false].map(|may_enable| {
            let (controller, top) = ("pids".into(), "/c".into());
            Unmet::CgroupParent(NoParent::NotEnabled { controller, top, may_enable })
        }));
        for unmet in all {
            let line = in_words(&unmet);
            assert!(!remedy(&unmet).is_empty() && !line.contains('\n'), "{line:?}");
        }
    }

    #[test]
    fn that_sudo_fails_is_said_once() {
        // It is this thread's alone.
        nix::sys::prctl::set_no_new_privs().unwrap();
        let once = remedy(&Unmet::new("root", "sudo true"));
        assert_eq!(once, "in a terminal without no_new_privs, sudo true");
        assert_eq!(remedy(&Unmet::new("root", once.clone())), once);
    }

    #[test]
    fn settings_are_set_to_what_permits() {
        let remedy = |name: &str, value| remedy(&Unmet::Setting { name: name.into(), value });
        assert_eq!(
            remedy("kernel.apparmor_restrict_unprivileged_userns", 1),
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
        );
        assert_eq!(
            remedy("kernel.unprivileged_userns_clone", 0),
            "sysctl kernel.unprivileged_userns_clone=1, or run as root"
        );
        assert_eq!(remedy("/proc/sys/user/max_uts_namespaces", 0), "sysctl user.max_uts_namespaces=10000");
    }

    #[test]
    fn a_memory_controller_that_is_off_is_turned_on_where_it_can_be() {
        let off = |name: &str| remedy(&Unmet::Controller { name: name.into(), instead: Elsewhere::Off });
        assert!(off("memory").contains("cgroup_enable=memory") && off("memory").contains("cmdline.txt"));
        let unlisted = Unmet::Controller { name: "memory".into(), instead: Elsewhere::Unknown };
        assert!(
            remedy(&unlisted).contains("cgroup_enable=memory") && remedy(&unlisted).contains("cmdline.txt")
        );
        assert_eq!(off("pids"), "boot without cgroup_disable=pids on the kernel's command line");
    }

    #[test]
    fn a_user_without_a_cgroup_is_told_how_to_get_one() {
        for in_v2 in [true, false] {
            let refused = Refused { call: "mkdir /c/inception-…".into(), errno: Errno::EACCES };
            let unmet = Unmet::CgroupParent(NoParent::Refused { refused, in_v2 });
            assert!(remedy(&unmet).contains("run as root"), "{}", in_words(&unmet));
        }
    }

    #[test]
    fn what_v2_has_instead_of_a_v1_controller_is_named() {
        let unmet = Unmet::Controller { name: "freezer".into(), instead: Elsewhere::NotInV2 };
        assert_eq!(remedy(&unmet), "take cgroup.freeze, which every v2 cgroup has");
    }

    #[test]
    fn no_v2_is_mounted_by_one_command() {
        assert_eq!(in_words(&Unmet::CgroupV2), format!("cgroup v2 is not mounted; to get it: {MOUNT_V2}"));
    }
}
