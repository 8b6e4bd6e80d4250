//! Two network namespaces, a and b, each with a process in it.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use ns_core::net::plan::Site;
use ns_core::net::{Link, LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter};

use crate::datagrams::{self, B};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Every network namespace has its loopback link first.
const LO: u32 = 1;

/// A network namespace and its only process.
pub(crate) struct Network {
    pub(crate) process: Child,
    pub(crate) namespace: NsFile,
    /// A netlink socket of this process in that namespace.
    pub(crate) net: Netlink,
    /// The name for its end of a veth pair.
    pub(crate) end: LinkName,
    address: Ipv4Addr,
}

impl Network {
    fn new(
        label: &str,
        address: Ipv4Addr,
        body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
    ) -> Result<Network> {
        let mut process = Child::spawn(label, Namespaces::NET, body)?;
        let namespace = match NsFile::of(Some(process.pid()), Kind::Net) {
            Ok(namespace) => namespace,
            Err(gone) => {
                // The child has given up, and its report says why.
                process.fact()?;
                return Err(gone.into());
            }
        };
        let net = Netlink::open_in(&namespace)?;
        // If both addresses were local, a datagram would go through lo, which would count it.
        net.set_up(LO)?;
        Ok(Network { process, namespace, net, end: LinkName::new(&format!("{label}0"))?, address })
    }

    /// One of its links, which must be there.
    pub(crate) fn link(&self, name: &LinkName) -> Result<Link> {
        self.net.link(name)?.with_context(|| format!("{} has no {name}", self.process.label()))
    }

    /// Its end of a veth pair, if it has one.
    pub(crate) fn own_end(&self) -> Result<Option<Link>> {
        Ok(self.net.link(&self.end)?)
    }
}

/// The two network namespaces whose processes exchange datagrams.
pub(crate) struct Networks {
    pub(crate) a: Network,
    pub(crate) b: Network,
}

impl Networks {
    pub(crate) fn new() -> Result<Networks> {
        let mut b = Network::new("b", B, datagrams::answer)?;
        b.process.fact()?; // b reports that it listens
        Ok(Networks { a: Network::new("a", A, datagrams::send_two)?, b })
    }

    /// Both, for a plan of their devices.
    pub(crate) fn sites(&self) -> [Site<'_>; 2] {
        [("a", &self.a), ("b", &self.b)].map(|(name, network)| Site {
            name,
            net: &network.net,
            namespace: network.namespace.as_fd(),
        })
    }

    /// Creates a veth pair by one call, with one end in each, and sets both ends up.
    pub(crate) fn connect(&self) -> Result<()> {
        let Networks { a, b } = self;
        b.net.create_veth(&b.end, &a.end, Some(a.namespace.as_fd()))?;
        self.configure()
    }

    /// Gives both ends an address, and sets them up.
    pub(crate) fn configure(&self) -> Result<()> {
        for network in [&self.a, &self.b] {
            let end = network.net.index(&network.end)?;
            network.net.keep_quiet(end)?;
            network.net.add_address(end, network.address.into(), 24)?;
        }
        self.set_up()
    }

    /// Sets both ends up, each with the other as a neighbour, and waits until both run. No change if they run.
    pub(crate) fn set_up(&self) -> Result<()> {
        let Networks { a, b } = self;
        let (a0, b0) = (a.link(&a.end)?, b.link(&b.end)?);
        for (network, near, far, neighbour) in [(a, &a0, &b0, B), (b, &b0, &a0, A)] {
            network.net.set_up(near.index)?;
            // Without this entry the kernel sends an ARP request first, and keeps the datagram until the reply. It
            // repeats the request after a second. A datagram sent while the far end was down would then still arrive.
            let hardware = far.address.context("a veth end has a hardware address")?;
            network.net.add_neighbour(near.index, neighbour.into(), hardware)?;
        }
        a.net.wait_until_running(a0.index)?;
        b.net.wait_until_running(b0.index)?;
        Ok(())
    }

    /// Has a send two datagrams. Between them, `clear` removes what may have stopped the first, so that the second
    /// arrives. Returns the answers that a received, and how many packets each device sent and received.
    pub(crate) fn exchange(&mut self, clear: impl FnOnce(&Networks) -> Result<()>) -> Result<Vec<Fact>> {
        let before = self.counts()?;
        self.a.process.wake()?;
        let first = self.a.process.fact()?;
        clear(self)?;
        self.a.process.wake()?;
        let first_is_answered = self.a.process.fact()?;
        let answers = self.a.process.fact()?;
        let mut facts = vec![answers, first, first_is_answered];
        for ((what, after), (_, before)) in self.counts()?.into_iter().zip(before) {
            facts.push(Fact::outside(what, after.zip(before).map(|(after, before)| after - before)));
        }
        Ok(facts)
    }

    fn counts(&self) -> Result<[(&'static str, Option<i64>); 5]> {
        let (a0, b0, lo) = (self.a.own_end()?, self.b.own_end()?, self.a.net.link_by_index(LO)?);
        let sent = |link: &Option<Link>| link.as_ref().map(|link| link.tx_packets as i64);
        let received = |link: &Option<Link>| link.as_ref().map(|link| link.rx_packets as i64);
        Ok([
            ("a0 sent", sent(&a0)),
            ("b0 received", received(&b0)),
            ("b0 sent", sent(&b0)),
            ("a0 received", received(&a0)),
            ("lo of a sent", sent(&lo)),
        ])
    }
}
