//! pids: how many processes there may be. The limit is on fork(2), and on nothing else.

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

/// Limits that are there already, of cgroups above or of the user, leave room for what the steps fork.
pub(crate) const ROOM: Requirement = Requirement::Probe(room_for_nine);

const MAX: Claim =
    Claim::holds("pids-max", "pids: past pids.max fork() fails with EAGAIN, and nobody is killed.")
        .factor("pids.max")
        .notes(&[47])
        .requires(&[PIDS, ROOM])
        .core(&[Row::inside("fork(), past 4", "fork()")])
        .asks(
            "pids.max is 4, and four processes are there. One of them calls fork(). What happens?",
            &[
                right("fork() fails with EAGAIN"),
                wrong("the new process is killed", "a memory limit is known to kill"),
                wrong("fork() waits until one of them ends", "a CPU limit makes a process wait"),
                wrong(
                    "fork() fails with ENOMEM",
                    "a limit is taken for a shortage, and fork(2) lists ENOMEM",
                ),
            ],
        );
const BELOW: Claim = Claim::holds(
    "pids-below",
    "A pids.max below the number of members is taken: they live on, and none of them can fork.",
)
.factor("a pids.max of 2 for four")
.notes(&[47])
.more(&[115])
.requires(&[PIDS, ROOM]);
const MOVED_IN: Claim = Claim::holds(
    "pids-moved-in",
    "pids.max refuses forks, and no moves: a process is moved in although the limit is reached.",
)
.factor("a move instead of a fork")
.more(&[115])
.requires(&[PIDS]);
const COUNTED_WHERE: Claim = Claim::holds_since(
    "pids-counted-where",
    "pids.events counts a refused fork in the cgroup whose limit was hit, not in that of the process.",
    Kernel(6, 11),
)
.factor("the limit of the cgroup above")
.notes(&[47])
.more(&[115])
.requires(&[PIDS_V2, ROOM, Requirement::Probe(events_are_of_the_subtree)]);

pub(crate) const LIMIT_PIDS: Step = Step {
    title: "pids: limit a cgroup to 4 processes, and fork past that. Set the limit below the number of members; move one in.",
    calls: &["write(\"…/pids.max\", \"4\")", "fork()", "read(\"…/pids.current\")", "read(\"…/pids.events\")"],
    by_hand: &[hand("mkdir new; echo 4 > new/pids.max; sh -c 'echo $$ > new/cgroup.procs; for i in 1 2 3 4; do sleep 1 & done'").as_root().prints("…: Cannot fork").in_the_same_shell(), hand("cat new/pids.events; sleep 2; rmdir new").as_root().prints("max 1"), ],
    claims: &[MAX, BELOW, MOVED_IN, COUNTED_WHERE],
    run: |lab| {
        show_version(lab, "pids")?;
        lab.leave_a_member(Controller("pids"), "limited", |it| it.limit(it.file(InterfaceFile::PIDS), 4))?;
        lab.compare(MAX, false, true, fork_past_a_limit)?
            .shows(inside("fork()").is("EAGAIN") & inside("children, besides itself").is(3))?;
        lab.compare(BELOW, false, true, lower_the_limit)?
            .shows(outside("pids.current").is(4) & inside("fork()").is("EAGAIN"))?;
        lab.compare(MOVED_IN, false, true, add_one)?
            .shows(first().from("EAGAIN").to("OK") & outside("pids.current").is(2))?;
        // Of a limit in the cgroup itself the cgroups above are told too, in the file that counts the whole subtree.
        lab.compare(COUNTED_WHERE, false, true, count_a_refused_fork)?.shows(
            outside("pids.events above counts it").is("yes")
                & outside("pids.events below counts it").is("no"),
        )
    },
};

fn room_for_nine() -> ns_core::Result<Option<Unmet>> {
    let Ok(parent) = CgroupParent::find(Controller("pids"))? else { return Ok(None) };
    let cgroup = parent.create("probe")?;
    // To its end: no child of it is left to be counted.
    let answer = match forked_in(&cgroup, 8) {
        Ok(facts) => facts.first().map_or("nothing".into(), |fact| fact.value.to_string()),
        refused => Outcome::of(refused)?.to_string(),
    };
    let what = format!("room for nine processes: fork() gives {answer}");
    let remedy = "raise pids.max of the cgroups above, or the limit on processes (ulimit -u)";
    Ok((answer != "OK").then(|| Unmet::new(what, remedy)))
}

/// An option of the mount gives pids.events its old meaning back.
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

/// A process in `cgroup` that forks until it has `wanted` children, or is refused one.
pub(crate) fn forked_in(cgroup: &Cgroup, wanted: usize) -> ns_core::Result<Vec<Fact>> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
        me.checkpoint()?;
        let mut children = Vec::new();
        let answer = have_children(&mut children, wanted)?;
        me.report("fork()", answer)?;
        me.report("children, besides itself", children.len())
    })?;
    cgroup.join(parent.pid())?;
    parent.wake()?;
    parent.facts()
}

/// Four processes in a cgroup whose limit is then lowered to two, or not.
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

/// A second process, by a fork or by a move, where one is allowed.
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

/// Who counts it when a fork is refused for a limit of the cgroup itself, or of the one above.
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
