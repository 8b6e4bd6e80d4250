//! What deletes a veth pair: deleting one end, or the end of the namespace that one end is in.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, outside, right, wrong};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter};

use crate::networks::Networks;

const BOTH_GO: Claim = Claim::holds(
    "both-go",
    "Deleting one end of a veth pair deletes the other, even in another network namespace.",
)
.factor("link delete a0")
.more(&[59])
.arms("a0 stays", "a0 deleted")
.core(&[Row::outside("b0 exists", "b0 exists")])
.asks(
    "a0 is deleted. What happens to b0, its peer in another network namespace?",
    &[
        right("it is deleted too"),
        wrong("it stays, without a carrier", "a network card stays when it is unplugged"),
        wrong("it moves to the host's namespace", "a physical device does that when its namespace ends"),
        wrong("it stays until its own namespace ends", "each end is taken for a device of its own"),
    ],
);

pub(crate) const DELETE_ONE: Step = Step {
    title: "Delete a0 in a, and look for b0 in b.",
    calls: &["RTM_DELLINK(a0)", "RTM_GETLINK(b0)"],
    by_hand: &[hand("ip -n a link delete a0; ip -n b -brief link show b0")
        .prints("Device \"b0\" does not exist.")
        .in_the_same_shell()],
    claims: &[BOTH_GO],
    run: |lab| lab.compare(BOTH_GO, false, true, look_for_b0)?.shows(outside("b0 exists").is("no")),
};

const NAMESPACE_ENDS: Claim = Claim::holds(
    "namespace-ends",
    "When a network namespace ends, the peers of its veth ends are deleted in other namespaces.",
)
.factor("close(ns/net)")
.more(&[65]);

pub(crate) const END_A_NAMESPACE: Step = Step {
    title: "Create a veth pair into each of two namespaces. End the only process of each. Hold the first namespace open, or \
            close it. When the second pair is gone, look for the first.",
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
        lab.compare(NAMESPACE_ENDS, false, true, end_a_namespace)?.shows(outside("far end exists").is("no"))
    },
};

fn look_for_b0(deletes: bool) -> Result<Fact> {
    let networks = Networks::new()?;
    networks.connect()?;
    let Networks { a, b } = &networks;
    if deletes {
        a.net.delete(a.net.index(&a.end)?)?;
    }
    Ok(Fact::outside("b0 exists", b.own_end()?.is_some()))
}

/// Whether the far end of a pair exists after the only process of the near end's namespace has ended. That namespace is
/// closed, or held open.
fn end_a_namespace(closes: bool) -> Result<[Fact; 2]> {
    let net = Netlink::open()?;
    // Both children start before either namespace is opened. A child inherits open descriptors, and would hold the
    // namespace of the other child open.
    let mut first = Child::spawn("first", Namespaces::NET, Reporter::stay)?;
    let mut second = Child::spawn("second", Namespaces::NET, Reporter::stay)?;
    let (namespace, far_end) = lead_into(&first, &net)?;
    let held = (!closes).then_some(namespace);
    let (_, second_far_end) = lead_into(&second, &net)?;
    first.wake()?;
    let end = first.wait()?;
    second.wake()?;
    second.wait()?;
    // A worker of the kernel ends namespaces in turn, some time after their last process.
    net.wait_until_gone(second_far_end)?;
    let exists = net.link_by_index(far_end)?.is_some();
    if held.is_some() {
        net.delete(far_end)?;
    }
    Ok([Fact::outside("far end exists", exists), Fact::outside("only process", end)])
}

/// Creates a veth pair into the namespace of a child. Returns that namespace, and the index of the end outside it.
fn lead_into(child: &Child, net: &Netlink) -> Result<(NsFile, u32)> {
    let namespace = NsFile::of(Some(child.pid()), Kind::Net)?;
    let (far, near) = (LinkName::new(child.label())?, LinkName::new("in")?);
    let index = net.create_veth(&far, &near, Some(namespace.as_fd()))?;
    Ok((namespace, index))
}
