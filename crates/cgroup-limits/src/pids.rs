//! pids: how many processes there may be. The limit is on fork(2), and on nothing else.

use anyhow::Result;
use lesson::{Claim, Kernel, Lab, Step, cause};
use ns_core::cgroup::{Cgroup, Place, Want};
use ns_core::child::have_children;
use ns_core::{Child, Fact, Namespaces, Outcome, Value, Witness};

use crate::{PIDS, PIDS_V2, Pair, find};

pub(crate) const MAX: Claim =
    Claim::holds("pids-max", "pids: past pids.max fork() fails with EAGAIN, and nobody is killed.")
        .cause("pids.max")
        .notes(&[47])
        .needs(&[PIDS]);
pub(crate) const BELOW: Claim = Claim::holds(
    "pids-below",
    "A pids.max below the number of members is taken: they live on, and none of them can fork.",
)
.cause("a pids.max of 2 for four")
.notes(&[47])
.more(&[115])
.needs(&[PIDS]);
pub(crate) const MOVED_IN: Claim = Claim::holds(
    "pids-moved-in",
    "Only a fork is refused: a process is moved in although pids.max is reached.",
)
.cause("a move instead of a fork")
.more(&[115])
.needs(&[PIDS]);
pub(crate) const COUNTED_WHERE: Claim = Claim::holds_since(
    "pids-counted-where",
    "pids.events counts a refused fork in the cgroup whose limit was hit, not in that of the process.",
    Kernel(6, 11),
)
.cause("the limit of the cgroup above")
.notes(&[47])
.more(&[115])
.needs(&[PIDS_V2]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "pids: limit a cgroup to 4 processes, and fork past that. Set the limit below the number of members; move one in.",
        calls: &["write(\"…/pids.max\", \"4\")", "fork()", "read(\"…/pids.current\")", "read(\"…/pids.events\")"],
        by_hand: &[
            "v2=$(findmnt -nfo TARGET -t cgroup2); v1=$(findmnt -nfo TARGET -t cgroup -O pids); cd ${v1:-$v2}; mkdir new  # as root",
            "echo 4 > new/pids.max; sh -c 'echo $$ > new/cgroup.procs; for i in 1 2 3 4; do sleep 1 & done'",
            "cat new/pids.events; sleep 2; rmdir new",
        ],
    })?;
    if lab.can_ask(&[MAX, BELOW, MOVED_IN])? {
        let place = find(Want::Controller("pids"))?;
        lab.saw(Fact::outside("pids: the version of the cgroup", place.version().to_string()))?;
        let forks = |limited: bool| -> Result<Vec<Fact>> {
            let cgroup = place.create("limited")?;
            if limited {
                cgroup.limit("pids.max", 4)?;
            }
            forked_in(&cgroup, 6)
        };
        lab.claim(MAX).without(forks(false)?).with(forks(true)?).shows(|it| {
            it.inside("fork()").is_some_and(|answer| *answer == "EAGAIN")
                && it.inside("children, besides itself").is_some_and(|count| *count == 3)
        })?;
        lab.claim(BELOW).without(lowered(&place, false)?).with(lowered(&place, true)?).shows(|it| {
            it.outside("pids.current").is_some_and(|count| *count == 4)
                && it.inside("fork()").is_some_and(|answer| *answer == "EAGAIN")
        })?;
        lab.claim(MOVED_IN)
            .without(one_more(&place, false)?)
            .with(one_more(&place, cause(true, false))?)
            .shows(|it| *it == "OK" && it.outside("pids.current").is_some_and(|count| *count == 2))?;
    }
    if lab.can_ask(&[COUNTED_WHERE])? {
        let place = find(Want::ControllerV2("pids"))?;
        let counted = |limited_above: bool| -> Result<Vec<Fact>> {
            let pair = Pair::new(&place, "pids")?;
            if limited_above {
                pair.above.limit("pids.max", 4)?;
            } else {
                pair.below.limit("pids.max", 4)?;
            }
            let mut facts = forked_in(&pair.below, 6)?;
            for (name, cgroup) in [("above", &pair.above), ("below", &pair.below)] {
                let max = cgroup.flat_keyed("pids.events")?.get("max").copied().unwrap_or(0);
                facts.push(Fact::outside(format!("pids.events {name} counts it"), Value::from(max > 0)));
            }
            Ok(facts)
        };
        // Of a limit in the cgroup itself the cgroups above are told too, in the file that counts the whole subtree.
        lab.claim(COUNTED_WHERE).without(counted(false)?).with(counted(true)?).shows(|it| {
            it.outside("pids.events above counts it").is_some_and(|it| *it == "yes")
                && it.outside("pids.events below counts it").is_some_and(|it| *it == "no")
        })?;
    }
    Ok(())
}

/// A process in `cgroup` that forks until it has `wanted` children, or is refused one.
pub(crate) fn forked_in(cgroup: &Cgroup, wanted: usize) -> Result<Vec<Fact>> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
        me.pause()?;
        let mut children = Vec::new();
        let answer = have_children(&mut children, wanted)?;
        me.saw("fork()", answer)?;
        me.saw("children, besides itself", children.len())
    })?;
    cgroup.join(parent.pid())?;
    parent.release()?;
    Ok(parent.hear_all()?)
}

/// Four processes in a cgroup whose limit is then lowered to two.
fn lowered(place: &Place, lowers: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("limited")?;
    let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
        me.pause()?;
        let mut children = Vec::new();
        me.saw("three children", have_children(&mut children, 3)?)?;
        me.pause()?;
        me.saw("fork()", have_children(&mut children, 4)?)
    })?;
    // Not by join(): in both arms there are four members, and sabotage is to take the limit away.
    cgroup.write("cgroup.procs", &parent.pid().to_string())?;
    parent.release()?;
    parent.hear()?;
    if lowers {
        cgroup.limit("pids.max", 2)?;
    }
    let mut facts = vec![
        Fact::outside("pids.max", cgroup.read("pids.max")?),
        Fact::outside("pids.current", number(&cgroup, "pids.current")?),
    ];
    parent.release()?;
    facts.extend(parent.hear_all()?);
    Ok(facts)
}

/// A second process, by a fork or by a move, where one is allowed.
fn one_more(place: &Place, moves: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("limited")?;
    cgroup.limit("pids.max", 1)?;
    let mut first = Child::spawn("first", Namespaces::NONE, |me| {
        me.pause()?;
        let mut children = Vec::new();
        me.saw("fork()", have_children(&mut children, 1)?)?;
        me.stay()
    })?;
    cgroup.write("cgroup.procs", &first.pid().to_string())?;
    let second = Child::spawn("second", Namespaces::NONE, Witness::stay)?;
    let answer = if moves {
        let moved = cgroup.write("cgroup.procs", &second.pid().to_string());
        Fact::outside("echo PID > cgroup.procs", Outcome::of(moved)?)
    } else {
        first.release()?;
        first.hear()?
    };
    let max = Fact::outside("pids.max", cgroup.read("pids.max")?);
    Ok(vec![answer, max, Fact::outside("pids.current", number(&cgroup, "pids.current")?)])
}

/// A file that holds one number.
pub(crate) fn number(cgroup: &Cgroup, file: &str) -> Result<Value> {
    let text = cgroup.read(file)?;
    Ok(text.parse().map_or(Value::Text(text), Value::Number))
}
