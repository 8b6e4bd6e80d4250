//! What is a network of one's own?
//!
//! The sandbox has all that a host's network has: devices, addresses, routes, a firewall, sockets that listen. A process
//! is made in a network namespace of its own, and looks for each. Watch for what is *not* empty or not its own: /sys,
//! sockets that have a path, sockets that it had before, and a real network card, which comes back.

mod card;
mod devices;
mod files;
mod firewall;
mod host;
mod names;
mod sockets;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use anyhow::Result;
use lesson::{Claim, Experiment, Requirement, Row, Step, hand, inside, outside, right, wrong};
use ns_core::net::Netlink;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome};

use host::{Host, LO, but_fallback_tunnels};

const NET_NS: Experiment = Experiment {
    name: "net-ns",
    question: "What is a network of one's own?",
    setup: "A child uses the network: its parent's, and one of its own.",
    arms: ["plain child", "CLONE_NEWNET"],
    in_short: "a new network has lo alone, down. /sys and UNIX sockets with a path are still those outside.",
    notes: "Network Namespace",
    man: &["network_namespaces(7)", "netdevice(7)", "unix(7)", "ip-netns(8)", "sysfs(5)"],
    examples: &[
        ("net-ns", "run the experiment"),
        ("net-ns --sabotage", "without the namespace: no claim holds"),
        ("net-ns --format jsonl | jq .", "the same as data"),
        ("strace -f net-ns", "the system calls, facts on their pipes included"),
    ],
    // The network stands for the host's; the mounts are for a new sysfs and a directory with a socket in it.
    sandbox: Namespaces::NET.union(Namespaces::MNT),
    requires: &[Requirement::Probe(lesson::kernel_has_the_links)],
    steps: &[
        LOOK_AROUND,
        MAKE_TABLES,
        sockets::BIND_AND_CONNECT,
        sockets::BE_ROOT,
        sockets::MOVE_AWAY,
        files::LIST_DEVICES,
        files::SET_IP_FORWARD,
        files::MAKE_ANOTHER,
        files::COMPARE_FILES,
        devices::NUMBER,
        devices::MOVE,
        card::MOVE_A_CARD,
        names::NAME,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    files::note_what_is_inherited();
    lesson::main(&NET_NS)
}

const DEVICES: Claim = Claim::holds(
    "devices",
    "Fallback tunnels aside, a new network namespace has lo alone, and that is down.",
)
.factor("CLONE_NEWNET")
.notes(&[66])
.core(&[Row::inside("devices", "devices")])
.asks(
    "A process has just been created in a new network namespace. Which devices does it have?",
    &[
        right("lo alone, and that is down"),
        wrong("the same as its creator: a copy", "a new mount or UTS namespace begins as a copy"),
        wrong("lo alone, up, with 127.0.0.1", "on every host lo is up, since something sets it up at boot"),
        wrong("lo and eth0", "a Docker container has an eth0, which Docker puts there"),
    ],
);
const STACK: Claim = Claim::holds(
    "stack",
    "A network namespace has its own IPv4 and IPv6 stack: no address, not even 127.0.0.1, until lo is up.",
)
.factor("CLONE_NEWNET")
.notes(&[67])
.more(&[55])
.core(&[Row::inside("connect(127.0.0.1)", "connect(127.0.0.1:9)")])
.asks(
    "In a new network namespace, a process connects to 127.0.0.1, where nobody listens. What does connect() return?",
    &[
        right("ENETUNREACH: no way leads there"),
        wrong("ECONNREFUSED: nobody listens", "127.0.0.1 is thought to be there on any machine, by itself"),
        wrong("nothing: it waits for an answer", "that is what a firewall does that drops packets"),
        wrong("EPERM: it lacks a capability", "a new namespace is thought to forbid what it does not have"),
    ],
);
const ROUTES: Claim = Claim::holds(
    "routes",
    "A network namespace has its own routing tables: empty, and a route added inside is not outside.",
)
.factor("CLONE_NEWNET")
.notes(&[68]);

const LOOK_AROUND: Step = Step {
    title: "Give the sandbox a veth pair, d0 and d1, an address and a route. Then look for each from a process in a network of \
            its own. (At port 9 nobody listens.)",
    calls: &["RTM_GETLINK", "RTM_GETADDR", "RTM_GETROUTE", "connect(127.0.0.1:9)", "RTM_NEWROUTE"],
    by_hand: &[hand("unshare --user --map-root-user --net --mount  # a shell of your own, for all that follows").prints(""), hand("ip link set lo up; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up").prints(""), hand("ip address add 10.0.0.1/24 dev d0; ip route show; ip -brief address show d0").prints("10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1\nd0@d1 UP 10.0.0.1/24…"), hand("unshare --net sh -c 'ip -brief address; ip route show; ping -c 1 127.0.0.1; ip link set lo up; ping -c 1 127.0.0.1 | grep received'").prints("lo DOWN\nENETUNREACH\n1 packets transmitted, 1 received, 0% packet loss, …"), ],
    claims: &[DEVICES, STACK, ROUTES],
    run: |lab| {
        let host = Host::of(lab)?;
        let seen =
            lab.arms(Namespaces::NONE, Namespaces::NET, |namespaces| look_around(&host, namespaces))?;
        lab.judge(DEVICES, seen.only(&["devices", "lo is up"]))
            .shows(inside("devices").is("lo") & inside("lo is up").is("no"))?;
        let stack =
            ["connect(127.0.0.1:9)", "connect([::1]:9)", "addresses", "connect(127.0.0.1:9) with lo up"];
        lab.judge(STACK, seen.only(&stack)).shows(
            inside("connect(127.0.0.1:9)").from("ECONNREFUSED").to("ENETUNREACH")
                & inside("addresses").is("none")
                & inside("connect(127.0.0.1:9) with lo up").from("ENETUNREACH").to("ECONNREFUSED"),
        )?;
        lab.judge(ROUTES, seen.only(&["rows of /proc/net/route", "the child's route is there"])).shows(
            inside("rows of /proc/net/route").is("none") & outside("the child's route is there").is("no"),
        )
    },
};

const FIREWALL: Claim = Claim::holds(
    "firewall",
    "A network namespace has its own firewall rules: a table made outside is not inside, nor one made inside outside.",
)
.factor("CLONE_NEWNET")
.notes(&[69])
.requires(&[Requirement::Probe(kernel_has_nf_tables)]);

const MAKE_TABLES: Step = Step {
    title: "Make a firewall table outside, t-host, and one inside, t-child, and list the tables on both sides.",
    calls: &["NFT_MSG_NEWTABLE", "NFT_MSG_GETTABLE"],
    by_hand: &[hand("nft add table ip t-host; unshare --net sh -c 'nft add table ip t-child; nft list tables'; nft list tables").prints("table ip t-child\ntable ip t-host").in_the_same_shell(), ],
    claims: &[FIREWALL],
    run: |lab| {
        lab.compare(FIREWALL, Namespaces::NONE, Namespaces::NET, make_tables)?
            .shows(inside("tables").is("t-child") & outside("tables").is("t-host"))
    },
};

fn look_around(host: &Host, namespaces: Namespaces) -> Result<Vec<Fact>> {
    let network = Ipv4Addr::new(192, 0, 2, 0);
    let route = Some((network.into(), 24));
    let is_there = || Ok(rows_of_routes()?.contains(&network.to_string()));
    let mut child = Child::spawn("child", namespaces, |me| {
        let net = Netlink::open()?;
        let links = net.links()?;
        let names = but_fallback_tunnels(links.iter().map(|link| link.name.as_str()));
        me.report("devices", names.join(" "))?;
        me.report("lo is up", links.iter().any(|link| link.index == LO && link.up))?;

        me.report("connect(127.0.0.1:9)", connect(Ipv4Addr::LOCALHOST.into())?)?;
        me.report("connect([::1]:9)", connect(Ipv6Addr::LOCALHOST.into())?)?;
        let mut addresses: Vec<_> = net.addresses()?.iter().map(|it| it.address.to_string()).collect();
        addresses.sort();
        me.report("addresses", or_none(&addresses))?;
        net.set_up(LO)?;
        me.report("connect(127.0.0.1:9) with lo up", connect(Ipv4Addr::LOCALHOST.into())?)?;

        me.report("rows of /proc/net/route", or_none(&rows_of_routes()?))?;
        net.add_route(route, None, LO)?;
        me.report("the child's route is there", is_there()?)?;
        me.stay()
    })?;
    let mut facts = Vec::new();
    for _ in 0..8 {
        facts.push(child.fact()?);
    }
    let is_outside = is_there()?;
    facts.push(Fact::outside("the child's route is there", is_outside));
    if is_outside {
        host.net.delete_route(route, None, LO)?;
    }
    Ok(facts)
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

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

/// A process makes a table, and so does its child. What the first has is in a network of its own, and goes with it.
fn make_tables(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut host = Child::spawn("host", Namespaces::NET, move |me| {
        firewall::add_table("t-host")?;
        let mut child = Child::spawn("child", namespaces, |me| {
            firewall::add_table("t-child")?;
            me.report("tables", or_none(&firewall::tables()?))?;
            me.stay()
        })?;
        me.send(child.fact()?)?;
        me.send(Fact::outside("tables", or_none(&firewall::tables()?)))
    })?;
    Ok(host.facts()?)
}

fn kernel_has_nf_tables() -> ns_core::Result<Option<Unmet>> {
    Ok(match Outcome::of(firewall::tables())? {
        Outcome::Done => None,
        Outcome::Failed(errno) => Some(Unmet::new(
            format!("nf_tables: {errno:?}"),
            "sudo modprobe nf_tables, or a kernel that has it",
        )),
    })
}
