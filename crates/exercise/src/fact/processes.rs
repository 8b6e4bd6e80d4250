//! A process, its relatives and its signals: proc_pid_stat(5), proc_pid_status(5), signal(7).

use std::path::Path;

use ns_core::{Kind, Named, Pid, Result, namespace, pids, process};
use wake::Subject;

use super::arguments::Arguments;
use super::row::{Reads, Row};
use super::sets;
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "pid inside",
        reads: Reads::Number,
        about: "its PID in its own PID namespace",
        source: "pid_namespaces(7), NSpid in proc_pid_status(5)",
        says: ["inside, its PID is {}", "it has no PID inside"],
        see: |subject, _| {
            let inside = process::pids(Some(subject.pid))?.pop();
            Ok(inside.map_or(Seen::Absent, |pid| Seen::Number(pid.into())))
        },
    },
    Row {
        form: "pid levels",
        reads: Reads::Number,
        about: "in how many PID namespaces it has a PID, from the checker's down",
        source: "pid_namespaces(7), NSpid in proc_pid_status(5)",
        says: ["its number of PIDs is {}, one a PID namespace", "it has no PID"],
        see: |subject, _| Ok(count(process::pids(Some(subject.pid))?.len())),
    },
    Row {
        form: "state",
        reads: Reads::Text,
        about: "`running`, `sleeping`, `waiting` (for a disk), `stopped`, `traced`, `zombie`, `idle` or `dead`",
        source: "proc_pid_stat(5)",
        says: ["it is {}", "it has no state"],
        see: |subject, _| Ok(Seen::Text(state(process::state(subject.pid)?).into())),
    },
    Row {
        form: "command",
        reads: Reads::Text,
        about: "the name of its program, at most 15 bytes",
        source: "proc_pid_comm(5)",
        says: ["its program is {}", "it has no program"],
        see: |subject, _| process::name(Some(subject.pid)).map(Seen::Text),
    },
    Row {
        form: "arguments",
        reads: Reads::Text,
        about: "its command line, with blanks between; absent for a zombie and the kernel's own threads",
        source: "proc_pid_cmdline(5)",
        says: ["its command line is {}", "it has no command line"],
        see: arguments,
    },
    Row {
        form: "threads",
        reads: Reads::Number,
        about: "how many threads it has",
        source: "proc_pid_status(5)",
        says: ["its number of threads is {}", "it has no threads"],
        see: |subject, _| Ok(Seen::Number(process::status(Some(subject.pid))?.threads as f64)),
    },
    Row {
        form: "children",
        reads: Reads::Number,
        about: "how many children it has, zombies among them",
        source: "proc_tid_children(5)",
        says: ["its number of children is {}", "it has no children"],
        see: |subject, _| Ok(count(process::all_children(subject.pid)?.len())),
    },
    Row {
        form: "zombies",
        reads: Reads::Number,
        about: "how many of its children have ended and were not waited for",
        source: "wait(2), \"NOTES\"",
        says: ["its number of zombie children is {}", "it has no children"],
        see: zombies,
    },
    Row {
        form: "zombies inside",
        reads: Reads::Number,
        about: "how many zombies are in its PID namespace",
        source: "pid_namespaces(7), proc_pid_stat(5)",
        says: ["the number of zombies in its PID namespace is {}", "it is in no PID namespace"],
        see: zombies_inside,
    },
    Row {
        form: "parent",
        reads: Reads::Number,
        about: "its parent's PID in the process's own PID namespace; 0 if the parent is outside of it",
        source: "pid_namespaces(7), getppid(2)",
        says: ["inside, its parent has the PID {}", "it has no parent"],
        see: parent,
    },
    Row {
        form: "orphan",
        reads: Reads::Flag,
        about: "whether its parent is a PID 1 or, of another session although it began none, a subreaper",
        source: "PR_SET_CHILD_SUBREAPER(2const), setsid(2)",
        says: ["it is an orphan", "it is no orphan"],
        see: orphan,
    },
    Row {
        form: "signals caught|ignored|blocked|pending",
        reads: Reads::Set,
        about: "the names of those signals, such as SIGTERM",
        source: "signal(7), proc_pid_status(5)",
        says: ["its {1} signals are {}", "it has no {1} signals"],
        see: signals,
    },
];

fn count(number: usize) -> Seen {
    Seen::Number(number as f64)
}

fn state(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting",
        'T' => "stopped",
        't' => "traced",
        'Z' => "zombie",
        'I' => "idle",
        _ => "dead",
    }
}

fn arguments(subject: Subject, _: &Arguments) -> Result<Seen> {
    let path = format!("/proc/{}/cmdline", subject.pid);
    let bytes = std::fs::read(&path).named(|| format!("read(\"{path}\")"))?;
    let text = String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ");
    Ok(if text.is_empty() { Seen::Absent } else { Seen::Text(text) })
}

fn zombies(subject: Subject, _: &Arguments) -> Result<Seen> {
    let children = process::all_children(subject.pid)?;
    Ok(count(children.into_iter().filter(|child| process::state(*child).is_ok_and(|it| it == 'Z')).count()))
}

fn zombies_inside(subject: Subject, _: &Arguments) -> Result<Seen> {
    let own = namespace::of_kind(Some(subject.pid), Kind::Pid)?;
    let all = pids::listed(Path::new("/proc"))?.into_iter().map(Pid::from_raw);
    // A zombie keeps its PID namespace.
    let inside = all.filter(|pid| process::state(*pid).is_ok_and(|it| it == 'Z'));
    Ok(count(
        inside.filter(|pid| namespace::of_kind(Some(*pid), Kind::Pid).is_ok_and(|it| it == own)).count(),
    ))
}

fn parent(subject: Subject, _: &Arguments) -> Result<Seen> {
    let (parent, inside) = parent_inside(subject)?;
    Ok(if parent == 0 { Seen::Number(0.0) } else { Seen::Number(inside.into()) })
}

/// The PID of its parent for the caller, and in its own PID namespace; 0 where it has none.
fn parent_inside(subject: Subject) -> Result<(i32, i32)> {
    let status = process::status(Some(subject.pid))?;
    let depth = status.nspid.unwrap_or_default().len();
    let parent = status.ppid;
    if parent == 0 {
        return Ok((0, 0));
    }
    match process::pids(Some(Pid::from_raw(parent))) {
        // Both lists begin in the caller's namespace, and an ancestor's is not longer.
        Ok(pids) => Ok((parent, pids.get(depth.saturating_sub(1)).copied().unwrap_or(0))),
        Err(error) if error.is_no_process() => Ok((parent, 0)),
        Err(error) => Err(error),
    }
}

fn orphan(subject: Subject, _: &Arguments) -> Result<Seen> {
    let (parent, inside) = parent_inside(subject)?;
    if parent <= 1 || inside == 1 {
        return Ok(Seen::Flag(parent == 1 || inside == 1));
    }
    // The kernel does not show who adopted it. But a child is in its parent's session, unless it began one itself.
    let own = process::session(subject.pid)?;
    let of_parent = process::session(Pid::from_raw(parent))?;
    Ok(Seen::Flag(own != of_parent && own != subject.pid))
}

fn signals(subject: Subject, words: &Arguments) -> Result<Seen> {
    let status = process::status(Some(subject.pid))?;
    let mask = match words.first() {
        "caught" => status.sigcgt,
        "ignored" => status.sigign,
        "blocked" => status.sigblk,
        _ => status.sigpnd | status.shdpnd,
    };
    Ok(Seen::Set(sets::signals_in(mask)))
}
