//! The cgroup is no namespace: who enters all eight of a limited container is not limited.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step};
use ns_core::cgroup::{self, Cgroup, Place, Version, Want};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, Spawn, Value, child, namespace};

use crate::{of, pidfd_for_children};

const PIDS: Need = Need::Probe(|| Ok(Place::find(Want::Controller("pids"))?.err()));

pub(crate) const NOT_LIMITED: Claim = Claim::holds(
    "not-limited",
    "Who has entered all eight namespaces of a limited container is not limited, until its cgroup is joined too.",
)
.cause("echo PID > cgroup.procs")
.notes(&[29])
.more(&[125])
.needs(&[PIDS]);
pub(crate) const VIEW: Claim = Claim::holds(
    "view",
    "Entering a cgroup namespace changes what /proc/self/cgroup calls a cgroup, and not which one it is.",
)
.cause("setns(cgroup)")
.notes(&[22, 25])
.more(&[125])
.needs(&[PIDS]);

/// A container of one process, and room for two more.
const MOST: u32 = 3;
/// More than there is room for.
const TRIES: usize = 4;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[NOT_LIMITED, VIEW])? {
        return Ok(());
    }
    let place =
        Place::find(Want::Controller("pids"))?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
    lab.step(Step {
        goal: "Allow a container's cgroup three processes. Enter all of its namespaces, and have four children.",
        calls: &["write(\"…/pids.max\", \"3\")", "setns(pidfd, CLONE_NEWCGROUP|CLONE_NEWIPC|…)", "fork()"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O pids); cd ${v1:-$(findmnt -nfo TARGET -t cgroup2)}  # as root",
            "mkdir lab; echo 3 > lab/pids.max; echo $c > lab/cgroup.procs",
            "nsenter --all --preserve-credentials --target $c sh -c 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait; echo all four'",
            "sh -c 'echo $$ > lab/cgroup.procs; exec nsenter --all --preserve-credentials --target $0 sh -c \"sleep 1 & sleep 1\"' $c",
        ],
    })?;
    let cgroup = place.create("container")?;
    cgroup.write("pids.max", &MOST.to_string())?;
    // It makes its cgroup namespace once it is in the cgroup, which becomes the root of it.
    let mut container = Spawn::new("container")
        .namespaces_always(Namespaces::all().difference(Namespaces::CGROUP))
        .run(|me| {
            me.pause()?;
            namespace::unshare(Namespaces::CGROUP)?;
            me.saw("ready", "yes")?;
            me.stay()
        })?;
    cgroup.join(container.pid())?;
    container.release()?;
    container.hear()?;
    lab.saw(Fact::outside("members of the cgroup", cgroup.procs()?.len()))?;
    let pidfd = pidfd_for_children(&container)?;
    lab.claim(NOT_LIMITED)
        .without(have_children(&cgroup, pidfd.as_fd(), false)?)
        .with(have_children(&cgroup, pidfd.as_fd(), true)?)
        .shows(|answer| *answer == "EAGAIN")?;

    lab.step(Step {
        goal: "Enter the cgroup namespace alone, and read from inside and outside which cgroup the visitor is in.",
        calls: &["setns(cgroup, CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
        by_hand: &[
            "cat /proc/self/cgroup; nsenter -U --preserve-credentials --cgroup --target $c cat /proc/self/cgroup",
            "kill -KILL $c; sleep 1; rmdir lab",
        ],
    })?;
    let file = of(&container, Kind::Cgroup)?;
    let version = place.version();
    lab.claim(VIEW).without(read_cgroup(version, None)?).with(read_cgroup(version, Some(&file))?).shows(
        |it| {
            it.inside("its cgroup") != it.outside("its cgroup")
                && it.outside("its cgroup") == it.outside("our cgroup")
        },
    )?;
    Ok(())
}

/// A visitor to all of a container's namespaces has children. How many, and what ends the series?
fn have_children(cgroup: &Cgroup, container: BorrowedFd<'_>, joins: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        namespace::enter_all_of(container, Namespaces::all())?;
        me.pause()?;
        let mut children = Vec::new();
        let answer = child::have_children(&mut children, TRIES)?;
        me.saw("fork()", answer)?;
        me.saw("children", children.len())
    })?;
    if joins {
        cgroup.join(visitor.pid())?;
    }
    visitor.release()?;
    Ok(visitor.hear_all()?)
}

/// What a visitor's cgroup is called by itself and by us.
fn read_cgroup(version: Version, namespace: Option<&NsFile>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        if let Some(namespace) = namespace {
            namespace.enter(Some(Kind::Cgroup))?;
        }
        me.saw("its cgroup", cgroup_of(version, None)?)?;
        me.stay()
    })?;
    let inside = visitor.hear()?;
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
