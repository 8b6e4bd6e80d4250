//! What is a container made of?
//!
//! The kernel has no object called container. A container is a process that a runtime has set up with several
//! ingredients: some decide what it sees, some what it may do, some how much it may use. `mini-container run` uses all of
//! them, in [`run`]. The experiment leaves out one at a time, in [`explain`]. Watch which way out is open then.
//!
//! The arms use the same functions as `run`. They need no root filesystem: this program itself runs in them, and their
//! root is an empty directory in memory, or the root of the system.

mod explain;
mod run;

use std::process::ExitCode;

use lesson::Experiment;
use ns_core::Namespaces;

/// musl's own allocator gives pages back as soon as they are free, and takes them anew. DESIGN.md, "Libraries".
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const MINI_CONTAINER: Experiment = Experiment {
    name: "mini-container",
    question: "What is a container made of?",
    setup: "A container: without one ingredient, and with it.",
    arms: ["plain child", "namespaces"],
    in_short: "a container is a process; each ingredient closes a way out.",
    notes: "Linux namespaces; Docker",
    man: &["namespaces(7)", "pivot_root(2)", "capabilities(7)", "seccomp(2)", "cgroups(7)"],
    examples: &[
        ("mini-container run rootfs sh", "a container: a shell in a directory"),
        ("mini-container run image.tar sh", "the same in an image of docker save"),
        ("mini-container run --help", "limits, users, a network"),
        ("mini-container explain", "the experiment: one ingredient left out at a time"),
        ("mini-container explain --sabotage", "without the factors: no claim holds"),
        ("scripts/rootfs busybox rootfs", "create a root filesystem"),
    ],
    sandbox: Namespaces::MNT.union(Namespaces::UTS).union(Namespaces::IPC).union(Namespaces::NET),
    requires: &[],
    steps: &[
        // What it sees.
        explain::START,
        explain::LEAVE_ONE_OUT,
        // Which files there are.
        explain::CLIMB_OUT,
        explain::LEAVE_A_DESCRIPTOR_OPEN,
        explain::WRITE_A_FILE,
        explain::LIST_DEVICES,
        explain::COVER_PROC,
        // What it may do.
        explain::DROP_CAPABILITIES,
        explain::EXECUTE,
        explain::NEST,
        // How much it may use.
        explain::FORK,
        explain::FILL_MEMORY,
        // What its PID 1 does.
        explain::STOP,
        // All ingredients together, and those that the notes do not name.
        explain::TRY_WAYS_OUT,
    ],
    shell: None,
    prepare: Some(|| Ok(ns_core::cgroup::sweep().map(drop)?)),
};

fn main() -> ExitCode {
    explain::after_execve();
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "run" || argument == "shell") {
        return run::main();
    }
    lesson::main_with::<explain::Commands>(&MINI_CONTAINER, |_, _| None)
}
