//! What this machine or the caller lacks, as data. How to get it is for others to say.

use std::fmt;
use std::path::PathBuf;

use caps::Capability;
use nix::errno::Errno;
use observation::{Kind, Refused, in_words};

/// Something that is lacking. Displayed, it is what, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// A capability in the caller's effective set.
    Capability(Capability),
    /// A kind of namespace that this kernel was built without.
    Kind(Kind),
    /// A setting of this machine that forbids new user namespaces, or namespaces of a kind.
    Setting {
        /// Its file or its name for sysctl(8).
        name: String,
        /// Its value, which forbids them.
        value: i64,
    },
    /// The kernel refused a call.
    Refused {
        /// The call and the kernel's answer.
        refused: Refused,
        /// Why, as far as it can be told.
        because: Option<Because>,
    },
    /// A sysfs of one's own: mounting it in a user namespace that owns its network gives this.
    Sysfs(Errno),
    /// A run that no tracer follows.
    Untraced,
    /// A machine that is thrown away after.
    Expendable,
    /// A file that this kernel does not have.
    File(PathBuf),
    /// Permission to write to a file.
    Write(PathBuf),
    /// A program on PATH.
    Program(String),
    /// Cgroup v2 is mounted nowhere.
    CgroupV2,
    /// A hierarchy that has a controller of cgroups.
    Controller {
        /// The controller, such as `pids`.
        name: String,
        /// Where it is instead.
        instead: Elsewhere,
    },
    /// A cgroup in which others may be made.
    CgroupParent(NoParent),
    /// What only the asker knows of.
    Other {
        /// What, in a few words.
        what: String,
        /// How to get it.
        remedy: String,
    },
}

/// Why the kernel refused a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// The caller is chrooted: it may make no user namespaces, and its root directory need not be a mount.
    Chrooted,
    /// A seccomp filter is active.
    Seccomp,
    /// The caller's bounding set lacks these capabilities.
    Deprived(Vec<Capability>),
    /// The filesystem that is mounted there, such as /proc/sys, is read-only.
    ReadOnly(&'static str),
    /// No such filesystem is mounted there, such as /sys.
    NotMounted(&'static str),
    /// /dev has no such device, as with an empty or small /dev of a container.
    NoDevice(PathBuf),
    /// /proc is mounted with hidepid, and shows a user the own processes alone.
    HidePid,
}

/// Where a controller of cgroups is, if not where it was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// Cgroup v2 has none of that name (cgroup-v2.rst).
    NotInV2,
    /// On a hierarchy of v1, mounted there.
    OnV1(PathBuf),
    /// On v2.
    OnV2,
    /// On no mounted hierarchy.
    Unmounted {
        /// It could be had on v2.
        on_v2: bool,
        /// v2 is mounted.
        v2_is_mounted: bool,
    },
    /// Off, by the kernel's command line.
    Off,
    /// In no kernel like this.
    Unknown,
}

/// Why no cgroup will do as a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoParent {
    /// Ours and those above it are threaded.
    Threaded,
    /// The kernel refused a call, the first of several.
    Refused {
        /// The call and the kernel's answer.
        refused: Refused,
        /// In the hierarchy of v2.
        in_v2: bool,
    },
    /// None enables the controller for its children.
    NotEnabled {
        /// The controller.
        controller: String,
        /// The topmost cgroup that others may be made in.
        top: PathBuf,
        /// That is the root of its hierarchy, and we may enable it there.
        may_enable: bool,
    },
}

impl Unmet {
    /// What only the asker knows of: `what`, in a few words, and how to get it.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Unmet {
        Unmet::Other { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Chrooted => f.write_str("this process is in a chroot"),
            Because::Seccomp => f.write_str("a seccomp filter is active, such as a container's"),
            Because::Deprived(lacking) => match lacking.as_slice() {
                [one] => write!(f, "the bounding set lacks {one}"),
                [one, two] => write!(f, "the bounding set lacks {one} and {two}"),
                [one, more @ ..] => write!(f, "the bounding set lacks {one} and {} others", more.len()),
                [] => f.write_str("the bounding set lacks a capability"),
            },
            Because::ReadOnly(path) => write!(f, "{path} is mounted read-only"),
            Because::NotMounted("/sys") => f.write_str("no sysfs is mounted at /sys"),
            Because::NotMounted(path) => write!(f, "no procfs is mounted at {path}"),
            Because::NoDevice(path) => write!(f, "there is no {}", path.display()),
            Because::HidePid => f.write_str("/proc is mounted with hidepid"),
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmet::Capability(capability) => capability.fmt(f),
            Unmet::Kind(kind) => write!(f, "this kernel has no {kind} namespaces"),
            Unmet::Setting { name, value } => write!(f, "{name} is {value}"),
            Unmet::Refused { refused: Refused { call, errno }, because } => {
                write!(f, "{call} gives {errno:?}")?;
                because.as_ref().map_or(Ok(()), |because| write!(f, ": {because}"))
            }
            Unmet::Sysfs(errno) => write!(f, "mount -t sysfs in a user namespace gives {errno:?}"),
            Unmet::Untraced => f.write_str("a run that nobody traces"),
            Unmet::Expendable => f.write_str("a machine to throw away, since this changes all of it"),
            Unmet::File(path) => write!(f, "this kernel has no {}", path.display()),
            Unmet::Write(path) => write!(f, "leave to write {}", path.display()),
            Unmet::Program(name) => write!(f, "the program {name}"),
            Unmet::CgroupV2 => f.write_str("cgroup v2 is not mounted"),
            Unmet::Controller { name, instead } => {
                let name = name.escape_debug();
                match instead {
                    Elsewhere::NotInV2 => write!(f, "cgroup v2 has no controller {name}"),
                    Elsewhere::OnV1(point) => {
                        write!(f, "the controller {name} is on cgroup v1 ({}), not on v2", point.display())
                    }
                    Elsewhere::OnV2 => write!(f, "the controller {name} is on cgroup v2, not on v1"),
                    Elsewhere::Unmounted { .. } => {
                        write!(f, "the controller {name} is on no mounted hierarchy")
                    }
                    Elsewhere::Off => write!(f, "the controller {name} is off (/proc/cgroups)"),
                    Elsewhere::Unknown => write!(f, "the kernel lists no controller {name} (/proc/cgroups)"),
                }
            }
            Unmet::CgroupParent(NoParent::Threaded) => {
                f.write_str("our cgroup and those above it are threaded (cgroup.type)")
            }
            Unmet::CgroupParent(NoParent::Refused { refused: Refused { call, errno }, .. }) => {
                write!(f, "no cgroup that we may write to: {call}: {}", in_words(*errno))
            }
            Unmet::CgroupParent(NoParent::NotEnabled { controller, .. }) => {
                let controller = controller.escape_debug();
                write!(f, "no cgroup that we may write to has {controller} in its cgroup.subtree_control")
            }
            Unmet::Other { what, .. } => f.write_str(what),
        }
    }
}
