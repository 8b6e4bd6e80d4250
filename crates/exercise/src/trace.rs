//! What a look found to be of the learner's making, so that a reset can take it away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ns_core::cgroup::{Layout, Membership, Version};
use ns_core::namespace;
use serde::{Deserialize, Serialize};

use crate::assign::Assignment;
use crate::snapshot::Snapshot;
use crate::view::View;

/// What was found to be of the learner's making.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Processes that met a requirement, each by its PID and when it started, in clock ticks since the machine did.
    #[serde(default)]
    pub(crate) processes: BTreeSet<(i32, u64)>,
    /// Those of them that met every requirement of their subject in one look, in a namespace or a cgroup that was not there
    /// when the attempt began. What meets one requirement may be anybody's.
    #[serde(default)]
    pub(crate) sure: BTreeSet<(i32, u64)>,
    /// Directories of cgroups that were not there when the attempt began, and had such a process.
    #[serde(default)]
    pub(crate) cgroups: BTreeSet<PathBuf>,
}

impl Trace {
    /// Of the processes that are `chosen`. `is_whole` says of a subject whether all its requirements are met.
    pub(crate) fn of(
        snapshot: &Snapshot,
        view: &View,
        chosen: &Assignment<'_>,
        is_whole: impl Fn(&str) -> bool,
    ) -> Trace {
        let mut trace = Trace::default();
        let own = Membership::all_of(None).unwrap_or_default();
        for (name, process) in chosen.chosen() {
            let subject = process.subject;
            let id = (subject.pid.as_raw(), subject.started);
            let cgroups = Membership::all_of(Some(subject.pid)).unwrap_or_default();
            let elsewhere: Vec<_> = cgroups.into_iter().filter(|it| !own.contains(it)).collect();
            let cgroups = made(snapshot, &elsewhere);
            let namespaces = namespace::of(Some(subject.pid)).unwrap_or_default();
            let is_apart = !cgroups.is_empty() || namespaces.iter().any(|it| view.is_new(*it));
            trace.processes.insert(id);
            if is_apart && is_whole(name) {
                trace.sure.insert(id);
                trace.cgroups.extend(cgroups);
            }
        }
        trace
    }

    /// Adds what another look found.
    pub(crate) fn add(&mut self, other: &Trace) {
        self.processes.extend(&other.processes);
        self.sure.extend(&other.sure);
        self.cgroups.extend(other.cgroups.iter().cloned());
    }
}

/// Of these cgroups and those above them, the directories that were not there when the attempt began.
fn made(snapshot: &Snapshot, cgroups: &[Membership]) -> Vec<PathBuf> {
    let layout = if cgroups.is_empty() { None } else { Layout::detect().ok() };
    let hierarchies = layout.iter().flat_map(Layout::hierarchies);
    let mut made = Vec::new();
    for hierarchy in hierarchies {
        let controllers = match hierarchy.version() {
            Version::V2 => String::new(),
            Version::V1 => hierarchy.controllers().join(","),
        };
        let paths = cgroups.iter().filter(|it| it.controllers == controllers);
        for directory in paths.filter_map(|it| hierarchy.directory(&it.path)) {
            let below = |path: &&Path| path.starts_with(hierarchy.mount_point());
            let all = directory.ancestors().take_while(below).filter(|path| !snapshot.had_cgroup(path));
            made.extend(all.map(PathBuf::from));
        }
    }
    made
}
