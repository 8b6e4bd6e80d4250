//! Namespaces that a process holds without being in them: by an open file, by a socket, or for its next children.

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ns_core::{Kind, NsFile, NsId, Pid, namespace};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::model::{Keeper, Map};
use crate::processes::Processes;

/// Looks at each descriptor of these processes. Those of other users are left out, unless the caller may trace them.
pub(crate) fn find(map: &mut Map, processes: &mut Processes, pids: &[i32], go_on: &mut dyn FnMut() -> bool) {
    // A socket that several processes have open leads to one namespace.
    let mut sockets = HashSet::new();
    for pid in pids.iter().copied().take_while(|_| go_on()) {
        for_children(map, processes, pid);
        let directory = processes.path(pid, "fd");
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            if let Some((kind, inode)) = namespace::parse_link(&target) {
                let Ok(id) = namespace::identity(kind, inode) else { continue };
                if let Some(file) = found(map, id, || NsFile::open(entry.path().display().to_string()).ok()) {
                    processes.relate(map, id, file);
                }
                let command = processes.command(pid);
                map.at(id).kept_by.push(Keeper::Descriptor { pid, fd, command });
            } else if target.starts_with("socket:[") && sockets.insert(target.to_string()) {
                of_socket(map, processes, pid, fd);
            }
        }
    }
}

/// Opens a namespace that is new on the map.
fn found(map: &Map, id: NsId, open: impl FnOnce() -> Option<NsFile>) -> Option<NsFile> {
    if map.namespaces.contains_key(&id) { None } else { open() }
}

/// A socket belongs to the network namespace in which it was created. The map has it if its process is in another.
fn of_socket(map: &mut Map, processes: &mut Processes, pid: i32, fd: i32) {
    let Some(file) = copy_of(pid, fd).and_then(|socket| NsFile::of_socket(socket.as_fd()).ok()) else {
        return;
    };
    let Ok(id) = file.id() else { return };
    let own = namespace::of_kind(Some(Pid::from_raw(pid)), Kind::Net);
    if own.is_ok_and(|own| own == id) {
        return;
    }
    if !map.namespaces.contains_key(&id) {
        processes.relate(map, id, file);
    }
    let command = processes.command(pid);
    map.at(id).kept_by.push(Keeper::Socket { pid, fd, command });
}

/// A copy of a descriptor of another process, which may be had by whoever may trace it (pidfd_getfd(2)).
fn copy_of(pid: i32, fd: i32) -> Option<OwnedFd> {
    let process = pidfd_open(rustix::process::Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, fd, PidfdGetfdFlags::empty()).ok()
}

fn for_children(map: &mut Map, processes: &mut Processes, pid: i32) {
    for kind in [Kind::Pid, Kind::Time] {
        let path = processes.path(pid, "ns").join(format!("{kind}_for_children"));
        let inode = |path: &Path| {
            let link = fs::read_link(path).ok()?;
            Some(namespace::parse_link(&link.to_string_lossy())?.1)
        };
        let own = inode(&processes.path(pid, "ns").join(kind.link()));
        let Some(inode) = inode(&path).filter(|inode| Some(*inode) != own) else { continue };
        let Ok(id) = namespace::identity(kind, inode) else { continue };
        if let Some(file) = found(map, id, || NsFile::open(path.display().to_string()).ok()) {
            processes.relate(map, id, file);
        }
        let command = processes.command(pid);
        map.at(id).kept_by.push(Keeper::ForChildren { pid, command });
    }
}
