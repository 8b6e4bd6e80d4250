//! Thread mode: cgroup.type, and the threads of one process in more than one cgroup.

use anyhow::Result;
use lesson::{Claim, Row, Step, first, hand, outside, right, wrong};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::{Fact, Outcome};

use crate::cgroups::{A_PARENT, path_from, start_idle, start_in, start_two_threads, with_child};
use crate::inner::{A_DOMAIN_CONTROLLER, domain_controller};

const THREADED: Claim = Claim::holds(
    "threaded",
    "Writing `threaded` to cgroup.type makes the cgroup threaded, and its parent `domain threaded`.",
)
.factor("echo threaded > cgroup.type")
.arms("not written", "threaded")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const ONE_WAY: Claim = Claim::holds(
    "one-way",
    "A threaded cgroup cannot become a domain again: writing `domain` to cgroup.type fails with EINVAL.",
)
.factor("domain instead of threaded")
.arms("threaded", "domain")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const INVALID: Claim = Claim::holds(
    "invalid",
    "A sibling of a threaded cgroup is `domain invalid`: moving a process in fails with EOPNOTSUPP.",
)
.factor("echo threaded > cgroup.type in a sibling")
.arms("domain sibling", "threaded sibling")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const NO_DOMAIN_CONTROLLER: Claim = Claim::holds(
    "no-domain-controller",
    "The parent of a threaded cgroup cannot enable a domain controller for children: EOPNOTSUPP.",
)
.factor("echo threaded > cgroup.type")
.arms("domain child", "threaded child")
.notes(&[59])
.more(&[107])
.requires(&[A_DOMAIN_CONTROLLER]);

pub(crate) const MAKE_THREADED: Step = Step {
    title: "Make a cgroup threaded. Read the types of its parent and sibling, and try to make it a domain again.",
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
    "A threaded cgroup can have one thread of a process while the other stays in the parent.",
)
.factor("echo threaded > cgroup.type")
.notes(&[59])
.more(&[106, 107])
.requires(&[A_PARENT])
.arms("a domain", "threaded")
.core(&[
    Row::outside("echo TID > threads", "echo TID > cgroup.threads"),
    Row::outside("that thread is in", "second thread is in"),
])
.asks(
    "You write the ID of one thread to cgroup.threads of a threaded child cgroup. Where are its threads then?",
    &[
        right("that thread is in the child, and the rest stays"),
        wrong("all threads are in the child", "a write to cgroup.procs moves all threads"),
        wrong("where they were: EOPNOTSUPP", "a cgroup that is not threaded answers so"),
    ],
);
const STAYS: Claim = Claim::holds(
    "stays",
    "A single thread cannot move to a cgroup outside the threaded subtree: EOPNOTSUPP.",
)
.factor("a cgroup outside")
.arms("to the child", "to outside")
.notes(&[59])
.more(&[107])
.requires(&[A_PARENT]);
const PROCS: Claim = Claim::holds(
    "procs",
    "Reading cgroup.procs of a threaded cgroup fails with EOPNOTSUPP; its parent's cgroup.procs lists the members.",
)
.factor("echo threaded > cgroup.type").arms("a domain", "threaded")
.notes(&[34, 59])
.requires(&[A_PARENT]);

pub(crate) const MOVE_A_THREAD: Step = Step {
    title: "Put a process with two threads into a cgroup. Write the ID of one thread to cgroup.threads of a child.",
    calls: &["write(\"…/top/child/cgroup.threads\", \"TID\")", "read(\"/proc/PID/task/TID/cgroup\")"],
    by_hand: &[hand("python3 -c 'from threading import *; Thread(target=Event().wait).start()' & while [ $(ls /proc/$!/task | wc -l) -lt 2 ]; do sleep 1; done").as_root().prints("").in_the_same_shell(), hand("echo $! > top/cgroup.procs; ls /proc/$!/task | tail -n 1 > top/child/cgroup.threads; grep ^0:: /proc/$!/task/*/cgroup").as_root().prints("/proc/<pid>/task/<pid>/cgroup:0::/…/rules/top\n/proc/<pid>/task/…/cgroup:0::/…/rules/top/child"), hand("cat top/child/cgroup.procs; kill $!").as_root().prints("EOPNOTSUPP"), ],
    claims: &[TWO_CGROUPS, STAYS, PROCS],
    run: |lab| {
        lab.compare(TWO_CGROUPS, false, true, move_into_child)?
            .in_both_arms(outside("main thread is in").is("top"))
            .shows(
                outside("echo TID > cgroup.threads").from("EOPNOTSUPP").to("OK")
                    & outside("second thread is in").is("top/child"),
            )?;
        lab.compare(STAYS, false, true, move_out)?
            .shows(outside("echo TID > cgroup.threads").is("EOPNOTSUPP"))?;
        lab.compare(PROCS, false, true, list_members)?.shows(
            outside("cat top/child/cgroup.procs").is("EOPNOTSUPP")
                & outside("top/cgroup.procs lists its member").is("yes"),
        )
    },
};

/// Creates a cgroup and its child, which is threaded if `threaded`.
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

/// Moves a process into the sibling of a cgroup, which is threaded if `threaded`.
fn enter_sibling(threaded: bool) -> Result<[Fact; 2]> {
    let (top, _child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    let sibling = top.child(&"sibling".parse()?)?;
    let process = start_idle("process")?;
    Ok([
        Fact::outside("echo PID > top/sibling/cgroup.procs", Outcome::of(sibling.join(process.pid()))?),
        Fact::outside("cgroup.type of top/sibling", sibling.read("cgroup.type")?),
    ])
}

/// Enables a domain controller in the parent of a cgroup, which is threaded if `threaded`.
fn enable_above(threaded: bool) -> Result<Fact> {
    let domain = domain_controller()?;
    let (top, _child) = tree(&domain.parent, threaded)?;
    let answer = Outcome::of(top.enable(&domain.name))?;
    Ok(Fact::outside(format!("echo +{} > cgroup.subtree_control", domain.name), answer))
}

/// Moves one thread of a process into a child cgroup, which is threaded if `threaded`.
fn move_into_child(threaded: bool) -> Result<[Fact; 3]> {
    let (top, child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    move_second_thread(&top, &child)
}

/// Moves one thread of a process into a threaded child, or to a cgroup outside the subtree if `out`.
fn move_out(out: bool) -> Result<[Fact; 3]> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (top, child) = tree(&parent, true)?;
    let outside = parent.create("outside")?;
    move_second_thread(&top, if out { &outside } else { &child })
}

/// Moves one of the two threads of a process in `top`.
fn move_second_thread(top: &Cgroup, to: &Cgroup) -> Result<[Fact; 3]> {
    let (process, thread) = start_two_threads()?;
    top.join(process.pid())?;
    let answer = Outcome::of(to.join_thread(thread))?;
    Ok([
        Fact::outside("echo TID > cgroup.threads", answer),
        Fact::outside("main thread is in", path_from(top, "", process.pid())?),
        Fact::outside("second thread is in", path_from(top, "", thread)?),
    ])
}

/// Lists the members of a cgroup, which is threaded if `threaded`, and of its parent.
fn list_members(threaded: bool) -> Result<[Fact; 2]> {
    let (top, child) = tree(&CgroupParent::require(CgroupRequest::AnyV2)?, threaded)?;
    let member = start_in(&child, "member")?;
    Ok([
        Fact::outside("cat top/child/cgroup.procs", Outcome::of(child.procs())?),
        Fact::outside("top/cgroup.procs lists its member", top.procs()?.contains(&member.pid())),
    ])
}
