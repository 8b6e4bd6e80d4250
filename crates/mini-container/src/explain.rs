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

use lesson::{Claim, Experiment, Help, Lab, Settings};
use ns_core::Namespaces;

pub(crate) const MINI_CONTAINER: Experiment = Experiment {
    name: "mini-container",
    question: "What is a container made of?",
    notes: "Linux namespaces; Docker",
    man: &["namespaces(7)", "pivot_root(2)", "capabilities(7)", "seccomp(2)", "cgroups(7)"],
    examples: &[
        ("mini-container run rootfs sh", "a container: a shell in a directory"),
        ("mini-container run image.tar sh", "or in what docker save wrote"),
        ("mini-container run --help", "limits, users, a network"),
        ("mini-container explain", "the experiment: each ingredient left out"),
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

fn run(lab: &mut Lab) -> anyhow::Result<()> {
    namespaces::run(lab)?; // what is seen
    root::run(lab)?; // what is there
    privileges::run(lab)?; // what may be done
    limits::run(lab)?; // how much
    signals::run(lab)?; // and who minds the house
    escapes::run(lab) // All together, and what the notes leave out.
}

/// What the command line of the experiment has besides: that it is one command of two.
#[derive(Debug)]
pub(crate) struct Commands;

const EXPLAIN: Help = Help {
    name: "mini-container explain",
    about: "the experiment: each ingredient left out, and what leaks then",
    examples: &[
        ("mini-container explain", "as without a command"),
        ("mini-container explain --sabotage", "without the causes: no claim holds"),
        ("mini-container explain --format jsonl", "as data"),
    ],
    after: lesson::exit_status!(),
};

impl clap::Args for Commands {
    fn augment_args(command: clap::Command) -> clap::Command {
        let explain = EXPLAIN.lead(Settings::augment_args(clap::Command::new(lesson::EXPLAIN)));
        command.args_conflicts_with_subcommands(true).subcommand(explain).subcommand(crate::run::command())
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Commands::augment_args(command)
    }
}

impl clap::FromArgMatches for Commands {
    fn from_arg_matches(_: &clap::ArgMatches) -> Result<Commands, clap::Error> {
        Ok(Commands)
    }

    fn update_from_arg_matches(&mut self, _: &clap::ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}
