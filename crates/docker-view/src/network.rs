//! The veth pair and the bridge: docker0.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Row, Step, every, hand, inside, outside, right, wrong};
use ns_core::net::Netlink;
use ns_core::net::plan::{Device, Site, plan};
use ns_core::{Fact, Kind, NsFile, Value, namespace};

use crate::client::{docker, done};
use crate::engine::{Container, DEFAULTS, Engine, Options, engine};
use crate::interfaces::interfaces;

const VETH: Claim = Claim::holds(
    "veth",
    "eth0 of a container is one end of a veth pair; the other end is a port of docker0.",
)
.factor("--network bridge, the default")
.notes(&[78, 80])
.arms("network none", "the default")
.core(&[Row::outside("host end, port of", "host end is a port of")])
.asks(
    "A container has an eth0. Where do its packets go first?",
    &[
        right("to a veth device on the host, a port of docker0"),
        wrong("to the host's network card", "packets for other machines leave by that"),
        wrong("to docker0 itself", "docker0 has the address of the gateway"),
        wrong("nowhere: it is a card of its own", "inside, it looks like one"),
    ],
);

pub(crate) const FOLLOW_THE_VETH_PAIR: Step = Step {
    title: "Follow the veth pair from a container to the host. A container with --network none is the control.",
    calls: &["recvmsg(NETLINK_ROUTE, RTM_NEWLINK)"],
    by_hand: &[
        hand("docker exec $c busybox cat /sys/class/net/eth0/iflink")
            .as_root()
            .prints("<index>")
            .in_the_same_shell(),
        hand("ip -o link | grep \"^$(docker exec $c busybox cat /sys/class/net/eth0/iflink):\"")
            .as_root()
            .prints("<index>: veth…@if… …"),
    ],
    claims: &[VETH],
    run: |lab| {
        let engine = engine(lab)?;
        draw(lab, &engine.idle(DEFAULTS)?)?;
        lab.compare(VETH, ["--network", "none"].as_slice(), DEFAULTS, |options| {
            ends_of_the_veth_pair(&engine.idle(options)?)
        })?
        .shows(outside("host end is a port of").is("docker0"))
    },
};

const REACH: Claim = Claim::holds(
    "reach",
    "A container reaches another over docker0, and not after docker network disconnect.",
)
.factor("a port of docker0")
.arms("disconnected", "connected")
.notes(&[78]);

pub(crate) const PING: Step = Step {
    title: "Ping one container from another: while it is connected to docker0, and while it is disconnected.",
    calls: &["sendto(ICMP echo request)"],
    by_hand: &[
        hand("b=$(docker run --detach box busybox sleep 600)").as_root().prints("").in_the_same_shell(),
        hand("a=$(docker inspect --format '{{.NetworkSettings.Networks.bridge.IPAddress}}' $b)")
            .as_root()
            .prints(""),
        hand("docker exec $c busybox ping -c 1 -W 1 $a | grep received")
            .as_root()
            .prints("1 packets transmitted, 1 packets received, …"),
        hand("docker network disconnect bridge $b; docker exec $c busybox ping -c 1 -W 1 $a | grep received")
            .as_root()
            .prints("1 packets transmitted, 0 packets received, …"),
        hand("docker rm --force $b >/dev/null").as_root().prints(""),
    ],
    claims: &[REACH],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(REACH, false, true, |connected| ping(&engine, connected))?
            .shows(inside("ping").is("answered"))
    },
};

const FILES: Claim = Claim::holds(
    "net-files",
    "/proc/PID/net/route and /proc/PID/ns/net are of PID's network namespace; /proc/PID/net/sockstat exists.",
)
.factor("CLONE_NEWNET")
.arms("--network host", "the default")
.notes(&[79]);
const NAMES: Claim = Claim::refuted(
    "net-names",
    "/proc/PID/net/socketstat and /proc/ns show the network of a process.",
    "net-files",
)
.factor("CLONE_NEWNET")
.arms("--network host", "the default")
.notes(&[79]);

pub(crate) const LISTEN: Step = Step {
    title: "Listen on a port in a container. Compare the files of its network in /proc with the host's.",
    calls: &[
        "open(\"/proc/PID/net/route\")",
        "open(\"/proc/PID/net/tcp\")",
        "readlink(\"/proc/PID/ns/net\")",
    ],
    by_hand: &[
        hand("cut -f 1 /proc/$p/net/route | sort -u; cut -f 1 /proc/self/net/route | grep docker0")
            .as_root()
            .prints("Iface\neth0\ndocker0")
            .in_the_same_shell(),
        hand("grep used /proc/$p/net/sockstat").as_root().prints("sockets: used …"),
    ],
    claims: &[FILES, NAMES],
    run: |lab| {
        let engine = engine(lab)?;
        // The next two ports are used by no other run of this program.
        let mut port = 20_000 + u16::try_from(std::process::id() % 20_000)? * 2;
        let listeners = lab.arms(["--network", "host"].as_slice(), DEFAULTS, |options| {
            port += 1;
            Ok((listen(&engine, options, port)?, port))
        })?;
        let files = listeners.clone().try_map(|(listener, port)| whose_network(&listener, port))?;
        lab.judge(FILES, files).in_both_arms(outside("net/sockstat exists").is("yes")).shows(
            outside("net/route is the host's").is("no")
                & outside("ns/net is the host's").is("no")
                & outside("port is in the host's net/tcp").is("no"),
        )?;
        lab.judge(NAMES, listeners.map(|(listener, _)| has_the_names(&listener))).shows(every().is("yes"))
    },
};

/// Draws the veth pair and the bridge.
fn draw(lab: &mut Lab, container: &Container) -> Result<()> {
    let [here, there] = [None, Some(container.pid)].map(|process| NsFile::of(process, Kind::Net));
    let (here, there) = (here?, there?);
    let (ours, its) = (Netlink::open()?, Netlink::open_in(&there)?);
    let sites = [
        Site { name: "host", net: &ours, namespace: here.as_fd() },
        Site { name: "container", net: &its, namespace: there.as_fd() },
    ];
    let mut devices = plan(&sites)?;
    devices.retain(Device::leads_away);
    lab.links("Devices and their peers", devices, named)
}

/// docker0 and eth0 always have these names. The engine chooses the name of the host's veth end, and all addresses.
fn named(text: String) -> Value {
    if text.contains("veth") || text.contains(['.', ':']) { Value::Name(text) } else { Value::Text(text) }
}

fn ends_of_the_veth_pair(container: &Container) -> Result<Vec<Fact>> {
    let links = interfaces(container.pid)?;
    let eth0 = links.iter().find(|link| link.name == "eth0");
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    let kind = eth0.and_then(|link| link.kind.clone());
    let bridge = eth0.and_then(|link| link.peer.clone()).and_then(|(_, bridge)| bridge);
    Ok(vec![
        Fact::outside("its interfaces", names.join(" ")),
        Fact::outside("eth0 is a", kind),
        Fact::outside("host end is a port of", bridge),
    ])
}

/// Pings one new container from another. The target is connected to the bridge if `connected`.
///
/// The sender is new too in each arm. An engine gives a free address to the next container. The kernel of an old sender
/// may still wait for an ARP answer for that address, and then loses a packet when it gives up (arp(7)).
fn ping(engine: &Engine, connected: bool) -> Result<Fact> {
    let (from, to) = (engine.start(DEFAULTS)?, engine.start(DEFAULTS)?);
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = done(&["inspect", "--format", address, &to.id])?;
    if !connected {
        done(&["network", "disconnect", "bridge", &to.id])?;
    }
    let ran = docker(&["exec", &from.id, "ping", "-c", "1", "-W", "1", address.trim()])?;
    Ok(Fact::inside("container", "ping", if ran.status == 0 { "answered" } else { "no answer" }))
}

/// Starts a container, and waits until it listens at `port`.
fn listen(engine: &Engine, options: &Options, port: u16) -> Result<Container> {
    let container = engine.start_script(options, &format!("nc -l -p {port} & exec sleep 6000"))?;
    ns_core::until(
        "a container to listen",
        || Ok(is_listed(&container.pid.to_string(), port).then_some(())),
    )?;
    Ok(container)
}

fn whose_network(container: &Container, port: u16) -> Result<Vec<Fact>> {
    let its = container.pid.to_string();
    let route = |process: &str| {
        let path = format!("/proc/{process}/net/route");
        fs::read_to_string(&path).with_context(|| format!("cat {path}"))
    };
    let link = |process| namespace::of_kind(process, Kind::Net);
    Ok(vec![
        Fact::outside("net/route is the host's", route(&its)? == route("self")?),
        Fact::outside("ns/net is the host's", link(Some(container.pid))? == link(None)?),
        Fact::outside("net/sockstat exists", exists(&format!("/proc/{its}/net/sockstat"))),
        Fact::outside("port is in the host's net/tcp", is_listed("self", port)),
    ])
}

/// Whether net/tcp of a process in /proc, or tcp6, lists a socket with that port.
fn is_listed(process: &str, port: u16) -> bool {
    // Hexadecimal, after the address.
    let port = format!(":{port:04X} ");
    let read = |file| fs::read_to_string(format!("/proc/{process}/net/{file}")).unwrap_or_default();
    ["tcp", "tcp6"].into_iter().any(|file| read(file).contains(&port))
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

fn has_the_names(container: &Container) -> [Fact; 2] {
    let socketstat = format!("/proc/{}/net/socketstat", container.pid);
    [
        Fact::outside("/proc/PID/net/socketstat exists", exists(&socketstat)),
        Fact::outside("/proc/ns exists", exists("/proc/ns")),
    ]
}
