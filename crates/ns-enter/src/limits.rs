//! The cgroup is no namespace: who enters all of a limited container is not limited.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Step, hand, inside, outside};
use ns_core::cgroup::{self, Cgroup, CgroupParent, CgroupRequest, Version};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, Value, child, namespace};

use crate::container::{of, of_all_kinds, pidfd_for_children};

const PIDS: Requirement = Requirement::CgroupParent(CgroupRequest::Controller("pids"));

const NOT_LIMITED: Claim = Claim::holds(
    "not-limited",
    "Who has entered all namespaces of a limited container is not limited, until its cgroup is joined too.",
)
.factor("echo PID > cgroup.procs")
.notes(&[29])
.more(&[125])
.requires(&[PIDS]);

/// A container of one process, and room for two more.
const MOST: u32 = 3;
/// More than there is room for.
const TRIES: usize = 4;

pub(crate) const ENTER_ALL: Step = Step {
    title: "Allow a container's cgroup three processes. Enter all of its namespaces, and have four children.",
    calls: &["write(\"…/pids.max\", \"3\")", "setns(pidfd, CLONE_NEWCGROUP|CLONE_NEWIPC|…)", "fork()"],
    by_hand: &[hand("unshare --uts --pid --fork --kill-child --mount-proc sleep 600 & sleep 1; c=$(pgrep --parent $!)").as_root().prints(""), hand("v1=$(findmnt -nfo TARGET -t cgroup -O pids); cd ${v1:-$(findmnt -nfo TARGET -t cgroup2)}").as_root().prints(""), hand("mkdir lab; echo 3 > lab/pids.max; echo $c > lab/cgroup.procs").as_root().prints("").needs(&[Need::Cgroup]), hand("nsenter --all --target $c sh -c 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait; echo all four'").as_root().prints("all four"), hand("sh -c 'echo $$ > lab/cgroup.procs; exec nsenter --all --target $0 sh -c \"sleep 1 & sleep 1\"' $c").as_root().prints("…: Cannot fork"), hand("kill -KILL $!; sleep 2; rmdir lab").as_root().prints(""), ],
    claims: &[NOT_LIMITED],
    run: |lab| {
        let limited = limited_container()?;
        let cgroup = &limited.cgroup;
        lab.saw(Fact::outside("members of the cgroup", cgroup.procs()?.len()))?;
        let pidfd = pidfd_for_children(&limited.container)?;
        lab.compare(NOT_LIMITED, false, true, |joins| have_children(cgroup, pidfd.as_fd(), joins))?
            .shows(inside("fork()").is("EAGAIN"))
    },
};

const VIEW: Claim = Claim::holds(
    "view",
    "Entering a cgroup namespace changes what /proc/self/cgroup calls a cgroup, and not which one it is.",
)
.factor("setns(cgroup)")
.notes(&[22, 25])
.more(&[125])
.requires(&[PIDS]);

pub(crate) const ENTER_CGROUP: Step = Step {
    title: "Enter the cgroup namespace alone, and read from inside and outside which cgroup the visitor is in.",
    calls: &["setns(cgroup, CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("tail -n 1 /proc/self/cgroup; nsenter -U --preserve-credentials --cgroup --target $c tail -n 1 /proc/self/cgroup").prints("0::/…\n0::/…").in_the_same_shell(), hand("kill -KILL $c").prints(""), ],
    claims: &[VIEW],
    run: |lab| {
        let limited = limited_container()?;
        let file = of(&limited.container, Kind::Cgroup)?;
        lab.compare(VIEW, None, Some(&file), |entered| read_cgroup(limited.cgroup.version(), entered))?.shows(
            inside("its cgroup").differs_from(outside("its cgroup"))
                & outside("its cgroup").same_as(outside("our cgroup")),
        )
    },
};

/// A container of which the processes are limited. It ends before its cgroup is removed.
struct Limited {
    container: Child,
    cgroup: Cgroup,
}

fn limited_container() -> Result<Limited> {
    cgroup::sweep()?;
    let parent = CgroupParent::require(CgroupRequest::Controller("pids"))?;
    let cgroup = parent.create("container")?;
    cgroup.write("pids.max", &MOST.to_string())?;
    // It makes its cgroup namespace once it is in the cgroup, which becomes the root of it.
    let mut container = Child::spawn("container", of_all_kinds().difference(Namespaces::CGROUP), |me| {
        me.checkpoint()?;
        namespace::unshare(Namespaces::CGROUP)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    cgroup.join(container.pid())?;
    container.wake()?;
    container.fact()?;
    Ok(Limited { container, cgroup })
}

/// A visitor to all of a container's namespaces has children. How many, and what ends the series?
fn have_children(cgroup: &Cgroup, container: BorrowedFd<'_>, joins: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        namespace::enter_all_of(container, of_all_kinds())?;
        me.report("entered", "all")?;
        me.checkpoint()?;
        let mut children = Vec::new();
        let answer = child::have_children(&mut children, TRIES)?;
        me.report("fork()", answer)?;
        me.report("children", children.len())
    })?;
    visitor.fact()?; // it is in
    if joins {
        cgroup.join(visitor.pid())?;
    }
    visitor.wake()?;
    Ok(visitor.facts()?)
}

/// What a visitor's cgroup is called by itself and by us.
fn read_cgroup(version: Version, namespace: Option<&NsFile>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        if let Some(namespace) = namespace {
            namespace.enter(Some(Kind::Cgroup))?;
        }
        me.report("its cgroup", cgroup_of(version, None)?)?;
        me.stay()
    })?;
    let inside = visitor.fact()?;
    let outside = cgroup_of(version, Some(visitor.pid()))?;
    Ok(vec![
        inside,
        Fact::outside("its cgroup", outside),
        Fact::outside("our cgroup", cgroup_of(version, None)?),
    ])
}

/// What `process`, or the caller, reads of its cgroup in the hierarchy that has the controller.
fn cgroup_of(version: Version, process: Option<Pid>) -> ns_core::Result<Value> {
    let hierarchy = match version {
        Version::V1 => "pids",
        Version::V2 => "",
    };
    Ok(Value::Name(cgroup::path_of(process, hierarchy)?.unwrap_or_default()))
}
