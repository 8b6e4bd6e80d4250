//! What did Docker do?
//!
//! A container is no thing that the kernel knows: it is a process that was given namespaces, a root directory, a cgroup,
//! and less than root may do elsewhere. Each claim leaves one of these ingredients out, by an option of `docker run`.
//! Watch what differs then, and what does not.
//!
//! With `--pid`, this program looks at any process of this machine instead, and says what it most likely is.

mod engine;
mod first;
mod judgement;
mod kinds;
mod less;
mod look;
mod network;
mod process;
mod remapped;
mod resources;

use anyhow::Result;
use lesson::{Experiment, Lab, Need};
use ns_core::{Capability, Namespaces};

use crate::engine::{Engine, Socket};

const DOCKER_VIEW: Experiment = Experiment {
    name: "docker-view",
    question: "What did Docker do?",
    notes: "Docker",
    man: &["docker-run(1)", "namespaces(7)", "capabilities(7)", "veth(4)", "cgroups(7)"],
    examples: &[
        ("sudo docker-view", "run the experiment"),
        ("sudo scripts/docker-lab run docker-view", "with an engine that is gone afterwards"),
        ("sudo docker-view --pid 4899", "what a process most likely is, and since what"),
        ("docker-view --pid $$", "the same of this shell"),
        ("sudo docker-view --sabotage", "without the causes: no claim holds"),
    ],
    // Containers are children of the engine, which is on the host: no stage of ours would hold them.
    stage: Namespaces::NONE,
    needs: &[
        Need::Probe(engine::missing),
        Need::Capability(Capability::CAP_SYS_PTRACE),
        Need::Capability(Capability::CAP_SYS_ADMIN),
    ],
    claims: &[
        kinds::NEW,
        kinds::SHARED,
        kinds::LEFT_OUT,
        kinds::OWN_ROOT,
        remapped::REMAPPED,
        network::VETH,
        network::REACH,
        network::FILES,
        network::NAMES,
        first::STOP,
        first::ZOMBIE,
        first::EXEC,
        first::EXEC_CGROUP,
        less::CAPABILITIES,
        less::SECCOMP,
        less::MASKED,
        less::NO_PROC,
        less::MAY_MOUNT_PROC,
        less::NO_NEW_PRIVS,
        less::PRIVILEGED,
        resources::HIDDEN,
        resources::LIMITS,
        resources::KILLED,
        resources::LAYER,
        resources::READ_ONLY,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main_with(&DOCKER_VIEW, look::instead)
}

fn run(lab: &mut Lab) -> Result<()> {
    let engine = Engine::open(Socket::Usual)?;
    let container = kinds::run(lab, &engine)?; // which namespaces are its own
    remapped::run(lab)?; // and which another engine would add
    network::run(lab, &engine, &container)?; // how it is connected
    first::run(lab, &engine, &container)?; // how it is stopped and entered
    less::run(lab, &engine, &container)?; // what it may not do
    resources::run(lab, &engine) // and what limits it
}
