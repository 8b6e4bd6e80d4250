//! A cable with one end down: dead at both ends, and it does not say so to who sends.

use anyhow::Result;
use lesson::{Claim, Kernel, Lab, Step, cause};
use ns_core::Fact;
use ns_core::net::{Link, LinkName, Netlink};

use crate::letters::{Worlds, first_was_lost};

pub(crate) const NO_CARRIER: Claim = Claim::holds(
    "no-carrier",
    "When one end is set down, the other loses its carrier and shows LOWERLAYERDOWN.",
)
.cause("link set vb down")
.more(&[59]);
pub(crate) const LOST: Claim =
    Claim::holds("lost", "sendto() into a cable whose far end is down succeeds, and what was sent is lost.")
        .cause("link set b0 down")
        .notes(&[76]);
// Before, any end without a carrier was said to be down for its peer's sake. Since, the kernel looks whether the peer has
// one, and looks for the peer by its index in the wrong namespace: the near end's own.
pub(crate) const ACROSS: Claim = Claim::holds_since(
    "down-across",
    "If the end that is down lies in another network namespace, the near one shows DOWN, not LOWERLAYERDOWN.",
    Kernel(6, 2),
)
.cause("link set b0 down")
.more(&[59]);

/// How an end is set.
#[derive(Clone, Copy)]
enum Set {
    Up,
    Down,
}

pub(crate) fn run(lab: &mut Lab, stage: &Netlink, worlds: &mut Worlds) -> Result<()> {
    lab.step(Step {
        goal: "Set one end of a cable down, and look at the other: vb and va, both out here, then b0 and a0, in b and a. While b0 \
               is down, a writes its first letter; the second follows when it is up again.",
        calls: &["RTM_SETLINK(vb, ~IFF_UP)", "RTM_GETLINK(va)", "sendto(b)"],
        by_hand: &[
            "ip link add va type veth peer name vb; ip link set va up; ip link show va",
            "ip -n b link set b0 down; ip -n a link show a0",
            "nsenter --net=/run/netns/a ping -c 1 -W 1 10.0.0.2; ip -n b link set b0 up",
        ],
    })?;
    // Here, where the kernel finds the peer.
    let (va, vb) = (LinkName::new("va")?, LinkName::new("vb")?);
    let (va, vb) = (stage.create_veth(&va, &vb, None)?, stage.index(&vb)?);
    stage.set_up(va)?;
    let beside = |vb_is| {
        set(stage, vb, vb_is)?;
        anyhow::Ok(state(&stage.wait_until_settled(va)?))
    };
    lab.claim(NO_CARRIER).without(beside(Set::Up)?).with(beside(cause(Set::Down, Set::Up))?).shows(|va| {
        *va == "lowerlayerdown" && va.outside("va has a carrier").is_some_and(|it| *it == false)
    })?;

    let up = write_to(worlds, Set::Up)?;
    let down = write_to(worlds, cause(Set::Down, Set::Up))?;
    lab.claim(LOST).without(up.letters).with(down.letters).shows(first_was_lost)?;
    lab.claim(ACROSS).without(up.state).with(down.state).shows(|a0| *a0 == "down")?;
    Ok(())
}

struct Written {
    state: [Fact; 2],
    letters: Vec<Fact>,
}

/// a writes to b, whose end is set so for the first letter, and up for the second.
fn write_to(worlds: &mut Worlds, b0_is: Set) -> Result<Written> {
    let Worlds { a, b } = &*worlds;
    set(&b.net, b.net.index(&b.end)?, b0_is)?;
    let state = state(&a.net.wait_until_settled(a.net.index(&a.end)?)?);
    Ok(Written { state, letters: worlds.write(Worlds::set_up)? })
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
