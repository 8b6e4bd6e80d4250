//! `ns-lifetime shell`: a shell in a namespace, to watch what keeps it.

use anyhow::Result;
use lesson::shell::{Kinds, Options, Plan, Shell};
use ns_core::Kind;

pub(crate) const SHELL: Shell = Shell::of::<Kept>(
    "ns-lifetime shell",
    "a shell in a new namespace, to hold it and let it go",
    &[
        ("ns-lifetime shell", "a UTS namespace that lives as long as the shell"),
        ("ns-lifetime shell --new net", "a network namespace"),
        ("ns-lifetime shell --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Kept {
    /// Kinds, such as net,uts
    #[arg(long, value_name = "KINDS", default_value = "uts")]
    new: Kinds,
}

impl Options for Kept {
    fn plan(&self) -> Result<Plan> {
        let Kinds(kinds) = self.new;
        let kind = kinds.kinds().next().unwrap_or(Kind::Uts);
        Ok(Plan::created(kinds)
            .try_it(
                format!("exec 9< /proc/self/ns/{kind}; readlink /proc/self/fd/9"),
                "an open file keeps the namespace, even without a member",
                format!("{kind}:["),
            )
            .try_it(
                format!("sleep 1000 & readlink /proc/$!/ns/{kind}"),
                "the same inode: a second member, which ends with the shell",
                format!("{kind}:["),
            )
            .try_it(
                "unshare -Ur --uts readlink /proc/self/ns/uts",
                "another, which is gone when readlink ends",
                "uts:[",
            ))
    }
}
