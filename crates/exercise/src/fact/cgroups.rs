//! The cgroup of a process and what limits it there, in either version: cgroups(7).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ns_core::cgroup::{Hierarchy, Layout, Version, path_of, strictest, text_of};
use ns_core::{Error, Kind, Pid, Result, pids};
use wake::Subject;

use super::arguments::Arguments;
use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "cgroup",
        reads: Reads::Text,
        about: "the path of its cgroup of version 2, as the checker sees it",
        source: "cgroups(7)",
        says: ["its cgroup is {}", "it is in no cgroup of version 2"],
        see: |subject, _| path(subject, ""),
    },
    Row {
        form: "cgroup CONTROLLER",
        reads: Reads::Text,
        about: "the same in the hierarchy of a controller such as pids, be it of version 1 or 2",
        source: "cgroups(7)",
        says: ["its cgroup of the controller {1} is {}", "it is in no cgroup of the controller {1}"],
        see: |subject, words| {
            let layout = Layout::detect()?;
            let of_v2 = hierarchy(&layout, words.first())?.version() == Version::V2;
            path(subject, if of_v2 { "" } else { words.first() })
        },
    },
    Row {
        form: "cgroup inside",
        reads: Reads::Text,
        about: "the path of its cgroup of version 2 as it reads it itself, from the root of its cgroup namespace",
        source: "cgroup_namespaces(7)",
        says: ["inside, its cgroup is {}", "it is in no cgroup of version 2"],
        see: |subject, _| inside(subject, Kind::Cgroup, || path(subject, "")),
    },
    Row {
        form: "cgroups of threads",
        reads: Reads::Number,
        about: "in how many different cgroups of version 2 its threads are",
        source: "cgroups(7), \"Thread mode\"",
        says: ["the number of cgroups that its threads are in is {}", "it is in no cgroup of version 2"],
        see: of_threads,
    },
    Row {
        form: "cgroup members",
        reads: Reads::Number,
        about: "how many processes are in its cgroup of version 2, without those below",
        source: "cgroups(7), cgroup.procs",
        says: ["its cgroup's number of processes is {}", "it is in no cgroup of version 2"],
        see: |subject, _| members(subject, ""),
    },
    Row {
        form: "cgroup members CONTROLLER",
        reads: Reads::Number,
        about: "the same in the hierarchy of a controller",
        source: "cgroups(7), cgroup.procs",
        says: [
            "the number of processes in its cgroup of the controller {1} is {}",
            "it is in no cgroup of the controller {1}",
        ],
        see: |subject, words| members(subject, words.first()),
    },
    Row {
        form: "cgroup file FILE",
        reads: Reads::Either,
        about: "what a file of its cgroup says, such as cgroup.type or pids.current; the controller is the file's first word",
        source: "cgroups(7), Documentation/admin-guide/cgroup-v2.rst",
        says: ["its cgroup's {1} says {}", "its cgroup has no {1}"],
        see: file,
    },
    Row {
        form: "cgroup file FILE KEY",
        reads: Reads::Number,
        about: "the number of a key in such a file: `cgroup file memory.events oom_kill`",
        source: "Documentation/admin-guide/cgroup-v2.rst, flat keyed",
        says: ["its cgroup's {1} says {2} {}", "its cgroup's {1} has no {2}"],
        see: key,
    },
    Row {
        form: "limit pids.max|memory.max|cpu.max",
        reads: Reads::Number,
        about: "the strictest limit on the way up: processes, bytes, or CPUs (0.5 is half of one); absent without a limit",
        source: "Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/",
        says: ["its limit {1} is {}", "no {1} limits it"],
        see: limit,
    },
    Row {
        form: "frozen",
        reads: Reads::Flag,
        about: "whether its cgroup is frozen",
        source: "cgroups(7), cgroup.freeze; freezer.state",
        says: ["its cgroup is frozen", "its cgroup is not frozen"],
        see: frozen,
    },
];

/// The hierarchy of a controller: "" is version 2 itself.
fn hierarchy<'a>(layout: &'a Layout, controller: &str) -> Result<&'a Hierarchy> {
    let v2 = layout.v2().filter(|v2| controller.is_empty() || v2.has_controller(controller));
    v2.or_else(|| layout.v1(controller)).ok_or_else(|| Error::Unreadable {
        what: "/proc/self/mountinfo".into(),
        message: match controller {
            "" => "cgroup v2 is not mounted here; name a controller".into(),
            _ => format!("no cgroup hierarchy here has the controller {controller}"),
        },
    })
}

fn path(subject: Subject, hierarchy: &str) -> Result<Seen> {
    Ok(path_of(Some(subject.pid), hierarchy)?.map_or(Seen::Absent, Seen::Text))
}

/// The directories of its cgroup and of those above, nearest first, and which version they are of.
fn directories(subject: Subject, controller: &str) -> Result<(Vec<PathBuf>, Version)> {
    let layout = Layout::detect()?;
    let hierarchy = hierarchy(&layout, controller)?;
    let version = hierarchy.version();
    let path = path_of(Some(subject.pid), if version == Version::V2 { "" } else { controller })?;
    let path = path.unwrap_or_default();
    let found = hierarchy.directories(&path);
    if found.is_empty() {
        let what = format!("the cgroup {path}");
        return Err(Error::Unreadable { what, message: "no mount here shows it".into() });
    }
    Ok((found, version))
}

fn members(subject: Subject, controller: &str) -> Result<Seen> {
    let (directories, _) = directories(subject, controller)?;
    let text = text_of(&directories[0], "cgroup.procs")?;
    Ok(text.map_or(Seen::Absent, |text| Seen::Number(text.lines().count() as f64)))
}

fn file(subject: Subject, words: &Arguments) -> Result<Seen> {
    let name = words.first();
    if name.contains('/') {
        return Err(Error::Input(format!("'{name}' is no name of a file")));
    }
    let controller = name.split('.').next().filter(|word| *word != "cgroup").unwrap_or_default();
    let (directories, _) = directories(subject, controller)?;
    Ok(text_of(&directories[0], name)?.map_or(Seen::Absent, Seen::text_or_number))
}

fn key(subject: Subject, words: &Arguments) -> Result<Seen> {
    let Seen::Text(text) = file(subject, words)? else { return Ok(Seen::Absent) };
    let wanted = words.words().last();
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let number = lines.find(|(key, _)| Some(*key) == wanted.map(String::as_str));
    Ok(number.and_then(|(_, number)| number.parse().ok()).map_or(Seen::Absent, Seen::Number))
}

fn of_threads(subject: Subject, _: &Arguments) -> Result<Seen> {
    let mut cgroups = BTreeSet::new();
    for thread in pids::listed(Path::new(&format!("/proc/{}/task", subject.pid)))? {
        cgroups.extend(path_of(Some(Pid::from_raw(thread)), "")?);
    }
    Ok(if cgroups.is_empty() { Seen::Absent } else { Seen::Number(cgroups.len() as f64) })
}

fn limit(subject: Subject, words: &Arguments) -> Result<Seen> {
    let controller = words.first().split('.').next().unwrap_or_default();
    let (directories, version) = directories(subject, controller)?;
    Ok(strictest(&directories, controller, version)?.map_or(Seen::Absent, Seen::Number))
}

/// Of version 2 if that is mounted: it needs no controller there. Else by the freezer of version 1.
fn frozen(subject: Subject, _: &Arguments) -> Result<Seen> {
    let is_v2 = Layout::detect()?.v2().is_some();
    let (directories, _) = directories(subject, if is_v2 { "" } else { "freezer" })?;
    let (name, word) = if is_v2 { ("cgroup.events", "frozen 1") } else { ("freezer.state", "FROZEN") };
    // The root cgroup has no such file, and cannot be frozen.
    let text = text_of(&directories[0], name)?.unwrap_or_default();
    Ok(Seen::Flag(text.lines().any(|line| line == word)))
}
