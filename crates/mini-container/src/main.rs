//! What is a container made of?
//!
//! A container is no thing of the kernel's. It is a process for which many things were done, one after the other: some
//! decide what it sees, some what it may do, some how much it may use. `mini-container run` does them all, in
//! [`run`]; the experiment leaves them out, one at a time, in [`explain`]. Watch for what leaks then.
//!
//! The arms use the very functions that `run` uses. They need no root filesystem: what runs in them is this program,
//! and their root is an empty directory in memory, or the system's own.

mod explain;
mod run;

use std::process::ExitCode;

use lesson::Experiment;
use ns_core::Namespaces;

const MINI_CONTAINER: Experiment = Experiment {
    name: "mini-container",
    question: "What is a container made of?",
    setup: "A process in which one ingredient of a container is left out, or not.",
    arms: ["plain child", "namespaces"],
    in_short: "a container is a process; each ingredient closes a way out.",
    notes: "Linux namespaces; Docker",
    man: &["namespaces(7)", "pivot_root(2)", "capabilities(7)", "seccomp(2)", "cgroups(7)"],
    examples: &[
        ("mini-container run rootfs sh", "a container: a shell in a directory"),
        ("mini-container run image.tar sh", "or in what docker save wrote"),
        ("mini-container run --help", "limits, users, a network"),
        ("mini-container explain", "the experiment: each ingredient left out"),
        ("mini-container explain --sabotage", "without the factors: no claim holds"),
        ("scripts/rootfs busybox rootfs", "how to get a root filesystem"),
    ],
    sandbox: Namespaces::MNT.union(Namespaces::UTS).union(Namespaces::IPC).union(Namespaces::NET),
    requires: &[],
    steps: &[
        // What is seen.
        explain::START,
        explain::LEAVE_ONE_OUT,
        // What is there.
        explain::CLIMB_OUT,
        explain::LEAVE_A_DESCRIPTOR_OPEN,
        explain::WRITE_A_FILE,
        explain::LIST_DEVICES,
        explain::COVER_PROC,
        // What may be done.
        explain::DROP_CAPABILITIES,
        explain::EXECUTE,
        explain::NEST,
        // How much.
        explain::FORK,
        explain::FILL_MEMORY,
        // And what its PID 1 does.
        explain::STOP,
        // All together, and what the notes leave out.
        explain::TRY_WAYS_OUT,
    ],
    prepare: Some(|| Ok(ns_core::cgroup::sweep().map(drop)?)),
};

fn main() -> ExitCode {
    explain::after_execve();
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "run") {
        return run::main();
    }
    lesson::main_with::<explain::Commands>(&MINI_CONTAINER, |_, _| None)
}
