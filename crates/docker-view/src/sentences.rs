//! What a process is, in sentences that fit one screen.

use ns_core::{Kind, NsId, printable, series};

use crate::capabilities;
use crate::interfaces::Interface;
use crate::judgement::Judgement;
use crate::limits::Limit;
use crate::process::{self, Process, shortened};

/// As many IDs as there are: the map of the initial user namespace has them all.
const EVERY_ID: u64 = u32::MAX as u64;
/// More links are counted.
const FEW: usize = 4;

/// Of the network of docker-view itself.
const OURS: &str = "It is on the network of docker-view.";

/// A part of what is said: what it is about, and its sentences.
pub(crate) type Paragraph = (&'static str, String);

/// Who it is, in its own PID namespace too.
pub(crate) fn who(process: &Process) -> String {
    let who = format!("PID {} is {}.", process.pid, printable(&process.command));
    match process.pids.last() {
        Some(inner) if process.pids.len() > 1 => format!("{who} In its own PID namespace it is PID {inner}."),
        _ => who,
    }
}

/// What it most likely is, and what speaks for that, a line each.
pub(crate) fn judged(judged: &Judgement) -> (String, Vec<String>) {
    let since = judged.evidence.iter().map(|evidence| format!("since {evidence}"));
    let as_if = judged.options.iter().map(|option| format!("as if by {option}"));
    (format!("It is most likely {}:", judged.what), since.chain(as_if).collect())
}

/// Where it is, what it may do, and what limits it. `ours` are the namespaces of this program.
pub(crate) fn paragraphs(
    process: &Process,
    ours: &[NsId],
    limits: &[Limit],
    links: Result<&[Interface], &String>,
) -> Vec<Paragraph> {
    vec![
        ("Namespaces", namespaces(process, ours)),
        ("Privileges", privileges(process, ours)),
        ("Files", files(process)),
        ("Limits", limited(process, limits)),
        ("Network", if is_shared(process, ours, Kind::Net) { OURS.into() } else { network(links) }),
    ]
}

fn namespaces(process: &Process, ours: &[NsId]) -> String {
    let (shared, own): (Vec<&NsId>, Vec<&NsId>) = process.namespaces.iter().partition(|id| ours.contains(id));
    let words = |ids: &[&NsId]| series(&ids.iter().map(|id| id.kind.link().to_string()).collect::<Vec<_>>());
    match (shared.as_slice(), own.as_slice()) {
        (_, []) => "It shares all of them with docker-view.".into(),
        ([], _) => "It shares none with docker-view.".into(),
        (shared, own) => {
            let verb = if own.len() == 1 { "is" } else { "are" };
            format!("{} {verb} other than docker-view's. It shares {}.", words(own), words(shared))
        }
    }
}

fn is_shared(process: &Process, ours: &[NsId], kind: Kind) -> bool {
    process.namespace(kind).is_some_and(|id| ours.contains(&id))
}

fn privileges(process: &Process, ours: &[NsId]) -> String {
    let mut said = if process.uid_map == process.gid_map {
        mapped("User and group IDs", &process.uid_map)
    } else {
        format!("{} {}", mapped("User IDs", &process.uid_map), mapped("Group IDs", &process.gid_map))
    };
    let has = |set: u64| capabilities::in_short(set);
    let over = if is_shared(process, ours, Kind::User) { "" } else { ", in its user namespace" };
    said += &format!(" Effective capabilities{over}: {}.", has(process.effective));
    if process.bounding != process.effective {
        said += &format!(" Bounding set: {}.", has(process.bounding));
    }
    said += match process.seccomp {
        0 => " No seccomp filter.",
        1 => " Strict seccomp: it may read, write and exit.",
        _ => " A seccomp filter judges its system calls.",
    };
    if process.no_new_privs {
        said += " no_new_privs is set.";
    }
    said
}

/// The lines of an ID map (user_namespaces(7)): first ID inside, first ID outside, count.
fn mapped(what: &str, map: &[String]) -> String {
    let ranges = map.iter().filter_map(|line| {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        <[u64; 3]>::try_from(numbers).ok()
    });
    let ranges: Vec<String> = ranges
        .map(|[inside, outside, count]| match count {
            1 => format!("{inside} is {outside} here"),
            EVERY_ID if inside == outside => "are the same as here".into(),
            _ => {
                format!("{inside} to {} are {outside} to {} here", inside + count - 1, outside + count - 1)
            }
        })
        .collect();
    match ranges.as_slice() {
        [] => format!("{what}: none is mapped."),
        [all] if all.starts_with("are") => format!("{what} {all}."),
        _ => format!("{what}: {}.", series(&ranges)),
    }
}

fn files(process: &Process) -> String {
    let root = printable(&process.root.display().to_string());
    let mut said = process.root_mount().map_or_else(
        || format!("Its root directory is {root}, which is no mount that it sees: a chroot."),
        |mount| {
            let how = if process::is_read_only(mount) { "read-only" } else { "writable" };
            format!("Its root directory is {root}, {} and {how}.", mount.fs_type)
        },
    );
    said += &format!(" It sees {} mounts.", process.mounts.len());
    let (masked, read_only) = (process.masked().len(), process.read_only().len());
    said += &match (masked, read_only) {
        (0, 0) => " Nothing of /proc and /sys is masked or read-only.".to_string(),
        (_, _) => format!(" Of the paths in /proc and /sys, {masked} are masked and {read_only} read-only."),
    };
    said
}

fn limited(process: &Process, limits: &[Limit]) -> String {
    let (free, bound): (Vec<&Limit>, Vec<&Limit>) = limits.iter().partition(|limit| limit.value == "max");
    let mut said = String::new();
    for limit in &bound {
        let unit = if limit.what == "memory" { " bytes" } else { "" };
        let set_in = printable(&shortened(&limit.set_in));
        said += &format!("At most {}{unit} of {}, by {set_in}. ", limit.value, limit.what);
    }
    if !free.is_empty() {
        said += &format!(
            "No limit on {}. ",
            series(&free.iter().map(|limit| limit.what.to_string()).collect::<Vec<_>>())
        );
    }
    let path = process.cgroup("memory").map(|it| printable(&shortened(&it.path)));
    said + &path.map_or("It is in no cgroup.".into(), |path| format!("Its cgroup is {path}."))
}

fn network(links: Result<&[Interface], &String>) -> String {
    let links = match links {
        Ok(links) => links,
        Err(why) => return format!("It cannot be looked at from here: {why}."),
    };
    let names =
        |links: &[&Interface]| series(&links.iter().map(|link| printable(&link.name)).collect::<Vec<_>>());
    let (joined, alone): (Vec<&Interface>, Vec<&Interface>) =
        links.iter().partition(|link| link.peer.is_some());
    let mut said: String = joined
        .iter()
        .filter_map(|link| {
            let (peer, bridge) = link.peer.as_ref()?;
            let (name, peer) = (printable(&link.name), printable(peer));
            let port = bridge.as_ref().map(|it| format!(", a port of {}", printable(it))).unwrap_or_default();
            Some(format!("{name} is a veth device: its peer is {peer} here{port}. "))
        })
        .collect();
    said += &match alone.len() {
        0 => String::new(),
        1..=FEW => format!("It has {} without a peer here.", names(&alone)),
        many => format!("It has {many} links without a peer here, {} among them.", names(&alone[..FEW])),
    };
    if links.is_empty() { "It has no link.".into() } else { said.trim_end().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_told_by_its_ranges() {
        let said =
            |lines: &[&str]| mapped("User IDs", &lines.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(said(&["0 0 4294967295"]), "User IDs are the same as here.");
        assert_eq!(
            said(&["0 1000 1", "1 100000 65536"]),
            "User IDs: 0 is 1000 here and 1 to 65536 are 100000 to 165535 here."
        );
        assert_eq!(said(&[]), "User IDs: none is mapped.");
    }

    #[test]
    fn a_veth_device_is_told_with_its_peer() {
        let lo = Interface { name: "lo".into(), kind: None, iflink: None, peer: None };
        let peer = Some(("veth1".to_string(), Some("docker0".to_string())));
        let eth0 = Interface { name: "eth0".into(), kind: Some("veth".into()), iflink: Some(7), peer };
        assert_eq!(
            network(Ok(&[lo, eth0])),
            "eth0 is a veth device: its peer is veth1 here, a port of docker0. It has lo without a peer here."
        );
        assert_eq!(network(Ok(&[])), "It has no link.");
    }
}
