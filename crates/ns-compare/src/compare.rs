//! `ns-compare PID PID…`: which namespaces some processes of this machine share.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use lesson::status::{AS_EXPECTED, UNEXPECTED};
use ns_core::process::is_capable;
use ns_core::{Capability, Errno, Error, Fact, Kind, NsFile, NsId, Outcome, Pid, Value, namespace};
use transcript::{Actor, Event, Table};

use crate::process::{command, is_over};

/// A process and its namespaces.
struct Process {
    /// Its name in the tables: A, B, …
    letter: String,
    pid: Pid,
    command: String,
    namespaces: Vec<NsId>,
}

impl Process {
    fn in_kind(&self, kind: Kind) -> Option<NsId> {
        self.namespaces.iter().copied().find(|id| id.kind == kind)
    }
}

/// Compares processes of this procfs, or one with this process. Returns the events to show and the exit status.
pub(crate) fn compare(pids: &[OsString], proc: &Path) -> Result<(Vec<Event>, u8)> {
    let mut pids: Vec<Pid> = pids.iter().map(|text| parse(text)).collect::<Result<_>>()?;
    if let [_] = pids.as_slice() {
        pids.push(own_pid(proc)?);
    }
    let mut processes = Vec::new();
    for (at, pid) in pids.into_iter().enumerate() {
        let namespaces = namespace::of_under(proc, Some(pid)).map_err(|error| why_not(proc, pid, error))?;
        if is_over(namespaces.iter().map(|id| id.kind)) {
            return Err(anyhow!(
                "process {pid} has ended: a zombie keeps only its PID and user namespaces; name a running process"
            ));
        }
        processes.push(Process { letter: letter(at), pid, command: command(proc, pid), namespaces });
    }
    let ours = namespace::of(None)?;
    let mut events: Vec<Event> = processes.iter().map(|process| actor(proc, process, &ours)).collect();
    events.push(shared(&processes));
    events.push(relations(proc, &processes));
    let kinds = Kind::ALL.into_iter().filter(|kind| processes.iter().any(|it| it.in_kind(*kind).is_some()));
    let (alike, different): (Vec<Kind>, Vec<Kind>) = kinds.partition(|kind| all_share(&processes, *kind));
    let count = format!("{} of {}", alike.len(), alike.len() + different.len());
    events.push(Event::Saw(Fact::outside("namespaces that they share", count)));
    Ok((events, if different.is_empty() { AS_EXPECTED } else { UNEXPECTED }))
}

fn parse(text: &OsStr) -> Result<Pid> {
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.map(Pid::from_raw).ok_or_else(|| {
        anyhow!("'{}' is not a PID: give a number from 1, as ps -e lists them", text.to_string_lossy())
    })
}

/// The PID of this process in this procfs.
fn own_pid(proc: &Path) -> Result<Pid> {
    let link = proc.join("self");
    let target = std::fs::read_link(&link).with_context(|| format!("readlink(\"{}\")", link.display()))?;
    parse(target.as_os_str())
}

/// A, B, …, Z, then A1, B1, …
fn letter(at: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(at % 26).unwrap_or_default());
    if at < 26 { letter.into() } else { format!("{letter}{}", at / 26) }
}

/// The error that says why a process cannot be compared, and the remedy.
fn why_not(proc: &Path, pid: Pid, error: Error) -> anyhow::Error {
    match error.errno() {
        _ if error.is_no_process() => {
            anyhow!("there is no process {pid}: ps -e lists the running ones")
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            let owner = std::fs::metadata(proc.join(pid.to_string())).map(|it| it.uid().to_string());
            let remedy = match (nix::unistd::geteuid().is_root(), is_capable(Capability::CAP_SYS_PTRACE)) {
                (false, _) => "run as that user, or with sudo",
                (true, false) => "run where root has CAP_SYS_PTRACE, outside any container",
                (true, true) => "a security module denies it even to root",
            };
            let (command, owner) = (command(proc, pid), owner.unwrap_or("?".into()));
            anyhow!(
                "no permission to read the namespaces of process {pid}, '{command}' of user {owner}: {remedy}"
            )
        }
        _ => error.into(),
    }
}

fn actor(proc: &Path, process: &Process, ours: &[NsId]) -> Event {
    let mut elsewhere = process.namespaces.clone();
    elsewhere.retain(|id| !ours.contains(id));
    // NSpid lists the PID in the namespace of the procfs first, then one for each nested PID namespace.
    let status = std::fs::read(proc.join(process.pid.to_string()).join("status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let listed = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let pids: Option<Vec<i32>> = listed.split_whitespace().map(|pid| pid.parse().ok()).collect();
    let pids = pids.filter(|pids| !pids.is_empty()).unwrap_or_else(|| vec![process.pid.as_raw()]);
    Event::Actor(Actor {
        label: format!("{}, {},", process.letter, process.command),
        pids,
        elsewhere,
        pid_namespaces: Vec::new(),
    })
}

fn all_share(processes: &[Process], kind: Kind) -> bool {
    processes.iter().all(|process| process.in_kind(kind) == processes[0].in_kind(kind))
}

fn shared(processes: &[Process]) -> Event {
    let none = || Value::from("-");
    let row = |kind: Kind| {
        let ids: Vec<_> = processes.iter().map(|process| process.in_kind(kind)).collect();
        let known = ids.iter().any(Option::is_some);
        let mut row = vec![kind.link().into(), in_a_word(kind).into()];
        row.push(if known { all_share(processes, kind).into() } else { none() });
        row.extend(ids.into_iter().map(|id| id.map_or_else(none, Value::Namespace)));
        row
    };
    let heads = ["kind", "isolates", "shared"].into_iter().map(ToString::to_string);
    Event::Table(Table {
        title: "The namespaces that they share".into(),
        columns: heads.chain(processes.iter().map(|process| process.letter.clone())).collect(),
        rows: Kind::ALL.into_iter().map(row).collect(),
        picture: None,
    })
}

/// A shorter form of [`Kind::isolates`], so that two processes fit on a screen.
fn in_a_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Cgroup => "cgroup root",
        Kind::Ipc => "IPC objects",
        Kind::Net => "network",
        Kind::Mnt => "mounts",
        Kind::Pid => "process IDs",
        Kind::Time => "clocks",
        Kind::User => "user IDs",
        Kind::Uts => "hostname",
    }
}

/// The owner and parent of each namespace. Each is looked up once, however many of the processes are in it.
fn relations(proc: &Path, processes: &[Process]) -> Event {
    let mut ids: Vec<NsId> = Vec::new();
    for kind in Kind::ALL {
        for id in processes.iter().filter_map(|process| process.in_kind(kind)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    let row = |id: &NsId| {
        let members: Vec<_> = processes.iter().filter(|process| process.namespaces.contains(id)).collect();
        let letters: Vec<_> = members.iter().map(|process| process.letter.as_str()).collect();
        let (owner, user, parent) =
            members.first().map_or_else(unknown, |process| ask(proc, process.pid, *id));
        vec![(*id).into(), letters.join(" ").into(), owner, user, parent]
    };
    Event::Table(Table {
        title: "Their owners and parents".into(),
        columns: ["namespace", "members", "owner", "owner's user", "parent"].map(Into::into).to_vec(),
        rows: ids.iter().map(row).collect(),
        picture: None,
    })
}

fn unknown() -> (Value, Value, Value) {
    ("?".into(), "?".into(), "?".into())
}

fn ask(proc: &Path, member: Pid, id: NsId) -> (Value, Value, Value) {
    let path = proc.join(member.to_string()).join("ns").join(id.kind.link());
    // The PID may have been reused by another process.
    let Some(file) = NsFile::open(path.display().to_string()).ok().filter(|file| file.id() == Ok(id)) else {
        return unknown();
    };
    let namespace = |found: ns_core::Result<NsFile>| match found.and_then(|found| found.id()) {
        Ok(id) => id.into(),
        // EPERM means that there is none, or that it is outside the caller's user namespace.
        Err(error) if error.errno() == Some(Errno::EPERM) => "not visible".into(),
        Err(error) => error.errno().map(Outcome::Failed).into(),
    };
    let user = match id.kind {
        Kind::User => file.owner_uid(),
        _ => file.owner().and_then(|owner| owner.owner_uid()),
    };
    let parent = match id.kind {
        Kind::Pid | Kind::User => namespace(file.parent()),
        _ => "-".into(),
    };
    (namespace(file.owner()), user.map_or("?".into(), Value::from), parent)
}
