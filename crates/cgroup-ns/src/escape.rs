//! Whether a process gets out, and past a limit: what the namespace keeps in by itself, and what `nsdelegate` adds.
//!
//! The limit is `pids.max`, which is called so on both versions, and whether it binds shows at once.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use ns_core::cgroup::{Nsdelegate, Place, Version, Want, nsdelegate};
use ns_core::probe::{self, Missing};
use ns_core::{Child, Fact, Namespaces, Outcome, Witness};

use crate::paths::{Family, born_in, path_of, shown};
use crate::{A_PLACE, ROOT, find, missing};

/// A limit of processes.
const PIDS: Need = Need::Probe(|| missing(Want::Controller("pids")));
/// A hierarchy where the root of a namespace is no boundary.
const NO_BOUNDARY: Need = Need::Probe(without_boundary);
/// One where it is.
const A_BOUNDARY: Need = Need::Probe(with_boundary);

pub(crate) const PREVENTS: Claim = Claim::refuted(
    "prevents",
    "A cgroup namespace prevents its members from escaping the limits of the cgroups above.",
    "escapes",
)
.cause("CLONE_NEWCGROUP")
.notes(&[28])
.needs(&[PIDS, NO_BOUNDARY])
.misconceptions(&[(lesson::YES, "the manual page names it among the uses; and systemd mounts with nsdelegate, so whoever tries it there is held")]);
pub(crate) const ESCAPES: Claim = Claim::holds(
    "escapes",
    "Without nsdelegate a process that may write to cgroup.procs outside the root moves there, past the limits.",
)
.cause("a write outside the root")
.notes(&[28])
.needs(&[PIDS, NO_BOUNDARY]);
pub(crate) const BOUNDARY: Claim = Claim::holds(
    "boundary",
    "With nsdelegate no process leaves the root of its namespace: the cgroup.procs of all others answer ENOENT.",
)
.cause("CLONE_NEWCGROUP")
.notes(&[28])
.needs(&[A_PLACE, A_BOUNDARY]);
pub(crate) const OWN_LIMITS: Claim = Claim::holds(
    "own-limits",
    "With nsdelegate the limits of the root cannot be written from inside, though its files are there: EPERM.",
)
.cause("CLONE_NEWCGROUP")
.notes(&[28])
.needs(&[A_PLACE, A_BOUNDARY]);
pub(crate) const BELOW: Claim = Claim::holds(
    "below",
    "Below the root a namespace makes cgroups and sets limits of its own, with nsdelegate too.",
)
.cause("a cgroup below the root")
.notes(&[28])
.needs(&[A_PLACE, A_BOUNDARY]);
pub(crate) const OPTION: Claim = Claim::holds(
    "option",
    "It is the mount option nsdelegate, of the whole machine, that makes the root of a namespace a boundary.",
)
.cause("nsdelegate")
.notes(&[28])
.needs(&[A_PLACE, ROOT, Need::ThrowAway]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Limit the root of a namespace to one process. Let that one move itself to the cgroup beside, and fork.",
        calls: &["unshare(CLONE_NEWCGROUP)", "write(\"…/sibling/cgroup.procs\", \"0\")", "fork()"],
        by_hand: &[
            "findmnt -nro OPTIONS -t cgroup2  # is nsdelegate among them?",
            "unshare --cgroup sh -c '/bin/echo $$ > $1/sibling/cgroup.procs; grep ^0:: /proc/self/cgroup' sh $new",
            "kill %1 %2; wait; echo $$ > $own/cgroup.procs; rmdir $new/inner $new/sibling $new",
        ],
    })?;
    if lab.can_ask(&[PREVENTS, ESCAPES])? {
        let place = find(Want::Controller("pids"))?;
        let _cleared = set_boundary(place.version(), false)?;
        lab.saw(Fact::outside("the version of the cgroup", place.version().to_string()))?;
        let plain = break_out(&place, Namespaces::NONE, true)?;
        let inside = break_out(&place, Namespaces::CGROUP, true)?;
        let stays = break_out(&place, Namespaces::CGROUP, false)?;
        lab.claim(PREVENTS)
            .without(plain)
            .with(inside.clone())
            .shows(|it| it.inside(FORK_AFTER).is_some_and(|answer| *answer == "EAGAIN"))?;
        lab.claim(ESCAPES).without(stays.clone()).with(cause(inside, stays)).shows(|it| {
            it.inside(PATH).is_some_and(|path| *path == "/../sibling")
                && it.inside(FORK_AFTER).is_some_and(|answer| *answer == "OK")
        })?;
    }
    if lab.can_ask(&[BOUNDARY, OWN_LIMITS, BELOW])? {
        let place = find(Want::AnyV2)?;
        let _set = set_boundary(Version::V2, true)?;
        lab.step(Step {
            goal: "Try the same where nsdelegate is set, and to write the limits of the root and of a cgroup below.",
            calls: &["write(\"…/sibling/cgroup.procs\", \"0\")", "write(\"…/home/cgroup.max.descendants\", \"9\")"],
            by_hand: &[
                "mkdir $new; echo $$ > $new/cgroup.procs; unshare --cgroup sh -c '/bin/echo 9 > $1/cgroup.max.descendants' sh $new",
                "unshare --cgroup sh -c 'mkdir $1/x; echo 9 > $1/x/cgroup.max.descendants; rmdir $1/x' sh $new",
                "echo $$ > $own/cgroup.procs; rmdir $new",
            ],
        })?;
        let plain = at_the_boundary(&place, Namespaces::NONE)?;
        let inside = at_the_boundary(&place, Namespaces::CGROUP)?;
        lab.claim(BOUNDARY)
            .without(of(&plain, LEAVE))
            .with(of(&inside, LEAVE))
            .shows(|answer| *answer == "ENOENT")?;
        lab.claim(OWN_LIMITS)
            .without(of(&plain, LIMIT))
            .with(of(&inside, LIMIT))
            .shows(|answer| *answer == "EPERM")?;
        lab.claim(BELOW)
            .without(of(&inside, LIMIT))
            .with(of(&inside, cause(LIMIT_BELOW, LIMIT)))
            .shows(|answer| *answer == "OK")?;
    }
    if lab.can_ask(&[OPTION])? {
        let place = find(Want::AnyV2)?;
        lab.step(Step {
            goal: "Mount version 2 without nsdelegate, and with it, and try to leave.",
            calls: &["mount(MS_REMOUNT, \"nsdelegate\")", "write(\"…/sibling/cgroup.procs\", \"0\")"],
            by_hand: &["mount -o remount,nsdelegate $v2  # for the whole machine"],
        })?;
        let leave = |option: bool| -> Result<Observation> {
            let _set = Nsdelegate::set(option)?;
            Ok(of(&at_the_boundary(&place, Namespaces::CGROUP)?, LEAVE))
        };
        lab.claim(OPTION)
            .without(leave(false)?)
            .with(leave(cause(true, false))?)
            .shows(|answer| *answer == "ENOENT")?;
    }
    Ok(())
}

const FORK_BEFORE: &str = "fork(), limited to one process";
const WRITE: &str = "echo 0 > …-top/sibling/cgroup.procs";
const FORK_AFTER: &str = "fork() then";
const PATH: &str = "/proc/self/cgroup";

/// A process in a cgroup of which it is the only one allowed; what it can do there, and after it has tried to leave.
fn break_out(place: &Place, namespaces: Namespaces, tries: bool) -> Result<Vec<Fact>> {
    let Family { home, sibling, top } = &Family::new(place)?;
    let controllers =
        if place.version() == Version::V1 { home.controllers()?.join(",") } else { String::new() };
    if top.version() == Version::V2 {
        top.enable("pids")?;
    }
    home.write("pids.max", "1")?;
    let mut prisoner = born_in(home, "prisoner", namespaces, move |me| {
        me.saw(FORK_BEFORE, fork()?)?;
        if tries {
            // 0 stands for the writer. The mount from before has a name for every cgroup.
            me.saw(WRITE, Outcome::of(sibling.write("cgroup.procs", "0"))?)?;
        }
        me.saw(FORK_AFTER, fork()?)?;
        me.saw(PATH, shown(&path_of(None, &controllers)?))
    })?;
    Ok(prisoner.hear_all()?)
}

fn fork() -> ns_core::Result<Outcome> {
    Outcome::of(Child::spawn("child", Namespaces::NONE, Witness::stay))
}

const LEAVE: &str = "echo 0 > …-top/sibling/cgroup.procs";
const LIMIT: &str = "echo 9 > …-top/home/cgroup.max.descendants";
const LIMIT_BELOW: &str = "echo 9 > …-top/home/below/cgroup.max.descendants";

/// What a process may write from inside: beside, at and below the root of its namespace.
fn at_the_boundary(place: &Place, namespaces: Namespaces) -> Result<Vec<Fact>> {
    let Family { home, sibling, .. } = &Family::new(place)?;
    let mut member = born_in(home, "member", namespaces, move |me| {
        let below = home.child(&"below".parse()?)?;
        me.saw(LIMIT_BELOW, Outcome::of(below.write("cgroup.max.descendants", "9"))?)?;
        me.saw(LIMIT, Outcome::of(home.write("cgroup.max.descendants", "9"))?)?;
        me.saw(LEAVE, Outcome::of(sibling.write("cgroup.procs", "0"))?)
    })?;
    Ok(member.hear_all()?)
}

fn of(facts: &[Fact], what: &str) -> Observation {
    facts.iter().filter(|fact| fact.what == what).cloned().collect::<Vec<_>>().into()
}

/// Sets or clears the boundary where it is not as wanted already. Version 1 has none.
fn set_boundary(version: Version, on: bool) -> Result<Option<Nsdelegate>> {
    if version == Version::V1 || nsdelegate()? == on { Ok(None) } else { Ok(Some(Nsdelegate::set(on)?)) }
}

fn without_boundary() -> ns_core::Result<Option<Missing>> {
    let version = Place::find(Want::Controller("pids"))?.ok().map(|place| place.version());
    if version != Some(Version::V2) || !nsdelegate()? { Ok(None) } else { may_remount() }
}

fn with_boundary() -> ns_core::Result<Option<Missing>> {
    if nsdelegate()? {
        return Ok(None);
    }
    Ok(may_remount()?.map(|_| {
        Missing::new("nsdelegate among the mount options of cgroup2", "boot with systemd, which mounts it so")
    }))
}

/// The option is one of the whole machine.
fn may_remount() -> ns_core::Result<Option<Missing>> {
    Ok(match probe::throw_away()? {
        None => ROOT.missing()?,
        missing => missing,
    })
}
