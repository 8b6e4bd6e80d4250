//! Where an experiment is: the sets of namespaces that its living processes are in and we are not.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use ns_core::{Namespaces, NsId, Pid, namespace, process};

/// Namespaces that can be entered, and a process that is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What the process is called.
    pub(super) who: String,
    pub(super) pid: Pid,
    /// Those of its namespaces that are not ours.
    pub(super) namespaces: Namespaces,
}

impl Place {
    /// The kinds of its namespaces, as words.
    pub(super) fn kinds(&self) -> String {
        self.namespaces.kinds().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" ")
    }
}

/// The places of `experiment` and of all that descend from it, each once: the sandbox first, then by PID. `labels` are
/// those of the processes that the experiment has shown.
pub(super) fn of(experiment: Pid, labels: &HashMap<i32, String>) -> Result<Vec<Place>> {
    let ours = namespace::of(None)?;
    let mut known: HashSet<Vec<NsId>> = HashSet::from([ours.clone()]);
    let mut places = Vec::new();
    let mut family = descendants(experiment);
    // Of several that are in the same place, the one that has a name.
    family.sort_by_key(|pid| (*pid != experiment, !labels.contains_key(&pid.as_raw()), pid.as_raw()));
    for pid in family {
        // It may have ended by now, or be none that we may look at.
        let Ok(theirs) = namespace::of(Some(pid)) else { continue };
        if !known.insert(theirs.clone()) {
            continue;
        }
        let other = theirs.iter().filter(|id| !ours.contains(id));
        let namespaces = other.fold(Namespaces::NONE, |all, id| all | Namespaces::only(id.kind));
        let who = match labels.get(&pid.as_raw()) {
            _ if pid == experiment => "the sandbox".into(),
            Some(label) => label.clone(),
            None => "a child".into(),
        };
        places.push(Place { who, pid, namespaces });
    }
    Ok(places)
}

/// A process and all that descend from it and live. One that has ended meanwhile takes its own along.
pub(super) fn descendants(of: Pid) -> Vec<Pid> {
    let mut family = vec![of];
    let mut at = 0;
    while at < family.len() {
        family.extend(process::children(family[at]).unwrap_or_default());
        at += 1;
    }
    family
}
