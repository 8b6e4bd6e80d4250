//! How a veth pair ends: with one of its ends, and with the namespace of one of its ends.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, outside, right, wrong};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter};

use crate::networks::Networks;

const BOTH_GO: Claim =
    Claim::holds("both-go", "To delete one end is to delete the other too, whatever namespace that is in.")
        .factor("link delete a0")
        .more(&[59])
        .arms("a0 stays", "a0 deleted")
        .core(&[Row::outside("b0 is there", "b0 is there")])
        .asks(
            "a0 is deleted. What becomes of b0, its peer in another network namespace?",
            &[
                right("it is deleted too"),
                wrong("it stays, without a carrier", "a network card stays when it is unplugged"),
                wrong(
                    "it goes back to the host's namespace",
                    "a physical device does so when its namespace ends",
                ),
                wrong(
                    "it stays until its own namespace ends",
                    "a device is thought to belong to its namespace alone",
                ),
            ],
        );

pub(crate) const DELETE_ONE: Step = Step {
    title: "Delete the end in a, a0, and look for its end in b, b0.",
    calls: &["RTM_DELLINK(a0)", "RTM_GETLINK(b0)"],
    by_hand: &[hand("ip -n a link delete a0; ip -n b -brief link show b0")
        .prints("Device \"b0\" does not exist.")
        .in_the_same_shell()],
    claims: &[BOTH_GO],
    run: |lab| lab.compare(BOTH_GO, false, true, look_for_b0)?.shows(outside("b0 is there").is("no")),
};

const NAMESPACE_ENDS: Claim = Claim::holds(
    "namespace-ends",
    "A network namespace that ends takes its veth ends along, and with them their peers elsewhere.",
)
.factor("close(ns/net)")
.more(&[65]);

pub(crate) const END_A_NAMESPACE: Step = Step {
    title: "Lead a veth pair into each of two namespaces, and end their only processes one after another. The first \
            namespace is held open, or let go; when the pair of the second is gone, the kernel has come past the first.",
    calls: &["open(\"/proc/PID/ns/net\")", "exit(0)", "close(ns/net)", "RTM_GETLINK"],
    by_hand: &[
        hand("unshare --net sleep 60 & sleep 1; ip link add out type veth peer name in netns $!")
            .prints("")
            .in_the_same_shell(),
        hand("exec 3< /proc/$!/ns/net; kill $!; sleep 1; ip -brief link show out").prints("out@if… DOWN …"),
        hand("exec 3<&-; sleep 1; ip -brief link show out").prints("Device \"out\" does not exist."),
    ],
    claims: &[NAMESPACE_ENDS],
    run: |lab| {
        lab.compare(NAMESPACE_ENDS, false, true, end_a_namespace)?
            .shows(outside("the far end is there").is("no"))
    },
};

fn look_for_b0(deletes: bool) -> Result<Fact> {
    let networks = Networks::new()?;
    networks.connect()?;
    let Networks { a, b } = &networks;
    if deletes {
        a.net.delete(a.net.index(&a.end)?)?;
    }
    Ok(Fact::outside("b0 is there", b.own_end()?.is_some()))
}

/// Whether the far end of a pair is there when the only process of the near end's namespace has ended, and that
/// namespace was closed, or is held open.
fn end_a_namespace(closes: bool) -> Result<[Fact; 2]> {
    let net = Netlink::open()?;
    // Both begin before either namespace is opened: a child has its own copy of what its parent has open, and would hold
    // the other's namespace.
    let mut first = Child::spawn("first", Namespaces::NET, Reporter::stay)?;
    let mut second = Child::spawn("second", Namespaces::NET, Reporter::stay)?;
    let (namespace, far_end) = lead_into(&first, &net)?;
    let held = (!closes).then_some(namespace);
    let (_, fence) = lead_into(&second, &net)?;
    first.wake()?;
    let end = first.wait()?;
    second.wake()?;
    second.wait()?;
    // Some time after its last process, the kernel's worker comes to a namespace; it takes them in turn.
    net.wait_until_gone(fence)?;
    let is_there = net.link_by_index(far_end)?.is_some();
    if held.is_some() {
        net.delete(far_end)?;
    }
    Ok([Fact::outside("the far end is there", is_there), Fact::outside("the only process", end)])
}

/// Creates a veth pair that leads into the namespace of a child: returns that, and the index of our end.
fn lead_into(child: &Child, net: &Netlink) -> Result<(NsFile, u32)> {
    let namespace = NsFile::of(Some(child.pid()), Kind::Net)?;
    let (far, near) = (LinkName::new(child.label())?, LinkName::new("in")?);
    let index = net.create_veth(&far, &near, Some(namespace.as_fd()))?;
    Ok((namespace, index))
}
