//! `cgroup-mk shell`: a shell in a cgroup of its own.

use anyhow::Result;
use lesson::shell::{CgroupName, Limits, Options, Plan, Shell};

pub(crate) const SHELL: Shell = Shell::of::<InACgroup>(
    "cgroup-mk shell",
    "a shell in a new cgroup",
    &[
        ("cgroup-mk shell", "a cgroup without a limit"),
        ("cgroup-mk shell lab --memory-max 64M --pids-max 20 --cpu-max 0.5", "with three"),
        ("cgroup-mk shell --memory-max 64M --pids-max 20 --by-hand", "the same by mkdir and echo"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-mk shell", "as an ordinary user of systemd"),
    ],
);

#[derive(Debug, clap::Args)]
struct InACgroup {
    /// What the cgroup's name ends with
    #[arg(value_name = "CGROUP", default_value = "shell")]
    cgroup: CgroupName,

    #[command(flatten)]
    limits: Limits,
}

impl Options for InACgroup {
    fn plan(&self) -> Result<Plan> {
        let name = self.cgroup.clone();
        Ok(Plan::default()
            .try_it(
                "grep inception /proc/self/cgroup",
                "the paths of the cgroup, from the root of each hierarchy",
                name.as_str(),
            )
            .try_it("grep -c . $CGROUP/cgroup.procs", "2: this shell and grep are its members", "2")
            .try_it(
                "mkdir $CGROUP/child; ls $CGROUP/child; rmdir $CGROUP/child",
                "mkdir() makes a cgroup, and its files",
                "cgroup.procs",
            )
            .limited(name, self.limits.clone()))
    }
}
