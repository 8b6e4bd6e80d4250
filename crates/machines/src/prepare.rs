//! What is done to a process before it becomes an experiment. Each change is this process's alone, or of a mount namespace
//! of its own, and ends with it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use caps::Capability;
use libc::c_long;
use nix::mount::{MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{chroot, getgid, getuid};
use ns_core::idmap::{self, IdMaps};
use ns_core::seccomp::{Action, Filter, Rule};
use ns_core::{Errno, Error, Kind, Named, Namespaces, Result, capabilities, child, process};

/// An ordinary user, whom no system gives to anyone.
pub(crate) const STRANGER: u32 = 64_321;

/// The capabilities that Docker leaves to root in a container.
const OF_DOCKER: [Capability; 14] = [
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SETUID,
    Capability::CAP_SYS_CHROOT,
];

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

/// What `docker run` gives a root that asks for nothing more.
pub(crate) fn run_as_docker() -> Result<()> {
    read_only_settings()?;
    read_only_cgroups()?;
    let others = ns_core::probe::deprived_of(0).into_iter().filter(|own| !OF_DOCKER.contains(own));
    deprive(&others.collect::<Vec<_>>())?;
    refuse_as_docker()
}

/// An ordinary user where AppArmor leaves a new user namespace without capabilities: the setting that says so, and the
/// answers of the calls that every experiment begins with.
pub(crate) fn restrict_as_apparmor() -> Result<()> {
    own_mounts()?;
    let (settings, ours) = (Path::new("/proc/sys/kernel"), Path::new("/run/kernel"));
    tmpfs(Path::new("/run"))?;
    fs::create_dir(ours).named(|| "mkdir /run/kernel".into())?;
    let entries = fs::read_dir(settings).named(|| "ls /proc/sys/kernel".into())?;
    let setting = "apparmor_restrict_unprivileged_userns";
    // A machine that has the setting keeps its own.
    for entry in entries.filter_map(std::result::Result::ok).filter(|entry| entry.file_name() != setting) {
        let (from, to) = (entry.path(), ours.join(entry.file_name()));
        let made = if from.is_dir() { fs::create_dir(&to) } else { fs::write(&to, "") };
        made.named(|| format!("create {}", to.display()))?;
        bind(&from, &to)?;
    }
    let setting = ours.join(setting);
    fs::write(&setting, "1\n").named(|| format!("echo 1 > {}", setting.display()))?;
    bind(ours, settings)?;
    let denied = [
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_setdomainname,
        libc::SYS_sethostname,
        libc::SYS_umount2,
    ];
    refuse(&[libc::SYS_mount], Errno::EACCES)?;
    refuse(&denied, Errno::EPERM)?;
    become_stranger()
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

/// Becomes the user whose IDs are those that an unmapped ID reads as.
pub(crate) fn become_nobody() -> Result<()> {
    process::become_user(idmap::overflow_ids()?.0)
}

/// To raise it a process needs no privilege.
pub(crate) fn be_chosen_first() -> Result<()> {
    let file = "/proc/self/oom_score_adj";
    fs::write(file, "1000").named(|| format!("echo 1000 > {file}"))
}

/// A user namespace of one's own, with the caller as root, in which `user.max_KIND_namespaces` is 0.
pub(crate) fn forbid(kind: Kind) -> Result<()> {
    inside_a_user_namespace()?;
    let path = format!("/proc/sys/user/max_{kind}_namespaces");
    fs::write(&path, "0").named(|| format!("echo 0 > {path}"))
}

/// An ordinary user of a host with many: no other processes to be seen, no privilege by execve(2), no user namespaces.
pub(crate) fn be_a_guest() -> Result<()> {
    hide_processes()?;
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER).named(|| "unshare(CLONE_NEWUSER)".into())?;
    IdMaps::own(uid, uid, gid).write_for(None)?;
    let path = "/proc/sys/user/max_user_namespaces";
    // The capabilities of this user namespace end with execve(2): the user is not its root.
    fs::write(path, "0").named(|| format!("echo 0 > {path}"))?;
    no_new_privs()
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

/// No hierarchy of the memory controller, as after `cgroup_disable=memory` on the kernel's command line.
pub(crate) fn no_memory_controller() -> Result<()> {
    own_mounts()?;
    let mounts = fs::read_to_string("/proc/self/mounts").named(|| "cat /proc/self/mounts".into())?;
    let place = mounts.lines().find_map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let is_it = *words.get(2)? == "cgroup" && words.get(3)?.split(',').any(|option| option == "memory");
        is_it.then(|| words[1].to_string())
    });
    let place =
        place.ok_or_else(|| Error::Input("the memory controller has no hierarchy of its own".into()))?;
    umount2(place.as_str(), nix::mount::MntFlags::MNT_DETACH).named(|| format!("umount -l {place}"))?;
    let listed = fs::read_to_string("/proc/cgroups").named(|| "cat /proc/cgroups".into())?;
    let off = listed.lines().map(|line| match line.strip_prefix("memory\t") {
        Some(rest) => format!("memory\t{}0\n", rest.trim_end_matches(|c: char| c.is_ascii_digit())),
        None => format!("{line}\n"),
    });
    let kept = Path::new("/run");
    tmpfs(kept)?;
    let file = kept.join("cgroups");
    fs::write(&file, off.collect::<String>()).named(|| "write /run/cgroups".into())?;
    bind(&file, Path::new("/proc/cgroups"))
}

/// No program but those of busybox, which is $BUSYBOX or the one of this machine.
pub(crate) fn busybox_alone() -> Result<()> {
    let busybox = std::env::var_os("BUSYBOX").map_or_else(|| PathBuf::from("/bin/busybox"), PathBuf::from);
    let program = fs::read(&busybox).named(|| format!("cat {}", busybox.display()))?;
    let listed = Command::new(&busybox).arg("--list").output().named(|| "busybox --list".into())?;
    let applets = String::from_utf8_lossy(&listed.stdout).into_owned();
    own_mounts()?;
    let mut done = BTreeSet::new();
    for place in ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local"] {
        // Most of them are links to the first.
        let Ok(place) = fs::canonicalize(place) else { continue };
        if done.insert(place.clone()) {
            tmpfs(&place)?;
        }
    }
    let kept = Path::new("/bin/busybox");
    fs::write(kept, program).named(|| "cp busybox /bin".into())?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(kept, mode).named(|| "chmod 755 /bin/busybox".into())?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink(kept, Path::new("/bin").join(applet)).named(|| format!("ln -s busybox /bin/{applet}"))?;
    }
    Ok(())
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

/// Executes a program, by `become_it`, as the first process of a PID namespace, with a procfs of it, and ends as it does.
pub(crate) fn begin_a_pid_namespace(become_it: impl FnOnce() -> io::Error) -> Result<Infallible> {
    unshare(CloneFlags::CLONE_NEWPID).named(|| "unshare(CLONE_NEWPID)".into())?;
    let mut failed = None;
    let init = child::start_program(|| {
        let none = None::<&str>;
        failed = Some(match mount(none, "/proc", Some("proc"), MsFlags::empty(), none) {
            Ok(()) => ("execve()", become_it()),
            Err(errno) => ("mount -t proc proc /proc", errno.into()),
        });
        1
    })?;
    let status = waitpid(init, None).named(|| "waitpid()".into())?;
    if let Some((call, why)) = failed {
        return Err(why).named(|| call.into());
    }
    match status {
        WaitStatus::Exited(_, status) => std::process::exit(status),
        // As a shell reports it.
        WaitStatus::Signaled(_, signal, _) => std::process::exit(128 + signal as i32),
        other => Err(Error::Input(format!("it has not ended: {other:?}"))),
    }
}

/// A mount namespace of our own, of which no mount comes out.
pub(crate) fn own_mounts() -> Result<()> {
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
