//! What /proc says of a thread that stands still: its descriptors, its paths, its name.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use nix::unistd::Pid;
use rustix::fs::statfs;

/// What a descriptor that can be written leads to, as far as it is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opened {
    /// A file of procfs, by its path.
    Proc(String),
    /// A file of a cgroup.
    Cgroup(String),
    /// A socket of netlink(7), by its protocol.
    Netlink(u64),
}

/// Numbers of linux/magic.h.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// What `fd` of `thread` is, if it is a file of procfs or of a cgroup.
pub(crate) fn opened(thread: Pid, fd: i32) -> Option<Opened> {
    let path = descriptor(thread, fd);
    let kind = magic(&path)?;
    let name = || link(&path).unwrap_or_else(|| format!("descriptor {fd}"));
    match kind {
        PROC_SUPER_MAGIC => Some(Opened::Proc(name())),
        CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC => Some(Opened::Cgroup(name())),
        _ => None,
    }
}

/// Whether the directory above `path`, as `thread` has it, is of a cgroup.
pub(crate) fn is_in_cgroup(thread: Pid, directory: i32, path: &str) -> bool {
    let path = reach(thread, directory, path);
    path.parent().and_then(|parent| magic(&parent.display().to_string())).is_some_and(is_of_cgroup)
}

/// Whether a path of `thread` may lead to a file of procfs or of a cgroup. One that cannot be looked at may. So may one that
/// is not there for us, below a directory of procfs: what /proc/self and /proc/sys/net have depends on who looks.
pub(crate) fn may_be_of_kernel(thread: Pid, directory: i32, path: &str) -> bool {
    let path = reach(thread, directory, path);
    for at in path.ancestors() {
        match statfs(at) {
            Ok(about) => return about.f_type as u64 == PROC_SUPER_MAGIC || is_of_cgroup(about.f_type as u64),
            Err(rustix::io::Errno::NOENT) => {}
            Err(_) => return true,
        }
    }
    true
}

/// What a path of `thread` is called: it may go by a descriptor.
pub(crate) fn named(thread: Pid, directory: i32, path: &str) -> String {
    if let Some(fd) = path.strip_prefix("/proc/self/fd/").and_then(|rest| rest.parse().ok()) {
        return link(&descriptor(thread, fd)).unwrap_or_else(|| path.into());
    }
    let of_directory = || link(&descriptor(thread, directory));
    match (path, directory) {
        ("", libc::AT_FDCWD) => String::new(),
        // What is mounted at no place has the path / of its own.
        ("", _) => {
            of_directory().filter(|path| path != "/").unwrap_or_else(|| format!("descriptor {directory}"))
        }
        (path, libc::AT_FDCWD) => path.into(),
        (path, _) if path.starts_with('/') => path.into(),
        (path, _) => of_directory().map_or_else(|| path.into(), |base| format!("{base}/{path}")),
    }
}

/// What `fd` of `thread` is, in words: a namespace as `net:[4026531840]`, a process, or a path.
pub(crate) fn of_descriptor(thread: Pid, fd: i32) -> String {
    let path = descriptor(thread, fd);
    let Some(name) = link(&path) else { return format!("descriptor {fd}") };
    if name.contains("[pidfd]") {
        let info = fs::read_to_string(format!("/proc/{thread}/fdinfo/{fd}")).unwrap_or_default();
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
        return pid.map_or(name, |pid| format!("PID {pid}"));
    }
    if name.contains(":[") {
        return name;
    }
    // A namespace that is mounted has the path of its mount.
    let id = namespace(path).and_then(|file| file.id().ok());
    id.map_or_else(|| name.clone(), |id| format!("{id} at {name}"))
}

/// The kind of namespace that `fd` of `thread` is.
pub(crate) fn kind_of(thread: Pid, fd: i32) -> Option<ns_core::Kind> {
    namespace(descriptor(thread, fd))?.kind().ok()
}

/// The namespace at a path. All else stays unopened: to open a FIFO is to wait for its other end.
fn namespace(path: String) -> Option<ns_core::NsFile> {
    magic(&path).filter(|kind| *kind == NSFS_MAGIC)?;
    ns_core::NsFile::open(path).ok()
}

/// The name of the program of a thread.
pub(crate) fn name(thread: Pid) -> String {
    ns_core::process::name(Some(thread)).unwrap_or_default()
}

/// What /proc/PID/status says of a thread (proc_pid_status(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The process that it is of.
    pub(crate) process: i32,
    /// The parent of that process, or 0 if we do not see it.
    pub(crate) parent: i32,
    /// The PIDs of that process below our PID namespace, the last its own.
    pub(crate) inside: Vec<i32>,
    /// The name of its program.
    pub(crate) name: String,
    /// Its ambient capabilities, as a mask.
    pub(crate) ambient: u64,
}

/// What is asked of a thread at its beginning, and after execve(2): all by one file. None if it is gone.
pub(crate) fn status(thread: Pid) -> Option<Status> {
    let text = read(&format!("/proc/{thread}/status"))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let inside = field("NStgid:").unwrap_or_default().split_whitespace().skip(1);
    // A name with a line break in it is escaped there.
    let escaped = field("Name:").is_none_or(|name| name.contains('\\') || name.is_empty());
    Some(Status {
        process: field("Tgid:")?.parse().ok()?,
        parent: field("PPid:").and_then(|pid| pid.parse().ok()).unwrap_or(0),
        inside: inside.filter_map(|pid| pid.parse().ok()).collect(),
        name: if escaped { name(thread) } else { text.lines().next()?.strip_prefix("Name:\t")?.into() },
        ambient: field("CapAmb:").and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0),
    })
}

/// Whether a thread runs, or stands still in a stop of its tracer: R and t in proc_pid_stat(5). One that created another is in
/// one of these states until it has told its tracer.
pub(crate) fn is_active(thread: Pid) -> bool {
    let stat = read(&format!("/proc/{thread}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['R', 't']))
}

/// `process`, its children, and theirs.
pub(crate) fn family(process: i32) -> Vec<i32> {
    let mut found = vec![process];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<String> = children.collect();
        let pids = children
            .iter()
            .flat_map(|text| text.split_whitespace())
            .filter_map(|pid| pid.parse::<i32>().ok());
        found.extend(pids);
        next += 1;
    }
    found
}

/// The text of a small file whose every read(2) gives all that there is, up to the room for it.
fn read(path: &str) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let (mut bytes, mut length) = (vec![0; 4096], 0);
    loop {
        length += file.read(&mut bytes[length..]).ok()?;
        if length < bytes.len() {
            break;
        }
        bytes.resize(2 * length, 0);
    }
    bytes.truncate(length);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The descriptors of `thread` that are of interest and can be written.
pub(crate) fn all_opened(thread: Pid) -> Vec<(i32, Opened)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{thread}/fd")) else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Most are pipes and files, and then it need not be asked.
    let sockets = OnceCell::new();
    let of = |fd: i32| {
        let name = link(&descriptor(thread, fd))?;
        if let Some(inode) = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
            let known = sockets.get_or_init(|| netlink_sockets(thread));
            return known.get(inode).map(|protocol| Opened::Netlink(*protocol));
        }
        // Pipes and their like have no path.
        if !name.starts_with('/') {
            return None;
        }
        opened(thread, fd).filter(|_| can_be_written(thread, fd))
    };
    numbers.filter_map(|fd| Some((fd, of(fd)?))).collect()
}

/// The sockets of netlink in the network namespace of a thread: the protocol of each, by its inode number. It is the second
/// field of a line, and the inode number is the last.
fn netlink_sockets(thread: Pid) -> HashMap<String, u64> {
    let text = fs::read_to_string(format!("/proc/{thread}/net/netlink")).unwrap_or_default();
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(((*fields.last()?).to_string(), fields.get(1)?.parse().ok()?))
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// Whether `fd` of `thread` is open.
pub(crate) fn is_open(thread: Pid, fd: i32) -> bool {
    fs::symlink_metadata(descriptor(thread, fd)).is_ok()
}

fn can_be_written(thread: Pid, fd: i32) -> bool {
    let info = fs::read_to_string(format!("/proc/{thread}/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| i32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0);
    flags & libc::O_ACCMODE != libc::O_RDONLY && flags & libc::O_PATH == 0
}

fn descriptor(thread: Pid, fd: i32) -> String {
    format!("/proc/{thread}/fd/{fd}")
}

/// A path by which we come to where a path of `thread` leads.
fn reach(thread: Pid, directory: i32, path: &str) -> PathBuf {
    let base = match directory {
        _ if path.starts_with('/') => format!("/proc/{thread}/root"),
        libc::AT_FDCWD => format!("/proc/{thread}/cwd"),
        fd => descriptor(thread, fd),
    };
    PathBuf::from(base).join(path.trim_start_matches('/').trim_end_matches('/'))
}

fn is_of_cgroup(magic: u64) -> bool {
    matches!(magic, CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC)
}

fn magic(path: &str) -> Option<u64> {
    statfs(path).ok().map(|it| it.f_type as u64)
}

fn link(path: &str) -> Option<String> {
    fs::read_link(path).ok().map(|it| it.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_procfs_are_known() {
        let us = nix::unistd::getpid();
        let file = fs::File::options().write(true).open("/proc/self/comm").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert_eq!(opened(us, fd), Some(Opened::Proc(format!("/proc/{us}/comm"))));
        assert!(all_opened(us).iter().any(|(number, _)| *number == fd));
        assert_eq!(named(us, libc::AT_FDCWD, &format!("/proc/self/fd/{fd}")), format!("/proc/{us}/comm"));
        assert!(is_open(us, fd) && !is_open(us, 999));
        for (path, may) in [("/proc/self/comm", true), ("/etc/passwd", false), ("/nonexistent/file", false)] {
            assert_eq!(may_be_of_kernel(us, libc::AT_FDCWD, path), may, "{path}");
        }
        for of_others in ["/proc/self/fd/999", "/proc/sys/net/ipv4/conf/no-such-link/forwarding"] {
            assert!(may_be_of_kernel(us, libc::AT_FDCWD, of_others), "{of_others}");
        }
    }

    #[test]
    fn a_namespace_is_told_by_its_kind_and_number() {
        let us = nix::unistd::getpid();
        let file = fs::File::open("/proc/self/ns/uts").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert!(of_descriptor(us, fd).starts_with("uts:["));
        assert_eq!(kind_of(us, fd), Some(ns_core::Kind::Uts));
        let status = status(us).unwrap();
        assert_eq!((status.process, status.name), (us.as_raw(), name(us)));
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(family(us.as_raw()).contains(&(child.id() as i32)));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
