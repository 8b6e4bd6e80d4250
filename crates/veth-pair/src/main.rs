//! What does a cable between two worlds carry?
//!
//! A veth pair is a cable: two links that are born together, and each may lie in a network namespace of its own. Two
//! processes in two such worlds write letters to each other through one. Watch the counters: what one end sent, the
//! other received, and lo stays at 0.
//!
//! Then one end is set down, a bridge comes between, and the cable ends. We never wait for a letter that does not come:
//! once its way is clear again a second one is sent, and an answer to that one alone says that the first was lost.

mod bridge;
mod down;
mod end;
mod letters;

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Step, cause};
use letters::{World, Worlds, both_arrived, counts_are};
use ns_core::net::plan::plan;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Fact, Namespaces, Value};

const BORN: Claim = Claim::holds("born", "A veth pair is born as two links at once, each the other's peer.")
    .cause("type veth")
    .more(&[59])
    // All that follow need the same, and are skipped with it.
    .needs(&[Need::Probe(bridge::kernel_has_the_links)]);
const CARRIES: Claim =
    Claim::holds("carries", "What is sent into one end of a veth pair comes out of the other, both ways.")
        .cause("the cable")
        .notes(&[76]);
const ACROSS: Claim =
    Claim::holds("across", "One call can put the two ends of a new pair into two network namespaces.")
        .cause("netns a")
        .more(&[59]);
const NAMES: Claim = Claim::holds(
    "names",
    "The iflink and link-netnsid of an end name the other: its index, and the namespace where that counts.",
)
.cause("netns a")
.more(&[59]);

const VETH_PAIR: Experiment = Experiment {
    name: "veth-pair",
    question: "What does a cable between two worlds carry?",
    notes: "Network Namespace",
    man: &["veth(4)", "network_namespaces(7)", "rtnetlink(7)", "ip-link(8)", "bridge(8)"],
    examples: &[
        ("veth-pair", "run the experiment"),
        ("veth-pair --sabotage", "without the namespaces: no claim holds"),
        ("veth-pair --format jsonl | jq .", "the same as data"),
        ("strace -f veth-pair", "the system calls, facts on their pipes included"),
    ],
    // It stands for the host: bridge and far ends lie in it, as they would lie in the host's own namespace.
    stage: Namespaces::NET,
    needs: &[],
    claims: &[
        BORN,
        CARRIES,
        ACROSS,
        NAMES,
        down::NO_CARRIER,
        down::LOST,
        down::ACROSS,
        end::BOTH_GO,
        bridge::BY_ITSELF,
        bridge::JOINS,
        bridge::CUT_OFF,
        end::NAMESPACE_ENDS,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&VETH_PAIR)
}

fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(VETH_PAIR.claims)? {
        return Ok(());
    }
    let stage = Netlink::open()?;

    lab.step(Step {
        goal: "Start a and b, two processes in network namespaces of their own. In b, make a bridge, `alone`, and a veth pair, \
               `one` and `other`.",
        calls: &["clone3(CLONE_NEWNET)", "RTM_NEWLINK(IFLA_INFO_KIND=\"veth\", VETH_INFO_PEER)", "RTM_GETLINK"],
        by_hand: &[
            "unshare --user --map-root-user --net --mount  # a shell of your own, for all that follows",
            "mount -t tmpfs tmpfs /run; ip netns add a; ip netns add b",
            "ip -n b link add alone type bridge; ip -n b link add one type veth peer name other; ip -n b -brief link",
        ],
    })?;
    let mut worlds = Worlds::new()?;
    lab.actor(&worlds.a.child)?;
    lab.actor(&worlds.b.child)?;
    lab.claim(BORN)
        .without(links_that_come(&worlds.b, ["alone", "-"], false)?)
        .with(links_that_come(&worlds.b, ["one", "other"], cause(true, false))?)
        .shows(|links| {
            *links == 2 && links.outside("each is the other's peer").is_some_and(|it| *it == true)
        })?;

    lab.step(Step {
        goal: "Let a write two letters to b, \"first\" and \"second\", which b answers by the same words: before there is a cable \
               between them, and through one, with the ends a0 in a and b0 in b. How many packets did each device send and \
               receive?",
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
    })?;
    let without_a_cable = worlds.write(|_| Ok(()))?;
    let Worlds { a, b } = &worlds;
    b.net.create_veth(&b.end, &a.end, Some(a.namespace.as_fd()))?;
    worlds.plug_in()?;
    lab.claim(CARRIES).without(without_a_cable.clone()).with(worlds.write(|_| Ok(()))?).shows(|letters| {
        both_arrived(letters)
            && counts_are(letters, &[("b0 sent", 2), ("a0 received", 2), ("lo of a sent", 0)])
    })?;

    lab.step(Step {
        goal: "Look where the ends of both pairs are: `one` and `other`, made in b alone, and b0 and a0, made by one call in b \
               and in a. By what numbers does the near end, `one` or b0, name the far one?",
        calls: &["RTM_GETLINK", "RTM_GETNSID"],
        by_hand: &["ip -n b link show; ip -n a link show", "ip -n b -d link show b0; ip -n b netns list-id"],
    })?;
    lab.cables("What leads where", plan(&worlds.sites())?, Value::Text)?;
    let [beside, across] = [("one", "other"), ("b0", "a0")].map(|(near, far)| Ends::of(&worlds, near, far));
    let (beside, across) = (beside?, across?);
    lab.claim(ACROSS).without(beside.place).with(across.place).shows(|far_end| {
        far_end.outside("it is in b").is_some_and(|it| *it == false)
            && far_end.outside("it is in a").is_some_and(|it| *it == true)
    })?;
    lab.claim(NAMES).without(beside.names).with(across.names).shows(|end| {
        end.outside("iflink") == end.outside("index of the other")
            && end.outside("link-netnsid") == end.outside("b's number for a's network")
            && end.outside("link-netnsid").is_some_and(|it| *it != "none")
    })?;

    down::run(lab, &stage, &mut worlds)?;
    end::delete_one(lab, &worlds)?;
    bridge::run(lab, &stage, &mut worlds, without_a_cable)?;
    end::end_a_namespace(lab, &stage)
}

fn links_that_come(world: &World, names: [&str; 2], paired: bool) -> Result<Vec<Fact>> {
    let before = world.net.links()?;
    let name = LinkName::new(names[0])?;
    if paired {
        world.net.create_veth(&name, &LinkName::new(names[1])?, None)?;
    } else {
        world.net.create_bridge(&name)?;
    }
    let mut new = world.net.links()?;
    new.retain(|link| before.iter().all(|old| old.index != link.index));
    new.sort_by(|one, other| one.name.cmp(&other.name));
    let paired = new.iter().all(|link| new.iter().any(|other| link.peer_index == Some(other.index)));
    Ok(vec![
        Fact::outside("links that came", new.len()),
        Fact::outside("their names", new.into_iter().map(|link| link.name).collect::<Vec<_>>()),
        Fact::outside("each is the other's peer", paired),
    ])
}

/// Where the far end of a pair is, and by what numbers the near one names it.
struct Ends {
    place: Vec<Fact>,
    names: Vec<Fact>,
}

impl Ends {
    /// Of a pair whose near end is in b.
    fn of(worlds: &Worlds, near: &str, far: &str) -> Result<Ends> {
        let Worlds { a, b } = worlds;
        let (near, far) = (LinkName::new(near)?, LinkName::new(far)?);
        let near = b.link(&near)?;
        let (in_a, in_b) = (a.net.link(&far)?, b.net.link(&far)?);
        Ok(Ends {
            place: vec![
                Fact::outside("the far end", far.as_str()),
                Fact::outside("it is in b", in_b.is_some()),
                Fact::outside("it is in a", in_a.is_some()),
            ],
            names: vec![
                Fact::outside("iflink", near.peer_index),
                Fact::outside("index of the other", in_a.or(in_b).map(|link| link.index)),
                Fact::outside("link-netnsid", near.peer_namespace),
                Fact::outside("b's number for a's network", b.net.number_of(a.namespace.as_fd())?),
            ],
        })
    }
}
