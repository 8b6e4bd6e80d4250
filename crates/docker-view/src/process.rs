//! One process, as the files of /proc show it to whoever may look.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use ns_core::cgroup::Membership;
use ns_core::mount::Mount;
use ns_core::net::Netlink;
use ns_core::process::{is_capable, status};
use ns_core::{Capability, Errno, Error, Kind, NsFile, NsId, Pid, mount, namespace, root};

use crate::judgement::DOCKER_DEFAULT;

/// What there is to see of a process at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) command: String,
    /// The names of its ancestors' programs, its parent's first.
    pub(crate) ancestors: Vec<String>,
    pub(crate) namespaces: Vec<NsId>,
    /// Its PIDs, ours first.
    pub(crate) pids: Vec<i32>,
    pub(crate) uid_map: Vec<String>,
    pub(crate) gid_map: Vec<String>,
    pub(crate) root: PathBuf,
    pub(crate) mounts: Vec<Mount>,
    /// Files in its root directory by which container engines mark their containers.
    pub(crate) marks: Vec<&'static str>,
    pub(crate) effective: u64,
    pub(crate) bounding: u64,
    pub(crate) seccomp: u32,
    pub(crate) no_new_privs: bool,
    pub(crate) cgroups: Vec<Membership>,
}

const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

impl Process {
    pub(crate) fn look_at(pid: Pid) -> Result<Process> {
        let namespaces = namespace::of(Some(pid)).map_err(|error| why_not(pid, error))?;
        // All but these it leaves when it ends, and its other files with them.
        if namespaces.iter().all(|id| matches!(id.kind, Kind::Pid | Kind::User)) {
            return Err(anyhow!(
                "process {pid} has ended: a zombie is in no namespaces; name one that lives"
            ));
        }
        Process::look(pid, namespaces).map_err(|error| why_not(pid, error))
    }

    fn look(pid: Pid, namespaces: Vec<NsId>) -> ns_core::Result<Process> {
        let status = status(Some(pid))?;
        let text = |file: &str| {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            text.lines().map(ToString::to_string).collect::<Vec<_>>()
        };
        let map = |file| text(file).iter().map(|line| one_blank(line)).collect();
        Ok(Process {
            pid,
            command: status.name,
            ancestors: ancestors(status.ppid),
            namespaces,
            pids: status.nspid.unwrap_or_default(),
            uid_map: map("uid_map"),
            gid_map: map("gid_map"),
            root: root::of(Some(pid))?,
            mounts: mount::list(Some(pid))?,
            marks: MARKS.into_iter().filter(|path| is_its_own(pid, path)).collect(),
            effective: status.capeff,
            bounding: status.capbnd.unwrap_or_default(),
            seccomp: status.seccomp.unwrap_or_default(),
            no_new_privs: status.nonewprivs == Some(1),
            cgroups: Membership::all_of(Some(pid)).unwrap_or_default(),
        })
    }

    pub(crate) fn namespace(&self, kind: Kind) -> Option<NsId> {
        self.namespaces.iter().copied().find(|id| id.kind == kind)
    }

    /// The mount that it has at `/`, of those that it sees.
    pub(crate) fn root_mount(&self) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.mount_point == Path::new("/"))
    }

    /// What of /proc and /sys something else was mounted over, so that it cannot be read.
    pub(crate) fn masked(&self) -> Vec<String> {
        let is_mask = |mount: &&Mount| {
            let is_top = || self.mounts.iter().any(|other| other.pid == mount.mnt_id);
            let empty = mount.fs_type == "tmpfs" && is_read_only(mount) && mount.root == "/";
            (empty && !is_top()) || mount.root == "/null" || mount.root.starts_with("/systemd/inaccessible")
        };
        self.of_the_kernel().filter(is_mask).map(|mount| mount.mount_point.display().to_string()).collect()
    }

    /// What of /proc and /sys can be read and not written.
    pub(crate) fn read_only(&self) -> Vec<String> {
        let masked = self.masked();
        let paths = self.of_the_kernel().filter(|mount| is_read_only(mount));
        let paths = paths.map(|mount| mount.mount_point.display().to_string());
        paths.filter(|path| !masked.contains(path)).collect()
    }

    fn of_the_kernel(&self) -> impl Iterator<Item = &Mount> {
        let is_it = |mount: &&Mount| ["/proc", "/sys"].iter().any(|top| mount.mount_point.starts_with(top));
        // Each controller of cgroup v1 is mounted by itself; they tell no more than /sys/fs/cgroup does.
        let below = |mount: &&Mount| {
            mount.mount_point.starts_with("/sys/fs/cgroup")
                && mount.mount_point != Path::new("/sys/fs/cgroup")
        };
        self.mounts.iter().filter(is_it).filter(move |mount| !below(mount))
    }

    /// Its path in the hierarchy of a controller, or in that of version 2.
    pub(crate) fn cgroup(&self, controller: &str) -> Option<&Membership> {
        let of = |controller: &str| self.cgroups.iter().find(|own| own.has(controller));
        of(controller).or_else(|| of(""))
    }
}

/// Whether the file is in its root directory and is not ours: we may be in a container ourselves, or on a machine that was
/// made from an image.
fn is_its_own(pid: Pid, path: &str) -> bool {
    let identity = |path: String| std::fs::symlink_metadata(path).map(|it| (it.dev(), it.ino())).ok();
    let its = identity(format!("/proc/{pid}/root{path}"));
    its.is_some() && its != identity(path.into())
}

/// A path in which IDs of containers are as short as `docker ps` has them: 12 digits of 64.
pub(crate) fn shortened(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let length = rest[start..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let (word, shown) = (&rest[start..start + length], if length == 64 { 12 } else { length });
        out.push_str(&rest[..start]);
        out.push_str(&word[..shown]);
        if shown < length {
            out.push('…');
        }
        rest = &rest[start + length..];
    }
    out + rest
}

pub(crate) fn is_read_only(mount: &Mount) -> bool {
    mount.mount_options.contains_key("ro")
}

pub(crate) fn parse(text: &OsStr) -> Result<Pid> {
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.map(Pid::from_raw).ok_or_else(|| {
        anyhow!("'{}' is no PID: give a number from 1 up, as ps -e lists them", text.to_string_lossy())
    })
}

/// The complaint that says what is wrong with a PID, and what would help.
fn why_not(pid: Pid, error: Error) -> anyhow::Error {
    match error.errno() {
        Some(Errno::ENOENT | Errno::ESRCH) => {
            anyhow!("there is no process {pid}: ps -e lists those that there are")
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            let owner = std::fs::metadata(format!("/proc/{pid}")).map(|it| it.uid().to_string());
            let remedy = match (nix::unistd::geteuid().is_root(), is_capable(Capability::CAP_SYS_PTRACE)) {
                (false, _) => "run as that user, or with sudo",
                (true, false) => "run where root has CAP_SYS_PTRACE, outside any container",
                (true, true) => "a security module keeps even root from it",
            };
            let (owner, command) = (owner.unwrap_or("?".into()), name(pid));
            anyhow!("may not look at process {pid}, '{command}' of user {owner}: {remedy}")
        }
        _ => error.into(),
    }
}

fn name(pid: Pid) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_else(|_| b"?".into());
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned()
}

fn ancestors(parent: i32) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = parent;
    // 0 is the parent of who has none, or none that we could see.
    while next > 0 && found.len() < 64 {
        let Ok(status) = status(Some(Pid::from_raw(next))) else { break };
        found.push(program(next).unwrap_or(status.name));
        next = status.ppid;
    }
    found
}

/// The file name of its program, which unlike its name in /proc it cannot choose, and which may be longer.
fn program(pid: i32) -> Option<String> {
    let file = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = file.file_name()?.to_string_lossy();
    // Makers run copies of themselves that what is in the container cannot write to: memfd_create(2).
    Some(name.trim_end_matches(" (deleted)").trim_start_matches("memfd:").to_string())
}

fn one_blank(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A limit in effect, and the cgroup that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    /// `max` where there is none.
    pub(crate) value: String,
    /// The file, from the root of its hierarchy.
    pub(crate) set_in: String,
}

/// The limits on `process`: of its own cgroup and all above it the least, which is what the kernel enforces.
pub(crate) fn limits(process: &Process) -> Vec<Limit> {
    let mounts = mount::list(None).unwrap_or_default();
    let kinds: [(&str, &str, &[&str]); 3] = [
        ("memory", "memory", &["memory.max", "memory.limit_in_bytes"]),
        ("processes", "pids", &["pids.max"]),
        ("CPU time", "cpu", &["cpu.max", "cpu.cfs_quota_us"]),
    ];
    let mut limits = Vec::new();
    for (what, controller, files) in kinds {
        let Some(member) = process.cgroup(controller) else { continue };
        let Some((top, own)) = directory(&mounts, member) else { continue };
        limits.extend(least(&top, &own, files).map(|(value, set_in)| Limit { what, value, set_in }));
    }
    limits
}

/// The least that `files` say in the cgroup `own` and all above it, up to `top`, and the file that says it. `None` where
/// there is none of these files.
fn least(top: &Path, own: &Path, files: &[&str]) -> Option<(String, String)> {
    let mut least: Option<(f64, String, PathBuf)> = None;
    let mut asked = false;
    for directory in own.ancestors().take_while(|it| it.starts_with(top)) {
        for file in files.iter().map(|file| directory.join(file)) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            asked = true;
            let Some((number, words)) = reading(&text, &file) else { continue };
            if least.as_ref().is_none_or(|(smallest, ..)| number < *smallest) {
                least = Some((number, words, file));
            }
        }
    }
    let found = least.map(|(_, value, file)| {
        let below = file.strip_prefix(top).unwrap_or(&file);
        (value, format!("/{}", below.display()))
    });
    found.or_else(|| asked.then(|| ("max".into(), "-".into())))
}

/// What a file of a cgroup limits to, as a number to compare and in words. `None` for no limit.
fn reading(text: &str, file: &Path) -> Option<(f64, String)> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    // v1 says -1 for no quota, and for no limit of memory the largest number of whole pages.
    let number: f64 = first.parse().ok().filter(|number| (0.0..9.2e18).contains(number))?;
    // cpu.max has the quota and the period; on v1 the period has a file of its own.
    let period = match file.file_name().and_then(OsStr::to_str) {
        Some("cpu.max") => words.next().map(ToString::to_string),
        Some("cpu.cfs_quota_us") => std::fs::read_to_string(file.with_file_name("cpu.cfs_period_us")).ok(),
        _ => return Some((number, first.to_string())),
    };
    let share = number / period?.trim().parse::<f64>().ok()?;
    Some((share, format!("{share:.2} of one CPU")))
}

/// Where we see the cgroup of a membership: the top of that mount, and the directory.
fn directory(mounts: &[Mount], member: &Membership) -> Option<(PathBuf, PathBuf)> {
    let first = member.controllers.split(',').next().unwrap_or_default();
    let fits = |mount: &&Mount| match (mount.fs_type.as_str(), first) {
        ("cgroup2", "") => true,
        ("cgroup", first) => !first.is_empty() && mount.super_options.contains_key(first),
        _ => false,
    };
    let below = |mount: &Mount| {
        let path = Path::new(&member.path).strip_prefix(&mount.root).ok()?;
        Some((mount.mount_point.clone(), mount.mount_point.join(path)))
    };
    mounts.iter().filter(fits).find_map(below).filter(|(_, directory)| directory.is_dir())
}

/// An interface of a process's network, and where its other end is, if that is in ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    /// The index of its other end, in whatever namespace that is: what /sys/class/net/NAME/iflink says.
    pub(crate) iflink: Option<u32>,
    /// The other end, and the bridge that it is a port of.
    pub(crate) peer: Option<(String, Option<String>)>,
}

/// The interfaces of its network namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over that namespace.
pub(crate) fn interfaces(pid: Pid) -> ns_core::Result<Vec<Interface>> {
    let namespace = NsFile::of(Some(pid), Kind::Net)?;
    let ours = Netlink::open()?;
    let number = ours.number_of(namespace.as_fd())?;
    let here = ours.links()?;
    let by_index: BTreeMap<u32, &str> = here.iter().map(|link| (link.index, link.name.as_str())).collect();
    let mut found: Vec<Interface> = Vec::new();
    for link in Netlink::open_in(&namespace)?.links()? {
        // The number alone would not do: every namespace counts its links from 1.
        let peer = here.iter().find(|other| {
            number.is_some()
                && other.peer_namespace == number
                && other.peer_index == Some(link.index)
                && link.peer_index == Some(other.index)
        });
        let bridge = |master: u32| by_index.get(&master).map(ToString::to_string);
        found.push(Interface {
            name: link.name,
            kind: link.kind,
            iflink: link.peer_index,
            peer: peer.map(|peer| (peer.name.clone(), peer.master.and_then(bridge))),
        });
    }
    Ok(found)
}

/// Capabilities by their names, as `docker run --cap-add` takes them.
pub(crate) fn capabilities(set: u64) -> String {
    let mut known: Vec<Capability> = caps::all().into_iter().collect();
    known.sort_by_key(Capability::index);
    // What this kernel knows: the last one's number is /proc/sys/kernel/cap_last_cap (capabilities(7)).
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    let last = last.and_then(|text| text.trim().parse().ok()).unwrap_or(40_u8);
    known.retain(|capability| capability.index() <= last);
    let short = |capability: &&Capability| capability.to_string().trim_start_matches("CAP_").to_string();
    let (has, lacks): (Vec<_>, Vec<_>) =
        known.iter().partition(|capability| set & (1 << capability.index()) != 0);
    let names = |list: &[&Capability]| list.iter().map(short).collect::<Vec<_>>().join(" ");
    match (has.len(), lacks.len()) {
        (0, _) => "none".into(),
        (all, 0) => format!("all {all}"),
        (_, few) if few <= 4 => format!("all but {}", names(&lacks)),
        (some, _) => format!("{some}: {}", names(&has)),
    }
}

/// As [`capabilities`], measured by Docker's default where that is shorter.
pub(crate) fn capabilities_in_short(set: u64) -> String {
    let (more, fewer) = (set & !DOCKER_DEFAULT, DOCKER_DEFAULT & !set);
    let names = |set: u64| capabilities(set).split_once(": ").map(|(_, names)| names.to_string());
    match (more.count_ones(), fewer.count_ones()) {
        (0, 0) => "Docker's 14".into(),
        (1..=6, 0) => format!("Docker's 14 and {}", names(more).unwrap_or_default()),
        (0, 1..=6) => format!("Docker's 14 without {}", names(fewer).unwrap_or_default()),
        _ => capabilities(set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_short_as_docker_has_them() {
        let id = "f8fec73ba66c7fae5a74c96f0a2e2212223ea9f5e8fe35d9230c5fba90231db6";
        assert_eq!(shortened(&format!("/docker/{id}/pids.max")), "/docker/f8fec73ba66c…/pids.max");
        assert_eq!(shortened("/user.slice/add/ü"), "/user.slice/add/ü");
    }

    #[test]
    fn what_is_no_limit_is_none() {
        let file = Path::new("/no/such/cgroup/memory.max");
        for text in ["max\n", "max 100000\n", "-1\n", "9223372036854771712\n", ""] {
            assert_eq!(reading(text, file), None, "{text:?}");
        }
        assert_eq!(reading("67108864\n", file), Some((67_108_864.0, "67108864".into())));
        let quota = file.with_file_name("cpu.max");
        assert_eq!(reading("50000 100000\n", &quota), Some((0.5, "0.50 of one CPU".into())));
        assert_eq!(reading("max 100000\n", &quota), None);
    }

    #[test]
    fn of_a_cgroup_and_all_above_it_the_least_limit_counts() {
        let top = std::env::temp_dir().join(format!("docker-view-cgroups-{}", std::process::id()));
        let own = top.join("a/b");
        std::fs::create_dir_all(&own).unwrap();
        for (directory, limit) in [("a", "5\n"), ("a/b", "50\n")] {
            std::fs::write(top.join(directory).join("pids.max"), limit).unwrap();
        }
        std::fs::write(own.join("memory.max"), "max\n").unwrap();
        let found = |file| least(&top, &own, &[file]);
        let (pids, memory, cpu) = (found("pids.max"), found("memory.max"), found("cpu.max"));
        std::fs::remove_dir_all(&top).unwrap();
        assert_eq!(pids, Some(("5".into(), "/a/pids.max".into())));
        assert_eq!(memory, Some(("max".into(), "-".into())));
        assert_eq!(cpu, None, "no such controller there");
    }

    #[test]
    fn capabilities_read_as_docker_takes_them() {
        assert_eq!(capabilities(0), "none");
        assert_eq!(capabilities(0b1_0000_0001), "2: CHOWN SETPCAP");
        assert!(capabilities(u64::MAX).starts_with("all "));
        assert_eq!(capabilities(!(1 << 24)), "all but SYS_RESOURCE");
        assert_eq!(capabilities_in_short(DOCKER_DEFAULT), "Docker's 14");
        assert_eq!(capabilities_in_short(DOCKER_DEFAULT | 1 << 21), "Docker's 14 and SYS_ADMIN");
        assert_eq!(capabilities_in_short(DOCKER_DEFAULT & !1), "Docker's 14 without CHOWN");
    }
}
