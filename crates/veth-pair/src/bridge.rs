//! What joins two veth pairs: not their near ends in one namespace, but a bridge of which these are ports.
//!
//! a and b each have a veth pair that leads to the sandbox, as two containers have to their host. Whether a packet goes
//! on from one into the other is up to what the sandbox does with the two ends in it. A physical device may be a port
//! of the bridge too, and then it leads out of the machine. Ours would cost the machine its network, so it is left
//! alone.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Row, Step, outside, right, wrong};
use ns_core::net::plan::{Device, Site, plan};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Fact, Kind, NsFile, Value};

use crate::datagrams::{FIRST_IS_ANSWERED, both_arrived, first_was_lost};
use crate::networks::Networks;

const BY_ITSELF: Claim = Claim::refuted(
    "by-itself",
    "veth bridges: two pairs whose near ends meet in one namespace join the namespaces of their far ends.",
    "joins",
)
.factor("two veth pairs")
.notes(&[77])
.arms("no pair", "a pair each")
.core(&[Row::inside("answered by b", FIRST_IS_ANSWERED)])
.asks(
    "a and b have a veth pair each that ends on the host, where nothing else is set up. a sends b a datagram. Who gets it?",
    &[
        right("nobody: it ends at the host's end of a's pair"),
        wrong("b: both pairs end in one namespace", "the notes say that veth makes bridges"),
        wrong("b: the host routes it", "the host has a way to both, and a router passes packets on"),
        wrong("every process on the host", "a namespace is thought of as one wire"),
    ],
);
const JOINS: Claim =
    Claim::holds("joins", "A bridge joins the veth pairs whose ends are its ports: a reaches b through it.")
        .factor("master br0")
        .notes(&[77, 78])
        .arms("pairs alone", "bridge br0")
        .core(&[Row::inside("answered by b", FIRST_IS_ANSWERED)])
        .asks(
            "The host makes its ends of both pairs ports of a bridge. a and b are in one subnet. What else does a need to reach b?",
            &[
                right("nothing"),
                wrong("ip_forward = 1 on the host", "a host that routes needs it, and Docker sets it"),
                wrong("an address on the bridge", "docker0 has one: it is the containers' gateway"),
                wrong("a route by way of the host", "that is the way to other networks"),
            ],
        );
const CUT_OFF: Claim =
    Claim::holds("cut-off", "A port that is taken out of its bridge is cut off, though its veth pair runs.")
        .factor("nomaster")
        .notes(&[78]);

pub(crate) const JOIN: Step = Step {
    title: "Give a and b a veth pair each that ends in the sandbox. a0 leads to pa, b0 to pb, and beside them is \
            a bridge, br0. Then a sends its two datagrams to b. The first of the two finds neither pa nor pb a \
            port of br0, or both, or pa alone; the second always finds both.",
    calls: &[
        "RTM_NEWLINK(IFLA_INFO_KIND=\"bridge\")",
        "RTM_SETLINK(pb, IFLA_MASTER=br0)",
        "RTM_SETLINK(pb, IFLA_MASTER=0)",
        "sendto(b)",
    ],
    by_hand: &[
        "for w in a b; do ip link add p$w type veth peer name ${w}0 netns $w; ip link set p$w up; done",
        "ip -n a address add 10.0.0.1/24 dev a0; ip -n a link set a0 up",
        "ip -n b address add 10.0.0.2/24 dev b0; ip -n b link set b0 up",
        "nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2",
        "ip link add br0 type bridge; ip link set br0 up; ip link set pa master br0; ip link set pb master br0",
        "nsenter --net=/run/netns/a ping -c 1 10.0.0.2; bridge link",
        "ip link set pb nomaster; nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2",
    ],
    claims: &[BY_ITSELF, JOINS, CUT_OFF],
    run: |lab| {
        let mut networks = Networks::new()?;
        let host = Host::with_a_pair_each(&networks)?;
        lab.links("What leads where, with both ends in the bridge", host.devices(&networks)?, Value::Text)?;
        let mut exchange = |between| match between {
            Between::Nothing => Networks::new()?.exchange(|_| Ok(())),
            Between::PairsAlone => host.exchange(&mut networks, [false, false]),
            Between::Bridge => host.exchange(&mut networks, [true, true]),
            Between::BridgeWithoutB => host.exchange(&mut networks, [true, false]),
        };
        lab.compare(BY_ITSELF, Between::Nothing, Between::PairsAlone, &mut exchange)?.shows(both_arrived())?;
        lab.compare(JOINS, Between::PairsAlone, Between::Bridge, &mut exchange)?.shows(both_arrived())?;
        lab.compare(CUT_OFF, Between::Bridge, Between::BridgeWithoutB, &mut exchange)?
            .shows(first_was_lost() & outside("b0 runs").is("yes"))
    },
};

/// What is between a and b when the first datagram is sent.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    PairsAlone,
    Bridge,
    BridgeWithoutB,
}

/// What the sandbox has in it: a bridge, and the near ends of two veth pairs.
struct Host {
    net: Netlink,
    bridge: u32,
    near_ends: [u32; 2],
}

impl Host {
    /// One whose pairs lead into a and b. Both near ends are ports of the bridge.
    fn with_a_pair_each(networks: &Networks) -> Result<Host> {
        let net = Netlink::open()?;
        let mut near_ends = [0; 2];
        for (near_end, (name, network)) in
            near_ends.iter_mut().zip([("pa", &networks.a), ("pb", &networks.b)])
        {
            let namespace = network.namespace.as_fd();
            *near_end = net.create_veth(&LinkName::new(name)?, &network.end, Some(namespace))?;
            net.keep_quiet(*near_end)?;
            net.set_up(*near_end)?;
        }
        networks.configure()?;
        let bridge = net.create_bridge(&LinkName::new("br0")?)?;
        net.keep_quiet(bridge)?;
        net.set_up(bridge)?;
        let host = Host { net, bridge, near_ends };
        host.have_ports([true, true])?;
        Ok(host)
    }

    /// a sends to b. Of the near ends, these are ports of the bridge for the first datagram, and both for the second.
    fn exchange(&self, networks: &mut Networks, are_ports: [bool; 2]) -> Result<Vec<Fact>> {
        self.have_ports(are_ports)?;
        let b0 = networks.b.link(&networks.b.end)?;
        let mut facts = networks.exchange(|_| self.have_ports([true, true]))?;
        facts.push(Fact::outside("b0 runs", b0.running && b0.lower_up));
        Ok(facts)
    }

    fn have_ports(&self, are_ports: [bool; 2]) -> Result<()> {
        for (near_end, is_port) in self.near_ends.into_iter().zip(are_ports) {
            self.net.set_master(near_end, is_port.then_some(self.bridge))?;
            if is_port {
                self.net.wait_until_forwarding(near_end)?;
            }
        }
        Ok(())
    }

    fn devices(&self, networks: &Networks) -> Result<Vec<Device>> {
        let here = NsFile::of(None, Kind::Net)?;
        let [a, b] = networks.sites();
        let mut devices = plan(&[Site { name: "sandbox", net: &self.net, namespace: here.as_fd() }, a, b])?;
        devices.retain(Device::leads_away);
        Ok(devices)
    }
}
