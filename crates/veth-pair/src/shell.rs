//! `veth-pair shell`: two shells, each with one end of a veth pair.

use anyhow::{Result, ensure};
use lesson::shell::{Change, Options, Plan, Shell, Target};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<End>(
    "veth-pair shell",
    "a shell in a new network namespace, or with a veth pair to that of another shell",
    &[
        ("veth-pair shell --name left", "in the first terminal"),
        ("veth-pair shell --name right --peer left", "in the second: it has one end, left the other"),
        ("veth-pair shell --by-hand", "the same by unshare(1) and ip(8); --peer left --by-hand too"),
    ],
);

#[derive(Debug, clap::Args)]
struct End {
    /// The shell that gets the other end: its name, or a PID
    #[arg(long, value_name = "NAME|PID")]
    peer: Option<String>,
}

impl Options for End {
    fn plan(&self) -> Result<Plan> {
        let Some(peer) = &self.peer else {
            return Ok(Plan::created(Namespaces::NET)
                .change(Change::LoopbackUp)
                .try_it(
                    "ip -br link",
                    "lo; a0 too once another terminal ran veth-pair shell --peer NAME",
                    "lo",
                )
                .try_it("ip -br addr show lo", "127.0.0.1: it is up", "127.0.0.1")
                .try_it("ip route get 10.0.0.2; echo $?", "2: unreachable until there is a pair", "2"));
        };
        let peer = Target::find(peer)?;
        ensure!(
            peer.namespaces().contains(Namespaces::NET),
            "{peer} is in your own network namespace, which is not changed; open one first: veth-pair shell --name left"
        );
        // The new network namespace is to be owned by the user namespace that owns the other.
        let (packet, shows) = match ns_core::probe::program("ping") {
            None => ("ping -c 1 10.0.0.1", "1 received"),
            Some(_) => ("ip route get 10.0.0.1", "dev b0"),
        };
        Ok(Plan::entered(peer.clone().only(Namespaces::USER))
            .and_created(Namespaces::NET)
            .change(Change::Veth(peer))
            .try_it("ip -br addr", "b0 is this end; the other is a0, with 10.0.0.1", "10.0.0.2")
            .try_it(packet, "the other end is reached through the pair", shows)
            .try_it("ip link delete b0; ip -br link", "lo alone; the other end is gone too", "lo"))
    }
}
