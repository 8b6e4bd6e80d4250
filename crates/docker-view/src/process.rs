//! One process, as the files of /proc show it.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use ns_core::cgroup::Membership;
use ns_core::mount::Mount;
use ns_core::process::{is_capable, status};
use ns_core::{Capability, Errno, Error, Kind, NsId, Pid, mount, namespace, root};

/// The state of a process at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) command: String,
    /// The names of its ancestors' programs, its parent's first.
    pub(crate) ancestors: Vec<String>,
    pub(crate) namespaces: Vec<NsId>,
    /// Its PIDs. The first is that in the PID namespace of this program.
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
        // A process that ends leaves all other namespaces.
        if namespaces.iter().all(|id| matches!(id.kind, Kind::Pid | Kind::User)) {
            return Err(anyhow!(
                "process {pid} has ended, and is a zombie: give the PID of a running process"
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

    /// The mount at `/`, among those that the process sees.
    pub(crate) fn root_mount(&self) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.mount_point == Path::new("/"))
    }

    /// The paths in /proc and /sys that a mount covers, so that they cannot be read.
    pub(crate) fn masked(&self) -> Vec<String> {
        let is_mask = |mount: &&Mount| {
            let is_top = || self.mounts.iter().any(|other| other.pid == mount.mnt_id);
            let empty = mount.fs_type == "tmpfs" && is_read_only(mount) && mount.root == "/";
            (empty && !is_top()) || mount.root == "/null" || mount.root.starts_with("/systemd/inaccessible")
        };
        self.of_the_kernel().filter(is_mask).map(|mount| mount.mount_point.display().to_string()).collect()
    }

    /// The paths in /proc and /sys that are mounted read-only.
    pub(crate) fn read_only(&self) -> Vec<String> {
        let masked = self.masked();
        let paths = self.of_the_kernel().filter(|mount| is_read_only(mount));
        let paths = paths.map(|mount| mount.mount_point.display().to_string());
        paths.filter(|path| !masked.contains(path)).collect()
    }

    fn of_the_kernel(&self) -> impl Iterator<Item = &Mount> {
        let is_it = |mount: &&Mount| ["/proc", "/sys"].iter().any(|top| mount.mount_point.starts_with(top));
        // Each controller of cgroup v1 has its own mount. They add nothing to /sys/fs/cgroup.
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

/// Whether the file is in the root directory of the process, and is not that of this program. This program may be in a
/// container itself, or on a machine that was made from an image.
fn is_its_own(pid: Pid, path: &str) -> bool {
    let identity = |path: String| std::fs::symlink_metadata(path).map(|it| (it.dev(), it.ino())).ok();
    let its = identity(format!("/proc/{pid}/root{path}"));
    its.is_some() && its != identity(path.into())
}

/// A path in which IDs of containers are as short as in `docker ps`: 12 digits of 64.
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
    number
        .map(Pid::from_raw)
        .ok_or_else(|| anyhow!("'{}' is not a PID: give a number that ps -e lists", text.to_string_lossy()))
}

/// The error that says what is wrong with a PID, and what to do.
fn why_not(pid: Pid, error: Error) -> anyhow::Error {
    match error.errno() {
        _ if error.is_no_process() => {
            anyhow!("there is no process {pid}: ps -e lists all PIDs")
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            let owner = std::fs::metadata(format!("/proc/{pid}")).map(|it| it.uid().to_string());
            let remedy = match (nix::unistd::geteuid().is_root(), is_capable(Capability::CAP_SYS_PTRACE)) {
                (false, _) => "run as that user, or with sudo",
                (true, false) => "run where root has CAP_SYS_PTRACE, outside any container",
                (true, true) => "a security module denies it even to root",
            };
            let (owner, command) = (owner.unwrap_or("?".into()), name(pid));
            anyhow!("no permission to read process {pid}, '{command}' of user {owner}: {remedy}")
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
    // 0: the process has no parent, or none in this PID namespace.
    while next > 0 && found.len() < 64 {
        let Ok(status) = status(Some(Pid::from_raw(next))) else { break };
        found.push(program(next).unwrap_or(status.name));
        next = status.ppid;
    }
    found
}

/// The file name of its program. Unlike its name in /proc, the process cannot choose it, and it may be longer.
fn program(pid: i32) -> Option<String> {
    let file = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = file.file_name()?.to_string_lossy();
    // A runtime runs a copy of itself that the container cannot write to: memfd_create(2).
    Some(name.trim_end_matches(" (deleted)").trim_start_matches("memfd:").to_string())
}

fn one_blank(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
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
}
