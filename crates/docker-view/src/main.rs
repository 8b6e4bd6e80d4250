//! What did Docker do?
//!
//! A container is no thing that the kernel knows: it is a process that was given namespaces, a root directory, a cgroup,
//! and less than root may do elsewhere. Each claim leaves one of these ingredients out, by an option of `docker run`.
//! Watch what differs then, and what does not.
//!
//! With `--pid`, this program looks at any process of this machine instead, and says what it most likely is.

mod capabilities;
mod client;
mod engine;
mod first;
mod interfaces;
mod judgement;
mod kinds;
mod less;
mod limits;
mod look;
mod network;
mod process;
mod remapped;
mod requirements;
mod resources;

use lesson::{Experiment, Requirement};
use ns_core::{Capability, Namespaces};

const DOCKER_VIEW: Experiment = Experiment {
    name: "docker-view",
    question: "What did Docker do?",
    setup: "A container that docker run starts, beside what lacks one ingredient.",
    arms: ["plain child", "docker run"],
    in_short: "a host process with namespaces, a veth pair, a cgroup and masks.",
    notes: "Docker",
    man: &["docker-run(1)", "namespaces(7)", "capabilities(7)", "veth(4)", "cgroups(7)"],
    examples: &[
        ("sudo docker-view", "run the experiment"),
        ("sudo scripts/docker-lab run docker-view", "with an engine that is gone afterwards"),
        ("sudo docker-view --pid 4899", "what a process most likely is, and since what"),
        ("docker-view --pid $$", "the same of this shell"),
        ("sudo docker-view --sabotage", "without the factors: no claim holds"),
    ],
    // Containers are children of the engine, which is on the host: no sandbox of ours would hold them.
    sandbox: Namespaces::NONE,
    requires: &[
        Requirement::Probe(requirements::engine),
        Requirement::Capability(Capability::CAP_SYS_PTRACE),
        Requirement::Capability(Capability::CAP_SYS_ADMIN),
    ],
    steps: &[
        // Which namespaces are its own, and which another engine would add.
        kinds::START,
        kinds::COMPARE_THE_REST,
        kinds::LEAVE_OUT,
        kinds::FIND_THE_ROOT,
        remapped::START,
        // How it is connected.
        network::FOLLOW_THE_VETH_PAIR,
        network::PING,
        network::LISTEN,
        // How it is stopped and entered.
        first::STOP,
        first::ORPHAN,
        first::EXEC,
        // What it may not do.
        less::READ_CAPABILITIES,
        less::MAKE_A_USER_NAMESPACE,
        less::LIST_MASKS,
        less::MOUNT_PROC,
        less::ASK_FOR_NO_NEW_PRIVILEGES,
        less::DENY_NOTHING,
        // And what limits it.
        resources::READ_THE_CGROUP,
        resources::LIMIT,
        resources::FILL_MEMORY,
        resources::WRITE_TO_THE_LAYER,
        resources::WRITE_TO_THE_ROOT,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main_with(&DOCKER_VIEW, look::instead)
}
