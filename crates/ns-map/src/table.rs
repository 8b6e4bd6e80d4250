//! The map as a table: a row for each set of namespaces that have the same first process, or for each namespace.

use lesson::render::Layout;
use map::words::{because, limits, short_path};
use map::{Group, Namespace, groups};
use ns_core::printable;

/// A row for each set of namespaces whose first process is the same. With `cgroups`, what limits that process.
pub(crate) fn by_process(namespaces: &[&Namespace], cgroups: bool, layout: Layout) -> String {
    let groups = groups(namespaces.iter().copied());
    let rows = groups.iter().map(|group| {
        let more = [group.count(), group.kinds().join(" ")];
        first(group, cgroups).into_iter().chain(more).collect()
    });
    let heads = [first_heads(cgroups), &["processes", "namespaces"]].concat();
    set(&heads, rows.collect(), &groups, cgroups, layout)
}

/// A row for each namespace.
pub(crate) fn one_by_one(namespaces: &[&Namespace], cgroups: bool, layout: Layout) -> String {
    let groups: Vec<Group<'_>> =
        namespaces.iter().map(|namespace| Group { namespaces: vec![namespace] }).collect();
    let rows = namespaces.iter().zip(&groups).map(|(namespace, group)| {
        let id = [namespace.id.kind.link().into(), namespace.id.ino.to_string(), group.count()];
        id.into_iter().chain(first(group, cgroups)).collect()
    });
    let heads = [&["kind", "namespace", "processes"], first_heads(cgroups)].concat();
    set(&heads, rows.collect(), &groups, cgroups, layout)
}

/// What stands above the cells that [`first`] gives.
fn first_heads(cgroups: bool) -> &'static [&'static str] {
    if cgroups { &["first process"] } else { &["PID", "command", "user"] }
}

/// The first process of a set: PID, name and user, each in a cell, or all in one.
fn first(group: &Group<'_>, in_one: bool) -> Vec<String> {
    let Some(first) = group.first() else { return vec!["-".into(); if in_one { 1 } else { 3 }] };
    let (pid, command, user) = (first.pid, printable(&first.command), printable(&first.user));
    if in_one { vec![format!("{command} ({pid}) of {user}")] } else { vec![pid.to_string(), command, user] }
}

/// A table of `rows`, each of which is about one of `groups`. Last stands what is known of that; a column with nothing in it is
/// left out. Where `cgroups` are shown, they share that column, and the first process has one: so there is room.
fn set(
    heads: &[&str],
    mut rows: Vec<Vec<String>>,
    groups: &[Group<'_>],
    cgroups: bool,
    layout: Layout,
) -> String {
    let mut heads = heads.to_vec();
    let cells: Vec<String> = groups.iter().map(|group| known(group, cgroups).join("\n")).collect();
    if cells.iter().any(|cell| !cell.is_empty()) {
        heads.push(if cgroups { "cgroup, limits,\nmade or kept by" } else { "made or kept by" });
        rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    }
    layout.table(&heads, &rows)
}

/// What is known of a set besides its processes: with `cgroups` the cgroup of the first process, and what limits it.
fn known(group: &Group<'_>, cgroups: bool) -> Vec<String> {
    let cgroup = group.namespaces.iter().find_map(|namespace| namespace.cgroup.as_ref());
    let cgroup = cgroup.filter(|_| cgroups).map(|cgroup| [short_path(&cgroup.path), limits(cgroup)]);
    let words = cgroup.into_iter().flatten().chain(because(group, usize::MAX));
    words.filter(|words| !words.is_empty()).collect()
}
