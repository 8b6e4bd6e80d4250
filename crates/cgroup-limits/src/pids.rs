//! pids: the number of processes in a cgroup. The limit applies to fork(2), and not to moves.

use std::fs;

use anyhow::Result;
use lesson::{Claim, Kernel, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use ns_core::cgroup::CgroupRequest::Controller;
use ns_core::cgroup::{Cgroup, CgroupParent, InterfaceFile};
use ns_core::child::have_children;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, Value};

use crate::cgroups::{Pair, create, show_version};
use crate::requirements::{PIDS, PIDS_V2};

/// The limits of the ancestors and of the user leave room for the forks of the steps.
pub(crate) const ROOM: Requirement = Requirement::Probe(room_for_nine);

const MAX: Claim =
    Claim::holds("pids-max", "pids: past pids.max, fork() fails with EAGAIN, and no process is killed.")
        .factor("pids.max")
        .notes(&[47])
        .requires(&[PIDS, ROOM])
        .core(&[Row::inside("fork() past 4", "fork()")])
        .asks(
            "pids.max is 4, and the cgroup has 4 processes. One of them calls fork(). What happens?",
            &[
                right("fork() fails with EAGAIN"),
                wrong("the new process is killed", "a memory limit kills a process"),
                wrong("fork() waits until one of them ends", "a CPU limit makes a process wait"),
                wrong("fork() fails with ENOMEM", "fork(2) lists ENOMEM, for a shortage of memory"),
            ],
        );
const BELOW: Claim = Claim::holds(
    "pids-below",
    "The kernel accepts a pids.max below the number of members: none ends, and fork() fails with EAGAIN.",
)
.factor("a pids.max of 2 for four")
.notes(&[47])
.more(&[115])
.requires(&[PIDS, ROOM]);
const MOVED_IN: Claim = Claim::holds(
    "pids-moved-in",
    "At pids.max, fork() fails with EAGAIN, but a process can still be moved into the cgroup.",
)
.factor("a move instead of fork()")
.arms("fork()", "move")
.more(&[115])
.requires(&[PIDS]);
const COUNTED_WHERE: Claim = Claim::holds_since(
    "pids-counted-where",
    "When an ancestor's pids.max refuses a fork(), the ancestor's pids.events counts it, not that of the process's cgroup.",
    Kernel(6, 11),
)
.factor("pids.max of the parent instead")
.arms("limit below", "limit above")
.notes(&[47])
.more(&[115])
.requires(&[PIDS_V2, ROOM, Requirement::Probe(events_are_of_the_subtree)]);

pub(crate) const LIMIT_PIDS: Step = Step {
    title: "pids: limit a cgroup to 4 processes, and fork a 5th. Lower the limit below the number of members. Move a process in.",
    calls: &["write(\"…/pids.max\", \"4\")", "fork()", "read(\"…/pids.current\")", "read(\"…/pids.events\")"],
    by_hand: &[hand("mkdir new; echo 4 > new/pids.max; sh -c 'echo $$ > new/cgroup.procs; for i in 1 2 3 4; do sleep 1 & done'").as_root().prints("…: Cannot fork").in_the_same_shell(), hand("cat new/pids.events; sleep 2; rmdir new").as_root().prints("max 1"), ],
    claims: &[MAX, BELOW, MOVED_IN, COUNTED_WHERE],
    run: |lab| {
        show_version(lab, "pids")?;
        lab.leave_a_member(Controller("pids"), "limited", |it| it.limit(it.file(InterfaceFile::PIDS), 4))?;
        lab.compare(MAX, false, true, fork_past_a_limit)?
            .shows(inside("fork()").is("EAGAIN") & inside("children created").is(3))?;
        lab.compare(BELOW, false, true, lower_the_limit)?
            .in_both_arms(outside("pids.current").is(4))
            .shows(inside("fork()").is("EAGAIN"))?;
        lab.compare(MOVED_IN, false, true, add_one)?
            .shows(first().from("EAGAIN").to("OK") & outside("pids.current").is(2))?;
        // In the control both count it: pids.events of an ancestor covers its whole subtree.
        lab.compare(COUNTED_WHERE, false, true, count_a_refused_fork)?.shows(
            outside("pids.events below counts it").is("no")
                & outside("pids.events above counts it").differs_from(outside("pids.events below counts it")),
        )
    },
};

fn room_for_nine() -> ns_core::Result<Option<Unmet>> {
    let Ok(parent) = CgroupParent::find(Controller("pids"))? else { return Ok(None) };
    let cgroup = parent.create("probe")?;
    // This waits for the end of the process, so that no child of it is counted later.
    let answer = match forked_in(&cgroup, 8) {
        Ok(facts) => facts.first().map_or("nothing".into(), |fact| fact.value.to_string()),
        refused => Outcome::of(refused)?.to_string(),
    };
    let what = format!("room for nine processes: fork() gives {answer}");
    let remedy = "raise pids.max of the ancestors, or the user's limit on processes (ulimit -u)";
    Ok((answer != "OK").then(|| Unmet::new(what, remedy)))
}

/// The mount option pids_localevents gives pids.events the meaning that it had before Linux 6.11.
fn events_are_of_the_subtree() -> ns_core::Result<Option<Unmet>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").named(|| "cat /proc/self/mountinfo".into())?;
    let local = mounts.contains("pids_localevents");
    let what = "cgroup2 without the mount option pids_localevents";
    Ok(local.then(|| Unmet::new(what, "boot without it, or run it in a virtual machine: scripts/vm")))
}

fn fork_past_a_limit(limited: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("pids"), "limited")?;
    if limited {
        cgroup.limit("pids.max", 4)?;
    }
    Ok(forked_in(&cgroup, 6)?)
}

/// Has a process in `cgroup` fork until it has `wanted` children, or until fork() fails.
pub(crate) fn forked_in(cgroup: &Cgroup, wanted: usize) -> ns_core::Result<Vec<Fact>> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
        me.checkpoint()?;
        let mut children = Vec::new();
        let answer = have_children(&mut children, wanted)?;
        me.report("fork()", answer)?;
        me.report("children created", children.len())
    })?;
    cgroup.join(parent.pid())?;
    parent.wake()?;
    parent.facts()
}

/// Has four processes in a cgroup. Its limit is then lowered to two, if `lowers`.
fn lower_the_limit(lowers: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("pids"), "limited")?;
    let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let mut children = Vec::new();
        me.report("three children", have_children(&mut children, 3)?)?;
        me.checkpoint()?;
        me.report("fork()", have_children(&mut children, 4)?)
    })?;
    cgroup.join(parent.pid())?;
    parent.wake()?;
    parent.fact()?;
    if lowers {
        cgroup.limit("pids.max", 2)?;
    }
    let mut facts = vec![
        Fact::outside("pids.max", cgroup.read("pids.max")?),
        Fact::outside("pids.current", number(&cgroup, "pids.current")?),
    ];
    parent.wake()?;
    facts.extend(parent.facts()?);
    Ok(facts)
}

/// Adds a second process, by fork() or by a move, where pids.max is 1.
fn add_one(moves: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("pids"), "limited")?;
    cgroup.limit("pids.max", 1)?;
    let mut first = Child::spawn("first", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let mut children = Vec::new();
        me.report("fork()", have_children(&mut children, 1)?)?;
        me.stay()
    })?;
    cgroup.join(first.pid())?;
    let second = Child::spawn("second", Namespaces::NONE, Reporter::stay)?;
    let answer = if moves {
        Fact::outside("echo PID > cgroup.procs", Outcome::of(cgroup.join(second.pid()))?)
    } else {
        first.wake()?;
        first.fact()?
    };
    let max = Fact::outside("pids.max", cgroup.read("pids.max")?);
    Ok(vec![answer, max, Fact::outside("pids.current", number(&cgroup, "pids.current")?)])
}

/// Which pids.events counts a refused fork(), by the limit of the cgroup itself or of its parent.
fn count_a_refused_fork(limited_above: bool) -> Result<Vec<Fact>> {
    let pair = Pair::with("pids")?;
    let limited = if limited_above { &pair.above } else { &pair.below };
    limited.limit("pids.max", 4)?;
    let mut facts = forked_in(&pair.below, 6)?;
    for (name, cgroup) in [("above", &pair.above), ("below", &pair.below)] {
        let max = cgroup.flat_keyed("pids.events")?.get("max").copied().unwrap_or(0);
        facts.push(Fact::outside(format!("pids.events {name} counts it"), max > 0));
    }
    Ok(facts)
}

/// A file that holds one number.
fn number(cgroup: &Cgroup, file: &str) -> Result<Value> {
    let text = cgroup.read(file)?;
    Ok(text.parse().map_or(Value::Text(text), Value::Number))
}
