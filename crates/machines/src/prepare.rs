//! What is done to a process before it becomes an experiment. Each change is this process's alone, or of a mount namespace
//! of its own, and ends with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use caps::Capability;
use libc::c_long;
use nix::mount::{MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{chroot, getgid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::seccomp::{Action, Filter, Rule};
use ns_core::{Errno, Error, Kind, Named, Namespaces, Result, capabilities, process};

/// An ordinary user, whom no system gives to anyone.
pub(crate) const STRANGER: u32 = 64_321;

/// The cgroups of machines are called so, with the PID of who was put into it.
pub(crate) const CGROUP: &str = "machine-";

/// A filter that gives `errno` for each of these calls.
pub(crate) fn refuse(numbers: &[c_long], errno: Errno) -> Result<()> {
    answer(&numbers.iter().map(|number| Rule::call(*number)).collect::<Vec<_>>(), errno)
}

/// Filters like Docker's: clone3 is not there, and no namespaces, no mounts, no entering.
pub(crate) fn refuse_as_docker() -> Result<()> {
    refuse(&[libc::SYS_setns, libc::SYS_mount, libc::SYS_unshare], Errno::EPERM)?;
    refuse_kinds(Namespaces::all(), Errno::EPERM)
}

/// Filters that answer as a kernel does that has no namespaces of these kinds, or none for this user.
pub(crate) fn refuse_kinds(kinds: Namespaces, errno: Errno) -> Result<()> {
    // clone3's flags lie behind a pointer, which a filter cannot follow: clone(2) stands in for it.
    refuse(&[libc::SYS_clone3], Errno::ENOSYS)?;
    let mut rules = Vec::new();
    for kind in kinds.iter() {
        let flag = kind.bits() as u32;
        rules.push(Rule::call(libc::SYS_unshare).with_bits(0, flag));
        rules.push(Rule::call(libc::SYS_setns).with_bits(1, flag));
        // CLONE_NEWTIME lies in clone(2)'s exit signal, and cannot be asked for there.
        if kind != Namespaces::TIME {
            rules.push(Rule::call(libc::SYS_clone).with_bits(0, flag));
        }
    }
    answer(&rules, errno)
}

/// Without CAP_SYS_ADMIN the kernel takes a filter only from who can gain nothing by execve(2).
fn answer(rules: &[Rule], errno: Errno) -> Result<()> {
    if !process::is_capable(Capability::CAP_SYS_ADMIN) {
        no_new_privs()?;
    }
    Filter::new(rules, Action::Refuse(errno))?.install()
}

pub(crate) fn no_new_privs() -> Result<()> {
    nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())
}

pub(crate) fn deprive(capabilities: &[Capability]) -> Result<()> {
    let by_which = Capability::CAP_SETPCAP;
    let others = capabilities.iter().filter(|one| **one != by_which);
    others.copied().try_for_each(capabilities::leave_bounding_set)?;
    // That by which the others go, last.
    if capabilities.contains(&by_which) { capabilities::leave_bounding_set(by_which) } else { Ok(()) }
}

pub(crate) fn limit(resource: Resource, most: u64) -> Result<()> {
    setrlimit(resource, most, most).named(|| format!("setrlimit({resource:?}, {most})"))
}

/// Becomes an ordinary user; who is one already stays.
pub(crate) fn become_stranger() -> Result<()> {
    if getuid().is_root() { process::become_user(STRANGER) } else { Ok(()) }
}

/// A user namespace of one's own, with the caller as root, in which `user.max_KIND_namespaces` is 0.
pub(crate) fn forbid(kind: Kind) -> Result<()> {
    inside_a_user_namespace()?;
    let path = format!("/proc/sys/user/max_{kind}_namespaces");
    fs::write(&path, "0").named(|| format!("echo 0 > {path}"))
}

/// The caller as root of a user namespace that maps no other ID.
pub(crate) fn inside_a_user_namespace() -> Result<()> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER).named(|| "unshare(CLONE_NEWUSER)".into())?;
    IdMaps::own(0, uid, gid).write_for(None)
}

/// All of /proc read-only, as in many containers.
pub(crate) fn read_only_proc() -> Result<()> {
    own_mounts()?;
    read_only(Path::new("/proc"))
}

/// /proc/sys alone read-only, as in every container of Docker's.
pub(crate) fn read_only_settings() -> Result<()> {
    own_mounts()?;
    read_only(Path::new("/proc/sys"))
}

pub(crate) fn no_sys() -> Result<()> {
    own_mounts()?;
    umount2("/sys", nix::mount::MntFlags::MNT_DETACH).named(|| "umount -l /sys".into())
}

pub(crate) fn empty(directory: &str) -> Result<()> {
    own_mounts()?;
    tmpfs(Path::new(directory))
}

/// A /dev with nothing but /dev/null.
pub(crate) fn bare_dev() -> Result<()> {
    own_mounts()?;
    let kept = Path::new("/run");
    tmpfs(kept)?;
    let null = kept.join("null");
    fs::write(&null, "").named(|| "touch /run/null".into())?;
    bind(Path::new("/dev/null"), &null)?;
    tmpfs(Path::new("/dev"))?;
    fs::write("/dev/null", "").named(|| "touch /dev/null".into())?;
    bind(&null, Path::new("/dev/null"))
}

/// Every cgroup hierarchy read-only.
pub(crate) fn read_only_cgroups() -> Result<()> {
    own_mounts()?;
    let mounts = fs::read_to_string("/proc/self/mounts").named(|| "cat /proc/self/mounts".into())?;
    let of_cgroups = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let place = words.next()?;
        words.next()?.starts_with("cgroup").then_some(place)
    });
    of_cgroups.map(Path::new).try_for_each(read_only)
}

pub(crate) fn no_cgroups() -> Result<()> {
    own_mounts()?;
    let place = "/sys/fs/cgroup";
    umount2(place, nix::mount::MntFlags::MNT_DETACH).named(|| format!("umount -l {place}"))
}

/// A procfs of our own over /proc, which shows an ordinary user the own processes alone.
pub(crate) fn hide_processes() -> Result<()> {
    own_mounts()?;
    let none = None::<&str>;
    mount(none, "/proc", Some("proc"), MsFlags::empty(), Some("hidepid=2"))
        .named(|| "mount -t proc -o hidepid=2 proc /proc".into())?;
    become_stranger()
}

/// A chroot to a mount of all that there is.
pub(crate) fn chroot_to_a_mount() -> Result<()> {
    own_mounts()?;
    let place = Path::new("/run");
    bind(Path::new("/"), place)?;
    go_into(place)
}

/// A chroot to a directory that is no mount, with all in it that there is.
pub(crate) fn chroot_to_a_directory() -> Result<()> {
    own_mounts()?;
    let top = Path::new("/run");
    let entries: Vec<_> =
        fs::read_dir("/").named(|| "readdir(\"/\")".into())?.filter_map(std::result::Result::ok).collect();
    tmpfs(top)?;
    let root = top.join("root");
    fs::create_dir(&root).named(|| "mkdir /run/root".into())?;
    for entry in entries {
        let (from, to) = (entry.path(), root.join(entry.file_name()));
        let kind = entry.file_type().named(|| format!("stat({from:?})"))?;
        if kind.is_symlink() {
            let target = fs::read_link(&from).named(|| format!("readlink({from:?})"))?;
            symlink(target, &to).named(|| format!("symlink({to:?})"))?;
        } else if kind.is_dir() && from != top {
            fs::create_dir(&to).named(|| format!("mkdir {to:?}"))?;
            bind(&from, &to)?;
        }
    }
    go_into(&root)
}

/// A cgroup with a limit of this controller, and this process in it.
pub(crate) fn join_limited(controller: &str, limit: u64) -> Result<()> {
    let (parent, file) = limited_parent(controller)
        .ok_or_else(|| Error::Input(format!("no hierarchy has the controller {controller}")))?;
    let cgroup = parent.join(format!("{CGROUP}{}", std::process::id()));
    fs::create_dir(&cgroup).named(|| format!("mkdir {}", cgroup.display()))?;
    let write = |file: &str, text: String| {
        fs::write(cgroup.join(file), &text).named(|| format!("echo {text} > {}", cgroup.join(file).display()))
    };
    write(file, limit.to_string())?;
    write("cgroup.procs", "0".into())
}

/// Where a cgroup of this controller can be made, and the file of its limit. That is in ours on v1, or in the nearest
/// above ours on v2 that enables it for its children.
fn limited_parent(controller: &str) -> Option<(PathBuf, &'static str)> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounted = |kind: &str, option: &str| {
        mounts.lines().find_map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let has = option.is_empty() || words.get(3)?.split(',').any(|own| own == option);
            (*words.get(2)? == kind && has).then(|| PathBuf::from(words[1]))
        })
    };
    let ours = |name: &str| {
        own.lines().find_map(|line| {
            let mut words = line.splitn(3, ':').skip(1);
            let named = words.next()?.split(',').any(|own| own == name);
            named.then(|| words.next().unwrap_or("/").trim_start_matches('/').to_string())
        })
    };
    if let (Some(mount), Some(path)) = (mounted("cgroup", controller), ours(controller)) {
        let file = if controller == "pids" { "pids.max" } else { "memory.limit_in_bytes" };
        return Some((mount.join(path), file));
    }
    let (mount, path) = (mounted("cgroup2", "")?, ours("")?);
    let enables = |directory: &&Path| {
        let enabled = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
        directory.starts_with(&mount) && enabled.split_whitespace().any(|own| own == controller)
    };
    let parent = mount.join(path);
    let parent = parent.ancestors().find(enables)?;
    Some((parent.into(), if controller == "pids" { "pids.max" } else { "memory.max" }))
}

/// A mount namespace of our own, of which no mount comes out.
fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).named(|| "unshare(CLONE_NEWNS)".into())?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .named(|| "mount --make-rprivate /".into())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    let none = None::<&str>;
    mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .named(|| format!("mount --rbind {} {}", from.display(), to.display()))
}

/// The mount is ours, and the filesystem everybody's: so it is bound to itself, and the bound mount changed.
fn read_only(place: &Path) -> Result<()> {
    let none = None::<&str>;
    bind(place, place)?;
    mount(none, place, none, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, none)
        .named(|| format!("mount -o remount,bind,ro {}", place.display()))
}

fn tmpfs(place: &Path) -> Result<()> {
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .named(|| format!("mount -t tmpfs tmpfs {}", place.display()))
}

fn go_into(root: &Path) -> Result<()> {
    chroot(root).named(|| format!("chroot({root:?})"))?;
    nix::unistd::chdir("/").named(|| "chdir(\"/\")".into())
}
