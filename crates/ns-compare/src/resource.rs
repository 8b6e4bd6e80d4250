//! One resource of each kind of namespace: how to change it, and how to read it.

use std::path::Path;

use ns_core::clock::{self, Clock};
use ns_core::idmap::IdMaps;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Kind, Named, Namespaces, Outcome, Pid, Value, ipc, mount, namespace, process, uts};

/// The kinds whose resource is written to here. PIDs change with every process; the other three kinds are only read.
pub(crate) const WRITTEN: [Kind; 4] = [Kind::Ipc, Kind::Net, Kind::Mnt, Kind::Uts];
/// How far a time namespace's clock is set ahead, in seconds.
pub(crate) const DAY: i64 = 86_400;
/// The user ID of the creator inside its user namespace.
pub(crate) const MAPPED_UID: u32 = 4321;
/// The key of the message queue.
const KEY: i32 = 0x6e73;
const DIRECTORY: &str = "/mnt";

/// Calls unshare(), and gives a user or time namespace the ID maps or offsets by which its first member differs.
pub(crate) fn unshare_and_prepare(namespaces: Namespaces, kind: Kind) -> ns_core::Result<()> {
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    namespace::unshare(namespaces)?;
    let prepared = match kind {
        Kind::User => IdMaps::own(MAPPED_UID, uid, gid).write_for(None),
        Kind::Time => clock::write_offsets(&format!("monotonic {DAY} 0")),
        _ => Ok(()),
    };
    if namespaces.is_empty() {
        // This fails in the control: the ID maps and offsets of an existing namespace are already set.
        return Outcome::of(prepared).map(drop);
    }
    prepared
}

/// Changes the resource of `kind`. Those of the other four kinds can only be read.
pub(crate) fn change(kind: Kind, name: &str) -> ns_core::Result<()> {
    match kind {
        Kind::Uts => uts::set_hostname(name),
        Kind::Mnt => mount::mount("tmpfs", Path::new(DIRECTORY)),
        Kind::Ipc => ipc::make_queue(KEY).map(drop),
        Kind::Net => {
            let end = |number: u8| LinkName::new(&format!("{name}{number}"));
            Netlink::open()?.create_veth(&end(0)?, &end(1)?, None).map(drop)
        }
        Kind::Cgroup | Kind::Pid | Kind::Time | Kind::User => Ok(()),
    }
}

/// Reads the resource of `kind`: as a member (`None`), or from outside, where needed about that `member`.
pub(crate) fn look(kind: Kind, member: Option<Pid>) -> ns_core::Result<(&'static str, Value)> {
    Ok(match kind {
        Kind::Cgroup => ("paths in /proc/PID/cgroup", cgroup_paths(member)?.into()),
        Kind::Ipc => ("the queue is found", ipc::find_queue(KEY)?.is_some().into()),
        Kind::Net => ("devices", devices()?.into()),
        Kind::Mnt => ("mounted on /mnt", mounted_on(DIRECTORY)?.into()),
        Kind::Pid => match member {
            None => ("getpid()", nix::unistd::getpid().into()),
            Some(_) => ("its PID", process::pids(member)?.first().copied().map(Value::Pid).into()),
        },
        Kind::Time => ("CLOCK_MONOTONIC", Value::Nanoseconds(Clock::Monotonic.now()?)),
        Kind::User => match member {
            None => ("getuid()", nix::unistd::getuid().as_raw().into()),
            Some(_) => ("its user ID", process::status(member)?.ruid.into()),
        },
        Kind::Uts => ("hostname", uts::hostname().into()),
    })
}

/// The different paths of a process's cgroups in all hierarchies, as the reader's cgroup namespace shows them.
pub(crate) fn cgroup_paths(process: Option<Pid>) -> ns_core::Result<Vec<Value>> {
    let mut paths: Vec<_> = read_proc(process, "cgroup")?
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2).map(ToString::to_string))
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths.into_iter().map(Value::Name).collect())
}

fn devices() -> ns_core::Result<Vec<String>> {
    let text = read_proc(None, "net/dev")?;
    // Two header lines, then one line for each device.
    let mut names: Vec<_> =
        text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_string())).collect();
    names.sort();
    Ok(names)
}

/// The type of the topmost filesystem mounted at `directory`.
fn mounted_on(directory: &str) -> ns_core::Result<Option<String>> {
    let mounts = mount::list(None)?;
    let on_top = mounts.into_iter().rfind(|mount| mount.mount_point == Path::new(directory));
    Ok(on_top.map(|mount| mount.fs_type))
}

fn read_proc(process: Option<Pid>, file: &str) -> ns_core::Result<String> {
    let path = format!("/proc/{}/{file}", process.map_or("self".into(), |pid| pid.to_string()));
    std::fs::read_to_string(&path).named(|| format!("read(\"{path}\")"))
}
