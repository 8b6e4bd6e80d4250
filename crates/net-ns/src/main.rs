//! What is a network of one's own?
//!
//! The sandbox has what the network of a host has: devices, addresses, routes, a firewall, listening sockets. A process
//! in a new network namespace looks for each. Watch what does *not* follow the namespace: /sys, sockets with a path,
//! sockets that were open before, and a physical network card, which returns.

mod card;
mod devices;
mod files;
mod firewall;
mod host;
mod names;
mod shell;
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
    setup: "A child uses its parent's network namespace, or a new one.",
    arms: ["plain child", "CLONE_NEWNET"],
    in_short: "a new network namespace has only lo, which is down. /sys and UNIX sockets with a path do not change.",
    notes: "Network Namespace",
    man: &["network_namespaces(7)", "netdevice(7)", "unix(7)", "ip-netns(8)", "sysfs(5)"],
    examples: &[
        ("net-ns", "run the experiment"),
        ("net-ns --sabotage", "without the factors: no claim holds"),
        ("net-ns --format jsonl | jq .", "the events as JSON lines"),
        ("strace -f net-ns", "the system calls, and the writes that report facts"),
    ],
    // NET stands for the host's network. MNT is for a new sysfs and for a directory with a socket in it.
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
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    files::read_inherit_setting();
    lesson::main(&NET_NS)
}

const DEVICES: Claim = Claim::holds(
    "devices",
    "A new network namespace has only lo, which is down, and the fallback tunnels of some kernels.",
)
.factor("CLONE_NEWNET")
.notes(&[66])
.core(&[Row::inside("devices", "devices")])
.asks(
    "A process has just been created in a new network namespace. Which devices does it have?",
    &[
        right("only lo, and it is down"),
        wrong("the same as its creator: a copy", "a new mount or UTS namespace begins as a copy"),
        wrong("lo alone, up, with 127.0.0.1", "on every host lo is up, since something sets it up at boot"),
        wrong("lo and eth0", "a Docker container has an eth0, which Docker puts there"),
    ],
);
const STACK: Claim = Claim::holds(
    "stack",
    "A new network namespace has no address until lo is up: connect(127.0.0.1) fails with ENETUNREACH.",
)
.factor("CLONE_NEWNET")
.notes(&[67])
.more(&[55])
.core(&[Row::inside("connect(127.0.0.1)", "connect(127.0.0.1:9)")])
.asks(
    "In a new network namespace, a process connects to 127.0.0.1, where nobody listens. What does connect() return?",
    &[
        right("ENETUNREACH: there is no route"),
        wrong("ECONNREFUSED: nobody listens", "127.0.0.1 is thought to exist everywhere without setup"),
        wrong("nothing: it waits for an answer", "this happens if a firewall drops packets"),
        wrong("EPERM: it lacks a capability", "a new namespace is thought to forbid what it does not have"),
    ],
);
const ROUTES: Claim = Claim::holds(
    "routes",
    "A new network namespace has no IPv4 routes, and a route added inside does not appear outside.",
)
.factor("CLONE_NEWNET")
.notes(&[68]);

const LOOK_AROUND: Step = Step {
    title: "Give the sandbox a veth pair, d0 and d1, an address and a route. Look for each from a new network \
            namespace. (No program listens on port 9.)",
    calls: &["RTM_GETLINK", "RTM_GETADDR", "RTM_GETROUTE", "connect(127.0.0.1:9)", "RTM_NEWROUTE"],
    by_hand: &[hand("unshare --user --map-root-user --net --mount  # a shell of your own, for all that follows").prints(""), hand("ip link set lo up; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up").prints(""), hand("ip address add 10.0.0.1/24 dev d0; ip route show; ip -brief address show d0").prints("10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1\nd0@d1 UP 10.0.0.1/24…"), hand("unshare --net sh -c 'ip -brief address; ip route show; ping -c 1 127.0.0.1; ip link set lo up; ping -c 1 127.0.0.1 | grep received'").prints("lo DOWN\nENETUNREACH\n1 packets transmitted, 1 received, 0% packet loss, …"), ],
    claims: &[DEVICES, STACK, ROUTES],
    run: |lab| {
        let host = Host::of(lab)?;
        let facts =
            lab.arms(Namespaces::NONE, Namespaces::NET, |namespaces| look_around(&host, namespaces))?;
        lab.judge(DEVICES, facts.only(&["devices", "lo is up"]))
            .shows(inside("devices").is("lo") & inside("lo is up").is("no"))?;
        let stack =
            ["connect(127.0.0.1:9)", "connect([::1]:9)", "addresses", "connect(127.0.0.1:9) with lo up"];
        lab.judge(STACK, facts.only(&stack))
            .in_both_arms(inside("connect(127.0.0.1:9) with lo up").from("ENETUNREACH").to("ECONNREFUSED"))
            .shows(
                inside("connect(127.0.0.1:9)").from("ECONNREFUSED").to("ENETUNREACH")
                    & inside("addresses").is("none"),
            )?;
        lab.judge(ROUTES, facts.only(&["rows of /proc/net/route", "the child's route exists"])).shows(
            inside("rows of /proc/net/route").is("none") & outside("the child's route exists").is("no"),
        )
    },
};

const FIREWALL: Claim = Claim::holds(
    "firewall",
    "A network namespace has its own firewall tables: one created inside or outside is visible only there.",
)
.factor("CLONE_NEWNET")
.notes(&[69])
.requires(&[Requirement::Probe(kernel_has_nf_tables)]);

const MAKE_TABLES: Step = Step {
    title: "Create the firewall tables t-host outside and t-child inside, and list the tables on both sides.",
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
        me.report("the child's route exists", is_there()?)?;
        me.stay()
    })?;
    let mut facts = Vec::new();
    for _ in 0..8 {
        facts.push(child.fact()?);
    }
    let is_outside = is_there()?;
    facts.push(Fact::outside("the child's route exists", is_outside));
    if is_outside {
        host.net.delete_route(route, None, LO)?;
    }
    Ok(facts)
}

/// Connects to port 9, where no program listens: ECONNREFUSED if the address can be reached, else ENETUNREACH.
fn connect(to: IpAddr) -> ns_core::Result<Outcome> {
    Outcome::of(TcpStream::connect((to, 9)).named(|| format!("connect({to}, 9)")))
}

/// The destinations in the caller's /proc/net/route, where they are little-endian numbers.
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

/// A process creates a table, and so does its child. The process is in a new network namespace, with which its table is
/// removed.
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
