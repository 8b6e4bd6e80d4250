//! The machine when an attempt began.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ns_core::cgroup::{Layout, walk};
use ns_core::{Kind, NsId, mount, namespace};
use serde::{Deserialize, Serialize};
use wake::Subject;

use crate::process::{self, Process};

/// The machine when an attempt began, so that later changes are known. It is kept in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The boot, by /proc/sys/kernel/random/boot_id: PIDs of another are other processes.
    boot: String,
    /// The namespaces of the checker.
    own: Vec<NsId>,
    /// The namespaces that were mounted.
    mounted: BTreeSet<NsId>,
    /// The processes by PID.
    processes: BTreeMap<i32, Before>,
    /// The directories of all cgroups.
    cgroups: BTreeSet<PathBuf>,
}

/// A process when an attempt began, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    started: u64,
    fingerprint: Option<String>,
    /// Its namespaces that are not the checker's.
    apart: Vec<NsId>,
}

impl Snapshot {
    /// As the machine is now.
    ///
    /// # Errors
    /// Where /proc is no procfs.
    pub fn take() -> Result<Snapshot> {
        let own = namespace::of(None)?;
        let mounted = mounted(&own).into_iter().collect();
        let mut processes = BTreeMap::new();
        for process in process::all()? {
            let inside = process.inside();
            let within = inside.iter().flat_map(|inside| &inside.namespaces).copied();
            let apart = within.filter(|id| !own.contains(id)).collect();
            let Subject { pid, started } = process.subject;
            let fingerprint = inside.map(|inside| inside.fingerprint);
            processes.insert(pid.as_raw(), Before { started, fingerprint, apart });
        }
        Ok(Snapshot { boot: boot()?, own, mounted, processes, cgroups: cgroups() })
    }

    /// Reads what [`Snapshot::keep`] wrote.
    ///
    /// # Errors
    /// Where it cannot be read, or is none.
    pub(crate) fn read(path: &Path) -> Result<Snapshot> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not as it was written", path.display()))
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) fn keep(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Refuses to compare what cannot be compared: another boot, or from other namespaces.
    ///
    /// # Errors
    /// One line with what is different, and what helps.
    pub(crate) fn require_comparable(&self) -> Result<()> {
        ensure!(
            !self.boot.is_empty(),
            "how the machine was when the attempt began is not known any more; begin another: inception exercise reset"
        );
        ensure!(
            self.is_of_this_boot(),
            "the machine has restarted since the attempt began; begin another: inception exercise reset"
        );
        let own = namespace::of(None)?;
        if let Some(id) = own.iter().find(|id| !self.own.contains(id)) {
            let kind = in_words(id.kind);
            anyhow::bail!(
                "this shell is in another {kind} namespace than `start` was; type it in the terminal in which you \
                 typed that"
            );
        }
        Ok(())
    }

    /// Whether the machine has run on since.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        boot().is_ok_and(|boot| boot == self.boot)
    }

    /// Whether a process is another than when the attempt began, or was not there. `None` if that cannot be read.
    pub(crate) fn has_changed(&self, process: &Process, fingerprint: Option<&str>) -> Option<bool> {
        match self.before(process) {
            Some(before) => Some(before.fingerprint.as_deref()? != fingerprint?),
            None => fingerprint.map(|_| true),
        }
    }

    /// Whether a process was there when the attempt began.
    pub(crate) fn had(&self, process: &Process) -> bool {
        self.before(process).is_some()
    }

    fn before(&self, process: &Process) -> Option<&Before> {
        let Subject { pid, started } = process.subject;
        self.processes.get(&pid.as_raw()).filter(|before| before.started == started)
    }

    /// Of `namespaces`, in which a process is now, those in which it was when the attempt began, but for the checker's.
    pub(crate) fn kept(&self, process: &Process, namespaces: &[NsId]) -> impl Iterator<Item = NsId> {
        let before = self.before(process).map_or(&[][..], |before| &before.apart);
        before.iter().copied().filter(|id| namespaces.contains(id))
    }

    /// Of the namespaces when the attempt began, those that still exist: the checker's, those that a process has `kept`,
    /// and those that are mounted. Any other number is that of a new namespace, since the kernel uses them again.
    pub(crate) fn remaining(&self, kept: BTreeSet<NsId>) -> BTreeSet<NsId> {
        let was_there = |id: &NsId| {
            self.mounted.contains(id) || self.processes.values().any(|before| before.apart.contains(id))
        };
        let mounted = mounted(&self.own).into_iter().filter(was_there);
        kept.into_iter().chain(self.own()).chain(mounted).collect()
    }

    /// The namespaces of the checker.
    pub(crate) fn own(&self) -> impl Iterator<Item = NsId> + '_ {
        self.own.iter().copied()
    }

    /// Whether a cgroup was there when the attempt began, by its directory.
    pub(crate) fn had_cgroup(&self, directory: &Path) -> bool {
        self.cgroups.contains(directory)
    }
}

fn boot() -> Result<String> {
    const ID: &str = "/proc/sys/kernel/random/boot_id";
    Ok(fs::read_to_string(ID).with_context(|| ID)?.trim().into())
}

/// The namespaces that are mounted where the checker sees it, as `ip netns add` does it.
fn mounted(own: &[NsId]) -> Vec<NsId> {
    let dev = own.first().map_or(0, |id| id.dev);
    let mounts = mount::list(None).unwrap_or_default();
    let links = mounts.iter().filter(|mount| mount.fs_type == "nsfs");
    let parsed = links.filter_map(|mount| namespace::parse_link(&mount.root));
    parsed.map(|(kind, ino)| NsId { kind, dev, ino }).collect()
}

fn cgroups() -> BTreeSet<PathBuf> {
    let layout = Layout::detect();
    let hierarchies = layout.iter().flat_map(Layout::hierarchies);
    let walked = hierarchies.filter_map(|hierarchy| walk(hierarchy.mount_point()).ok());
    walked.flatten().map(|node| node.path).collect()
}

/// A kind of namespace, as a sentence has it.
pub(crate) fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Cgroup => "cgroup",
        Kind::Ipc => "IPC",
        Kind::Net => "network",
        Kind::Mnt => "mount",
        Kind::Pid => "PID",
        Kind::Time => "time",
        Kind::User => "user",
        Kind::Uts => "UTS",
    }
}
