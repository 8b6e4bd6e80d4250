//! The cable and the bridge: docker0.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Step, cause};
use ns_core::net::Netlink;
use ns_core::net::plan::{Device, Site, plan};
use ns_core::{Fact, Kind, NsFile, Value, namespace};

use crate::engine::{Container, Engine, docker, done};
use crate::kinds::STAY;
use crate::process::interfaces;

pub(crate) const VETH: Claim = Claim::holds(
    "veth",
    "A container's eth0 is one end of a veth pair; its iflink leads to the other, a port of docker0.",
)
.cause("--network bridge, the default")
.notes(&[78, 80]);
pub(crate) const REACH: Claim = Claim::holds("reach", "Two containers reach each other over docker0.")
    .cause("a port of docker0")
    .notes(&[78]);
pub(crate) const FILES: Claim = Claim::holds(
    "net-files",
    "/proc/PID/net/route, /proc/PID/net/sockstat and /proc/PID/ns/net are of the network that PID is on.",
)
.cause("CLONE_NEWNET")
.notes(&[79]);
pub(crate) const NAMES: Claim = Claim::refuted(
    "net-names",
    "/proc/PID/net/socketstat and /proc/ns tell the networks of two processes apart.",
    "net-files",
)
.cause("CLONE_NEWNET")
.notes(&[79]);

pub(crate) fn run(lab: &mut Lab, engine: &Engine, container: &Container) -> Result<()> {
    lab.step(Step {
        goal: "Follow the cable from inside a container to our side; another has no network but lo.",
        calls: &["recvmsg(NETLINK_ROUTE, RTM_NEWLINK)"],
        by_hand: &[
            "docker exec $c busybox cat /sys/class/net/eth0/iflink",
            "ip -o link | grep \"^$(docker exec $c busybox cat /sys/class/net/eth0/iflink):\"",
        ],
    })?;
    draw(lab, container)?;
    let none = engine.start(&["--network", "none"], STAY)?;
    lab.claim(VETH)
        .without(cable(&none)?)
        .with(cable(cause(container, &none))?)
        .shows(|of| of.outside("the other end is a port of").is_some_and(|it| *it == "docker0"))?;

    lab.step(Step {
        goal: "Ping one container from another, while it is on the bridge and when it is unplugged.",
        calls: &["sendto(ICMP echo request)"],
        by_hand: &[
            "b=$(docker run --detach box busybox sleep 600)",
            "a=$(docker inspect --format '{{.NetworkSettings.IPAddress}}' $b)",
            "docker exec $c busybox ping -c 1 -W 1 $a",
            "docker network disconnect bridge $b; docker exec $c busybox ping -c 1 -W 1 $a",
            "docker rm --force $b",
        ],
    })?;
    let target = engine.start(&[], STAY)?;
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = done(&["inspect", "--format", address, &target.id])?.trim().to_string();
    let ping = || -> Result<Fact> {
        let ran = docker(&["exec", &container.id, "ping", "-c", "1", "-W", "1", &address])?;
        Ok(Fact::inside("container", "ping", if ran.status == 0 { "answered" } else { "no answer" }))
    };
    let unplug = || done(&["network", "disconnect", "bridge", &target.id]);
    // The one cause that is taken away in the middle: without it the second ping is as deaf as the first.
    cause(false, true).then(unplug).transpose()?;
    let plugged = ping()?;
    cause(true, false).then(unplug).transpose()?;
    lab.claim(REACH).without(ping()?).with(plugged).shows(|ping| *ping == "answered")?;

    lab.step(Step {
        goal: "Listen on a port in a container, and look for that network in /proc from out here.",
        calls: &[
            "open(\"/proc/PID/net/route\")",
            "open(\"/proc/PID/net/tcp\")",
            "readlink(\"/proc/PID/ns/net\")",
        ],
        by_hand: &["diff /proc/$p/net/route /proc/self/net/route", "cat /proc/$p/net/sockstat"],
    })?;
    let listen =
        |options: &[&str], port: u16| engine.start(options, &format!("nc -l -p {port} & exec sleep 6000"));
    // Two that no other run of this program listens at.
    let first = 20_000 + u16::try_from(std::process::id() % 20_000)? * 2;
    let ports = [first, first + 1];
    let on_host = listen(&["--network", "host"], ports[0])?;
    let alone = listen(cause(&[], ["--network", "host"].as_slice()), ports[1])?;
    lab.claim(FILES)
        .without(whose_network(&on_host, ports[0])?)
        .with(whose_network(&alone, ports[1])?)
        .shows(|of| {
            let answers = |what: &str, value: bool| of.outside(what).is_some_and(|it| *it == value);
            answers("/proc/PID/net/route is ours", false)
                && answers("/proc/PID/ns/net is ours", false)
                && answers("/proc/PID/net/sockstat is there", true)
                && answers("its port is in our /proc/net/tcp", false)
        })?;
    let there = |container: &Container| {
        let known = |path: String| std::path::Path::new(&path).exists();
        [
            Fact::outside(
                "/proc/PID/net/socketstat is there",
                known(format!("/proc/{}/net/socketstat", container.pid)),
            ),
            Fact::outside("/proc/ns is there", known("/proc/ns".into())),
        ]
    };
    lab.claim(NAMES)
        .without(there(&on_host))
        .with(there(&alone))
        .shows(|of| of.facts().iter().all(|fact| fact.value == true))?;
    Ok(())
}

/// The cable and the bridge.
fn draw(lab: &mut Lab, container: &Container) -> Result<()> {
    let [here, there] = [None, Some(container.pid)].map(|process| NsFile::of(process, Kind::Net));
    let (here, there) = (here?, there?);
    let (ours, its) = (Netlink::open()?, Netlink::open_in(&there)?);
    let sites = [
        Site { name: "out here", net: &ours, namespace: here.as_fd() },
        Site { name: "container", net: &its, namespace: there.as_fd() },
    ];
    let mut devices = plan(&sites)?;
    devices.retain(Device::leads_away);
    lab.cables("What leads where", devices, named)
}

/// docker0 and eth0 are called so everywhere; our end of a cable and all addresses, as the engine pleases.
fn named(text: String) -> Value {
    if text.contains("veth") || text.contains(['.', ':']) { Value::Name(text) } else { Value::Text(text) }
}

fn cable(container: &Container) -> Result<Vec<Fact>> {
    let links = interfaces(container.pid)?;
    let eth0 = links.iter().find(|link| link.name == "eth0");
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    let kind = eth0.and_then(|link| link.kind.clone());
    let bridge = eth0.and_then(|link| link.peer.clone()).and_then(|(_, bridge)| bridge);
    Ok(vec![
        Fact::outside("its interfaces", names.join(" ")),
        Fact::outside("eth0 is a", kind),
        Fact::outside("the other end is a port of", bridge),
    ])
}

fn whose_network(container: &Container, port: u16) -> Result<Vec<Fact>> {
    let pid = container.pid;
    // As /proc/net/tcp has it: hexadecimal, behind the address.
    let port = format!(":{port:04X} ");
    let read = |path: String| std::fs::read_to_string(&path).with_context(|| format!("cat {path}"));
    // The shell has to have come as far as to listen.
    ns_core::until("a container to listen", || {
        let listed = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
        let listed6 = std::fs::read_to_string(format!("/proc/{pid}/net/tcp6")).unwrap_or_default();
        Ok((listed + &listed6).contains(&port).then_some(()))
    })?;
    let ours = read("/proc/self/net/tcp".into())? + &read("/proc/self/net/tcp6".into()).unwrap_or_default();
    let same_route = read(format!("/proc/{pid}/net/route"))? == read("/proc/self/net/route".into())?;
    let same_link = namespace::of_kind(Some(pid), Kind::Net)? == namespace::of_kind(None, Kind::Net)?;
    let sockstat = read(format!("/proc/{pid}/net/sockstat")).is_ok();
    Ok(vec![
        Fact::outside("/proc/PID/net/route is ours", same_route),
        Fact::outside("/proc/PID/ns/net is ours", same_link),
        Fact::outside("/proc/PID/net/sockstat is there", sockstat),
        Fact::outside("its port is in our /proc/net/tcp", ours.contains(&port)),
    ])
}
