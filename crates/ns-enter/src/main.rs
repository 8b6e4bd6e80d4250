//! How far into a container does nsenter lead?
//!
//! setns(2) makes its caller a member of namespaces that exist. nsenter(1) and the `exec` of container engines use it.
//! Watch what does not follow: each call changes one view, and a container also has mounts, a root directory and a
//! cgroup.
//!
//! The commands by hand are one session: the steps share a container, whose PID is $c.

mod answers;
mod container;
mod kinds;
mod limits;
mod order;
mod root;
mod shell;
mod threads;

use lesson::{Experiment, Requirement};
use ns_core::Namespaces;

const NS_ENTER: Experiment = Experiment {
    name: "ns-enter",
    question: "How far into a container does nsenter lead?",
    setup: "A process that stays outside, and one that enters a container by setns().",
    arms: ["stays outside", "setns()"],
    in_short: "each namespace entered changes one view. The mounted /sys and /proc and a chroot do not follow.",
    notes: "nsenter",
    man: &["setns(2)", "nsenter(1)", "namespaces(7)", "user_namespaces(7)"],
    examples: &[
        ("ns-enter", "run the experiment; a limit needs permission to create a cgroup"),
        (
            "systemd-run --user --scope -p Delegate=yes ns-enter",
            "in a delegated cgroup, as an ordinary user of systemd",
        ),
        ("ns-enter --sabotage", "without the factors: no claim holds"),
        ("strace -fe trace=setns,chroot ns-enter", "the calls that enter"),
    ],
    // The visitors come from here: namespaces with a hostname, devices and mounts of the experiment's own.
    sandbox: Namespaces::UTS.union(Namespaces::IPC).union(Namespaces::NET).union(Namespaces::MNT),
    requires: &[Requirement::Probe(container::setns)],
    steps: &[
        // One namespace at a time.
        kinds::ENTER_UTS,
        kinds::GO_BACK,
        kinds::ENTER_NET,
        kinds::ENTER_MNT,
        kinds::ENTER_PID,
        // The root directory, which is not a namespace.
        root::ENTER_A_CHROOT,
        root::ENTER_A_PIVOTED_ROOT,
        // The privilege to enter, the order of the calls, and the descriptors.
        order::ENTER_IN_EACH_ORDER,
        order::ENTER_FROM_A_SIBLING,
        order::ENTER_WITHOUT_MEMBERS,
        order::FOLLOW_A_SOCKET,
        // Threads.
        threads::ENTER_BESIDE_A_THREAD,
        threads::ENTER_BY_A_THREAD,
        // The cgroup, which is not a namespace either.
        limits::ENTER_ALL,
        limits::ENTER_CGROUP,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&NS_ENTER)
}
