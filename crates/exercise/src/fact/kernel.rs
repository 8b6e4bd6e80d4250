//! What the kernel says to the members of a namespace: settings and clocks.

use std::fs;

use ns_core::{Errno, Kind, Named, Result, clock};
use wake::Subject;

use super::arguments::Arguments;
use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "sysctl NAME",
        reads: Reads::Either,
        about: "a file of /proc/sys, as it reads it: net.ipv4.ip_forward; absent where the kernel has none",
        source: "sysctl(8), proc_sys(5)",
        says: ["its sysctl {1} is {}", "there is no sysctl {1}"],
        see: sysctl,
    },
    Row {
        form: "offset boottime|monotonic",
        reads: Reads::Number,
        about: "the seconds that its time namespace adds to that clock",
        source: "time_namespaces(7)",
        says: ["its offset of {1} is {} s", "it has no offset of {1}"],
        see: offset,
    },
];

fn sysctl(subject: Subject, words: &Arguments) -> Result<Seen> {
    let name = words.first().replace('.', "/");
    let path = format!("/proc/sys/{name}");
    let read = || match fs::read_to_string(&path).named(|| format!("cat {path}")) {
        Ok(text) => Ok(Seen::text_or_number(text.split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(Seen::Absent),
        Err(error) => Err(error),
    };
    match namespace_of(&name) {
        Some(kind) => inside(subject, kind, read),
        None => read(),
    }
}

/// The kind of namespace whose members read a file of /proc/sys alike: `None` where the whole machine does.
fn namespace_of(name: &str) -> Option<Kind> {
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let kinds: [(&[&str], Kind); 4] = [
        (&["net/"], Kind::Net),
        (&["kernel/hostname", "kernel/domainname"], Kind::Uts),
        (&["kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/"], Kind::Ipc),
        (&["user/"], Kind::User),
    ];
    kinds.into_iter().find_map(|(words, kind)| begins(words).then_some(kind))
}

fn offset(subject: Subject, words: &Arguments) -> Result<Seen> {
    let link = |name: &str| {
        let path = format!("/proc/{}/ns/{name}", subject.pid);
        fs::read_link(&path).named(|| format!("readlink(\"{path}\")"))
    };
    // The file has the offsets of the namespace that its children will be in, which after unshare(2) is not its own. Who
    // enters its own has that one for children, too (setns(2)).
    let (monotonic, boottime) = if link("time")? == link("time_for_children")? {
        clock::offsets(Some(subject.pid))?
    } else {
        return inside(subject, Kind::Time, || Ok(chosen(words, clock::offsets(None)?)));
    };
    Ok(chosen(words, (monotonic, boottime)))
}

fn chosen(words: &Arguments, (monotonic, boottime): (i64, i64)) -> Seen {
    Seen::Number(if words.first() == "boottime" { boottime } else { monotonic } as f64)
}
