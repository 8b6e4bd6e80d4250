//! cpuset.cpus.partition: CPUs that leave the rest of the machine, to a cgroup that has them alone.

use std::fs;

use anyhow::{Context, Result};
use lesson::{Claim, Requirement, Step, hand, inside, outside};
use ns_core::cgroup::CgroupParent;
use ns_core::cgroup::CgroupRequest::ControllerV2;
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Fact, Namespaces};

use crate::cgroups::create;
use crate::cpu::{TWO_CPUS, allowed};
use crate::requirements::CPUSET_V2;

const FILE: &str = "cpuset.cpus.partition";

const PARTITION: Claim = Claim::holds(
    "cpuset-partition",
    "A partition takes its CPUs from everyone else: a process in a sibling cgroup may not run on them any more.",
)
.factor("cpuset.cpus.partition")
.notes(&[41])
.more(&[117])
.requires(&[Requirement::ThrowAway, CPUSET_V2, TWO_CPUS, Requirement::Probe(below_a_partition)]);

pub(crate) const TAKE_A_CPU: Step = Step {
    title: "cpuset: give a cgroup a CPU, and then make it a partition. Where may a process beside it run?",
    calls: &[
        "write(\"…/cpuset.cpus\", \"1\")",
        "write(\"…/cpuset.cpus.partition\", \"root\")",
        "sched_getaffinity()",
    ],
    by_hand: &[hand("top=/sys/fs/cgroup/new; mkdir $top; echo 1 > $top/cpuset.cpus; taskset -cp $$").as_root().prints("pid …'s current affinity list: 0,1…").in_the_same_shell(), hand("echo root > $top/cpuset.cpus.partition; cat $top/cpuset.cpus.partition; taskset -cp $$; rmdir $top").as_root().prints("root\npid …'s current affinity list: 0…"), ],
    claims: &[PARTITION],
    run: |lab| {
        lab.compare(PARTITION, false, true, look_beside)?
            .shows(outside(FILE).is("root") & inside(MAY_RUN).from("yes").to("no"))
    },
};

const MAY_RUN: &str = "may run on the other's CPU";

/// Whether a process may run on the CPU of a cgroup beside its own, which is a partition, or not.
fn look_beside(partition: bool) -> Result<Vec<Fact>> {
    let [taker, beside] =
        [create(ControllerV2("cpuset"), "taker")?, create(ControllerV2("cpuset"), "beside")?];
    let cpu = *allowed()?.last().context("a CPU")?;
    taker.limit("cpuset.cpus", cpu)?;
    if partition {
        taker.write(FILE, "root")?;
    }
    let mut child = Child::spawn("beside", Namespaces::NONE, |me| {
        me.checkpoint()?;
        me.report(MAY_RUN, allowed()?.contains(&cpu))
    })?;
    beside.join(child.pid())?;
    child.wake()?;
    // Where the kernel made it none, it says why there.
    Ok(vec![Fact::outside(FILE, taker.read(FILE)?), child.fact()?])
}

/// Only a partition can be divided; the root of the hierarchy is one.
fn below_a_partition() -> ns_core::Result<Option<Unmet>> {
    if let Some(unmet) = probe::throw_away()? {
        return Ok(Some(unmet));
    }
    let parent = match CgroupParent::find(ControllerV2("cpuset"))? {
        Ok(parent) => parent,
        Err(unmet) => return Ok(Some(unmet)),
    };
    // The root of the hierarchy has no such file.
    let reads = fs::read_to_string(parent.directory().join(FILE)).unwrap_or("root".into());
    let what = format!("a cgroup that is a partition: {FILE} of ours reads {:?}", reads.trim());
    let remedy = "run as root, in a cgroup below the root of the hierarchy";
    Ok((!matches!(reads.trim(), "root" | "isolated")).then(|| Unmet::new(what, remedy)))
}
