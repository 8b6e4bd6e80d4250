//! Namespaces that something else than a process keeps: a bind mount, or an open descriptor (namespaces(7)).

use std::fs;
use std::path::Path;

use ns_core::{Errno, Kind, NsFile, NsId, Pid, Result, mount, namespace, pids, uts};
use wake::Subject;

use super::arguments::Arguments;
use super::inside::inside_of;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "held KIND PATH",
        reads: Reads::Namespace,
        about: "the namespace of that kind that a bind mount at PATH holds, in its mount namespace",
        source: "namespaces(7)",
        says: ["{2} holds the {1} namespace {}", "no {1} namespace is mounted at {2}"],
        see: |subject, words| Ok(held(subject, words)?.map_or(Seen::Absent, Seen::Namespace)),
    },
    Row {
        form: "held KIND PATH members",
        reads: Reads::Number,
        about: "how many processes that the checker may look at are in it",
        source: "namespaces(7)",
        says: [
            "the number of processes in the {1} namespace at {2} is {}",
            "no {1} namespace is mounted at {2}",
        ],
        see: |subject, words| held(subject, words)?.map_or(Ok(Seen::Absent), members),
    },
    Row {
        form: "held uts PATH hostname",
        reads: Reads::Text,
        about: "the hostname in the UTS namespace that a bind mount at PATH holds",
        source: "uts_namespaces(7)",
        says: ["the hostname in the UTS namespace at {1} is {}", "no UTS namespace is mounted at {1}"],
        see: |subject, words| match held_of(subject, Kind::Uts, words.path())? {
            Some(_) => hostname(format!("/proc/{}/root{}", subject.pid, words.path().display())),
            None => Ok(Seen::Absent),
        },
    },
    Row {
        form: "descriptor KIND",
        reads: Reads::Namespace,
        about: "the namespace of that kind that it has open as a file and is not in; of several, that of the lowest descriptor",
        source: "namespaces(7), proc_pid_fd(5)",
        says: ["it has the {1} namespace {} open", "it has no other {1} namespace open"],
        see: |subject, words| {
            Ok(descriptor(subject, words.kind()?)?.map_or(Seen::Absent, |it| Seen::Namespace(it.0)))
        },
    },
    Row {
        form: "descriptor KIND members",
        reads: Reads::Number,
        about: "how many processes that the checker may look at are in it",
        source: "namespaces(7), proc_pid_fd(5)",
        says: [
            "the number of processes in the {1} namespace that it has open is {}",
            "it has no other {1} namespace open",
        ],
        see: |subject, words| {
            descriptor(subject, words.kind()?)?.map_or(Ok(Seen::Absent), |it| members(it.0))
        },
    },
    Row {
        form: "descriptor uts hostname",
        reads: Reads::Text,
        about: "the hostname in the UTS namespace that it has open",
        source: "uts_namespaces(7), proc_pid_fd(5)",
        says: [
            "the hostname in the UTS namespace that it has open is {}",
            "it has no other UTS namespace open",
        ],
        see: |subject, _| descriptor(subject, Kind::Uts)?.map_or(Ok(Seen::Absent), |it| hostname(it.1)),
    },
];

fn held(subject: Subject, words: &Arguments) -> Result<Option<NsId>> {
    held_of(subject, words.kind()?, words.path())
}

fn held_of(subject: Subject, kind: Kind, path: &Path) -> Result<Option<NsId>> {
    let mounted = mount::at(Some(subject.pid), path)?.filter(|mount| mount.fs_type == "nsfs");
    let dev = namespace::of_kind(None, kind)?.dev;
    // The root of such a mount reads like a link of /proc/PID/ns.
    let found = mounted.and_then(|mount| namespace::parse_link(&mount.root));
    Ok(found.filter(|(found, _)| *found == kind).map(|(kind, ino)| NsId { kind, dev, ino }))
}

/// A namespace of `kind` that the process has open and is not in, and the path of the descriptor.
fn descriptor(subject: Subject, kind: Kind) -> Result<Option<(NsId, String)>> {
    let own = namespace::of_kind(Some(subject.pid), kind)?;
    let directory = format!("/proc/{}/fd", subject.pid);
    for number in pids::listed(Path::new(&directory))? {
        let path = format!("{directory}/{number}");
        let Ok(link) = fs::read_link(&path) else { continue };
        match namespace::parse_link(&link.to_string_lossy()) {
            Some((found, ino)) if found == kind && ino != own.ino => {
                return Ok(Some((NsId { kind, dev: own.dev, ino }, path)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// How many processes are in it. Those that the caller may not look at are not counted.
fn members(id: NsId) -> Result<Seen> {
    let all = pids::listed(Path::new("/proc"))?.into_iter().map(Pid::from_raw);
    let members = all.filter(|pid| namespace::of_kind(Some(*pid), id.kind).is_ok_and(|own| own == id));
    Ok(Seen::Number(members.count() as f64))
}

fn hostname(path: String) -> Result<Seen> {
    match NsFile::open(path) {
        Ok(namespace) => inside_of(namespace, Kind::Uts, || Ok(Seen::Text(uts::hostname()))),
        // It was closed or unmounted meanwhile.
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(Seen::Absent),
        Err(error) => Err(error),
    }
}
