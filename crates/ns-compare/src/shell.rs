//! `ns-compare shell`: a shell in new namespaces of the kinds that one chooses.

use anyhow::Result;
use lesson::shell::{Kinds, Options, Plan, Shell};
use ns_core::{Kind, Namespaces};

pub(crate) const SHELL: Shell = Shell::of::<New>(
    "ns-compare shell",
    "a shell in new namespaces of the kinds that you choose",
    &[
        ("ns-compare shell", "all eight kinds"),
        ("ns-compare shell --new uts,ipc", "two, and the others are yours"),
        ("ns-compare shell --new net -- readlink /proc/self/ns/net", "a command there"),
        ("ns-compare shell --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct New {
    /// Kinds, such as net,uts [default: all that this kernel has]
    #[arg(long, value_name = "KINDS")]
    new: Option<Kinds>,
}

impl Options for New {
    fn plan(&self) -> Result<Plan> {
        let all = || Kind::ALL.into_iter().filter(|kind| ns_core::probe::kind(*kind).is_none());
        let all = || all().fold(Namespaces::NONE, |all, kind| all | Namespaces::only(kind));
        let kinds = self.new.map_or_else(all, |Kinds(kinds)| kinds);
        let first = kinds.kinds().last().unwrap_or(Kind::Uts);
        Ok(Plan::created(kinds)
            .try_it(
                "readlink /proc/self/ns/*",
                "kind and inode of each: compare them with another terminal's",
                "uts:[",
            )
            .try_it(
                format!("readlink /proc/self/ns/{first}"),
                "one that is new: no other process has that inode",
                format!("{first}:["),
            )
            .try_it(
                format!("sh -c 'readlink /proc/self/ns/{first}'"),
                "the same: children inherit",
                format!("{first}:["),
            ))
    }
}
