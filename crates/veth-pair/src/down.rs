//! A veth pair with one end down: neither end carries a packet, and who sends is not told.

use anyhow::{Result, ensure};
use lesson::{Claim, Kernel, Requirement, Row, Step, outside, right, wrong};
use ns_core::Fact;
use ns_core::net::{Link, LinkName, Netlink};
use ns_core::probe::Unmet;

use crate::datagrams::{FIRST_IS_ANSWERED, FIRST_IS_SENT, first_was_lost};
use crate::networks::Networks;

const NO_CARRIER: Claim = Claim::holds(
    "no-carrier",
    "When one end is set down, the other, in the same namespace, loses its carrier: LOWERLAYERDOWN.",
)
.factor("link set vb down")
.more(&[59]);
const LOST: Claim = Claim::holds(
    "lost",
    "sendto() into a veth pair whose far end is down succeeds, and what was sent is lost.",
)
.factor("link set b0 down")
.notes(&[76])
.arms("b0 up", "b0 down")
.core(&[Row::inside("sendto() in a", FIRST_IS_SENT), Row::inside("answered by b", FIRST_IS_ANSWERED)])
.asks(
    "b0, the far end of the pair, is set down. a sends a datagram into its own end. What does sendto() return?",
    &[
        right("OK, and the datagram is lost"),
        wrong("OK, and it arrives when b0 is up again", "a pipe keeps what is written until it is read"),
        wrong("ENETDOWN", "the kernel knows that the pair carries nothing"),
        wrong("nothing: it waits until b0 is up", "a write to a full pipe waits for the reader"),
    ],
);
// Before, any end without a carrier was said to be down for its peer's sake. Since, the kernel looks whether the peer has
// one, and looks for the peer by its index in the wrong namespace: the near end's own.
const ACROSS: Claim = Claim::holds_since(
    "down-across",
    "A far end in another namespace is set down: the near one shows DOWN, if no device beside it has its index.",
    Kernel(6, 2),
)
.factor("link set b0 down")
.more(&[59]);
// Before, that is what it shows in any case, and there is nothing to compare.
const MISTAKEN: Claim = Claim::holds(
    "index-in-common",
    "The near end shows LOWERLAYERDOWN where a device beside it has the far end's index and no carrier.",
)
.factor("a link in a with the index of b0")
.more(&[59])
.requires(&[Requirement::Probe(looks_for_the_far_end)]);

pub(crate) const SET_DOWN: Step = Step {
    title: "Set one end of a veth pair down, and look at the other. Take vb and va, both in the sandbox, then b0 \
            and a0, in b and a. While b0 is down, a sends its first datagram; the second follows when it is up \
            again. Then a also has a link of the index that b0 has in b.",
    calls: &["RTM_SETLINK(vb, ~IFF_UP)", "RTM_GETLINK(va)", "sendto(b)"],
    by_hand: &[
        "ip link add va type veth peer name vb; ip link set va up; ip link show va",
        "ip -n b link set b0 down; ip -n a link show a0",
        "nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2; ip -n b link set b0 up",
    ],
    claims: &[NO_CARRIER, LOST, ACROSS, MISTAKEN],
    run: |lab| {
        lab.compare(NO_CARRIER, Set::Up, Set::Down, state_of_va)?
            .shows(outside("operstate of va").is("lowerlayerdown") & outside("va has a carrier").is("no"))?;
        let sent = lab.arms(Set::Up, Set::Down, send)?;
        lab.judge(LOST, sent.clone().map(|sent| sent.datagrams)).shows(first_was_lost())?;
        lab.judge(ACROSS, sent.map(|sent| sent.state)).shows(outside("operstate of a0").is("down"))?;
        lab.compare(MISTAKEN, false, true, state_beside)?
            .shows(outside("operstate of a0").from("down").to("lowerlayerdown"))
    },
};

/// How an end is set.
#[derive(Clone, Copy)]
enum Set {
    Up,
    Down,
}

#[derive(Clone)]
struct Sent {
    state: [Fact; 2],
    datagrams: Vec<Fact>,
}

/// The state of va, when vb in the same namespace, where the kernel finds it, is set so.
fn state_of_va(vb_is: Set) -> Result<[Fact; 2]> {
    let net = Netlink::open()?;
    let (va, vb) = (LinkName::new("va")?, LinkName::new("vb")?);
    let (va, vb) = (net.create_veth(&va, &vb, None)?, net.index(&vb)?);
    net.set_up(va)?;
    net.set_up(vb)?;
    net.wait_until_running(va)?;
    set(&net, vb, vb_is)?;
    let state = state(&net.wait_until_settled(va)?);
    net.delete(va)?;
    Ok(state)
}

/// a sends to b, whose end is set so for the first datagram, and up for the second.
fn send(b0_is: Set) -> Result<Sent> {
    let mut networks = Networks::new()?;
    // It takes the index that b0 would have in common with a0. A link whose iflink is its own index is for the kernel one
    // with nothing below it, and would show DOWN for that alone.
    networks.b.net.create_bridge(&LinkName::new("alone")?)?;
    networks.connect()?;
    let Networks { a, b } = &networks;
    set(&b.net, b.net.index(&b.end)?, b0_is)?;
    let state = state(&a.net.wait_until_settled(a.net.index(&a.end)?)?);
    Ok(Sent { state, datagrams: networks.exchange(Networks::set_up)? })
}

/// What keeps a0 from showing DOWN where it has nothing else to show: a kernel that does not look for the far end.
fn looks_for_the_far_end() -> ns_core::Result<Option<Unmet>> {
    // Where our own part of that is refused, the claim itself tells.
    let facts = state_beside(false).unwrap_or_default();
    let says = facts.iter().any(|fact| fact.what == "operstate of a0" && fact.value == "lowerlayerdown");
    Ok(says.then(|| {
        Unmet::new("a kernel that looks for a veth pair's far end by its index", "run Linux 6.2 or newer")
    }))
}

/// The state of a0 when b0 is set down, where a has a link with the index of b0 or not.
fn state_beside(has_device: bool) -> Result<Vec<Fact>> {
    let networks = Networks::new()?;
    networks.b.net.create_bridge(&LinkName::new("alone")?)?;
    networks.connect()?;
    let Networks { a, b } = &networks;
    let (a0, b0) = (a.net.index(&a.end)?, b.net.index(&b.end)?);
    if has_device {
        // The ends of a pair that is not set up have no carrier. They get the next two indices.
        a.net.create_veth(&LinkName::new("beside")?, &LinkName::new("next")?, None)?;
    }
    b.net.set_down(b0)?;
    let state = state(&a.net.wait_until_settled(a0)?);
    let beside = a.net.link_by_index(b0)?;
    ensure!(
        beside.is_some() == has_device,
        "a has a link of index {b0} where it should not, or the other way round"
    );
    let beside =
        beside.map_or("none", |link| if link.lower_up { "with a carrier" } else { "without a carrier" });
    Ok([&state[..], &[Fact::outside("link in a with the index of b0", beside)]].concat())
}

fn set(net: &Netlink, link: u32, to: Set) -> ns_core::Result<()> {
    match to {
        Set::Up => net.set_up(link),
        Set::Down => net.set_down(link),
    }
}

fn state(link: &Link) -> [Fact; 2] {
    [
        Fact::outside(format!("operstate of {}", link.name), link.oper_state.as_str()),
        Fact::outside(format!("{} has a carrier", link.name), link.lower_up),
    ]
}
