//! A veth pair with one end down: packets are lost, and the sender gets no error.

use anyhow::{Result, ensure};
use lesson::{Claim, Kernel, Requirement, Row, Step, hand, outside, right, wrong};
use ns_core::Fact;
use ns_core::net::{Link, LinkName, Netlink};
use ns_core::probe::Unmet;

use crate::datagrams::{FIRST_IS_ANSWERED, FIRST_IS_SENT, first_was_lost, first_was_sent};
use crate::networks::Networks;

const NO_CARRIER: Claim = Claim::holds(
    "no-carrier",
    "A veth end whose peer in the same namespace is set down loses its carrier, and shows LOWERLAYERDOWN.",
)
.factor("link set vb down")
.more(&[59]);
const LOST: Claim = Claim::holds(
    "lost",
    "While the peer of a veth end is down, sendto() succeeds, and the datagram is lost.",
)
.factor("link set b0 down")
.notes(&[76])
.arms("b0 up", "b0 down")
.core(&[Row::inside("sendto() in a", FIRST_IS_SENT), Row::inside("answered by b", FIRST_IS_ANSWERED)])
.asks(
    "b0, the far end of the pair, is set down. a sends a datagram into its own end. What does sendto() return?",
    &[
        right("OK, and the datagram is lost"),
        wrong("OK, and it arrives when b0 is up again", "a pipe keeps data until it is read"),
        wrong("ENETDOWN", "the kernel knows that the far end is down"),
        wrong("nothing: it waits until b0 is up", "a write to a full pipe waits for the reader"),
    ],
);
// Before 6.2, every end without a carrier showed LOWERLAYERDOWN. Since 6.2, the kernel checks whether the peer has a
// carrier. It looks for the peer by index, but in the wrong namespace: that of the near end.
const ACROSS: Claim = Claim::holds_since(
    "down-across",
    "A veth end whose peer in another namespace is down shows DOWN, if no local device has the peer's index.",
    Kernel(6, 2),
)
.factor("link set b0 down")
.more(&[59]);
// Before 6.2, the near end always shows LOWERLAYERDOWN, so the two arms are the same.
const MISTAKEN: Claim = Claim::holds(
    "index-in-common",
    "An end whose peer in another namespace is down shows LOWERLAYERDOWN if a carrierless local device has the peer's index.",
)
.factor("a device in a with b0's index")
.more(&[59])
.requires(&[Requirement::Probe(looks_for_the_far_end)]);

pub(crate) const SET_DOWN: Step = Step {
    title: "Set one end of a veth pair down, and read the state of its peer: vb and va in one namespace, then b0 and a0 in \
            two. Let a send one datagram while b0 is down, and one after. Last, create a device in a with b0's index.",
    calls: &["RTM_SETLINK(vb, ~IFF_UP)", "RTM_GETLINK(va)", "sendto(b)"],
    by_hand: &[
        hand("ip link add va type veth peer name vb; ip link set va up; sleep 1; ip -brief link show va")
            .prints("va@vb LOWERLAYERDOWN … <NO-CARRIER,…")
            .in_the_same_shell(),
        hand("ip -n b link set b0 down; sleep 1; ip -n a -brief link show a0")
            .prints("a0@if… … <NO-CARRIER,…"),
        hand("nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2 | grep received; ip -n b link set b0 up")
            .prints("1 packets transmitted, 0 received, …"),
    ],
    claims: &[NO_CARRIER, LOST, ACROSS, MISTAKEN],
    run: |lab| {
        lab.compare(NO_CARRIER, Set::Up, Set::Down, state_of_va)?
            .shows(outside("operstate of va").is("lowerlayerdown") & outside("va has a carrier").is("no"))?;
        let sent = lab.arms(Set::Up, Set::Down, send)?;
        lab.judge(LOST, sent.clone().map(|sent| sent.datagrams))
            .in_both_arms(first_was_sent())
            .shows(first_was_lost())?;
        lab.judge(ACROSS, sent.map(|sent| sent.state)).shows(outside("operstate of a0").is("down"))?;
        lab.compare(MISTAKEN, false, true, state_beside)?
            .shows(outside("operstate of a0").from("down").to("lowerlayerdown"))
    },
};

/// Whether an end is set up or down.
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

/// The state of va when vb is set up or down. Both are in one namespace, where the kernel finds vb by its index.
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

/// a sends to b. b0 is set up or down for the first datagram, and up for the second.
fn send(b0_is: Set) -> Result<Sent> {
    let mut networks = Networks::new()?;
    // This bridge takes the index that a0 has in a, so that b0 gets another. If iflink of a0 were its own index, the
    // kernel would take a0 for a device without a lower one, and show DOWN for that reason.
    networks.b.net.create_bridge(&LinkName::new("alone")?)?;
    networks.connect()?;
    let Networks { a, b } = &networks;
    set(&b.net, b.net.index(&b.end)?, b0_is)?;
    let state = state(&a.net.wait_until_settled(a.net.index(&a.end)?)?);
    Ok(Sent { state, datagrams: networks.exchange(Networks::set_up)? })
}

/// A kernel before 6.2, which does not look for the far end: a0 shows LOWERLAYERDOWN in every case.
fn looks_for_the_far_end() -> ns_core::Result<Option<Unmet>> {
    // If the kernel refuses a call of this check, the arms of the claim report the refusal.
    let facts = state_beside(false).unwrap_or_default();
    let says = facts.iter().any(|fact| fact.what == "operstate of a0" && fact.value == "lowerlayerdown");
    Ok(says.then(|| {
        Unmet::new("a kernel that looks for a veth pair's far end by its index", "run Linux 6.2 or newer")
    }))
}

/// The state of a0 when b0 is set down. With `has_device`, a also has a device with the index of b0.
fn state_beside(has_device: bool) -> Result<Vec<Fact>> {
    let networks = Networks::new()?;
    networks.b.net.create_bridge(&LinkName::new("alone")?)?;
    networks.connect()?;
    let Networks { a, b } = &networks;
    let (a0, b0) = (a.net.index(&a.end)?, b.net.index(&b.end)?);
    if has_device {
        // The new pair gets the next two indexes. Its ends are down, so they have no carrier.
        a.net.create_veth(&LinkName::new("beside")?, &LinkName::new("next")?, None)?;
    }
    b.net.set_down(b0)?;
    let state = state(&a.net.wait_until_settled(a0)?);
    let beside = a.net.link_by_index(b0)?;
    ensure!(beside.is_some() == has_device, "whether a has a device with index {b0}: expected {has_device}");
    let beside =
        beside.map_or("none", |link| if link.lower_up { "with a carrier" } else { "without a carrier" });
    Ok([&state[..], &[Fact::outside("device in a with b0's index", beside)]].concat())
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
