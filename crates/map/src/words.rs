//! What a map says in words: for tables, trees, pages and terminals.

use ns_core::printable;

use crate::changes::{Change, What};
use crate::groups::Group;
use crate::model::{Cgroup, Map, Namespace};

/// The limits of a cgroup; empty where nothing limits it.
pub fn limits(cgroup: &Cgroup) -> String {
    let limits = [
        cgroup.memory_max.map(|bytes| format!("memory.max {}", size(bytes))),
        cgroup.pids_max.map(|pids| format!("pids.max {pids}")),
        cgroup.cpu_max.map(|cpus| format!("cpu.max {}", (cpus * 1000.0).round() / 1000.0)),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A number of bytes, in the largest unit of which it is a whole number.
fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "G"), (20, "M"), (10, "K")];
    let whole = |(bits, _): &&(u32, &str)| bytes > 0 && bytes % (1 << bits) == 0;
    match UNITS.iter().find(whole) {
        Some((bits, unit)) => format!("{}{unit}", bytes >> bits),
        None => bytes.to_string(),
    }
}

/// The path of a cgroup in so many characters as a column has room for: its end, and of IDs the beginning.
pub fn short_path(path: &str) -> String {
    const ROOM: usize = 32;
    let parts: Vec<String> = path.split('/').map(short_part).collect();
    let mut from = 0;
    while from + 1 < parts.len() && parts[from..].join("/").chars().count() > ROOM {
        from += 1;
    }
    let end = printable(&parts[from..].join("/"));
    if from == 0 { end } else { format!("…/{end}") }
}

/// A part of a path. An engine's ID has 64 digits, of which people use the first twelve.
fn short_part(part: &str) -> String {
    let digits = |from: usize| part[from..].bytes().take_while(u8::is_ascii_hexdigit).count();
    let starts = part.char_indices().map(|(at, _)| at);
    let Some(at) = starts.into_iter().find(|at| digits(*at) >= 24) else { return part.into() };
    format!("{}{}…{}", &part[..at], &part[at..at + 12], &part[at + digits(at)..])
}

/// Who is in a namespace: its first process, and how many there are.
pub fn members(namespace: &Namespace) -> String {
    let Some(first) = &namespace.first else {
        // Between the two looks at it, its first process has ended.
        return if namespace.members == 0 { "no process".into() } else { "a process that has ended".into() };
    };
    let more = match namespace.members {
        1 => String::new(),
        members => format!(", {members} processes"),
    };
    format!("{} ({}) of {}{more}", printable(&first.command), first.pid, printable(&first.user))
}

/// What made a set of namespaces, and what keeps it besides its processes. Of more than `most`, the rest is counted.
pub fn because(group: &Group<'_>, most: usize) -> Vec<String> {
    let kept = group.kept_by().map(ToString::to_string);
    let mut words: Vec<String> =
        group.made_by().into_iter().chain(kept).map(|words| printable(&words)).collect();
    words.dedup();
    if words.len() > most {
        let more = words.len() - most + 1;
        words.truncate(most.saturating_sub(1));
        words.push(format!("and {more} more"));
    }
    words
}

/// A change in words.
pub fn change(change: &Change<'_>) -> String {
    let namespace = change.namespace;
    let what = match change.what {
        What::Appears => "appears",
        What::GainsProcess => "has its first process",
        What::LosesLastProcess => "has no process any more",
        What::Goes => "is gone",
    };
    let mut line = format!("{} {what}", namespace.id);
    let was = if change.what == What::Goes { "was of " } else { "" };
    if namespace.members > 0 {
        line += &format!(": {was}{}", members(namespace));
    }
    for word in because(&Group { namespaces: vec![namespace] }, usize::MAX) {
        line += &format!("; {word}");
    }
    line
}

/// What was looked at, and what could not be.
pub fn summary(map: &Map, shown: usize) -> String {
    let Map { processes, unreadable, namespaces, .. } = map;
    let all = namespaces.len();
    let of = if shown == all { format!("{all} namespaces") } else { format!("{shown} of {all} namespaces") };
    let plural = if *processes == 1 { "process" } else { "processes" };
    let mut line = format!("{of}, {processes} {plural}");
    if *unreadable > 0 {
        let remedy = if nix::unistd::geteuid().is_root() { "" } else { ": sudo ns-map shows more" };
        let more = if *unreadable == 1 { "one more" } else { &format!("{unreadable} more") };
        line += &format!("; {more} could not be read{remedy}");
    }
    line
}

#[cfg(test)]
mod tests {
    use ns_core::{Kind, NsId};

    use super::*;
    use crate::model::Keeper;

    #[test]
    fn a_long_path_keeps_its_end_and_an_id_its_beginning() {
        let id = "3f2a9c0d1e2b3f2a9c0d1e2b3f2a9c0d1e2b3f2a9c0d1e2b3f2a9c0d1e2b3f2a";
        assert_eq!(short_path("/"), "/");
        assert_eq!(short_path("/user.slice/session-3.scope"), "/user.slice/session-3.scope");
        assert_eq!(short_path(&format!("/system.slice/docker-{id}.scope")), "…/docker-3f2a9c0d1e2b….scope");
        assert_eq!(
            short_path("/a.slice/b.slice/c.slice/d.slice/e.scope"),
            "…/b.slice/c.slice/d.slice/e.scope"
        );
        assert_eq!(short_path(&"x".repeat(50)), "x".repeat(50));
    }

    #[test]
    fn a_mount_that_many_mount_namespaces_have_is_told_once() {
        let mut namespace = Namespace::new(NsId { kind: Kind::Net, dev: 4, ino: 7 });
        let mount = |pid| Keeper::Mount { path: "/run/netns/blue".into(), pid };
        namespace.kept_by = vec![mount(1), mount(188), mount(214)];
        let told = change(&Change { what: What::Appears, namespace: &namespace });
        assert_eq!(told, "net:[7] appears; mounted at /run/netns/blue");
    }

    #[test]
    fn limits_are_said_as_they_are_written() {
        let cgroup = |memory_max, pids_max, cpu_max| {
            limits(&Cgroup { path: "/".into(), memory_max, pids_max, cpu_max })
        };
        assert_eq!(cgroup(Some(64 << 20), Some(100), Some(0.5)), "memory.max 64M, pids.max 100, cpu.max 0.5");
        assert_eq!(cgroup(Some(4097), None, None), "memory.max 4097");
        assert_eq!(cgroup(Some(2 << 30), None, Some(1.0 / 3.0)), "memory.max 2G, cpu.max 0.333");
        assert_eq!(cgroup(None, None, None), "");
        assert_eq!(cgroup(Some(0), None, None), "memory.max 0");
    }
}
