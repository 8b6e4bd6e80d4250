//! `uts-demo shell`: a shell in a UTS namespace of its own.

use anyhow::Result;
use lesson::shell::{Change, Options, Plan, Shell};
use ns_core::{Namespaces, uts};

pub(crate) const SHELL: Shell = Shell::of::<Names>(
    "uts-demo shell",
    "a shell in a new UTS namespace",
    &[
        ("uts-demo shell", "change the hostname, and nobody else reads it"),
        ("uts-demo shell --hostname x -- uname -n", "a command there"),
        ("uts-demo shell --hostname x --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Names {
    /// The hostname there [default: the machine's]
    #[arg(long, value_name = "NAME", value_parser = hostname)]
    hostname: Option<String>,
}

fn hostname(text: &str) -> Result<String, ns_core::Error> {
    uts::check_name(text).map(|()| text.into())
}

impl Options for Names {
    fn plan(&self) -> Result<Plan> {
        let own = self.hostname.clone().unwrap_or_else(uts::hostname);
        let plan = Plan::created(Namespaces::UTS);
        let plan = match &self.hostname {
            Some(name) => plan.change(Change::Hostname(name.clone())),
            None => plan,
        };
        Ok(plan
            .try_it("hostname", "a copy of the machine's, until somebody sets it", own)
            .try_it(
                "hostname tried; uname -n",
                "tried; ask another terminal, and the machine keeps its own",
                "tried",
            )
            .try_it(
                "cat /proc/sys/kernel/hostname",
                "the same by a file: it shows the reader's namespace",
                "tried",
            ))
    }
}
