//! All that is listened to.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use ns_core::cgroup::{Layout, Membership};
use ns_core::process_events::ProcessEvents;
use ns_core::{Kind, NsId, Result, namespace, pids};

use super::cgroups::CgroupChanges;
use super::polled::Polled;
use crate::subject::Subject;

/// Of more processes than these, only the first are followed: descriptors are limited (RLIMIT_NOFILE).
const MOST: usize = 64;

/// What is listened to. What this machine does not offer is absent.
#[derive(Debug)]
pub(super) struct Sources {
    processes: Option<ProcessEvents>,
    names: Vec<Polled>,
    /// By mount namespace.
    mounts: BTreeMap<NsId, Polled>,
    cgroups: Option<CgroupChanges>,
    ends: BTreeMap<(i32, u64), OwnedFd>,
}

impl Sources {
    pub(super) fn open() -> Sources {
        let own = namespace::of_kind(None, Kind::Mnt).ok().zip(Polled::mounts(None));
        Sources {
            processes: ProcessEvents::open().ok(),
            names: Polled::names(),
            mounts: own.into_iter().collect(),
            cgroups: CgroupChanges::open().ok().filter(CgroupChanges::any),
            ends: BTreeMap::new(),
        }
    }

    /// Follows these processes, and no longer those of before: their ends, their mounts, and the cgroups they are in.
    pub(super) fn follow(&mut self, subjects: &[Subject]) {
        let subjects = &subjects[..subjects.len().min(MOST)];
        let key = |subject: &Subject| (subject.pid.as_raw(), subject.started);
        let wanted: BTreeSet<_> = subjects.iter().map(key).collect();
        self.ends.retain(|process, _| wanted.contains(process));
        let mut namespaces: BTreeSet<NsId> = namespace::of_kind(None, Kind::Mnt).into_iter().collect();
        let layout = Layout::detect().ok();
        for subject in subjects {
            if let Ok(end) = pids::open(subject.pid) {
                self.ends.entry(key(subject)).or_insert(end);
            }
            if let Ok(id) = namespace::of_kind(Some(subject.pid), Kind::Mnt) {
                namespaces.insert(id);
                if !self.mounts.contains_key(&id) {
                    self.mounts.extend(Polled::mounts(Some(subject.pid)).map(|mounts| (id, mounts)));
                }
            }
            if let Some((layout, cgroups)) = layout.as_ref().zip(self.cgroups.as_mut()) {
                follow_cgroups(cgroups, layout, *subject);
            }
        }
        self.mounts.retain(|id, _| namespaces.contains(id));
    }

    /// What poll(2) is to wait for. What processes do comes first.
    pub(super) fn poll_fds(&self) -> Vec<PollFd<'_>> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let changed = |fd| PollFd::new(fd, PollFlags::POLLPRI);
        let mut fds: Vec<PollFd<'_>> = self.processes.iter().map(|it| readable(it.as_fd())).collect();
        fds.extend(self.cgroups.iter().map(|it| readable(it.as_fd())));
        fds.extend(self.ends.values().map(|it| readable(it.as_fd())));
        fds.extend(self.names.iter().chain(self.mounts.values()).map(|it| changed(it.as_fd())));
        fds
    }

    /// Whether what poll(2) found at those descriptors is a change. What the caller's own children did is none.
    ///
    /// # Errors
    /// Those of the sockets.
    pub(super) fn has_changed(&mut self, ready: &[bool]) -> Result<bool> {
        let (processes, others) = ready.split_at(usize::from(self.processes.is_some()));
        let did_something = match &mut self.processes {
            Some(events) if processes.contains(&true) => events.drain()?,
            _ => false,
        };
        Ok(did_something || others.contains(&true))
    }

    /// Takes what has been reported, so that the next poll(2) waits for what is newer.
    ///
    /// # Errors
    /// Those of the sockets.
    pub(super) fn drain(&mut self) -> Result<()> {
        if let Some(processes) = &mut self.processes {
            processes.drain()?;
        }
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.drain();
        }
        // A pidfd stays ready once its process has ended.
        let has_ended = |fd: &OwnedFd| {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        };
        self.ends.retain(|_, fd| !has_ended(fd));
        Ok(())
    }

    /// What is listened to, in words.
    pub(super) fn in_words(&self) -> Vec<&'static str> {
        let words = [
            (self.processes.is_some(), "what processes do"),
            (!self.names.is_empty(), "names of UTS namespaces"),
            (!self.mounts.is_empty(), "mounts"),
            (self.cgroups.is_some(), "writes in cgroups"),
            (!self.ends.is_empty(), "ends of processes"),
        ];
        words.into_iter().filter_map(|(is_it, words)| is_it.then_some(words)).collect()
    }
}

fn follow_cgroups(cgroups: &mut CgroupChanges, layout: &Layout, subject: Subject) {
    for Membership { controllers, path } in Membership::all_of(Some(subject.pid)).unwrap_or_default() {
        // Any of its controllers leads to a hierarchy of version 1, and none to version 2.
        let controller = controllers.split(',').next().unwrap_or_default();
        let hierarchy = if controller.is_empty() { layout.v2() } else { layout.v1(controller) };
        if let Some(directory) = hierarchy.and_then(|hierarchy| hierarchy.directory(&path)) {
            cgroups.watch(&directory);
        }
    }
}
