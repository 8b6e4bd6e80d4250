//! Thread mode: cgroup.type, and the threads of one process in more than one cgroup.

use anyhow::Result;
use lesson::{Claim, Row, Step, first, hand, outside, right, wrong};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::{Fact, Outcome};

use crate::cgroups::{A_PARENT, seen_from, start_idle, start_in, start_two_threads, with_child};
use crate::inner::{A_DOMAIN_CONTROLLER, domain_controller};

const THREADED: Claim = Claim::holds(
    "threaded",
    "`threaded`, written to cgroup.type, makes the cgroup threaded and its parent `domain threaded`.",
)
.factor("echo threaded > cgroup.type")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const ONE_WAY: Claim = Claim::holds(
    "one-way",
    "A threaded cgroup cannot be made a domain again: to write `domain` to cgroup.type is EINVAL.",
)
.factor("domain instead of threaded")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const INVALID: Claim = Claim::holds(
    "invalid",
    "The siblings of a threaded cgroup are `domain invalid`: no process gets in, EOPNOTSUPP.",
)
.factor("echo threaded > cgroup.type in a sibling")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const NO_DOMAIN_CONTROLLER: Claim = Claim::holds(
    "no-domain-controller",
    "Above a threaded cgroup no domain controller can be enabled for children: EOPNOTSUPP.",
)
.factor("echo threaded > cgroup.type")
.notes(&[59])
.more(&[107])
.requires(&[A_DOMAIN_CONTROLLER]);

pub(crate) const MAKE_THREADED: Step = Step {
    title: "Make a cgroup threaded. What becomes of its parent, of its sibling, and of the way back?",
    calls: &["write(\"…/top/child/cgroup.type\", \"threaded\")", "read(\"…/top/cgroup.type\")"],
    by_hand: &[hand("mkdir -p top/child top/sibling; echo threaded > top/child/cgroup.type; cat top/cgroup.type top/*/cgroup.type").as_root().prints("domain threaded\nthreaded\ndomain invalid").in_the_same_shell(), hand("echo domain > top/child/cgroup.type; sleep 60 & echo $! > top/sibling/cgroup.procs").as_root().prints("EINVAL\nEOPNOTSUPP"), ],
    claims: &[THREADED, ONE_WAY, INVALID, NO_DOMAIN_CONTROLLER],
    run: |lab| {
        lab.compare(THREADED, false, true, read_types)?.shows(
            outside("cgroup.type of top").is("domain threaded")
                & outside("cgroup.type of top/child").is("threaded"),
        )?;
        lab.compare(ONE_WAY, "threaded", "domain", change_type)?.shows(first().is("EINVAL"))?;
        lab.compare(INVALID, false, true, enter_sibling)?.shows(
            outside("echo PID > top/sibling/cgroup.procs").is("EOPNOTSUPP")
                & outside("cgroup.type of top/sibling").is("domain invalid"),
        )?;
        lab.compare(NO_DOMAIN_CONTROLLER, false, true, enable_above)?.shows(first().is("EOPNOTSUPP"))
    },
};

const TWO_CGROUPS: Claim = Claim::holds(
    "two-cgroups",
    "In a threaded cgroup there can be one thread of a process, and not the rest.",
)
.factor("echo threaded > cgroup.type")
.notes(&[59])
.more(&[106, 107])
.requires(&[A_PARENT])
.arms("a domain", "threaded")
.core(&[
    Row::outside("echo TID > threads", "echo TID > cgroup.threads"),
    Row::outside("that thread is in", "its second thread is in"),
])
.asks(
    "You write the ID of one thread to cgroup.threads of a threaded child cgroup. Where is the process then?",
    &[
        right("that thread is in the child, the rest stays"),
        wrong("all of it moves to the child", "writing to cgroup.procs does that"),
        wrong("nowhere new: EOPNOTSUPP", "that is the answer of a cgroup that is not threaded"),
    ],
);
const STAYS: Claim = Claim::holds(
    "stays",
    "No thread goes without its process into a cgroup outside of the threaded subtree: EOPNOTSUPP.",
)
.factor("a cgroup outside")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const PROCS: Claim = Claim::holds(
    "procs",
    "cgroup.procs of a threaded cgroup cannot be read: EOPNOTSUPP. Its domain lists the processes.",
)
.factor("echo threaded > cgroup.type")
.notes(&[34, 59])
.requires(&[A_PARENT]);

pub(crate) const MOVE_A_THREAD: Step = Step {
    title: "Put a process with two threads into a cgroup, and write one thread's ID to a child's cgroup.threads.",
    calls: &["write(\"…/top/child/cgroup.threads\", \"TID\")", "read(\"/proc/PID/task/TID/cgroup\")"],
    by_hand: &[hand("python3 -c 'from threading import *; Thread(target=Event().wait).start()' & while [ $(ls /proc/$!/task | wc -l) -lt 2 ]; do sleep 1; done").as_root().prints("").in_the_same_shell(), hand("echo $! > top/cgroup.procs; ls /proc/$!/task | tail -n 1 > top/child/cgroup.threads; grep ^0:: /proc/$!/task/*/cgroup").as_root().prints("/proc/<pid>/task/<pid>/cgroup:0::/…/rules/top\n/proc/<pid>/task/…/cgroup:0::/…/rules/top/child"), hand("cat top/child/cgroup.procs; kill $!").as_root().prints("EOPNOTSUPP"), ],
    claims: &[TWO_CGROUPS, STAYS, PROCS],
    run: |lab| {
        lab.compare(TWO_CGROUPS, false, true, move_into_child)?.shows(
            outside("echo TID > cgroup.threads").from("EOPNOTSUPP").to("OK")
                & outside("its main thread is in").is("top")
                & outside("its second thread is in").is("top/child"),
        )?;
        lab.compare(STAYS, false, true, move_out)?
            .shows(outside("echo TID > cgroup.threads").is("EOPNOTSUPP"))?;
        lab.compare(PROCS, false, true, list_members)?.shows(
            outside("cat top/child/cgroup.procs").is("EOPNOTSUPP")
                & outside("top/cgroup.procs lists its member").is("yes"),
        )
    },
};

/// A cgroup with a child, which is threaded or not.
fn tree(parent: &CgroupParent, threaded: bool) -> Result<(Cgroup, Cgroup)> {
    let (top, child) = with_child(parent)?;
    if threaded {
        child.write("cgroup.type", "threaded")?;
    }
    Ok((top, child))
}

fn read_types(threaded: bool) -> Result<[Fact; 2]> {
    let (top, child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    Ok([
        Fact::outside("cgroup.type of top", top.read("cgroup.type")?),
        Fact::outside("cgroup.type of top/child", child.read("cgroup.type")?),
    ])
}

/// Writes to the cgroup.type of a threaded cgroup.
fn change_type(to: &str) -> Result<Fact> {
    let (_top, child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, true)?;
    Ok(Fact::outside(format!("echo {to} > cgroup.type"), Outcome::of(child.write("cgroup.type", to))?))
}

/// Puts a process into the sibling of a cgroup that is threaded or not.
fn enter_sibling(threaded: bool) -> Result<[Fact; 2]> {
    let (top, _child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    let sibling = top.child(&"sibling".parse()?)?;
    let visitor = start_idle("visitor")?;
    Ok([
        Fact::outside("echo PID > top/sibling/cgroup.procs", Outcome::of(sibling.join(visitor.pid()))?),
        Fact::outside("cgroup.type of top/sibling", sibling.read("cgroup.type")?),
    ])
}

/// Enables a domain controller above a cgroup that is threaded or not.
fn enable_above(threaded: bool) -> Result<Fact> {
    let domain = domain_controller()?;
    let (top, _child) = tree(&domain.parent, threaded)?;
    let answer = Outcome::of(top.enable(&domain.name))?;
    Ok(Fact::outside(format!("echo +{} > cgroup.subtree_control", domain.name), answer))
}

/// Moves a thread of a process into a child cgroup that is threaded or not.
fn move_into_child(threaded: bool) -> Result<[Fact; 3]> {
    let (top, child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    move_second_thread(&top, &child)
}

/// Moves a thread of a process into a threaded cgroup below the process, or to one outside of that subtree.
fn move_out(out: bool) -> Result<[Fact; 3]> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (top, child) = tree(&parent, true)?;
    let outside = parent.create("outside")?;
    move_second_thread(&top, if out { &outside } else { &child })
}

/// Moves one of two threads of a process in `top`.
fn move_second_thread(top: &Cgroup, to: &Cgroup) -> Result<[Fact; 3]> {
    let (process, thread) = start_two_threads()?;
    top.join(process.pid())?;
    let answer = Outcome::of(to.join_thread(thread))?;
    Ok([
        Fact::outside("echo TID > cgroup.threads", answer),
        Fact::outside("its main thread is in", seen_from(top, "", process.pid())?),
        Fact::outside("its second thread is in", seen_from(top, "", thread)?),
    ])
}

/// Lists the members of a cgroup that is threaded or not, and of the one above.
fn list_members(threaded: bool) -> Result<[Fact; 2]> {
    let (top, child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    let member = start_in(&child, "member")?;
    Ok([
        Fact::outside("cat top/child/cgroup.procs", Outcome::of(child.procs())?),
        Fact::outside("top/cgroup.procs lists its member", top.procs()?.contains(&member.pid())),
    ])
}
