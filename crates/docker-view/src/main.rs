//! What did Docker do?
//!
//! The kernel has no object called container. A container is a process with namespaces, a root directory, a cgroup, and
//! fewer privileges than root on the host. Each claim leaves one of these parts out, by an option of `docker run`. Watch
//! what differs then, and what does not.
//!
//! With `--pid`, this program describes any process of this machine instead, and says what it most likely is.

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
mod sentences;
mod shell;

use lesson::{Experiment, Requirement};
use ns_core::{Capability, Namespaces};

const DOCKER_VIEW: Experiment = Experiment {
    name: "docker-view",
    question: "What did Docker do?",
    setup: "A container of docker run, compared with one that lacks one part.",
    arms: ["plain child", "docker run"],
    in_short: "a container is a host process with namespaces, a veth pair, a cgroup and masks.",
    notes: "Docker",
    man: &["docker-run(1)", "namespaces(7)", "capabilities(7)", "veth(4)", "cgroups(7)"],
    examples: &[
        ("sudo docker-view", "run the experiment"),
        ("sudo scripts/docker-lab run docker-view", "run it with an engine that is removed afterwards"),
        ("sudo docker-view --pid 4899", "say what a process most likely is, and why"),
        ("docker-view --pid $$ --verbose", "say the same of this shell, in tables"),
        ("sudo docker-view --sabotage", "run the negative control: without the factors, no claim holds"),
    ],
    // Containers are children of the engine on the host, so a sandbox would not contain them.
    sandbox: Namespaces::NONE,
    requires: &[
        Requirement::Probe(requirements::engine),
        Requirement::Capability(Capability::CAP_SYS_PTRACE),
        Requirement::Capability(Capability::CAP_SYS_ADMIN),
    ],
    steps: &[
        // Which namespaces a container has, and which userns-remap adds.
        kinds::START,
        kinds::COMPARE_THE_REST,
        kinds::LEAVE_OUT,
        kinds::FIND_THE_ROOT,
        remapped::START,
        // How a container is connected.
        network::FOLLOW_THE_VETH_PAIR,
        network::PING,
        network::LISTEN,
        // How a container is stopped and entered.
        first::STOP,
        first::ORPHAN,
        first::EXEC,
        // What a container may not do.
        less::READ_CAPABILITIES,
        less::MAKE_A_USER_NAMESPACE,
        less::LIST_MASKS,
        less::MOUNT_PROC,
        less::ASK_FOR_NO_NEW_PRIVILEGES,
        less::DENY_NOTHING,
        // What limits a container.
        resources::READ_THE_CGROUP,
        resources::LIMIT,
        resources::FILL_MEMORY,
        resources::WRITE_TO_THE_LAYER,
        resources::WRITE_TO_THE_ROOT,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main_with(&DOCKER_VIEW, look::instead)
}
