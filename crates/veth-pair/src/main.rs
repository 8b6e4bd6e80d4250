//! What does a veth pair carry between two namespaces?
//!
//! A veth pair is two network devices, its ends, which one call creates. Each end may be in a network namespace of its
//! own. Two processes in two network namespaces exchange datagrams through a pair. Watch the packet counters: what one
//! end sends, the other receives. The counter of lo stays at 0.
//!
//! Later steps set one end down, put a bridge between two pairs, and delete a pair. No step waits for a datagram that
//! is lost: once the path is clear, a sends a second datagram. If b answers the second alone, the first was lost.

mod bridge;
mod datagrams;
mod down;
mod end;
mod networks;
mod shell;

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Experiment, Requirement, Row, Step, hand, outside, right, wrong};
use ns_core::net::plan::plan;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Fact, Namespaces, Value};

use datagrams::{FIRST_IS_ANSWERED, FIRST_IS_SENT, both_arrived};
use networks::Networks;

const VETH_PAIR: Experiment = Experiment {
    name: "veth-pair",
    question: "What does a veth pair carry between two namespaces?",
    setup: "a sends b a datagram, and b answers. Each has a network namespace.",
    arms: ["", ""],
    in_short: "a pair carries both ways, and reports no loss. A bridge joins pairs.",
    notes: "Network Namespace",
    man: &["veth(4)", "network_namespaces(7)", "rtnetlink(7)", "ip-link(8)", "bridge(8)"],
    examples: &[
        ("veth-pair", "run the experiment"),
        ("veth-pair --sabotage", "the negative control: no claim holds"),
        ("veth-pair --format jsonl | jq .", "the same as data"),
        ("strace -f veth-pair", "its system calls, with those that report facts"),
    ],
    // The sandbox takes the place of the host: the bridge and the ends on the host are in its network namespace.
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
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&VETH_PAIR)
}

const PAIR: Claim =
    Claim::holds("pair", "One RTM_NEWLINK request creates both ends of a veth pair, as peers.")
        .factor("type veth")
        .more(&[59])
        .arms("type bridge", "type veth")
        .core(&[Row::outside("devices created", "devices created")])
        .asks(
            "How many calls to the kernel does it take to create a veth pair and join its ends?",
            &[
                right("one"),
                wrong("two: one for each end", "most devices are created one by one"),
                wrong("three: one for each end, and one to join them", "a wire is plugged in at both ends"),
                wrong(
                    "four: a bridge and a port are needed too",
                    "Docker has the bridge docker0 beside its veth devices",
                ),
            ],
        );

const CREATE: Step = Step {
    title: "Start processes a and b in new network namespaces. In b, create the bridge `alone`, and the veth pair `one` and \
            `other`.",
    calls: &["clone3(CLONE_NEWNET)", "RTM_NEWLINK(IFLA_INFO_KIND=\"veth\", VETH_INFO_PEER)", "RTM_GETLINK"],
    by_hand: &[hand("unshare --user --map-root-user --net --mount  # a shell of your own, for all that follows").prints(""), hand("mount -t tmpfs tmpfs /run; ip netns add a; ip netns add b").prints(""), hand("ip -n b link add alone type bridge; ip -n b link add one type veth peer name other; ip -n b -brief link").prints("lo DOWN …\nalone DOWN …\nother@one DOWN …\none@other DOWN …"), ],
    claims: &[PAIR],
    run: |lab| {
        let networks = Networks::new()?;
        lab.actor(&networks.a.process)?;
        lab.actor(&networks.b.process)?;
        lab.compare(PAIR, Type::Bridge, Type::Veth, |of_type| create(&networks.b.net, of_type))?
            .shows(outside("devices created").is(2) & outside("peers of each other").is("yes"))
    },
};

const CARRIES: Claim = Claim::holds(
    "carries",
    "What one end of a veth pair sends, the other receives, in both directions.",
)
.factor("the veth pair")
.notes(&[76])
.arms("no pair", "veth pair")
.core(&[Row::inside("sendto() in a", FIRST_IS_SENT), Row::inside("answered by b", FIRST_IS_ANSWERED)])
.asks(
    "a and b each have one end of a veth pair. a sends b a datagram, and b answers. What carries the packets?",
    &[
        right("the pair, in both directions"),
        wrong(
            "the pair one way, and another pair back",
            "the notes call veth pipe-like, and a pipe has one direction",
        ),
        wrong("the host, which routes them", "packets of a Docker container do go through the host"),
        wrong("lo, which carries all local packets", "lo does so between two addresses of one namespace"),
    ],
);

const SEND: Step = Step {
    title: "Let a send two datagrams to b, \"first\" and \"second\", and let b echo each: without a veth pair, and then through \
            the pair a0 and b0. Count the packets that each device sends and receives.",
    calls: &[
        "RTM_NEWLINK(…, IFLA_NET_NS_FD)",
        "RTM_NEWADDR",
        "RTM_SETLINK(IFF_UP)",
        "sendto(b)",
        "recvfrom()",
    ],
    by_hand: &[
        hand("nsenter --net=/run/netns/a ping -c 1 10.0.0.2").prints("ENETUNREACH").in_the_same_shell(),
        hand("ip -n b link add b0 type veth peer name a0 netns a").prints(""),
        hand("ip -n a address add 10.0.0.1/24 dev a0; ip -n a link set a0 up").prints(""),
        hand("ip -n b address add 10.0.0.2/24 dev b0; ip -n b link set b0 up").prints(""),
        hand("nsenter --net=/run/netns/a ping -c 1 10.0.0.2 | grep received")
            .prints("1 packets transmitted, 1 received, 0% packet loss, …"),
    ],
    claims: &[CARRIES],
    run: |lab| {
        lab.compare(CARRIES, false, true, send)?.in_both_arms(outside("lo of a sent").is(0)).shows(
            both_arrived()
                & outside("a0 sent").is(2)
                & outside("b0 sent").is(2)
                & outside("a0 received").is(2),
        )
    },
};

const ACROSS: Claim = Claim::holds(
    "across",
    "One RTM_NEWLINK request can create the two ends of a veth pair in two network namespaces.",
)
.factor("netns a")
.more(&[59]);
const NAMES: Claim = Claim::holds(
    "names",
    "With the peer in another namespace, iflink gives the peer's index, and link-netnsid gives that namespace.",
)
.factor("netns a")
.more(&[59]);

const LOOK_FOR_THE_ENDS: Step = Step {
    title: "Create two veth pairs by one call each: `one` and `other` in b, and b0 in b with a0 in a. Look for the far ends, \
            `other` and a0. Read iflink and link-netnsid of `one` and b0.",
    calls: &["RTM_GETLINK", "RTM_GETNSID"],
    by_hand: &[hand("ip -n b -o link show one | cut -d: -f 1,2; ip -n b -o link show b0 | cut -d: -f 1,2; ip -n a -o link show a0 | cut -d: -f 1,2").prints("…: one@other\n<index B>: b0@if<index A>\n<index A>: a0@if<index B>").in_the_same_shell(), hand("ip -n b -d link show b0 | grep -o 'link-netns *[a-z]*'; ip -n b netns list-id").prints("link-netns a\nnsid … (iproute2 netns name: a)"), ],
    claims: &[ACROSS, NAMES],
    run: |lab| {
        let networks = Networks::new()?;
        networks.b.net.create_veth(&LinkName::new("one")?, &LinkName::new("other")?, None)?;
        networks.connect()?;
        lab.links("Devices and their peers", plan(&networks.sites())?, Value::Text)?;
        let ends =
            lab.arms(["one", "other"], ["b0", "a0"], |[near, far]| look_for_ends(&networks, near, far))?;
        lab.judge(ACROSS, ends.only(&["far end", "far end is in b", "far end is in a"]))
            .shows(outside("far end is in b").is("no") & outside("far end is in a").is("yes"))?;
        let numbers = ["iflink", "index of the far end", "link-netnsid", "ID of a's namespace in b"];
        lab.judge(NAMES, ends.only(&numbers))
            .in_both_arms(outside("iflink").same_as(outside("index of the far end")))
            .shows(
                outside("link-netnsid").same_as(outside("ID of a's namespace in b"))
                    & outside("link-netnsid").is_not("none"),
            )
    },
};

/// A type of link, as `ip link add` names it.
#[derive(Clone, Copy)]
enum Type {
    Bridge,
    Veth,
}

/// Creates a link of a type, and reports the devices that this adds. Then it deletes the link.
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
        Fact::outside("devices created", new.len()),
        Fact::outside("names", new.into_iter().map(|link| link.name).collect::<Vec<_>>()),
        Fact::outside("peers of each other", paired),
    ])
}

fn send(connected: bool) -> Result<Vec<Fact>> {
    let mut networks = Networks::new()?;
    if connected {
        networks.connect()?;
    }
    networks.exchange(|_| Ok(()))
}

/// Looks for the far end of a pair whose near end is in b, and reads how the near end refers to it.
fn look_for_ends(networks: &Networks, near: &str, far: &str) -> Result<Vec<Fact>> {
    let Networks { a, b } = networks;
    let (near, far) = (b.link(&LinkName::new(near)?)?, LinkName::new(far)?);
    let (in_a, in_b) = (a.net.link(&far)?, b.net.link(&far)?);
    Ok(vec![
        Fact::outside("far end", far.as_str()),
        Fact::outside("far end is in b", in_b.is_some()),
        Fact::outside("far end is in a", in_a.is_some()),
        Fact::outside("iflink", near.peer_index),
        Fact::outside("index of the far end", in_a.or(in_b).map(|link| link.index)),
        Fact::outside("link-netnsid", near.peer_namespace),
        Fact::outside("ID of a's namespace in b", b.net.number_of(a.namespace.as_fd())?),
    ])
}
