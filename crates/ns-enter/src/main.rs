//! How far into a container does nsenter lead?
//!
//! setns(2) makes its caller a member of namespaces that are there already; nsenter(1) and every `exec` of a container
//! engine are built on it. Watch what does not come along: each call changes one view, and a container is more than its
//! views.
//!
//! What is shown by hand is one session: its container, $c, is used from step to step.

mod kinds;
mod limits;
mod order;
mod root;
mod threads;

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use lesson::{Experiment, Lab};
use ns_core::{Child, Kind, Named, Namespaces, NsFile, Outcome, Witness, uts};

/// What the container is called in its own UTS namespace.
const NAME: &str = "container";

const NS_ENTER: Experiment = Experiment {
    name: "ns-enter",
    question: "How far into a container does nsenter lead?",
    notes: "nsenter",
    man: &["setns(2)", "nsenter(1)", "namespaces(7)", "user_namespaces(7)"],
    examples: &[
        ("ns-enter", "run the experiment; a limit needs a cgroup that we may make"),
        ("systemd-run --user --scope -p Delegate=yes ns-enter", "as an ordinary user of systemd"),
        ("ns-enter --sabotage", "nobody enters anything: no claim holds"),
        ("strace -fe trace=setns,chroot ns-enter", "the calls that enter"),
    ],
    // Where the visitors come from: a place with a hostname, devices and mounts that nobody else has.
    stage: Namespaces::UTS.union(Namespaces::IPC).union(Namespaces::NET).union(Namespaces::MNT),
    needs: &[],
    claims: &[
        kinds::HOSTNAME,
        kinds::BACK,
        kinds::DEVICES,
        kinds::MOUNTS,
        kinds::OLD_PROC,
        kinds::OWN_PROC,
        root::ROOT_TOO,
        root::PIVOTED,
        order::USER_FIRST,
        order::TOO_EARLY,
        order::NO_ORDER,
        order::STRANGER,
        order::MEMBERLESS,
        order::SOCKET,
        threads::REFUSED,
        threads::ALONE,
        limits::NOT_LIMITED,
        limits::VIEW,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&NS_ENTER)
}

fn run(lab: &mut Lab) -> Result<()> {
    ns_core::cgroup::sweep()?;
    uts::set_hostname("outside")?;
    kinds::run(lab)?; // one namespace at a time
    root::run(lab)?; // what is no namespace: the root directory
    order::run(lab)?; // who may enter, and in which order
    threads::run(lab)?; // and with how many threads
    limits::run(lab) // what is no namespace either: the cgroup
}

/// The namespace of `kind` that a container is in.
fn of(container: &Child, kind: Kind) -> ns_core::Result<NsFile> {
    NsFile::of(Some(container.pid()), kind)
}

/// Enters it.
fn enter(container: &Child, kind: Kind) -> ns_core::Result<()> {
    of(container, kind)?.enter(Some(kind))
}

/// A pidfd that our children keep. They close the one that the guard has, with all that tells them of our death.
fn pidfd_for_children(of: &Child) -> Result<OwnedFd> {
    Ok(of.pidfd().as_fd().try_clone_to_owned().named(|| "dup(pidfd)".into())?)
}

/// In a container: takes its name, and stays.
fn take_name_and_stay(me: &mut Witness) -> ns_core::Result<()> {
    uts::set_hostname(NAME)?;
    me.saw("hostname", uts::hostname())?;
    me.stay()
}

/// Whether a file can be opened here, by the path that it has inside.
fn can_open(path: &str) -> ns_core::Result<Outcome> {
    Outcome::of(std::fs::File::open(path).named(|| format!("open(\"{path}\")")))
}
