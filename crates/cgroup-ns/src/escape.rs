//! Whether a process can move out of its namespace, and past a limit: without `nsdelegate`, and with it.
//!
//! The limit is `pids.max`: both versions have it, and its effect shows at once.

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, right, wrong};
use ns_core::cgroup::{CgroupParent, CgroupRequest, Nsdelegate, Version, nsdelegate};
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Fact, Namespaces, Outcome, Reporter};

use crate::cgroups::{Tree, into_cgroup, path_of, shown};
use crate::requirements::{A_PARENT, ROOT};

/// A limit of processes.
const PIDS: Requirement = Requirement::CgroupParent(CgroupRequest::Controller("pids"));
const ROOM: Requirement = Requirement::Probe(probe::processes);
/// A hierarchy in which the root of a namespace is no boundary.
const NO_BOUNDARY: Requirement = Requirement::Probe(without_boundary);
/// A hierarchy in which it is one.
const A_BOUNDARY: Requirement = Requirement::Probe(with_boundary);

const PREVENTS: Claim = Claim::refuted(
    "prevents",
    "A cgroup namespace prevents its members from escaping the limits of ancestor cgroups.",
    "escapes",
)
.factor("CLONE_NEWCGROUP")
.notes(&[28])
.requires(&[PIDS, ROOM, NO_BOUNDARY]);
const ESCAPES: Claim = Claim::holds(
    "escapes",
    "Without nsdelegate, a process with write access to cgroup.procs outside the root can move there, past the limit.",
)
.factor("a write outside the root")
.arms("no move", "move out")
.notes(&[28])
.requires(&[PIDS, ROOM, NO_BOUNDARY]);

pub(crate) const BREAK_OUT: Step = Step {
    title: "Limit the root of a namespace to one process. Let the process move itself to a sibling cgroup, and fork.",
    calls: &["unshare(CLONE_NEWCGROUP)", "write(\"…/sibling/cgroup.procs\", \"0\")", "fork()"],
    by_hand: &[hand("findmnt -nro OPTIONS -t cgroup2  # is nsdelegate among them?").as_root().prints("rw,…").in_the_same_shell(), hand("unshare --cgroup sh -c '/bin/echo $$ > $1/sibling/cgroup.procs; grep ^0:: /proc/self/cgroup' sh $new  # ENOENT with it").as_root().prints("…\n0::/…"), hand("sleep 1; echo $$ > $own/cgroup.procs; rmdir $new/inner $new/sibling $new").as_root().prints(""), ],
    claims: &[PREVENTS, ESCAPES],
    run: |lab| {
        let parent = CgroupParent::require(CgroupRequest::Controller("pids"))?;
        let _cleared = set_boundary(parent.version(), false)?;
        lab.saw(Fact::outside("cgroup version", parent.version().to_string()))?;
        lab.compare(PREVENTS, Namespaces::NONE, Namespaces::CGROUP, |namespaces| {
            break_out(&parent, namespaces, true)
        })?
        .shows(inside(FORK_AFTER).is("EAGAIN"))?;
        lab.compare(ESCAPES, false, true, |tries| break_out(&parent, Namespaces::CGROUP, tries))?
            .shows(inside(PATH).is("/../sibling") & inside(FORK_AFTER).from("EAGAIN").to("OK"))
    },
};

const BOUNDARY: Claim = Claim::holds(
    "boundary",
    "With nsdelegate, a process cannot move itself to a sibling of its namespace's root: write() fails with ENOENT.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[28])
.requires(&[A_PARENT, A_BOUNDARY])
.core(&[Row::first("move out")])
.asks(
    "cgroup2 is mounted with nsdelegate. A process moves itself to a sibling of its namespace's root. What happens?",
    &[
        right("ENOENT"),
        wrong("it is moved", "without nsdelegate it is moved"),
        wrong("EACCES", "a missing permission gives EACCES or EPERM, and the file is visible"),
        wrong("it is moved, and so is its namespace's root", "the root seems to follow the process"),
    ],
);
const OWN_LIMITS: Claim = Claim::holds(
    "own-limits",
    "With nsdelegate, writing to cgroup.max.descendants of the root from inside fails with EPERM.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[28])
.requires(&[A_PARENT, A_BOUNDARY]);
const BELOW: Claim = Claim::holds(
    "below",
    "With nsdelegate, a member can still create a cgroup below the root, and write its cgroup.max.descendants.",
)
.factor("a cgroup below the root")
.arms("the root", "below the root")
.notes(&[28])
.requires(&[A_PARENT, A_BOUNDARY]);

pub(crate) const STAND_AT_THE_BOUNDARY: Step = Step {
    title: "With nsdelegate, try the move again. Write to a limit of the root, and to one of a cgroup below.",
    calls: &["write(\"…/sibling/cgroup.procs\", \"0\")", "write(\"…/home/cgroup.max.descendants\", \"9\")"],
    by_hand: &[hand("mkdir $new; echo $$ > $new/cgroup.procs; unshare --cgroup sh -c '/bin/echo 9 > $1/cgroup.max.descendants' sh $new  # EPERM with nsdelegate").as_root().prints("…").in_the_same_shell(), hand("unshare --cgroup sh -c 'mkdir $1/x; echo 9 > $1/x/cgroup.max.descendants; rmdir $1/x' sh $new").as_root().prints(""), hand("echo $$ > $own/cgroup.procs; rmdir $new").as_root().prints(""), ],
    claims: &[BOUNDARY, OWN_LIMITS, BELOW],
    run: |lab| {
        let (none, own) = (Namespaces::NONE, Namespaces::CGROUP);
        let _set = set_boundary(Version::V2, true)?;
        lab.compare(BOUNDARY, none, own, |namespaces| write(namespaces, Target::Sibling))?
            .shows(inside(Target::Sibling.typed()).is("ENOENT"))?;
        lab.compare(OWN_LIMITS, none, own, |namespaces| write(namespaces, Target::Root))?
            .shows(inside(Target::Root.typed()).is("EPERM"))?;
        lab.compare(BELOW, Target::Root, Target::Below, |target| write(own, target))?
            .shows(first().from("EPERM").to("OK"))
    },
};

const OPTION: Claim = Claim::holds(
    "option",
    "The mount option nsdelegate makes the root of a namespace a boundary: a move out fails with ENOENT.",
)
.factor("nsdelegate")
.arms("no nsdelegate", "nsdelegate")
.notes(&[28])
.requires(&[A_PARENT, ROOT, Requirement::ThrowAway]);

pub(crate) const SET_THE_OPTION: Step = Step {
    title: "Remount version 2 without nsdelegate, and with it. Try to move out each time.",
    calls: &["mount(MS_REMOUNT, \"nsdelegate\")", "write(\"…/sibling/cgroup.procs\", \"0\")"],
    by_hand: &[],
    claims: &[OPTION],
    run: |lab| {
        lab.compare(OPTION, false, true, |option| {
            let _set = Nsdelegate::set(option)?;
            write(Namespaces::CGROUP, Target::Sibling)
        })?
        .shows(inside(Target::Sibling.typed()).is("ENOENT"))
    },
};

const FORK_BEFORE: &str = "fork(), limited to one process";
const FORK_AFTER: &str = "fork() afterwards";
const PATH: &str = "/proc/self/cgroup";

/// A process in a cgroup that allows one process: whether it can fork there, and after it has tried to move out.
fn break_out(parent: &CgroupParent, namespaces: Namespaces, tries: bool) -> Result<Vec<Fact>> {
    let Tree { home, sibling, top } = &Tree::new(parent)?;
    let controllers =
        if parent.version() == Version::V1 { home.controllers()?.join(",") } else { String::new() };
    if top.version() == Version::V2 {
        top.enable("pids")?;
    }
    home.limit("pids.max", 1)?;
    let mut member = into_cgroup(home, "member", namespaces, |me| {
        me.report(FORK_BEFORE, fork()?)?;
        if tries {
            // 0 stands for the writer. The older mount has a path for every cgroup.
            me.report(Target::Sibling.typed(), Outcome::of(sibling.write("cgroup.procs", "0"))?)?;
        }
        me.report(FORK_AFTER, fork()?)?;
        me.report(PATH, shown(&path_of(None, &controllers)?))
    })?;
    Ok(member.facts()?)
}

fn fork() -> ns_core::Result<Outcome> {
    Outcome::of(Child::spawn("child", Namespaces::NONE, Reporter::stay))
}

/// The file that a member of a namespace writes to.
#[derive(Clone, Copy)]
enum Target {
    /// cgroup.procs of a sibling of the root.
    Sibling,
    /// A limit of the root itself.
    Root,
    /// A limit of a cgroup below the root.
    Below,
}

impl Target {
    fn typed(self) -> &'static str {
        match self {
            Target::Sibling => "echo 0 > …-top/sibling/cgroup.procs",
            Target::Root => "echo 9 > …-top/home/cgroup.max.descendants",
            Target::Below => "echo 9 > …-top/home/below/cgroup.max.descendants",
        }
    }
}

/// What the kernel answers to a write. The writer has created new `namespaces` in its cgroup.
fn write(namespaces: Namespaces, target: Target) -> Result<Fact> {
    let Tree { home, sibling, .. } = &Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let mut member = into_cgroup(home, "member", namespaces, |me| {
        let written = match target {
            Target::Sibling => sibling.write("cgroup.procs", "0"),
            Target::Root => home.write("cgroup.max.descendants", "9"),
            Target::Below => home.child(&"below".parse()?)?.write("cgroup.max.descendants", "9"),
        };
        me.report(target.typed(), Outcome::of(written)?)
    })?;
    Ok(member.fact()?)
}

/// Sets or clears the boundary, unless it is already so. Version 1 has none.
fn set_boundary(version: Version, on: bool) -> Result<Option<Nsdelegate>> {
    if version == Version::V1 || nsdelegate()? == on { Ok(None) } else { Ok(Some(Nsdelegate::set(on)?)) }
}

fn without_boundary() -> ns_core::Result<Option<Unmet>> {
    let version = CgroupParent::find(CgroupRequest::Controller("pids"))?.ok().map(|parent| parent.version());
    if version != Some(Version::V2) || !nsdelegate()? { Ok(None) } else { may_remount() }
}

fn with_boundary() -> ns_core::Result<Option<Unmet>> {
    if nsdelegate()? {
        return Ok(None);
    }
    Ok(may_remount()?.map(|_| {
        Unmet::new("nsdelegate among the mount options of cgroup2", "boot with systemd, which sets it")
    }))
}

/// The option applies to the whole machine.
fn may_remount() -> ns_core::Result<Option<Unmet>> {
    Ok(match probe::throw_away()? {
        None => ROOT.unmet()?,
        unmet => unmet,
    })
}
