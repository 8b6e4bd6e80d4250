//! What connects two veth pairs: a bridge whose ports are their near ends. Near ends in one namespace are not enough.
//!
//! a and b each have a veth pair to the sandbox, as two containers have to their host. A packet from one pair reaches
//! the other only if the sandbox forwards it. A physical device may be a port of a bridge too, which then connects to
//! the outside. The experiment leaves physical devices alone: as a port, a device loses its own network.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, outside, right, wrong};
use ns_core::net::plan::{Device, Site, plan};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Fact, Kind, NsFile, Value};

use crate::datagrams::{FIRST_IS_ANSWERED, both_arrived, first_was_lost, first_was_sent};
use crate::networks::Networks;

const BY_ITSELF: Claim = Claim::refuted(
    "by-itself",
    "veth pairs act as a bridge: two pairs that end in one namespace connect their far ends.",
    "joins",
)
.factor("two veth pairs")
.notes(&[77])
.arms("no pair", "a pair each")
.core(&[Row::inside("answered by b", FIRST_IS_ANSWERED)])
.asks(
    "a and b each have a veth pair that ends on the host. Nothing else is set up. a sends b a datagram. Who receives it?",
    &[
        right("nobody: it gets only to the host's end of a's pair"),
        wrong("b: both pairs end in one namespace", "the notes say that veth makes bridges"),
        wrong("b: the host routes it", "the host has a device towards each, and a router forwards"),
        wrong("every process on the host", "a namespace is taken for one shared wire"),
    ],
);
const JOINS: Claim =
    Claim::holds("joins", "A bridge forwards packets between the veth pairs whose ends are its ports.")
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
                wrong("a route through the host", "other subnets need such a route"),
            ],
        );
const CUT_OFF: Claim = Claim::holds(
    "cut-off",
    "A veth end that is removed from its bridge receives nothing from it, although its pair is up.",
)
.factor("nomaster")
.notes(&[78]);

pub(crate) const JOIN: Step = Step {
    title: "Give a and b a veth pair each to the sandbox: a0 to pa, b0 to pb. Create the bridge br0 there. Let a send its \
            first datagram to b while neither, both or only pa is a port of br0. Let it send its second with both as ports.",
    calls: &[
        "RTM_NEWLINK(IFLA_INFO_KIND=\"bridge\")",
        "RTM_SETLINK(pb, IFLA_MASTER=br0)",
        "RTM_SETLINK(pb, IFLA_MASTER=0)",
        "sendto(b)",
    ],
    by_hand: &[hand("for w in a b; do ip link add p$w type veth peer name ${w}0 netns $w; ip link set p$w up; done").prints("").in_the_same_shell(), hand("ip -n a address add 10.0.0.1/24 dev a0; ip -n a link set a0 up").prints(""), hand("ip -n b address add 10.0.0.2/24 dev b0; ip -n b link set b0 up").prints(""), hand("nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2 | grep received").prints("1 packets transmitted, 0 received, …"), hand("ip link add br0 type bridge; ip link set br0 up; ip link set pa master br0; ip link set pb master br0; sleep 1; bridge link").prints("… pa@… master br0 state forwarding …\n… pb@… master br0 state forwarding …"), hand("nsenter --net=/run/netns/a ping -c 1 10.0.0.2 | grep received").prints("1 packets transmitted, 1 received, …"), hand("ip link set pb nomaster; nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2 | grep received").prints("1 packets transmitted, 0 received, …"), ],
    claims: &[BY_ITSELF, JOINS, CUT_OFF],
    run: |lab| {
        let mut networks = Networks::new()?;
        let host = Host::with_a_pair_each(&networks)?;
        lab.links(
            "Devices and their peers, with both near ends as ports",
            host.devices(&networks)?,
            Value::Text,
        )?;
        let mut exchange = |between| match between {
            Between::Nothing => Networks::new()?.exchange(|_| Ok(())),
            Between::PairsAlone => host.exchange(&mut networks, [false, false]),
            Between::Bridge => host.exchange(&mut networks, [true, true]),
            Between::BridgeWithoutB => host.exchange(&mut networks, [true, false]),
        };
        lab.compare(BY_ITSELF, Between::Nothing, Between::PairsAlone, &mut exchange)?.shows(both_arrived())?;
        lab.compare(JOINS, Between::PairsAlone, Between::Bridge, &mut exchange)?
            .in_both_arms(outside("a0 sent").is(2))
            .shows(both_arrived())?;
        lab.compare(CUT_OFF, Between::Bridge, Between::BridgeWithoutB, &mut exchange)?
            .in_both_arms(first_was_sent() & outside("b0 is up").is("yes"))
            .shows(first_was_lost())
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

/// The devices in the sandbox: a bridge, and the near ends of two veth pairs.
struct Host {
    net: Netlink,
    bridge: u32,
    near_ends: [u32; 2],
}

impl Host {
    /// Creates a pair into a and a pair into b. Both near ends are ports of the bridge.
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

    /// a sends to b. `are_ports` says which near ends are ports for the first datagram. For the second, both are.
    fn exchange(&self, networks: &mut Networks, are_ports: [bool; 2]) -> Result<Vec<Fact>> {
        self.have_ports(are_ports)?;
        let b0 = networks.b.link(&networks.b.end)?;
        let mut facts = networks.exchange(|_| self.have_ports([true, true]))?;
        facts.push(Fact::outside("b0 is up", b0.running && b0.lower_up));
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
