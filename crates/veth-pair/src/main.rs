//! What does a veth pair carry between two namespaces?
//!
//! A veth pair is two links that are created together, and each may lie in a network namespace of its own. Two processes
//! in two such namespaces send each other datagrams through one. Watch the counters: what one end sent, the other
//! received, and lo stays at 0.
//!
//! Then one end is set down, a bridge comes between, and the pair is deleted. We never wait for a datagram that does
//! not come. Once its way is clear again a second one is sent, and an answer to that one alone says that the first was
//! lost.

mod bridge;
mod datagrams;
mod down;
mod end;
mod networks;

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Experiment, Requirement, Row, Step, outside, right, wrong};
use ns_core::net::plan::plan;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Fact, Namespaces, Value};

use datagrams::{FIRST_IS_ANSWERED, FIRST_IS_SENT, both_arrived};
use networks::Networks;

const VETH_PAIR: Experiment = Experiment {
    name: "veth-pair",
    question: "What does a veth pair carry between two namespaces?",
    setup: "a sends b a datagram; b answers. Each has its own network.",
    arms: ["", ""],
    in_short: "a pair carries both ways and reports no loss. A bridge joins pairs.",
    notes: "Network Namespace",
    man: &["veth(4)", "network_namespaces(7)", "rtnetlink(7)", "ip-link(8)", "bridge(8)"],
    examples: &[
        ("veth-pair", "run the experiment"),
        ("veth-pair --sabotage", "without the namespaces: no claim holds"),
        ("veth-pair --format jsonl | jq .", "the same as data"),
        ("strace -f veth-pair", "the system calls, facts on their pipes included"),
    ],
    // It stands for the host: bridge and far ends lie in it, as they would lie in the host's own namespace.
    sandbox: Namespaces::NET,
    requires: &[Requirement::Probe(lesson::kernel_has_the_links)],
    steps: &[
        CREATE,
        SEND,
        LOOK_FOR_THE_ENDS,
        down::SET_DOWN,
        end::DELETE_ONE,
        bridge::JOIN,
        end::END_A_NAMESPACE,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&VETH_PAIR)
}

const PAIR: Claim =
    Claim::holds("pair", "A veth pair is created as two links at once, each the other's peer.")
        .factor("type veth")
        .more(&[59])
        .arms("type bridge", "type veth")
        .core(&[Row::outside("devices created", "links that came")])
        .asks(
            "How many calls to the kernel does it take to create a veth pair and join its ends?",
            &[
                right("one"),
                wrong("two: one for each end", "other devices are created one by one"),
                wrong(
                    "three: one for each end, and one to join them",
                    "a physical link is plugged in at either end",
                ),
                wrong(
                    "four: a bridge and a port are needed too",
                    "where Docker has veth devices, there is docker0",
                ),
            ],
        );

const CREATE: Step = Step {
    title: "Start a and b, two processes in network namespaces of their own. In b, make a bridge, `alone`, and a veth pair, \
            `one` and `other`.",
    calls: &["clone3(CLONE_NEWNET)", "RTM_NEWLINK(IFLA_INFO_KIND=\"veth\", VETH_INFO_PEER)", "RTM_GETLINK"],
    by_hand: &[
        "unshare --user --map-root-user --net --mount  # a shell of your own, for all that follows",
        "mount -t tmpfs tmpfs /run; ip netns add a; ip netns add b",
        "ip -n b link add alone type bridge; ip -n b link add one type veth peer name other; ip -n b -brief link",
    ],
    claims: &[PAIR],
    run: |lab| {
        let networks = Networks::new()?;
        lab.actor(&networks.a.process)?;
        lab.actor(&networks.b.process)?;
        lab.compare(PAIR, Type::Bridge, Type::Veth, |of_type| create(&networks.b.net, of_type))?
            .shows(outside("links that came").is(2) & outside("each is the other's peer").is("yes"))
    },
};

const CARRIES: Claim = Claim::holds(
    "carries",
    "What is sent into one end of a veth pair comes out of the other, both ways.",
)
.factor("the veth pair")
.notes(&[76])
.arms("no pair", "veth pair")
.core(&[Row::inside("sendto() in a", FIRST_IS_SENT), Row::inside("answered by b", FIRST_IS_ANSWERED)])
.asks(
    "a and b have one end each of a veth pair. a sends b a datagram, and b answers. What carries them?",
    &[
        right("the pair, in both directions"),
        wrong(
            "the pair one way, and another pair back",
            "the notes call veth pipe-like, and a pipe has one direction",
        ),
        wrong("the host, which routes them", "a container's packets are known to pass through the host"),
        wrong("lo, on which all local packets go", "between two addresses of one namespace that is so"),
    ],
);

const SEND: Step = Step {
    title: "Let a send two datagrams to b, \"first\" and \"second\", which b answers by the same words. Do so \
            before there is a veth pair between them, and through one, with the ends a0 in a and b0 in b. How \
            many packets did each device send and receive?",
    calls: &[
        "RTM_NEWLINK(…, IFLA_NET_NS_FD)",
        "RTM_NEWADDR",
        "RTM_SETLINK(IFF_UP)",
        "sendto(b)",
        "recvfrom()",
    ],
    by_hand: &[
        "nsenter --net=/run/netns/a ping -c 1 10.0.0.2",
        "ip -n b link add b0 type veth peer name a0 netns a",
        "ip -n a address add 10.0.0.1/24 dev a0; ip -n a link set a0 up",
        "ip -n b address add 10.0.0.2/24 dev b0; ip -n b link set b0 up",
        "nsenter --net=/run/netns/a ping -c 1 10.0.0.2; ip -n a -s link show a0",
    ],
    claims: &[CARRIES],
    run: |lab| {
        lab.compare(CARRIES, false, true, send)?.shows(
            both_arrived()
                & outside("b0 sent").is(2)
                & outside("a0 received").is(2)
                & outside("lo of a sent").is(0),
        )
    },
};

const ACROSS: Claim =
    Claim::holds("across", "One call can put the two ends of a new pair into two network namespaces.")
        .factor("netns a")
        .more(&[59]);
const NAMES: Claim = Claim::holds(
    "names",
    "The iflink and link-netnsid of an end name the other: its index, and the namespace where that counts.",
)
.factor("netns a")
.more(&[59]);

const LOOK_FOR_THE_ENDS: Step = Step {
    title: "Look where the ends of both pairs are. `one` and `other` were made in b alone, and b0 and a0 by \
            one call in b and in a. By what numbers does the near end, `one` or b0, name the far one?",
    calls: &["RTM_GETLINK", "RTM_GETNSID"],
    by_hand: &["ip -n b link show; ip -n a link show", "ip -n b -d link show b0; ip -n b netns list-id"],
    claims: &[ACROSS, NAMES],
    run: |lab| {
        let networks = Networks::new()?;
        networks.b.net.create_veth(&LinkName::new("one")?, &LinkName::new("other")?, None)?;
        networks.connect()?;
        lab.links("What leads where", plan(&networks.sites())?, Value::Text)?;
        let ends =
            lab.arms(["one", "other"], ["b0", "a0"], |[near, far]| look_for_ends(&networks, near, far))?;
        lab.judge(ACROSS, ends.only(&["the far end", "it is in b", "it is in a"]))
            .shows(outside("it is in b").is("no") & outside("it is in a").is("yes"))?;
        let numbers = ["iflink", "index of the other", "link-netnsid", "b's number for a's network"];
        lab.judge(NAMES, ends.only(&numbers)).shows(
            outside("iflink").same_as(outside("index of the other"))
                & outside("link-netnsid").same_as(outside("b's number for a's network"))
                & outside("link-netnsid").is_not("none"),
        )
    },
};

/// A type of link, as `ip link add` has it.
#[derive(Clone, Copy)]
enum Type {
    Bridge,
    Veth,
}

/// What comes of creating a link of a type. It is deleted again.
fn create(net: &Netlink, of_type: Type) -> Result<Vec<Fact>> {
    let before = net.links()?;
    let link = match of_type {
        Type::Bridge => net.create_bridge(&LinkName::new("alone")?)?,
        Type::Veth => net.create_veth(&LinkName::new("one")?, &LinkName::new("other")?, None)?,
    };
    let mut new = net.links()?;
    net.delete(link)?;
    new.retain(|link| before.iter().all(|old| old.index != link.index));
    new.sort_by(|one, other| one.name.cmp(&other.name));
    let paired = new.iter().all(|link| new.iter().any(|other| link.peer_index == Some(other.index)));
    Ok(vec![
        Fact::outside("links that came", new.len()),
        Fact::outside("their names", new.into_iter().map(|link| link.name).collect::<Vec<_>>()),
        Fact::outside("each is the other's peer", paired),
    ])
}

fn send(connected: bool) -> Result<Vec<Fact>> {
    let mut networks = Networks::new()?;
    if connected {
        networks.connect()?;
    }
    networks.exchange(|_| Ok(()))
}

/// Where the far end of a pair is whose near end is in b, and by what numbers the near one names it.
fn look_for_ends(networks: &Networks, near: &str, far: &str) -> Result<Vec<Fact>> {
    let Networks { a, b } = networks;
    let (near, far) = (b.link(&LinkName::new(near)?)?, LinkName::new(far)?);
    let (in_a, in_b) = (a.net.link(&far)?, b.net.link(&far)?);
    Ok(vec![
        Fact::outside("the far end", far.as_str()),
        Fact::outside("it is in b", in_b.is_some()),
        Fact::outside("it is in a", in_a.is_some()),
        Fact::outside("iflink", near.peer_index),
        Fact::outside("index of the other", in_a.or(in_b).map(|link| link.index)),
        Fact::outside("link-netnsid", near.peer_namespace),
        Fact::outside("b's number for a's network", b.net.number_of(a.namespace.as_fd())?),
    ])
}
