//! A plan as one would type it.

use std::ffi::OsString;

use ns_core::cgroup::{CgroupParent, CgroupRequest};
use ns_core::{Kind, Namespaces, Result};

use crate::change::{Change, Typed};
use crate::plan::{Identity, Plan};
use crate::quoting::{quoted, typed};

/// What a cgroup is called that is made by hand.
const CGROUP: &str = "by-hand";

/// The commands that do what `plan` says, for `command`; without one, for a shell.
///
/// # Errors
/// [`ns_core::Error::Unmet`] where no cgroup can be made.
pub fn by_hand(plan: &Plan, command: &[OsString]) -> Result<Vec<String>> {
    let command = if command.is_empty() { "sh".into() } else { typed(command) };
    let mut lines = Vec::new();
    let inside = inside(plan, &before(plan, command));
    let (made, joins, removed) = cgroups(plan)?;
    lines.extend(made);
    let joined = |line: String| match joins.as_slice() {
        [] => line,
        joins => format!("sh -c {}", quoted(&format!("{}; exec {line}", joins.join("; ")))),
    };
    match &plan.identity {
        Identity::Mapped(maps) => {
            let kinds = plan.namespaces().difference(Namespaces::CGROUP);
            lines.push(format!("unshare{} sleep infinity &", options(kinds)));
            lines.push("while [ /proc/$!/ns/user -ef /proc/self/ns/user ]; do :; done".into());
            lines.extend(maps.by_hand());
            let credentials = if plan.becomes_root() { "" } else { " --preserve-credentials" };
            lines.push(format!("nsenter --target $!{}{credentials} {}", options(kinds), joined(inside)));
            lines.push("kill $!".into());
        }
        Identity::AsNeeded => {
            let opened = open(plan, &inside);
            lines.push(match plan.target().filter(|it| !it.namespaces().is_empty()) {
                Some(target) => joined(format!("{} {opened}", target.typed())),
                None => joined(opened),
            });
        }
    }
    lines.extend(removed);
    Ok(lines)
}

/// The command with what its own process does first.
fn before(plan: &Plan, command: String) -> String {
    let own_root = plan.namespaces().contains(Namespaces::CGROUP).then(|| "unshare --cgroup".to_string());
    let last = plan.changes.iter().filter(|change| change.is_last());
    let words = last.filter_map(|change| match change.typed() {
        Typed::Before(words) => Some(words),
        _ => None,
    });
    let words: Vec<String> = own_root.into_iter().chain(words).chain([command]).collect();
    words.join(" ")
}

/// The command with what is done in the namespaces before it.
fn inside(plan: &Plan, command: &str) -> String {
    let mut script: Vec<String> = Vec::new();
    for change in &plan.changes {
        if let Typed::Lines(lines) = change.typed() {
            script.extend(lines);
        }
    }
    for signal in &plan.handles {
        let name = signal.as_str().trim_start_matches("SIG");
        script.push(format!("trap 'echo init, PID 1: handled {signal}' {name}"));
    }
    let has_init = plan.created.contains(Namespaces::PID);
    if script.is_empty() && !has_init {
        return command.into();
    }
    // An init waits for the command, and so does the process whose mounts the program's are compared with.
    let stays = has_init || plan.changes.iter().any(|change| matches!(change, Change::OwnMounts(_)));
    script.push(if stays { format!("{command}; exit $?") } else { format!("exec {command}") });
    let is_commented = script.iter().any(|line| line.starts_with('#'));
    format!("sh -c {}", quoted(&script.join(if is_commented { "\n" } else { "; " })))
}

/// The command in new namespaces.
fn open(plan: &Plan, inside: &str) -> String {
    let created = plan.namespaces().difference(Namespaces::CGROUP);
    if created.is_empty() {
        return inside.into();
    }
    let map = if created.contains(Namespaces::USER) { " --map-root-user" } else { "" };
    let clocks = plan.changes.iter().find_map(|change| match change.typed() {
        Typed::Options(options) => Some(format!(" {options}")),
        _ => None,
    });
    let clocks = clocks.unwrap_or_default();
    if !created.contains(Namespaces::PID) {
        let fork = if created.contains(Namespaces::TIME) && clocks.is_empty() { " --fork" } else { "" };
        return format!("unshare{}{map}{fork}{clocks} {inside}", options(created));
    }
    let between = " unshare --pid --fork --kill-child".repeat(plan.depth.saturating_sub(2) as usize);
    let proc = "--fork --kill-child --mount-proc";
    if plan.depth < 2 {
        return format!("unshare{}{map} {proc}{clocks} {inside}", options(created));
    }
    format!(
        "unshare{}{map} --fork --kill-child{clocks}{between} unshare --pid {proc} {inside}",
        options(created)
    )
}

/// The options of unshare(1) and nsenter(1) for these kinds.
fn options(kinds: Namespaces) -> String {
    let option = |kind: Kind| match kind {
        Kind::Mnt => " --mount".to_string(),
        kind => format!(" --{kind}"),
    };
    // The user namespace is first, since it owns the others.
    let user = kinds & Namespaces::USER;
    let kinds = user.kinds().chain(kinds.difference(Namespaces::USER).kinds());
    kinds.map(option).collect()
}

/// How cgroups are made, joined and removed.
fn cgroups(plan: &Plan) -> Result<(Vec<String>, Vec<String>, Vec<String>)> {
    let (mut made, mut joins, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let mut directories = Vec::new();
    let limits = plan.limits.as_ref().map(|(_, limits)| limits.all()).unwrap_or_default();
    for limit in &limits {
        let parent = match CgroupParent::find(CgroupRequest::Controller(limit.controller))? {
            Ok(parent) => parent,
            Err(missing) => {
                made.push(format!("# no limit by {}: {missing}", limit.controller));
                continue;
            }
        };
        let directory = parent.directory().join(CGROUP);
        if !directories.contains(&directory) {
            made.push(format!("mkdir {}", directory.display()));
            directories.push(directory.clone());
        }
        let (file, value) = limit.in_version(parent.version());
        made.push(format!("echo {value} > {}", directory.join(file).display()));
    }
    if plan.limits.is_some() && directories.is_empty() {
        let parent = match CgroupParent::find(CgroupRequest::AnyV2)? {
            Ok(parent) => parent,
            Err(_) => CgroupParent::require(CgroupRequest::Controller("pids"))?,
        };
        directories.push(parent.directory().join(CGROUP));
        made.push(format!("mkdir {}", directories[0].display()));
    }
    for directory in &directories {
        joins.push(format!("echo $$ > {}", directory.join("cgroup.procs").display()));
        removed.push(format!("rmdir {}", directory.display()));
    }
    if let Some(target) = plan.target() {
        joins.extend(target.cgroups()?.iter().map(|(path, _)| format!("echo $$ > {}", path.display())));
    }
    Ok((made, joins, removed))
}
