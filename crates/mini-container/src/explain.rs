//! The experiment: each ingredient left out, and what leaks then.
//!
//! The arms use the very functions that `run` uses. They need no root filesystem: what runs in them is this program,
//! and their root is an empty directory in memory, or the system's own.

pub(crate) mod escapes;
pub(crate) mod limits;
pub(crate) mod namespaces;
pub(crate) mod privileges;
pub(crate) mod root;
pub(crate) mod signals;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab};
use ns_core::Namespaces;

pub(crate) const MINI_CONTAINER: Experiment = Experiment {
    name: "mini-container",
    question: "What is a container made of?",
    notes: "Linux namespaces; Docker",
    man: &["namespaces(7)", "pivot_root(2)", "capabilities(7)", "seccomp(2)", "cgroups(7)"],
    examples: &[
        ("mini-container explain", "the experiment: each ingredient left out"),
        ("mini-container run rootfs sh", "a container: a shell in a directory"),
        ("mini-container run --help", "limits, users, archives"),
        ("mini-container explain --sabotage", "without the causes: no claim holds"),
        ("scripts/rootfs busybox rootfs", "how to get a root filesystem"),
    ],
    stage: Namespaces::MNT.union(Namespaces::UTS).union(Namespaces::IPC).union(Namespaces::NET),
    needs: &[],
    claims: CLAIMS,
    run,
};

const CLAIMS: &[Claim] = &[
    namespaces::PROCESSES,
    namespaces::EIGHT,
    namespaces::ALL_BUT_ONE,
    root::PIVOT,
    root::DESCRIPTOR,
    root::OVERLAY,
    root::DEVICES,
    root::READ_ONLY,
    root::MASKED,
    privileges::CAPABILITIES,
    privileges::NO_NEW_PRIVILEGES,
    privileges::SECCOMP,
    limits::PROCESSES,
    limits::MEMORY,
    signals::FORWARDED,
    escapes::NAMESPACES_AND_CHROOT,
    escapes::THE_REST,
];

fn run(lab: &mut Lab) -> Result<()> {
    namespaces::run(lab)?; // what is seen
    root::run(lab)?; // what is there
    privileges::run(lab)?; // what may be done
    limits::run(lab)?; // how much
    signals::run(lab)?; // and who minds the house
    escapes::run(lab) // All together, and what the notes leave out.
}

/// What the command line of the experiment has besides.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct What {
    /// explain: the experiment, as without it; run: a container, see mini-container run --help
    #[arg(value_name = "COMMAND", value_parser = ["explain", "run"], hide_possible_values = true)]
    _command: Option<String>,
}
