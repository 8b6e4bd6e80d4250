//! `docker-view shell CONTAINER`: a shell in the namespaces of a container.

use anyhow::Result;
use lesson::shell::{Options, Plan, Shell, Target};

pub(crate) const SHELL: Shell = Shell::of::<Container>(
    "docker-view shell",
    "a shell in the namespaces of a container, as docker exec has it, and without what that drops",
    &[
        ("sudo docker-view shell web", "in those of a container of Docker or podman"),
        ("sudo docker-view shell web -- ip addr", "a command there"),
        ("sudo docker-view shell web --by-hand", "the same by nsenter(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Container {
    /// The name or the ID of a running container, or the PID of a process in it
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Options for Container {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::entered(Target::find(&self.container)?)
            .try_it("ls /", "the container's files: its mount namespace, and its root", "proc")
            .try_it("cat /proc/1/comm", "the container's command is PID 1 there", "")
            .try_it(
                "grep CapEff /proc/self/status",
                "all capabilities; docker exec would drop most",
                "CapEff",
            ))
    }
}
