//! Which worlds do two processes share?
//!
//! A process is in one namespace of each of eight kinds; the links in /proc/PID/ns tell in which. Watch the outside
//! column: the two arms of a claim run the same code, and often nothing but a single flag parts them.
//!
//! With PIDs, or with `--all`, this program answers for the processes of this machine instead.

mod calls;
mod census;
mod compare;
mod identity;
mod kinds;
mod refusals;
mod relations;
mod resource;

use anyhow::Result;
use lesson::{Experiment, Lab, Need};
use ns_core::probe::{self, Missing};
use ns_core::{Child, Error, Kind, Namespaces, NsId, Pid, Spawn, Value, Witness};

/// All eight kinds.
const EIGHT: Namespaces = Namespaces::all();

const NS_COMPARE: Experiment = Experiment {
    name: "ns-compare",
    question: "Which worlds do two processes share?",
    notes: "Linux namespaces",
    man: &["namespaces(7)", "clone(2)", "unshare(2)", "setns(2)", "ioctl_ns(2)"],
    examples: &[
        ("ns-compare", "run the experiment"),
        ("ns-compare 812 913", "compare two processes"),
        ("ns-compare $$", "compare one with ns-compare itself"),
        ("sudo ns-compare --all", "every namespace that has a member"),
        ("ns-compare --sabotage", "without the causes: no claim holds"),
    ],
    // What the controls write to. Time and PID namespaces take in children alone, and hide nothing here.
    stage: Namespaces::UTS.union(Namespaces::IPC).union(Namespaces::NET).union(Namespaces::MNT),
    needs: &[Need::Probe(eight_kinds)],
    claims: &[
        kinds::CGROUP,
        kinds::IPC,
        kinds::NET,
        kinds::MNT,
        kinds::PID,
        kinds::TIME,
        kinds::USER,
        kinds::UTS,
        kinds::OWN,
        kinds::MEMBERS_ONLY,
        kinds::SEEN_ABOVE,
        kinds::COPY,
        calls::EIGHT_KINDS,
        calls::CLONE,
        calls::LOST_FLAG,
        calls::UNSHARE_ANY,
        calls::UNSHARE,
        calls::SETNS,
        calls::ONE_SHOT,
        calls::ALL_OR_NONE,
        calls::IOCTL_MOVES,
        calls::IOCTL_FINDS,
        refusals::UNPRIVILEGED,
        refusals::NO_FLAG,
        refusals::SETNS_RULES,
        refusals::EXCLUDES,
        refusals::NO_THREAD,
        refusals::ONE_THREAD,
        identity::LINKS,
        identity::TRACE,
        identity::NO_CHILD_YET,
        identity::REUSED,
        identity::SERIAL,
        identity::FIRST,
        identity::FIRST_NET_MNT,
        relations::PARENT,
        relations::NO_PARENT,
        relations::OWNER,
        relations::OUT_OF_SIGHT,
        relations::OWNER_UID,
        relations::USER_ONLY,
        relations::NO_NAMESPACE,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main_with(&NS_COMPARE, compare::instead)
}

fn run(lab: &mut Lab) -> Result<()> {
    // Whatever is made below, this one has new namespaces of all kinds. It stays to the end: inode numbers are reused.
    let container = Spawn::new("container").namespaces_always(EIGHT).run(Witness::stay)?;
    kinds::run(lab)?; // what each kind isolates
    calls::run(lab, &container)?; // what moves a process
    refusals::run(lab)?; // and what does not
    identity::run(lab)?; // which namespace is which
    relations::run(lab, &container) // and whose it is
}

/// Whether this machine lets us be in new namespaces of all eight kinds, by the call that can make them all.
fn eight_kinds() -> ns_core::Result<Option<Missing>> {
    match Child::spawn("probe", EIGHT, |_| Ok(())) {
        Ok(_) => Ok(None),
        Err(Error::Call { call, errno }) => Ok(Some(probe::why_refused(&call, errno, EIGHT))),
        Err(other) => Err(other),
    }
}

/// The kinds whose namespaces differ.
fn moved(before: &[NsId], after: &[NsId]) -> Vec<Kind> {
    after.iter().filter(|id| !before.contains(id)).map(|id| id.kind).collect()
}

/// Kinds by their names, in words.
fn list(kinds: impl IntoIterator<Item = Kind>) -> Value {
    let names: Vec<_> = kinds.into_iter().map(Kind::link).collect();
    if names.is_empty() { "none".into() } else { names.join(" ").into() }
}

fn pid_of(value: &Value) -> Pid {
    Pid::from_raw(value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(i32::MAX))
}
