//! The cgroup is not a namespace: a process that enters all namespaces of a limited container is not limited.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Step, hand, inside, outside};
use ns_core::cgroup::{self, Cgroup, CgroupParent, CgroupRequest, Version};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, Value, child, namespace};

use crate::container::{of, of_all_kinds, pidfd_for_children};

const PIDS: Requirement = Requirement::CgroupParent(CgroupRequest::Controller("pids"));

const NOT_LIMITED: Claim = Claim::holds(
    "not-limited",
    "A container's pids.max limits a process in all its namespaces only after the process joins its cgroup.",
)
.factor("echo PID > cgroup.procs")
.notes(&[29])
.more(&[125])
.requires(&[PIDS]);

/// The limit: a container of one process, and room for two more.
const MOST: u32 = 3;
/// The number of fork() calls: more than there is room for.
const TRIES: usize = 4;

pub(crate) const ENTER_ALL: Step = Step {
    title: "Limit a container's cgroup to three processes. Enter all of its namespaces, and call fork() four times.",
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
    "setns(cgroup) changes the path in /proc/self/cgroup, and not the cgroup that the caller is in.",
)
.factor("setns(cgroup)")
.notes(&[22, 25])
.more(&[125])
.requires(&[PIDS]);

pub(crate) const ENTER_CGROUP: Step = Step {
    title: "Enter only the cgroup namespace, and read the visitor's cgroup from inside and from outside.",
    calls: &["setns(cgroup, CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("tail -n 1 /proc/self/cgroup; nsenter -U --preserve-credentials --cgroup --target $c tail -n 1 /proc/self/cgroup").prints("0::/…\n0::/…").in_the_same_shell(), hand("kill -KILL $c").prints(""), ],
    claims: &[VIEW],
    run: |lab| {
        let limited = limited_container()?;
        let file = of(&limited.container, Kind::Cgroup)?;
        lab.compare(VIEW, None, Some(&file), |entered| read_cgroup(limited.cgroup.version(), entered))?
            .in_both_arms(outside("its cgroup").same_as(outside("the parent's cgroup")))
            .shows(inside("its cgroup").differs_from(outside("its cgroup")))
    },
};

/// A container with a pids limit. It ends before its cgroup is removed.
struct Limited {
    container: Child,
    cgroup: Cgroup,
}

fn limited_container() -> Result<Limited> {
    cgroup::sweep()?;
    let parent = CgroupParent::require(CgroupRequest::Controller("pids"))?;
    let cgroup = parent.create("container")?;
    cgroup.write("pids.max", &MOST.to_string())?;
    // It creates its cgroup namespace after it has joined the cgroup, which becomes the root of that namespace.
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

/// A visitor to all of a container's namespaces calls fork(): the number of children, and the last outcome.
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
    visitor.fact()?; // it has entered
    if joins {
        cgroup.join(visitor.pid())?;
    }
    visitor.wake()?;
    Ok(visitor.facts()?)
}

/// The path of a visitor's cgroup, as the visitor and its parent read it.
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
        Fact::outside("the parent's cgroup", cgroup_of(version, None)?),
    ])
}

/// The path of the cgroup of `process`, or of the caller, in the hierarchy that has the controller.
fn cgroup_of(version: Version, process: Option<Pid>) -> ns_core::Result<Value> {
    let hierarchy = match version {
        Version::V1 => "pids",
        Version::V2 => "",
    };
    Ok(Value::Name(cgroup::path_of(process, hierarchy)?.unwrap_or_default()))
}
