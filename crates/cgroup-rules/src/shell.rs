//! `cgroup-rules shell`: a shell in a cgroup, to meet the rules.

use anyhow::Result;
use lesson::shell::{CgroupName, Options, Plan, Shell};

pub(crate) const SHELL: Shell = Shell::of::<Ruled>(
    "cgroup-rules shell",
    "a shell in a new cgroup, to try what is forbidden",
    &[
        ("cgroup-rules shell", "three rules to meet"),
        ("cgroup-rules shell -- sh -c 'rmdir $CGROUP'", "a command there"),
        ("cgroup-rules shell --by-hand", "the same by mkdir and echo"),
    ],
);

#[derive(Debug, clap::Args)]
struct Ruled {}

impl Options for Ruled {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::default()
            .try_it("rmdir $CGROUP", "EBUSY: a cgroup with a member is not removed", "busy")
            .try_it(
                "mkdir -p $CGROUP/a/b; rmdir $CGROUP/a",
                "EBUSY: nor is one with a cgroup below it",
                "busy",
            )
            .try_it(
                "touch $CGROUP/file",
                "EPERM or EACCES: files are the kernel's alone",
                "Permission denied",
            )
            .limited(CgroupName::new("ruled")?, lesson::shell::Limits::default()))
    }
}
