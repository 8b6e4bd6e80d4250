//! The cgroup of a process and what limits it there.

use std::collections::HashMap;

use ns_core::cgroup::{EffectiveLimits, Layout, Membership};

use crate::model::Cgroup;

/// The cgroups that were asked for. Each is looked at once.
#[derive(Debug)]
pub(crate) struct Cgroups {
    layout: Layout,
    known: HashMap<String, Option<Cgroup>>,
}

impl Cgroups {
    /// None where this machine has no cgroups that can be seen.
    pub(crate) fn detect() -> Option<Cgroups> {
        let layout = Layout::detect().ok().filter(|layout| !layout.hierarchies().is_empty())?;
        Some(Cgroups { layout, known: HashMap::new() })
    }

    /// The cgroup of a process whose /proc/PID/cgroup says `text`; none if that is empty.
    pub(crate) fn of(&mut self, text: &str) -> Option<Cgroup> {
        if !self.known.contains_key(text) {
            let found = self.look(text);
            self.known.insert(text.into(), found);
        }
        self.known.get(text).cloned().flatten()
    }

    fn look(&self, text: &str) -> Option<Cgroup> {
        let memberships: Vec<Membership> = text.lines().filter_map(Membership::parse).collect();
        let path = path(&memberships)?.to_string();
        // What may not be read limits it, but nobody can say how.
        let limits = EffectiveLimits::of(&memberships, &self.layout).unwrap_or_default();
        Some(Cgroup { path, memory_max: limits.memory, pids_max: limits.pids, cpu_max: limits.cpus })
    }
}

/// The path that tells most: that of version 2, unless it is the root and a controller of version 1 has another.
fn path(memberships: &[Membership]) -> Option<&str> {
    const HIERARCHIES: [&str; 4] = ["", "memory", "pids", "cpu"];
    let path = |hierarchy: &str| memberships.iter().find(|it| it.has(hierarchy)).map(|it| it.path.as_str());
    let mut paths = HIERARCHIES.into_iter().filter_map(path);
    let first = paths.next()?;
    if first == "/" { Some(paths.find(|path| *path != "/").unwrap_or(first)) } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_that_is_no_root_is_taken() {
        let of = |text: &str| {
            let all: Vec<_> = text.lines().filter_map(Membership::parse).collect();
            path(&all).map(String::from)
        };
        assert_eq!(of("0::/a/b").as_deref(), Some("/a/b"));
        assert_eq!(of("4:memory:/box\n0::/").as_deref(), Some("/box"));
        assert_eq!(of("4:memory:/\n0::/").as_deref(), Some("/"));
        assert_eq!(of("4:cpu,cpuacct:/box").as_deref(), Some("/box"));
        assert_eq!(of(""), None);
    }
}
