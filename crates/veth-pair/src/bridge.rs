//! What joins two cables: not the ends that meet, but a bridge of which they are ports.
//!
//! a and b each have a cable to the stage, as two containers have to their host. Whether a letter goes on from one into
//! the other is up to what the stage does with the two ends in it. A physical device may be a port of the bridge too,
//! and then it leads out of the machine; ours would cost the machine its network, so it is left alone.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::net::plan::{Device, Site, plan};
use ns_core::net::{LinkName, Netlink};
use ns_core::probe::Missing;
use ns_core::{Child, Errno, Fact, Kind, Namespaces, NsFile, Outcome, Value, host, stage};

use crate::letters::{Worlds, both_arrived, first_was_lost};

pub(crate) const BY_ITSELF: Claim = Claim::refuted(
    "by-itself",
    "veth bridges: two pairs whose near ends meet in one namespace join the worlds at their far ends.",
    "joins",
)
.cause("two cables")
.notes(&[77]);
pub(crate) const JOINS: Claim =
    Claim::holds("joins", "A bridge joins the cables that are its ports: a reaches b through it.")
        .cause("master br0")
        .notes(&[77, 78]);
pub(crate) const CUT_OFF: Claim =
    Claim::holds("cut-off", "A port that is taken out of its bridge is cut off, though its cable runs.")
        .cause("nomaster")
        .notes(&[78]);

/// What the stage has in it: a bridge, and the near ends of the two cables.
struct Host<'a> {
    net: &'a Netlink,
    bridge: u32,
    near_ends: [u32; 2],
}

pub(crate) fn run(
    lab: &mut Lab,
    stage: &Netlink,
    worlds: &mut Worlds,
    without_a_cable: Vec<Fact>,
) -> Result<()> {
    lab.step(Step {
        goal: "Give a and b a cable each that ends out here: a0 leads to pa, b0 to pb, and beside them is a bridge, br0. \
               Then a writes its two letters to b, three times over. The first of the two finds neither pa nor pb a port of br0, then \
               both, then pa alone; the second always finds both.",
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
    })?;
    let host = Host::with_a_cable_each(stage, worlds)?;
    let both = host.near_ends;
    let apart = host.write(worlds, &[])?;
    let joined = host.write(worlds, cause(&both, &[]))?;
    let here = NsFile::of(None, Kind::Net)?;
    let [a, b] = worlds.sites();
    let sites = [Site { name: "out here", net: stage, namespace: here.as_fd() }, a, b];
    let mut devices = plan(&sites)?;
    devices.retain(Device::leads_away);
    lab.cables("What leads where, with both ends in the bridge", devices, Value::Text)?;
    let cut_off = host.write(worlds, cause(&both[..1], &both))?;
    lab.claim(BY_ITSELF).without(without_a_cable).with(apart.clone()).shows(both_arrived)?;
    lab.claim(JOINS).without(apart).with(joined.clone()).shows(both_arrived)?;
    lab.claim(CUT_OFF).without(joined).with(cut_off).shows(|letters| {
        first_was_lost(letters) && letters.outside("b0 runs").is_some_and(|it| *it == true)
    })?;
    Ok(())
}

impl Host<'_> {
    fn with_a_cable_each<'a>(net: &'a Netlink, worlds: &Worlds) -> Result<Host<'a>> {
        let Worlds { a, b } = worlds;
        if let Some(end) = a.own_end()? {
            a.net.delete(end.index)?; // the cable that led straight to b
        }
        let mut near_ends = [0; 2];
        for (near_end, (name, world)) in near_ends.iter_mut().zip([("pa", a), ("pb", b)]) {
            *near_end = net.create_veth(&LinkName::new(name)?, &world.end, Some(world.namespace.as_fd()))?;
            net.keep_quiet(*near_end)?;
            net.set_up(*near_end)?;
        }
        worlds.plug_in()?;
        let bridge = net.create_bridge(&LinkName::new("br0")?)?;
        net.keep_quiet(bridge)?;
        net.set_up(bridge)?;
        Ok(Host { net, bridge, near_ends })
    }

    /// a writes to b, with only `ports` in the bridge for the first letter, and both near ends for the second.
    fn write(&self, worlds: &mut Worlds, ports: &[u32]) -> Result<Vec<Fact>> {
        self.have_ports(ports)?;
        let b0 = worlds.b.link(&worlds.b.end)?;
        let mut facts = worlds.write(|_| self.have_ports(&self.near_ends))?;
        facts.push(Fact::outside("b0 runs", b0.running && b0.lower_up));
        Ok(facts)
    }

    fn have_ports(&self, ports: &[u32]) -> Result<()> {
        for near_end in self.near_ends {
            let master = ports.contains(&near_end).then_some(self.bridge);
            self.net.set_master(near_end, master)?;
            if master.is_some() {
                self.net.wait_until_forwarding(near_end)?;
            }
        }
        Ok(())
    }
}

/// Whether the kernel has both types of link, whose modules it may have to load: it is asked for one of each.
pub(crate) fn kernel_has_the_links() -> ns_core::Result<Option<Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        if !host::left(Kind::Net)? {
            stage::enter(Namespaces::NET)?;
        }
        let net = Netlink::open()?;
        let [one, other, bridge] =
            [LinkName::new("probe0")?, LinkName::new("probe1")?, LinkName::new("probe2")?];
        me.saw("veth", Outcome::of(net.create_veth(&one, &other, None))?)?;
        me.saw("bridge", Outcome::of(net.create_bridge(&bridge))?)
    })?;
    for kind in ["veth", "bridge"] {
        if child.hear()?.value.as_outcome() == Some(Outcome::Failed(Errno::EOPNOTSUPP)) {
            let what = format!("this kernel has no links of type {kind}");
            return Ok(Some(Missing::new(what, format!("sudo modprobe {kind}, or a kernel that has it"))));
        }
    }
    Ok(None)
}
