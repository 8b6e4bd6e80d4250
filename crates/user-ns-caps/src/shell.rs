//! `user-ns-caps shell`: root in a user namespace, with all capabilities over what it owns.

use anyhow::Result;
use lesson::shell::{Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Root>(
    "user-ns-caps shell",
    "a shell as root of a new user namespace",
    &[
        ("user-ns-caps shell", "all capabilities, over nothing of the machine"),
        ("user-ns-caps shell -- grep Cap /proc/self/status", "a command there"),
        ("user-ns-caps shell --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Root {}

impl Options for Root {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::created(Namespaces::USER)
            .try_it("grep CapEff /proc/self/status", "every capability", "ffffffff")
            .try_it(
                "hostname $(hostname)",
                "EPERM: the machine's UTS namespace is owned by another user namespace",
                "must be root",
            )
            .try_it(
                "unshare --uts sh -c 'hostname tried; hostname'",
                "tried: this user namespace owns what is created in it",
                "tried",
            ))
    }
}
