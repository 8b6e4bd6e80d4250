//! A physical network card whose network namespace ends.

use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Step, first, hand};
use ns_core::net::{LinkName, Netlink};
use ns_core::probe::Unmet;
use ns_core::{Capability, Child, Fact, Kind, Namespaces, NsFile, Outcome, Pid, Reporter, Value};

/// A member of the initial network namespace.
const MEMBER_OF_INITIAL: Pid = Pid::from_raw(1);

const PHYSICAL_RETURNS: Claim = Claim::holds(
    "physical-returns",
    "When its network namespace ends, a physical device returns to the initial one; a veth end is destroyed.",
)
.factor("hardware")
.notes(&[75])
.more(&[65])
.requires(&[
    Requirement::ThrowAway,
    Requirement::Capability(Capability::CAP_SYS_ADMIN),
    Requirement::Probe(a_physical_device),
]);

pub(crate) const MOVE_A_CARD: Step = Step {
    title: "Move a network card of the machine, and a veth end, into the network namespace of a process. End the process.",
    calls: &["setns(\"/proc/1/ns/net\")", "RTM_SETLINK(IFLA_NET_NS_FD)", "exit(0)"],
    by_hand: &[hand("card=$(basename $(dirname $(ls -d /sys/class/net/*/device | head -n 1))); ip netns add tenant").as_root().prints("").needs(&[Need::ThrowAway]), hand("ip link set $card netns tenant; ip -brief link show $card; ip netns delete tenant; sleep 1; ip -brief link show $card").as_root().prints("Device \"<card>\" does not exist.\n<card> …"), ],
    claims: &[PHYSICAL_RETURNS],
    run: |lab| {
        let card = physical_device()?.map_err(|unmet| anyhow::anyhow!("{unmet}"))?;
        lab.compare(PHYSICAL_RETURNS, "card0".into(), card, after_the_end)?
            .shows(first().is("in the initial network namespace"))
    },
};

/// Moves a device of the initial network namespace into that of a process, ends the process, and reports where the device
/// is.
fn after_the_end(device: String) -> Result<Fact> {
    let mut tenant = Child::spawn("tenant", Namespaces::NET, Reporter::stay)?;
    let pid = tenant.pid();
    let mut mover = Child::spawn("mover", Namespaces::NONE, move |me| {
        enter_the_initial()?;
        let net = Netlink::open_on_a_machine_to_throw_away()?;
        let name = LinkName::new(&device)?;
        // One end of each of two veth pairs moves. When the other end of the second pair is gone, so is the namespace.
        let (fence, inner) = (LinkName::new("fence0")?, LinkName::new("fence1")?);
        if net.link(&name)?.is_none() {
            net.create_veth(&name, &LinkName::new("card1")?, None)?;
        }
        let fence = net.create_veth(&fence, &inner, None)?;
        let namespace = NsFile::of(Some(pid), Kind::Net)?;
        net.move_to(net.index(&name)?, namespace.as_fd())?;
        net.move_to(net.index(&inner)?, namespace.as_fd())?;
        me.report("device after the move", if net.link(&name)?.is_some() { "outside" } else { "inside" })?;
        drop(namespace);
        me.checkpoint()?;
        net.wait_until_gone(fence)?;
        let back = net.link(&name)?.is_some();
        me.report("the device is", if back { "in the initial network namespace" } else { "nowhere" })
    })?;
    mover.fact()?; // it has moved
    tenant.wake()?;
    tenant.wait()?;
    mover.wake()?;
    Ok(mover.fact()?)
}

fn enter_the_initial() -> ns_core::Result<()> {
    NsFile::of(Some(MEMBER_OF_INITIAL), Kind::Net)?.enter(Some(Kind::Net))
}

/// The name of a network card of this machine, as the initial network namespace lists it: the last one, which is the
/// least likely to be in use.
fn physical_device() -> ns_core::Result<Result<String, Unmet>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        let entered = Outcome::of(enter_the_initial())?;
        if entered != Outcome::Done {
            return me.report("setns(\"/proc/1/ns/net\")", entered);
        }
        let links = Netlink::open()?.links()?;
        let hardware = |name: &str| Path::new("/sys/class/net").join(name).join("device").exists();
        let found = links.into_iter().map(|link| link.name).rfind(|name| hardware(name));
        me.report("device", found.map_or(Value::Text("none".into()), Value::Name))
    })?;
    let found = child.fact()?;
    Ok(match found.value {
        Value::Name(name) => Ok(name),
        Value::Outcome(refused) => {
            Err(Unmet::new(format!("{} fails with {refused}", found.what), "run as root: sudo net-ns"))
        }
        _ => Err(Unmet::new("a network card", "add one to the virtual machine: -device virtio-net-pci")),
    })
}

fn a_physical_device() -> ns_core::Result<Option<Unmet>> {
    Ok(physical_device()?.err())
}
