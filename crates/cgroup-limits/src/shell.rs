//! `cgroup-limits shell`: a shell in a cgroup that limits it.

use anyhow::Result;
use lesson::shell::{CgroupName, Limits, Options, Plan, Shell};

pub(crate) const SHELL: Shell = Shell::of::<Limited>(
    "cgroup-limits shell",
    "a shell in a new cgroup with limits",
    &[
        ("cgroup-limits shell", "at most 20 processes"),
        ("cgroup-limits shell --memory-max 64M", "at most 64 MiB of memory"),
        ("cgroup-limits shell --cpu-max 0.5 -- COMMAND", "a command with half a CPU"),
        ("cgroup-limits shell --pids-max 20 --by-hand", "the same by mkdir and echo"),
    ],
);

#[derive(Debug, clap::Args)]
struct Limited {
    #[command(flatten)]
    limits: Limits,
}

impl Options for Limited {
    fn plan(&self) -> Result<Plan> {
        let mut limits = self.limits.clone();
        if limits.is_empty() {
            limits.pids_max = Some(20);
        }
        let mut plan = Plan::default();
        if limits.pids_max.is_some() {
            plan = plan
                .try_it("cat $CGROUP_PIDS/pids.current", "2: this shell and cat", "2")
                .try_it(
                    format!("sh -c 'for i in $(seq {}); do sleep 9 & done'", limits.pids_max.unwrap_or(0)),
                    "fork() fails with EAGAIN; nobody is killed",
                    "ork",
                )
                .try_it(
                    "grep max $CGROUP_PIDS/pids.events",
                    "so often did fork() fail for this limit",
                    "max",
                );
        }
        if let Some(memory) = limits.memory_max {
            plan = plan.try_it(
                format!("head -c {0} /dev/zero | tail -c {0} | wc -c", memory.0),
                "0: tail is killed, since it touches too much",
                "0",
            );
        }
        if limits.cpu_max.is_some() {
            plan = plan.try_it(
                "timeout 1 sh -c 'while :; do :; done'; grep nr_throttled $CGROUP_CPU/cpu.stat",
                "in so many periods it had to wait",
                "nr_throttled",
            );
        }
        Ok(plan
            .try_it(
                "grep limited /proc/self/cgroup",
                "the cgroup, from the root of each hierarchy",
                "limited",
            )
            .try_it("echo $CGROUP", "the directory of the first", "limited")
            .limited(CgroupName::new("limited")?, limits))
    }
}
