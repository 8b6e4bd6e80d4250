//! Where a device is: its name and number, moving it, and what becomes of it when its namespace ends.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::net::{LinkName, Netlink};
use ns_core::probe::Missing;
use ns_core::{
    Capability, Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Pid, Spawn, Value, Witness, mount,
};

pub(crate) const NUMBERS: Claim = Claim::holds(
    "numbers",
    "Names and numbers of devices are each namespace's own: a d0 is made inside while there is one outside.",
)
.cause("CLONE_NEWNET")
.notes(&[80]);
pub(crate) const OTHERS: Claim =
    Claim::holds("others", "A device of another network namespace cannot be set up by its number: ENODEV.")
        .cause("CLONE_NEWNET")
        .notes(&[80])
        .more(&[56]);
pub(crate) const EXACTLY_ONE: Claim = Claim::holds(
    "exactly-one",
    "A device is in exactly one network namespace: moved, it is inside and no longer outside.",
)
.cause("link set m0 netns")
.notes(&[75]);
pub(crate) const LOCAL: Claim =
    Claim::holds("local", "lo and bridges cannot be moved to another network namespace: EINVAL.")
        .cause("lo or a bridge as the device")
        .notes(&[75])
        .more(&[60]);
pub(crate) const CLASH: Claim =
    Claim::holds("clash", "A device does not move to where its name is taken: EEXIST.")
        .cause("a device of that name")
        .more(&[60]);
pub(crate) const VIRTUAL_ENDS: Claim = Claim::holds(
    "virtual-ends",
    "A veth end that was moved into a namespace does not come back when that dies: it is destroyed.",
)
.cause("the end of the namespace")
.more(&[65]);
pub(crate) const PHYSICAL_RETURNS: Claim = Claim::holds(
    "physical-returns",
    "A physical device goes back to the first network namespace when its own dies; a veth is destroyed.",
)
.cause("hardware")
.notes(&[75])
.more(&[65])
.needs(&[Need::ThrowAway, Need::Capability(Capability::CAP_SYS_ADMIN), Need::Probe(a_physical_device)]);

/// A member of the network namespaces that the machine booted with.
const FIRST: Pid = Pid::from_raw(1);
/// The namespace of a tenant gets this name, in a tmpfs of ours.
const NAME: &str = "/tmp/tenant";

pub(crate) fn run(lab: &mut Lab, net: &Netlink) -> Result<()> {
    lab.step(Step {
        goal: "From inside, make a veth pair of the names d0, which is taken outside, and d0-peer. Then set up outside's d0 by its number.",
        calls: &["RTM_NEWLINK(\"d0\")", "RTM_SETLINK(index, IFF_UP)"],
        by_hand: &["unshare --net sh -c 'ip link add d0 type veth peer name d0-peer; ip -brief link'"],
    })?;
    lab.claim(NUMBERS)
        .without(make_d0(Namespaces::NONE)?)
        .with(make_d0(Namespaces::NET)?)
        .shows(|d0| *d0 == "OK")?;
    let d0 = net.index(&LinkName::new("d0")?)?;
    lab.claim(OTHERS)
        .without(set_up_from_inside(d0, Namespaces::NONE)?)
        .with(set_up_from_inside(d0, Namespaces::NET)?)
        .shows(|answer| *answer == "ENODEV")?;

    lab.step(Step {
        goal: "A process, the tenant, has a network with a device called `taken`. Give that network a name, and move devices \
               there: the veth end m0 and others, lo, a bridge, and another `taken`. Then end the tenant.",
        calls: &["mount(\"/proc/PID/ns/net\", \"/tmp/tenant\", …, MS_BIND)", "open(\"/tmp/tenant\")", "RTM_SETLINK(IFLA_NET_NS_FD)"],
        by_hand: &[
            "mount -t tmpfs tmpfs /run; ip netns add tenant",
            "ip link add m0 type veth peer name m1; ip link set m0 netns tenant; ip link show m0; ip -n tenant link show m0",
            "ip link set lo netns tenant; ip link add br0 type bridge; ip link set br0 netns tenant",
            "ip -n tenant link add taken type veth; ip link add taken type veth; ip link set taken netns tenant",
            "ip netns delete tenant; sleep 1; ip link show m1",
        ],
    })?;
    let tenant = Tenant::new(net)?;
    lab.claim(EXACTLY_ONE)
        .without(tenant.take_in("m0", false)?)
        .with(tenant.take_in("m0", cause(true, false))?)
        .shows(|m0| *m0 == true && m0.outside("m0 is outside").is_some_and(|it| *it == false))?;
    lab.claim(LOCAL)
        .without(tenant.refuse(&["veth0"])?)
        .with(tenant.refuse(cause(&["lo", "br0"], &["veth1"]))?)
        .shows(|moves| moves.facts().iter().all(|it| it.value == "EINVAL"))?;
    lab.claim(CLASH)
        .without(tenant.refuse(&["free"])?)
        .with(tenant.refuse(cause(&["taken"], &["free1"]))?)
        .shows(|moved| *moved == "EEXIST")?;
    let (lives, gone) = tenant.end(net, cause(true, false))?;
    lab.claim(VIRTUAL_ENDS).without(lives).with(gone).shows(|m0| *m0 == "nowhere")?;

    if lab.can_ask(&[PHYSICAL_RETURNS])? {
        lab.step(Step {
            goal: "Move a network card of the machine, and a veth end, into the namespace of a process, and end that.",
            calls: &["setns(\"/proc/1/ns/net\")", "RTM_SETLINK(IFLA_NET_NS_FD)", "exit(0)"],
            by_hand: &["sudo ip netns add tenant; sudo ip link set eth0 netns tenant; sudo ip netns delete tenant; ip link"],
        })?;
        let card = physical_device()?.map_err(|missing| anyhow::anyhow!("{missing}"))?;
        lab.claim(PHYSICAL_RETURNS)
            .without(after_the_end("card0")?)
            .with(after_the_end(cause(&card, "card0"))?)
            .shows(|device| *device == "in the first network namespace")?;
    }
    Ok(())
}

fn make_d0(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let net = Netlink::open()?;
        let (d0, peer) = (LinkName::new("d0")?, LinkName::new("d0-peer")?);
        me.saw("RTM_NEWLINK(\"d0\")", Outcome::of(net.create_veth(&d0, &peer, None))?)?;
        let names: Vec<_> = net.links()?.into_iter().map(|link| link.name).collect();
        me.saw("devices", names.join(" "))
    })?;
    Ok(child.hear_all()?)
}

fn set_up_from_inside(index: u32, namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        me.saw("RTM_SETLINK(number of d0, IFF_UP)", Outcome::of(Netlink::open()?.set_up(index))?)
    })?;
    Ok(child.hear()?)
}

/// A process in a network namespace of its own, which has a name by which devices are moved there.
struct Tenant<'a> {
    outside: &'a Netlink,
    child: Child,
}

impl Tenant<'_> {
    fn new(outside: &Netlink) -> Result<Tenant<'_>> {
        // It surrounds both arms of every trial, so it is there in every run.
        let child = Spawn::new("tenant").namespaces_always(Namespaces::NET).run(|me| {
            Netlink::open()?.create_veth(&LinkName::new("taken")?, &LinkName::new("peer")?, None)?;
            me.saw("ready", "yes")?;
            me.stay()
        });
        let mut child = child?;
        child.hear()?;
        outside.create_veth(&LinkName::new("m0")?, &LinkName::new("m1")?, None)?;
        for name in ["veth0", "veth1", "free", "free1", "taken"] {
            outside.create_veth(&LinkName::new(name)?, &LinkName::new(&format!("{name}-peer"))?, None)?;
        }
        outside.create_bridge(&LinkName::new("br0")?)?;
        fs::write(NAME, "").named(|| format!("write(\"{NAME}\", \"\")"))?;
        mount::bind(Path::new(&format!("/proc/{}/ns/net", child.pid())), Path::new(NAME))?;
        Ok(Tenant { outside, child })
    }

    fn move_in(&self, name: &str) -> ns_core::Result<()> {
        let namespace = NsFile::open(NAME)?;
        self.outside.move_to(self.outside.index(&LinkName::new(name)?)?, namespace.as_fd())
    }

    fn take_in(&self, name: &str, moves: bool) -> Result<[Fact; 2]> {
        if moves {
            self.move_in(name)?;
        }
        // Through the eyes of the tenant: its /proc/PID/net shows its network to whoever reads it.
        let path = format!("/proc/{}/net/dev", self.child.pid());
        let text = fs::read_to_string(&path).named(|| format!("cat {path}"))?;
        let inside = text.lines().filter_map(|line| line.split_once(':')).any(|it| it.0.trim() == name);
        let outside = self.outside.link(&LinkName::new(name)?)?.is_some();
        Ok([
            Fact::outside(format!("{name} is inside"), inside),
            Fact::outside(format!("{name} is outside"), outside),
        ])
    }

    fn refuse(&self, names: &[&str]) -> Result<Vec<Fact>> {
        let moved = |name: &&str| Ok(Fact::outside(format!("move {name}"), Outcome::of(self.move_in(name))?));
        names.iter().map(moved).collect()
    }

    /// Where m0 is before, and after the end of its namespace, if that is to end.
    fn end(mut self, net: &Netlink, ends: bool) -> Result<(Fact, Fact)> {
        let (inside, outside) = (format!("/proc/{}/net/dev", self.child.pid()), LinkName::new("m0")?);
        let peer = LinkName::new("m1")?;
        let place = || {
            let has =
                fs::read_to_string(&inside).is_ok_and(|text| text.contains(" m0:") || text.contains("\nm0:"));
            anyhow::Ok(if net.link(&outside)?.is_some() {
                "outside"
            } else if has {
                "inside"
            } else if net.link(&peer)?.is_some() {
                "somewhere"
            } else {
                "nowhere"
            })
        };
        let before = Fact::outside("m0 is", place()?);
        if ends {
            self.child.release()?;
            self.child.wait()?;
            mount::unmount(Path::new(NAME))?;
            if let Some(m1) = net.link(&peer)? {
                net.wait_until_gone(m1.index)?;
            }
        }
        let after = Fact::outside("m0 is", place()?);
        Ok((before, after))
    }
}

/// Moves a device of the first network namespace into that of a process, ends the process, and says where the device is.
fn after_the_end(device: &str) -> Result<Fact> {
    let device = device.to_string();
    let mut tenant = Spawn::new("tenant").namespaces_always(Namespaces::NET).run(Witness::stay)?;
    let pid = tenant.pid();
    let mut mover = Child::spawn("mover", Namespaces::NONE, move |me| {
        enter_the_first()?;
        let net = Netlink::open_on_a_machine_to_throw_away()?;
        let name = LinkName::new(&device)?;
        // Two pairs: an end of either goes in. The far end of the second tells when the namespace is gone.
        let (fence, inner) = (LinkName::new("fence0")?, LinkName::new("fence1")?);
        if net.link(&name)?.is_none() {
            net.create_veth(&name, &LinkName::new("card1")?, None)?;
        }
        let fence = net.create_veth(&fence, &inner, None)?;
        let namespace = NsFile::of(Some(pid), Kind::Net)?;
        net.move_to(net.index(&name)?, namespace.as_fd())?;
        net.move_to(net.index(&inner)?, namespace.as_fd())?;
        me.saw("device after the move", if net.link(&name)?.is_some() { "still here" } else { "inside" })?;
        drop(namespace);
        me.pause()?;
        net.wait_until_gone(fence)?;
        let back = net.link(&name)?.is_some();
        me.saw("the device is", if back { "in the first network namespace" } else { "nowhere" })
    })?;
    mover.hear()?; // it has moved
    tenant.release()?;
    tenant.wait()?;
    mover.release()?;
    Ok(mover.hear()?)
}

/// For both arms alike, so it is done in every run.
fn enter_the_first() -> ns_core::Result<()> {
    let namespace = NsFile::of(Some(FIRST), Kind::Net)?;
    nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET)
        .named(|| format!("setns({namespace}, CLONE_NEWNET)"))
}

/// The name of a network card of this machine, seen from its first network namespace; the last, which is least likely to
/// be the one that is in use.
fn physical_device() -> ns_core::Result<Result<String, Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        let entered = Outcome::of(enter_the_first())?;
        if entered != Outcome::Done {
            return me.saw("setns(\"/proc/1/ns/net\")", entered);
        }
        let links = Netlink::open()?.links()?;
        let hardware = |name: &str| Path::new("/sys/class/net").join(name).join("device").exists();
        let found = links.into_iter().map(|link| link.name).rfind(|name| hardware(name));
        me.saw("device", found.map_or(Value::Text("none".into()), Value::Name))
    })?;
    let seen = child.hear()?;
    Ok(match seen.value {
        Value::Name(name) => Ok(name),
        Value::Outcome(refused) => {
            Err(Missing::new(format!("{} gives {refused}", seen.what), "run as root: sudo net-ns"))
        }
        _ => Err(Missing::new("a network card", "give the virtual machine one: -device virtio-net-pci")),
    })
}

fn a_physical_device() -> ns_core::Result<Option<Missing>> {
    Ok(physical_device()?.err())
}
