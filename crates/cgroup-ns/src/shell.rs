//! `cgroup-ns shell`: a shell whose cgroup is the root that it sees.

use anyhow::Result;
use lesson::shell::{CgroupName, Limits, Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Rooted>(
    "cgroup-ns shell",
    "a shell in a new cgroup namespace, whose root is its cgroup",
    &[
        ("cgroup-ns shell", "the path of a cgroup depends on who reads it"),
        ("cgroup-ns shell -- cat /proc/self/cgroup", "a command there"),
        ("cgroup-ns shell --by-hand", "the same by mkdir, echo and unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Rooted {
    #[command(flatten)]
    limits: Limits,
}

impl Options for Rooted {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::created(Namespaces::CGROUP)
            .try_it("grep -m 1 ':/$' /proc/self/cgroup", "/: the own cgroup is the root", ":/")
            .try_it("grep -m 1 '/\\.\\.' /proc/$PPID/cgroup", "/..: a cgroup beside or above the root", "/..")
            .try_it("readlink /proc/self/ns/cgroup", "its inode; outside it is another", "cgroup:[")
            .limited(CgroupName::new("root")?, self.limits.clone()))
    }
}
