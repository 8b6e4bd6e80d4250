//! What is a network of one's own?
//!
//! The stage has all that a host's network has: devices, addresses, routes, a firewall, sockets that listen. A process is
//! made in a network namespace of its own, and looks for each. Watch for what is *not* empty or not its own: /sys, sockets
//! that have a path, sockets that it had before, and a real network card, which comes back.

mod devices;
mod files;
mod names;
mod sockets;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use anyhow::{Context, Result};
use lesson::{Claim, Experiment, Lab, Need, Observation, Step};
use ns_core::net::firewall;
use ns_core::net::{LinkName, Netlink};
use ns_core::probe::Missing;
use ns_core::{Child, Errno, Fact, Named, Namespaces, Outcome, Witness};

const DEVICES: Claim =
    Claim::holds("devices", "A new network namespace has one device, the loopback lo, and that is down.")
        .cause("CLONE_NEWNET")
        .notes(&[66])
        .needs(&[Need::Probe(kernel_has_veth)]);
const STACK: Claim = Claim::holds(
    "stack",
    "A network namespace has its own IPv4 and IPv6 stack: no address, not even 127.0.0.1, until lo is up.",
)
.cause("CLONE_NEWNET")
.notes(&[67])
.more(&[55]);
const ROUTES: Claim = Claim::holds(
    "routes",
    "A network namespace has its own routing tables: empty, and a route added inside is not outside.",
)
.cause("CLONE_NEWNET")
.notes(&[68]);
const FIREWALL: Claim = Claim::holds(
    "firewall",
    "A network namespace has its own firewall rules: a table made outside is not inside, nor one made inside outside.",
)
.cause("CLONE_NEWNET")
.notes(&[69])
.needs(&[Need::Probe(kernel_has_nf_tables)]);

const NET_NS: Experiment = Experiment {
    name: "net-ns",
    question: "What is a network of one's own?",
    notes: "Network Namespace",
    man: &["network_namespaces(7)", "netdevice(7)", "unix(7)", "ip-netns(8)", "sysfs(5)"],
    examples: &[
        ("net-ns", "run the experiment"),
        ("net-ns --sabotage", "without the namespace: no claim holds"),
        ("net-ns --format jsonl | jq .", "the same as data"),
        ("strace -f net-ns", "the system calls, facts on their pipes included"),
    ],
    // The network stands for the host's; the mounts are for a new sysfs and a directory with a socket in it.
    stage: Namespaces::NET.union(Namespaces::MNT),
    needs: &[],
    claims: &[
        DEVICES,
        STACK,
        ROUTES,
        FIREWALL,
        sockets::PORTS,
        sockets::LOW_PORTS,
        sockets::ABSTRACT,
        sockets::PATHNAME,
        sockets::ACCEPTED,
        sockets::STAYS,
        files::PROC_NET,
        files::SYSCTL,
        files::SYS_CLASS_NET,
        files::WHO_MOUNTED,
        files::MISNAMED,
        files::SOCKSTAT,
        devices::NUMBERS,
        devices::OTHERS,
        devices::EXACTLY_ONE,
        devices::LOCAL,
        devices::CLASH,
        devices::VIRTUAL_ENDS,
        devices::PHYSICAL_RETURNS,
        names::LENGTH,
        names::FORBIDDEN,
        names::ESCAPES,
        names::A0,
        names::COUNTS,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&NET_NS)
}

/// Every network namespace has its loopback link first.
const LO: u32 = 1;
/// The address that the stage has beside 127.0.0.1.
const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The firewall table that the stage has.
const HOSTS_TABLE: &str = "t-host";
/// And the one that a child makes.
const CHILDS_TABLE: &str = "t-child";

fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[DEVICES])? {
        let missing = kernel_has_veth()?.context("it was missing")?;
        for claim in &NET_NS.claims[1..] {
            lab.skip(*claim, missing.clone())?;
        }
        return Ok(());
    }
    let net = furnish_the_stage()?;
    lab.step(Step {
        goal: "Give the stage a veth pair, d0 and d1, an address and a route. Then look for each from a process in a network of \
               its own. (At port 9 nobody listens.)",
        calls: &["RTM_GETLINK", "RTM_GETADDR", "RTM_GETROUTE", "connect(127.0.0.1:9)", "RTM_NEWROUTE"],
        by_hand: &[
            "unshare --user --map-root-user --net --mount  # a shell of your own, for all that follows",
            "ip link set lo up; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up",
            "ip address add 10.0.0.1/24 dev d0; ip route show; ip -brief address",
            "unshare --net sh -c 'ip -brief address; ip route show; ping -c 1 127.0.0.1; ip link set lo up; ping -c 1 127.0.0.1'",
        ],
    })?;
    let (without, with) = (look_around(&net, Namespaces::NONE)?, look_around(&net, Namespaces::NET)?);
    lab.claim(DEVICES)
        .without(without.devices)
        .with(with.devices)
        .shows(|found| *found == "lo" && found.inside("lo is up").is_some_and(|it| *it == false))?;
    lab.claim(STACK).without(without.stack).with(with.stack).shows(|stack| {
        *stack == "ENETUNREACH"
            && stack.inside("addresses").is_some_and(|it| *it == "none")
            && stack.inside("connect(127.0.0.1:9) with lo up").is_some_and(|it| *it == "ECONNREFUSED")
    })?;
    lab.claim(ROUTES).without(without.routes).with(with.routes).shows(|routes| {
        *routes == "none" && routes.outside("the child's route is there").is_some_and(|it| *it == false)
    })?;

    if lab.can_ask(&[FIREWALL])? {
        lab.step(Step {
            goal: "Make a firewall table outside, t-host, and one inside, t-child, and list the tables on both sides.",
            calls: &["NFT_MSG_NEWTABLE", "NFT_MSG_GETTABLE"],
            by_hand: &["nft add table ip t-host; unshare --net sh -c 'nft add table ip t-child; nft list tables'; nft list tables  # apt install nftables"],
        })?;
        firewall::add_table(HOSTS_TABLE)?;
        // First the arm with the cause: what is made without a network of one's own stays in the stage's.
        let with = make_a_table(Namespaces::NET)?;
        let without = make_a_table(Namespaces::NONE)?;
        lab.claim(FIREWALL).without(without).with(with).shows(|tables| {
            *tables == CHILDS_TABLE && tables.outside("tables").is_some_and(|it| *it == HOSTS_TABLE)
        })?;
    }
    sockets::run(lab)?;
    files::run(lab)?;
    devices::run(lab, &net)?;
    names::run(lab, &net)
}

/// What a host has: lo, a device with an address, and the route that comes with it.
fn furnish_the_stage() -> Result<Netlink> {
    let net = Netlink::open()?;
    net.set_up(LO)?;
    let d0 = net.create_veth(&LinkName::new("d0")?, &LinkName::new("d1")?, None)?;
    let d1 = net.index(&LinkName::new("d1")?)?;
    net.keep_quiet(d0)?;
    net.keep_quiet(d1)?;
    net.add_address(d0, OURS.into(), 24)?;
    net.set_up(d0)?;
    net.set_up(d1)?;
    net.wait_until_running(d0)?;
    Ok(net)
}

/// What a child saw of its network.
struct Seen {
    devices: Vec<Fact>,
    stack: Vec<Fact>,
    routes: Observation,
}

fn look_around(stage: &Netlink, namespaces: Namespaces) -> Result<Seen> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let net = Netlink::open()?;
        let links = net.links()?;
        let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
        me.saw("devices", names.join(" "))?;
        me.saw("lo is up", links.iter().any(|link| link.index == LO && link.up))?;

        me.saw("connect(127.0.0.1:9)", connect(Ipv4Addr::LOCALHOST.into())?)?;
        me.saw("connect([::1]:9)", connect(Ipv6Addr::LOCALHOST.into())?)?;
        let mut addresses: Vec<_> = net.addresses()?.iter().map(|it| it.address.to_string()).collect();
        addresses.sort();
        me.saw("addresses", in_words(&addresses))?;
        net.set_up(LO)?;
        me.saw("connect(127.0.0.1:9) with lo up", connect(Ipv4Addr::LOCALHOST.into())?)?;

        me.saw("rows of /proc/net/route", in_words(&rows_of_routes()?))?;
        net.add_route(Some((Ipv4Addr::new(192, 0, 2, 0).into(), 24)), None, LO)?;
        me.saw("the child's route is there", rows_of_routes()?.iter().any(|row| row == "192.0.2.0"))?;
        me.stay()
    })?;
    let mut facts = Vec::new();
    for _ in 0..8 {
        facts.push(child.hear()?);
    }
    let mut routes = facts.split_off(6);
    let stack = facts.split_off(2);
    let outside = rows_of_routes()?.iter().any(|row| row == "192.0.2.0");
    routes.push(Fact::outside("the child's route is there", outside));
    if outside {
        stage.delete_route(Some((Ipv4Addr::new(192, 0, 2, 0).into(), 24)), None, LO)?;
    }
    Ok(Seen { devices: facts, stack, routes: routes.into() })
}

/// Nobody listens at port 9: what refuses is either the other side, or the lack of a way there.
fn connect(to: IpAddr) -> ns_core::Result<Outcome> {
    Outcome::of(TcpStream::connect((to, 9)).named(|| format!("connect({to}, 9)")))
}

/// The networks of the caller's /proc/net/route, which has them as little-endian numbers.
fn rows_of_routes() -> ns_core::Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/net/route").named(|| "cat /proc/net/route".into())?;
    let networks = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    Ok(networks
        .filter_map(|hex| u32::from_str_radix(hex, 16).ok())
        .map(|number| Ipv4Addr::from(number.to_le_bytes()).to_string())
        .collect())
}

fn in_words(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

fn make_a_table(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, move |me: &mut Witness| {
        firewall::add_table(CHILDS_TABLE)?;
        me.saw("tables", in_words(&firewall::tables()?))?;
        me.stay()
    })?;
    let inside = child.hear()?;
    Ok(vec![inside, Fact::outside("tables", in_words(&firewall::tables()?))])
}

fn kernel_has_nf_tables() -> ns_core::Result<Option<Missing>> {
    Ok(match Outcome::of(firewall::tables())? {
        Outcome::Done => None,
        Outcome::Failed(errno) => Some(Missing::new(
            format!("nf_tables: {errno:?}"),
            "sudo modprobe nf_tables, or a kernel that has it",
        )),
    })
}

fn kernel_has_veth() -> ns_core::Result<Option<Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        let (one, other) = (LinkName::new("probe0")?, LinkName::new("probe1")?);
        let net = Netlink::open()?;
        let made = net.create_veth(&one, &other, None);
        me.saw("veth", Outcome::of(made.and_then(|index| net.delete(index)))?)?;
        let made = net.create_bridge(&one);
        me.saw("bridge", Outcome::of(made.and_then(|index| net.delete(index)))?)
    })?;
    for kind in ["veth", "bridge"] {
        if child.hear()?.value.as_outcome() == Some(Outcome::Failed(Errno::EOPNOTSUPP)) {
            let what = format!("this kernel has no links of type {kind}");
            return Ok(Some(Missing::new(what, format!("sudo modprobe {kind}, or a kernel that has it"))));
        }
    }
    Ok(None)
}
