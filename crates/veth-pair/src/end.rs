//! How a cable ends: with one of its ends, and with the namespace of one of its ends.

use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Fact, Kind, Namespaces, NsFile, Spawn, Witness};

use crate::letters::Worlds;

pub(crate) const BOTH_GO: Claim =
    Claim::holds("both-go", "To delete one end is to delete the other too, whatever namespace that is in.")
        .cause("link delete a0")
        .more(&[59]);
pub(crate) const NAMESPACE_ENDS: Claim = Claim::holds(
    "namespace-ends",
    "A network namespace that ends takes its veth ends along, and with them their peers elsewhere.",
)
.cause("close(ns/net)")
.more(&[65]);

pub(crate) fn delete_one(lab: &mut Lab, worlds: &Worlds) -> Result<()> {
    lab.step(Step {
        goal: "Delete the cable's end in a, a0, and look for its end in b, b0.",
        calls: &["RTM_DELLINK(a0)", "RTM_GETLINK(b0)"],
        by_hand: &["ip -n a link delete a0; ip -n b -brief link"],
    })?;
    let Worlds { a, b } = worlds;
    let look = |deletes: bool| {
        if deletes {
            a.net.delete(a.net.index(&a.end)?)?;
        }
        anyhow::Ok(Fact::outside("b0 is there", b.own_end()?.is_some()))
    };
    lab.claim(BOTH_GO).without(look(false)?).with(look(cause(true, false))?).shows(|b0| *b0 == false)?;
    Ok(())
}

pub(crate) fn end_a_namespace(lab: &mut Lab, stage: &Netlink) -> Result<()> {
    lab.step(Step {
        goal: "Lay a cable into each of three namespaces, and end their only processes one after another. The first \
               namespace we hold open, the second is let go; when the cable of the third is gone, the kernel has come past \
               the second.",
        calls: &["open(\"/proc/PID/ns/net\")", "exit(0)", "close(ns/net)", "RTM_GETLINK"],
        by_hand: &[
            "unshare --net sleep 60 & sleep 0.1; ip link add out type veth peer name in netns $!",
            "exec 3< /proc/$!/ns/net; kill $!; sleep 1; ip link show out",
            "exec 3<&-; sleep 1; ip link show out",
        ],
    })?;
    // All three begin before any namespace is opened: a child has its own copy of what its parent has open, and would hold
    // the others' namespaces. They surround both arms alike, so they are there in every run.
    let begin = |label| Spawn::new(label).namespaces_always(Namespaces::NET).run(Witness::stay);
    let mut tenants = [begin("held")?, begin("left")?, begin("fence")?];
    let mut far_ends = [0; 3];
    for (tenant, far_end) in tenants.iter().zip(&mut far_ends) {
        let namespace = NsFile::of(Some(tenant.pid()), Kind::Net)?;
        let (out, within) = (LinkName::new(tenant.label())?, LinkName::new("in")?);
        *far_end = stage.create_veth(&out, &within, Some(namespace.as_fd()))?;
    }
    let mut held = Vec::new();
    let mut ends = Vec::new();
    for (tenant, closes) in tenants.iter_mut().zip([false, cause(true, false), true]) {
        let namespace = NsFile::of(Some(tenant.pid()), Kind::Net)?;
        if closes {
            drop(namespace);
        } else {
            held.push(namespace);
        }
        tenant.release()?;
        ends.push(tenant.wait()?);
    }
    // Some time after its last process, the kernel's worker comes to a namespace; it takes them in turn.
    stage.wait_until_gone(far_ends[2])?;
    let look = |at: usize| {
        let far_end = stage.link_by_index(far_ends[at])?;
        let process = Fact::outside("the only process", ends[at]);
        anyhow::Ok([Fact::outside("the far end is there", far_end.is_some()), process])
    };
    lab.claim(NAMESPACE_ENDS).without(look(0)?).with(look(1)?).shows(|far_end| *far_end == false)?;
    Ok(())
}
