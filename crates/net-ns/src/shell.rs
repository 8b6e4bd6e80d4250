//! `net-ns shell`: a shell in a network of its own.

use anyhow::Result;
use lesson::shell::{Change, Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Network>(
    "net-ns shell",
    "a shell in a new network namespace",
    &[
        ("net-ns shell", "a network with lo alone, which is down"),
        ("net-ns shell --lo-up -- ip addr", "a command there, with lo up"),
        ("net-ns shell --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Network {
    /// Set lo up
    #[arg(long)]
    lo_up: bool,
}

impl Options for Network {
    fn plan(&self) -> Result<Plan> {
        let plan = Plan::created(Namespaces::NET);
        let plan = if self.lo_up { plan.change(Change::LoopbackUp) } else { plan };
        Ok(plan
            .try_it("ip -br link show lo", "the only device that works; a new one is DOWN", "LOOPBACK")
            .try_it("ip link set lo up; ip -br addr show lo", "127.0.0.1 comes with it", "127.0.0.1")
            .try_it("wc -l < /proc/net/tcp", "1, the headline: nothing of the machine listens here", "1"))
    }
}
