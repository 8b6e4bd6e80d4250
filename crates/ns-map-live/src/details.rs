//! What is known of one namespace that a person has opened.

use std::path::Path;

use map::words::{limits, members as said};
use map::{Map, Namespace, cgroup_of, members};
use ns_core::mount::mountinfo;
use ns_core::{Kind, NsId, Pid, clock, idmap, printable, process};

use crate::entering::{commands, way};
use crate::inside::{self, Way};

/// So many processes, and so many mounts, are listed.
const MOST: usize = 500;

/// A line: what it is about, and what is known. What is about the same as the line before has no name again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether it can be typed.
    pub(crate) typed: bool,
}

/// What is known of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) id: NsId,
    pub(crate) lines: Vec<Line>,
    /// The process whose namespaces a shell would enter; or why there is none.
    pub(crate) first: Result<i32, String>,
}

impl Details {
    /// Looks at the namespace `id` of `map`. One that is gone is as the map remembers it. `own` are the caller's namespaces.
    pub(crate) fn of(map: &Map, id: NsId, own: &[NsId], is_gone: bool) -> Details {
        let mut details = Details { id, lines: Vec::new(), first: Err(format!("{id} is gone")) };
        let Some(namespace) = map.namespaces.get(&id).filter(|_| !is_gone) else {
            details.add("gone", "it is gone: nothing refers to it any more".into());
            if let Some(namespace) = map.namespaces.get(&id) {
                details.add("was of", said(namespace));
            }
            return details;
        };
        let way = way(namespace, own);
        let enter = commands(namespace, way.as_ref());
        details.first = namespace
            .lowest
            .ok_or_else(|| "no process is in it, whose namespaces a shell could enter".into());
        details.add("isolates", id.kind.isolates().into());
        match &enter {
            Ok(commands) => commands.iter().for_each(|(name, it)| details.add_typed(name, printable(it))),
            Err(why) => details.add("by hand", printable(why)),
        }
        details.add_what_is_inside(namespace, way.as_ref());
        details.add_relations(namespace);
        details.add_cgroup(namespace);
        details.add_members(namespace);
        details
    }

    fn add(&mut self, name: &str, text: String) {
        self.lines.push(Line { name: name.into(), text, typed: false });
    }

    fn add_typed(&mut self, name: &str, text: String) {
        self.lines.push(Line { name: name.into(), text, typed: true });
    }

    /// What its kind has.
    fn add_what_is_inside(&mut self, namespace: &Namespace, way: Option<&Way>) {
        let kind = namespace.id.kind;
        match way.and_then(|way| inside::look(kind, way)) {
            Some(Ok(facts)) => {
                for (name, text) in facts {
                    self.add(&name, text);
                }
            }
            Some(Err(why)) => self.add("inside", why),
            None => {}
        }
        let Some(pid) = namespace.lowest else { return };
        let process = Some(Pid::from_raw(pid));
        match kind {
            Kind::User => {
                for file in ["uid_map", "gid_map", "setgroups"] {
                    let text = idmap::read(process, file).unwrap_or_else(|error| error.to_string());
                    self.add(file, if text.is_empty() { "empty: no ID is mapped".into() } else { text });
                }
            }
            Kind::Time => {
                let text = clock::offsets(process)
                    .map(|(monotonic, boottime)| format!("monotonic {monotonic} s, boottime {boottime} s"));
                self.add("offsets", text.unwrap_or_else(|error| error.to_string()));
            }
            Kind::Mnt => self.add_mounts(pid),
            _ => {}
        }
    }

    fn add_mounts(&mut self, pid: i32) {
        let path = format!("/proc/{pid}/mountinfo");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) => return self.add("mounts", format!("{path}: {error}")),
        };
        let mounts: Vec<_> = mountinfo::parse(&text).into_iter().flatten().collect();
        self.add("mounts", format!("{}, as its first process sees them", mounts.len()));
        for mount in mounts.iter().take(MOST) {
            let point = mount.mount_point.to_string_lossy();
            self.add("mounts", printable(&format!("{point}  {}", mount.fs_type)));
        }
    }

    fn add_relations(&mut self, namespace: &Namespace) {
        let unknown = || "not yours to know".to_string();
        if namespace.id.kind != Kind::User {
            self.add("owner", namespace.owner.map_or_else(unknown, |id| id.to_string()));
        }
        if matches!(namespace.id.kind, Kind::User | Kind::Pid) {
            self.add(
                "parent",
                namespace.parent.map_or_else(|| "none, or not yours to know".into(), |id| id.to_string()),
            );
        }
        if let Some(made) = &namespace.made_by {
            self.add("made by", printable(&made.to_string()));
        }
        for keeper in &namespace.kept_by {
            self.add("kept by", printable(&keeper.to_string()));
        }
    }

    fn add_cgroup(&mut self, namespace: &Namespace) {
        let Some(pid) = namespace.lowest else { return };
        let known = namespace.cgroup.clone().or_else(|| cgroup_of(Path::new("/proc"), pid));
        let Some(cgroup) = known else { return };
        self.add("cgroup", printable(&cgroup.path));
        let limits = limits(&cgroup);
        self.add("limits", if limits.is_empty() { "none of memory, pids and cpu".into() } else { limits });
    }

    fn add_members(&mut self, namespace: &Namespace) {
        let all = members(Path::new("/proc"), namespace.id, MOST);
        self.add("processes", namespace.members.to_string());
        for member in &all {
            let mut text =
                format!("{:>7}  {}  {}", member.pid, printable(&member.command), printable(&member.user));
            if namespace.id.kind == Kind::Pid {
                let status = process::status(Some(Pid::from_raw(member.pid)));
                let inside = status.ok().and_then(|it| it.nspid).and_then(|it| it.last().copied());
                text += &inside.map(|pid| format!("  inside {pid}")).unwrap_or_default();
            }
            self.add("processes", text);
        }
        if all.len() < namespace.members {
            self.add("processes", format!("and {} more", namespace.members - all.len()));
        }
    }
}
