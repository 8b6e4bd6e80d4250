//! The network namespace of a device: names and indexes, moving a device, and a veth end whose namespace ends.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Row, Step, every, first, hand, inside, outside, right, wrong};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Fact, Named, Namespaces, NsFile, Outcome, mount};

use crate::host::Host;

const NUMBERS: Claim = Claim::holds(
    "numbers",
    "Each network namespace has its own device names: d0 can be created inside while there is one outside.",
)
.factor("CLONE_NEWNET")
.notes(&[80]);
const OTHERS: Claim = Claim::holds(
    "others",
    "Setting up a device of another network namespace by its index fails with ENODEV.",
)
.factor("CLONE_NEWNET")
.notes(&[80])
.more(&[56]);

pub(crate) const NUMBER: Step = Step {
    title: "Create a veth pair d0 and d0-peer inside; d0 exists outside too. Then, from inside, set up the outer d0 by its index.",
    calls: &["RTM_NEWLINK(\"d0\")", "RTM_SETLINK(index, IFF_UP)"],
    by_hand: &[hand("unshare --net sh -c 'ip link add d0 type veth peer name d0-peer; ip -brief link'")
        .prints("lo DOWN …\nd0-peer@d0 DOWN …\nd0@d0-peer DOWN …")
        .in_the_same_shell()],
    claims: &[NUMBERS, OTHERS],
    run: |lab| {
        let host = Host::of(lab)?;
        lab.compare(NUMBERS, Namespaces::NONE, Namespaces::NET, make_d0)?
            .shows(inside("RTM_NEWLINK(\"d0\")").from("EEXIST").to("OK"))?;
        lab.compare(OTHERS, Namespaces::NONE, Namespaces::NET, |namespaces| {
            set_up_from_inside(host.d0, namespaces)
        })?
        .shows(first().from("OK").to("ENODEV"))
    },
};

const EXACTLY_ONE: Claim = Claim::holds(
    "exactly-one",
    "A device is in exactly one network namespace: after a move it is inside, and no longer outside.",
)
.factor("link set m0 netns")
.notes(&[75])
.arms("not moved", "moved inside")
.core(&[Row::outside("m0 is inside", "m0 is inside"), Row::outside("m0 is outside", "m0 is outside")])
.asks(
    "The host moves the device m0 into another network namespace. Which namespace has it then?",
    &[
        right("the other namespace, and not the host's"),
        wrong("both: it is shared", "a file or a directory can be in two mount namespaces at once"),
        wrong("both: a copy is created inside", "a new UTS or mount namespace begins with copies"),
        wrong(
            "only the host's, which allows its use inside",
            "ip link set m0 netns looks like a permission to use it",
        ),
    ],
);
const LOCAL: Claim =
    Claim::holds("local", "Moving lo or a bridge to another network namespace fails with EINVAL.")
        .factor("lo or a bridge as the device")
        .notes(&[75])
        .more(&[60]);
const CLASH: Claim =
    Claim::holds("clash", "Moving a device fails with EEXIST if its name is in use in the target namespace.")
        .factor("a device of that name")
        .more(&[60]);
const VIRTUAL_ENDS: Claim = Claim::holds(
    "virtual-ends",
    "A veth end that was moved into a namespace is destroyed with that namespace; it does not return.",
)
.factor("the end of the namespace")
.more(&[65]);

pub(crate) const MOVE: Step = Step {
    title: "Create a named network namespace, `tenant`, with a device called `taken`. Move devices there: the veth end m0, \
            lo, a bridge, and another `taken`. Then end the namespace.",
    calls: &[
        "mount(\"/proc/PID/ns/net\", \"/tmp/tenant\", …, MS_BIND)",
        "open(\"/tmp/tenant\")",
        "RTM_SETLINK(IFLA_NET_NS_FD)",
    ],
    by_hand: &[hand("mount -t tmpfs tmpfs /run; ip netns add tenant").prints("").in_the_same_shell(), hand("ip link add m0 type veth peer name m1; ip link set m0 netns tenant; ip link show m0; ip -n tenant -brief link show m0").prints("Device \"m0\" does not exist.\nm0@if… DOWN …"), hand("ip link add br0 type bridge; for n in lo br0; do ip link set $n netns tenant 2>/dev/null; echo $?; done").prints("2\n2"), hand("ip -n tenant link add taken type veth; ip link add taken type veth; ip link set taken netns tenant 2>/dev/null; echo $?").prints("2"), hand("ip netns delete tenant; sleep 1; ip link show m1").prints("Device \"m1\" does not exist."), ],
    claims: &[EXACTLY_ONE, LOCAL, CLASH, VIRTUAL_ENDS],
    run: |lab| {
        mount::mount("tmpfs", Path::new("/tmp"))?;
        lab.compare(EXACTLY_ONE, false, true, look_for_m0)?
            .shows(outside("m0 is inside").is("yes") & outside("m0 is outside").is("no"))?;
        lab.compare(LOCAL, &["veth0"][..], &["lo", "br0"][..], move_to_a_tenant)?
            .shows(every().from("OK").to("EINVAL"))?;
        lab.compare(CLASH, &["free"][..], &["taken"][..], move_to_a_tenant)?
            .shows(first().from("OK").to("EEXIST"))?;
        lab.compare(VIRTUAL_ENDS, false, true, place_of_m0)?.shows(first().is("nowhere"))
    },
};

fn make_d0(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let net = Netlink::open()?;
        let (d0, peer) = (LinkName::new("d0")?, LinkName::new("d0-peer")?);
        me.report("RTM_NEWLINK(\"d0\")", Outcome::of(net.create_veth(&d0, &peer, None))?)?;
        let names: Vec<_> = net.links()?.into_iter().map(|link| link.name).collect();
        me.report("devices", names.join(" "))
    })?;
    Ok(child.facts()?)
}

fn set_up_from_inside(index: u32, namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        me.report("RTM_SETLINK(index of d0, IFF_UP)", Outcome::of(Netlink::open()?.set_up(index))?)
    })?;
    Ok(child.fact()?)
}

/// The name of the target namespace, a bind mount in a tmpfs of the experiment.
const NAME: &str = "/tmp/tenant";

/// A process in a new network namespace, the target of the moves. The namespace has a name.
struct Tenant {
    process: Child,
}

impl Tenant {
    fn new() -> Result<Tenant> {
        let mut process = Child::spawn("tenant", Namespaces::NET, |me| {
            Netlink::open()?.create_veth(&LinkName::new("taken")?, &LinkName::new("peer")?, None)?;
            me.report("ready", "yes")?;
            me.stay()
        })?;
        process.fact()?; // its device exists
        fs::write(NAME, "").named(|| format!("write(\"{NAME}\", \"\")"))?;
        mount::bind(Path::new(&format!("/proc/{}/ns/net", process.pid())), Path::new(NAME))?;
        Ok(Tenant { process })
    }

    fn move_here(&self, device: &Device) -> ns_core::Result<()> {
        let namespace = NsFile::open(NAME)?;
        device.net.move_to(device.net.index(&device.name)?, namespace.as_fd())
    }

    /// Whether a device is in its network namespace: /proc/PID/net shows that of process PID to every reader.
    fn has(&self, device: &Device) -> Result<bool> {
        let path = format!("/proc/{}/net/dev", self.process.pid());
        let text = fs::read_to_string(&path).named(|| format!("cat {path}"))?;
        let mut names = text.lines().filter_map(|line| line.split_once(':')).map(|it| it.0.trim());
        Ok(names.any(|name| name == device.name.as_str()))
    }
}

/// Unmounts the name of the namespace. Dropping the process ends it.
impl Drop for Tenant {
    fn drop(&mut self) {
        let _ = mount::unmount(Path::new(NAME));
    }
}

/// A device outside, to be moved. Dropping it deletes it, whichever namespace it is in.
struct Device {
    net: Netlink,
    name: LinkName,
    /// The index by which to delete it: its own, or that of the other veth end, which does not move. `None` for lo.
    handle: Option<u32>,
}

impl Device {
    /// lo; br0, which is a bridge; or a veth end of any other name.
    fn new(name: &str) -> Result<Device> {
        let (net, name, other) = (Netlink::open()?, LinkName::new(name)?, LinkName::new("m1")?);
        let handle = match name.as_str() {
            "lo" => None,
            "br0" => Some(net.create_bridge(&name)?),
            _ => {
                net.create_veth(&name, &other, None)?;
                Some(net.index(&other)?)
            }
        };
        Ok(Device { net, name, handle })
    }

    /// Waits until its other veth end is gone, which means that both are.
    fn wait_until_destroyed(&self) -> Result<()> {
        Ok(self.handle.map_or(Ok(()), |other| self.net.wait_until_gone(other))?)
    }

    fn is_outside(&self) -> Result<bool> {
        Ok(self.net.link(&self.name)?.is_some())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            let _ = self.net.delete(handle);
        }
    }
}

fn look_for_m0(moves: bool) -> Result<[Fact; 2]> {
    let (tenant, m0) = (Tenant::new()?, Device::new("m0")?);
    if moves {
        tenant.move_here(&m0)?;
    }
    Ok([Fact::outside("m0 is inside", tenant.has(&m0)?), Fact::outside("m0 is outside", m0.is_outside()?)])
}

fn move_to_a_tenant(names: &[&str]) -> Result<Vec<Fact>> {
    let tenant = Tenant::new()?;
    let answer = |name: &&str| {
        let moved = tenant.move_here(&Device::new(name)?);
        Ok(Fact::outside(format!("move {name}"), Outcome::of(moved)?))
    };
    names.iter().map(answer).collect()
}

/// The namespace of m0 after it was moved: while the target namespace exists, or after it has ended.
fn place_of_m0(ends: bool) -> Result<Fact> {
    let (tenant, m0) = (Tenant::new()?, Device::new("m0")?);
    tenant.move_here(&m0)?;
    let tenant = if ends {
        drop(tenant);
        m0.wait_until_destroyed()?;
        None
    } else {
        Some(tenant)
    };
    let is_inside = tenant.map_or(Ok(false), |tenant| tenant.has(&m0))?;
    let place = match (m0.is_outside()?, is_inside) {
        (true, _) => "outside",
        (false, true) => "inside",
        (false, false) => "nowhere",
    };
    Ok(Fact::outside("m0 is", place))
}
