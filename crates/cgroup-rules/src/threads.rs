//! Thread mode: cgroup.type, and the threads of one process in more than one cgroup.

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use ns_core::cgroup::{Cgroup, Place, Want};
use ns_core::{Child, Fact, Outcome, Pid};

use crate::inner::{A_DOMAIN_CONTROLLER, domain_controller};
use crate::{A_PLACE, find, put, seen_from, stander, two_threads};

pub(crate) const THREADED: Claim = Claim::holds(
    "threaded",
    "`threaded`, written to cgroup.type, makes the cgroup threaded and its parent `domain threaded`.",
)
.cause("echo threaded > cgroup.type")
.notes(&[59])
.more(&[107])
.needs(&[A_PLACE]);
pub(crate) const TWO_CGROUPS: Claim = Claim::holds(
    "two-cgroups",
    "In a threaded cgroup there can be one thread of a process, and not the rest.",
)
.cause("echo threaded > cgroup.type")
.notes(&[59])
.more(&[106, 107])
.needs(&[A_PLACE]);
pub(crate) const STAYS: Claim = Claim::holds(
    "stays",
    "No thread goes without its process into a cgroup outside of the threaded subtree: EOPNOTSUPP.",
)
.cause("a cgroup outside")
.notes(&[59])
.more(&[107])
.needs(&[A_PLACE]);
pub(crate) const ONE_WAY: Claim = Claim::holds(
    "one-way",
    "A threaded cgroup cannot be made a domain again: to write `domain` to cgroup.type is EINVAL.",
)
.cause("domain instead of threaded")
.notes(&[59])
.more(&[107])
.needs(&[A_PLACE]);
pub(crate) const INVALID: Claim = Claim::holds(
    "invalid",
    "The siblings of a threaded cgroup are `domain invalid`: no process gets in, EOPNOTSUPP.",
)
.cause("echo threaded > cgroup.type in a sibling")
.notes(&[59])
.more(&[107])
.needs(&[A_PLACE]);
pub(crate) const PROCS: Claim = Claim::holds(
    "procs",
    "cgroup.procs of a threaded cgroup cannot be read: EOPNOTSUPP. Its domain lists the processes.",
)
.cause("echo threaded > cgroup.type")
.notes(&[34, 59])
.needs(&[A_PLACE]);
pub(crate) const NO_DOMAIN_CONTROLLER: Claim = Claim::holds(
    "no-domain-controller",
    "Above a threaded cgroup no domain controller can be handed down: EOPNOTSUPP.",
)
.cause("echo threaded > cgroup.type")
.notes(&[59])
.more(&[107])
.needs(&[A_DOMAIN_CONTROLLER]);

const CLAIMS: [Claim; 6] = [THREADED, TWO_CGROUPS, STAYS, ONE_WAY, INVALID, PROCS];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&CLAIMS)? {
        let place = find(Want::AnyV2)?;
        types(lab, &place)?;
        threads_apart(lab, &place)?;
    }
    if lab.can_ask(&[NO_DOMAIN_CONTROLLER])? {
        let (controller, place) = domain_controller()?;
        let enable = |threaded: bool| -> Result<Fact> {
            let (top, _child) = tree(&place, threaded)?;
            let answer = top.write("cgroup.subtree_control", &format!("+{controller}"));
            Ok(Fact::outside(format!("echo +{controller} > cgroup.subtree_control"), Outcome::of(answer)?))
        };
        lab.claim(NO_DOMAIN_CONTROLLER)
            .without(enable(false)?)
            .with(enable(true)?)
            .shows(|answer| *answer == "EOPNOTSUPP")?;
    }
    Ok(())
}

/// A cgroup with a child, which is threaded where it is to be.
fn tree(place: &Place, threaded: bool) -> Result<(Cgroup, Cgroup)> {
    let top = place.create("top")?;
    let child = top.child(&"child".parse()?)?;
    if threaded {
        child.limit("cgroup.type", "threaded")?;
    }
    Ok((top, child))
}

fn types(lab: &mut Lab, place: &Place) -> Result<()> {
    lab.step(Step {
        goal: "Make a cgroup threaded. What becomes of its parent, of its sibling, and of the way back?",
        calls: &["write(\"…/top/child/cgroup.type\", \"threaded\")", "read(\"…/top/cgroup.type\")"],
        by_hand: &[
            "mkdir -p top/child top/sibling; echo threaded > top/child/cgroup.type; head top/cgroup.type top/*/cgroup.type",
            "echo domain > top/child/cgroup.type; sleep 96 & echo $! > top/sibling/cgroup.procs",
        ],
    })?;
    let types = |threaded: bool| -> Result<[Fact; 2]> {
        let (top, child) = tree(place, threaded)?;
        Ok([
            Fact::outside("cgroup.type of top", top.read("cgroup.type")?),
            Fact::outside("cgroup.type of top/child", child.read("cgroup.type")?),
        ])
    };
    lab.claim(THREADED).without(types(false)?).with(types(true)?).shows(|it| {
        *it == "domain threaded" && it.outside("cgroup.type of top/child").is_some_and(|it| *it == "threaded")
    })?;
    let turn = |to: &str| -> Result<Fact> {
        let (_top, child) = tree(place, false)?;
        child.write("cgroup.type", "threaded")?;
        let answer = Outcome::of(child.write("cgroup.type", to))?;
        Ok(Fact::outside(format!("echo {to} > cgroup.type"), answer))
    };
    lab.claim(ONE_WAY)
        .without(turn("threaded")?)
        .with(turn(cause("domain", "threaded"))?)
        .shows(|answer| *answer == "EINVAL")?;
    let sibling = |threaded: bool| -> Result<[Fact; 2]> {
        let (top, _child) = tree(place, threaded)?;
        let sibling = top.child(&"sibling".parse()?)?;
        let visitor = stander("visitor")?;
        let answer = sibling.write("cgroup.procs", &visitor.pid().to_string());
        Ok([
            Fact::outside("echo PID > top/sibling/cgroup.procs", Outcome::of(answer)?),
            Fact::outside("cgroup.type of top/sibling", sibling.read("cgroup.type")?),
        ])
    };
    lab.claim(INVALID).without(sibling(false)?).with(sibling(true)?).shows(|it| {
        *it == "EOPNOTSUPP"
            && it.outside("cgroup.type of top/sibling").is_some_and(|it| *it == "domain invalid")
    })?;
    Ok(())
}

fn threads_apart(lab: &mut Lab, place: &Place) -> Result<()> {
    lab.step(Step {
        goal: "Put a process with two threads into a cgroup, and write one thread's ID to a child's cgroup.threads.",
        calls: &["write(\"…/top/child/cgroup.threads\", \"TID\")", "read(\"/proc/PID/task/TID/cgroup\")"],
        by_hand: &[
            "python3 -c 'from threading import *; Thread(target=Event().wait).start()' & sleep 1  # apt install python3",
            "echo $! > top/cgroup.procs; ls /proc/$!/task | tail -n 1 > top/child/cgroup.threads; grep ^0:: /proc/$!/task/*/cgroup",
            "cat top/child/cgroup.procs; kill $!",
        ],
    })?;
    let apart = |threaded: bool| -> Result<Observation> {
        let (top, child) = tree(place, threaded)?;
        let (process, thread) = two_threads()?;
        put(&top, &process)?;
        let answer = Outcome::of(child.write("cgroup.threads", &thread.to_string()))?;
        Ok(whereabouts(&top, &process, thread, answer)?.into())
    };
    lab.claim(TWO_CGROUPS).without(apart(false)?).with(apart(true)?).shows(|it| {
        *it == "OK"
            && it.outside("its main thread is in").is_some_and(|it| *it == "top")
            && it.outside("its second thread is in").is_some_and(|it| *it == "top/child")
    })?;
    let leave = |goes_out: bool| -> Result<Observation> {
        let (top, child) = tree(place, false)?;
        child.write("cgroup.type", "threaded")?;
        let outside = place.create("outside")?;
        let (process, thread) = two_threads()?;
        put(&top, &process)?;
        let target = if goes_out { &outside } else { &child };
        let answer = Outcome::of(target.write("cgroup.threads", &thread.to_string()))?;
        Ok(whereabouts(&top, &process, thread, answer)?.into())
    };
    lab.claim(STAYS)
        .without(leave(false)?)
        .with(leave(cause(true, false))?)
        .shows(|answer| *answer == "EOPNOTSUPP")?;
    let list = |threaded: bool| -> Result<[Fact; 2]> {
        let (top, child) = tree(place, threaded)?;
        let member = stander("member")?;
        put(&child, &member)?;
        Ok([
            Fact::outside("cat top/child/cgroup.procs", Outcome::of(child.procs())?),
            Fact::outside("top/cgroup.procs lists its member", top.procs()?.contains(&member.pid())),
        ])
    };
    lab.claim(PROCS).without(list(false)?).with(list(true)?).shows(|it| {
        *it == "EOPNOTSUPP" && it.outside("top/cgroup.procs lists its member").is_some_and(|it| *it == "yes")
    })?;
    Ok(())
}

fn whereabouts(top: &Cgroup, process: &Child, thread: Pid, answer: Outcome) -> Result<[Fact; 3]> {
    let seen = |thread| seen_from(top, "", thread);
    Ok([
        Fact::outside("echo TID > cgroup.threads", answer),
        Fact::outside("its main thread is in", seen(process.pid())?),
        Fact::outside("its second thread is in", seen(thread)?),
    ])
}
