//! What a process may do, and what it has given up: capabilities(7), prctl(2), seccomp(2).

use std::os::unix::fs::MetadataExt;

use ns_core::{Error, Named, Result, process};
use wake::Subject;

use super::arguments::Arguments;
use super::row::{Reads, Row};
use super::sets;
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "capabilities effective|permitted|inheritable|bounding|ambient",
        reads: Reads::Set,
        about: "the names in that set, such as CAP_SYS_ADMIN; `is` knows `none` and `all`",
        source: "capabilities(7)",
        says: ["its {1} capabilities are {}", "it has no {1} capabilities"],
        see: capabilities,
    },
    Row {
        form: "no_new_privs",
        reads: Reads::Flag,
        about: "whether execve(2) can give it no more privileges",
        source: "PR_SET_NO_NEW_PRIVS(2const)",
        says: ["no_new_privs is set", "no_new_privs is not set"],
        see: |subject, _| Ok(Seen::Flag(process::status(Some(subject.pid))?.nonewprivs == Some(1))),
    },
    Row {
        form: "seccomp",
        reads: Reads::Text,
        about: "its mode: `none`, `strict` or `filter`",
        source: "seccomp(2), proc_pid_status(5)",
        says: ["its seccomp mode is {}", "the kernel has no seccomp"],
        see: |subject, _| {
            Ok(match process::status(Some(subject.pid))?.seccomp {
                Some(0) => Seen::Text("none".into()),
                Some(1) => Seen::Text("strict".into()),
                Some(_) => Seen::Text("filter".into()),
                None => Seen::Absent,
            })
        },
    },
    Row {
        form: "undumpable",
        reads: Reads::Flag,
        about: "whether it cleared its dumpable attribute; of a process of user 0 the kernel does not show it",
        source: "PR_SET_DUMPABLE(2const), proc_pid(5)",
        says: ["it is not dumpable", "it is dumpable"],
        see: undumpable,
    },
];

fn capabilities(subject: Subject, words: &Arguments) -> Result<Seen> {
    let status = process::status(Some(subject.pid))?;
    let mask = match words.first() {
        "effective" => Some(status.capeff),
        "permitted" => Some(status.capprm),
        "inheritable" => Some(status.capinh),
        "bounding" => status.capbnd,
        _ => status.capamb,
    };
    Ok(mask.map_or(Seen::Absent, |mask| Seen::Set(sets::capabilities_in(mask))))
}

/// The files of a process that is not dumpable belong to root, and else to its effective user (proc_pid(5)).
fn undumpable(subject: Subject, _: &Arguments) -> Result<Seen> {
    let path = format!("/proc/{}/environ", subject.pid);
    let owner = std::fs::metadata(&path).named(|| format!("stat(\"{path}\")"))?.uid();
    let user = process::status(Some(subject.pid))?.euid;
    if owner != user {
        return Ok(Seen::Flag(true));
    }
    if user == 0 {
        return Err(Error::Unreadable { what: path, message: "it is root's in either case".into() });
    }
    Ok(Seen::Flag(false))
}
