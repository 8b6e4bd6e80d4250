//! How far into a container does nsenter lead?
//!
//! setns(2) makes its caller a member of namespaces that are there already; nsenter(1) and every `exec` of a container
//! engine are built on it. Watch what does not come along: each call changes one view, and a container is more than its
//! views.
//!
//! What is shown by hand is one session: its container, $c, is used from step to step.

mod answers;
mod container;
mod kinds;
mod limits;
mod order;
mod root;
mod threads;

use lesson::{Experiment, Requirement};
use ns_core::Namespaces;

const NS_ENTER: Experiment = Experiment {
    name: "ns-enter",
    question: "How far into a container does nsenter lead?",
    setup: "A visitor outside, and one that enters a container by setns().",
    arms: ["stays outside", "setns()"],
    in_short: "a namespace entered changes one view. /sys, /proc and a chroot do not come along with it.",
    notes: "nsenter",
    man: &["setns(2)", "nsenter(1)", "namespaces(7)", "user_namespaces(7)"],
    examples: &[
        ("ns-enter", "run the experiment; a limit needs a cgroup that we may make"),
        ("systemd-run --user --scope -p Delegate=yes ns-enter", "as an ordinary user of systemd"),
        ("ns-enter --sabotage", "nobody enters anything: no claim holds"),
        ("strace -fe trace=setns,chroot ns-enter", "the calls that enter"),
    ],
    // Where the visitors come from: a place with a hostname, devices and mounts that nobody else has.
    sandbox: Namespaces::UTS.union(Namespaces::IPC).union(Namespaces::NET).union(Namespaces::MNT),
    requires: &[Requirement::Probe(container::setns)],
    steps: &[
        // One namespace at a time.
        kinds::ENTER_UTS,
        kinds::GO_BACK,
        kinds::ENTER_NET,
        kinds::ENTER_MNT,
        kinds::ENTER_PID,
        // What is no namespace: the root directory.
        root::ENTER_A_CHROOT,
        root::ENTER_A_PIVOTED_ROOT,
        // Who may enter, in which order, and by which descriptor.
        order::ENTER_IN_EACH_ORDER,
        order::ENTER_AS_A_STRANGER,
        order::ENTER_WITHOUT_MEMBERS,
        order::FOLLOW_A_SOCKET,
        // With how many threads.
        threads::ENTER_BESIDE_A_THREAD,
        threads::ENTER_BY_A_THREAD,
        // What is no namespace either: the cgroup.
        limits::ENTER_ALL,
        limits::ENTER_CGROUP,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&NS_ENTER)
}
