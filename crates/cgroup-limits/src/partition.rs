//! cpuset.cpus.partition: CPUs that belong to one cgroup, and that no other cgroup may use.

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
    "A cpuset partition has its CPU alone: a process in a sibling cgroup may no longer run on it.",
)
.factor("cpuset.cpus.partition")
.arms("no partition", "partition")
.notes(&[41])
.more(&[117])
.requires(&[Requirement::ThrowAway, CPUSET_V2, TWO_CPUS, Requirement::Probe(below_a_partition)]);

pub(crate) const TAKE_A_CPU: Step = Step {
    title: "cpuset: give a cgroup a CPU, then make it a partition. See where a process in a sibling may run.",
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

const MAY_RUN: &str = "may run on that CPU";

/// Whether a process may run on the CPU of a sibling cgroup, which is a partition if `partition`.
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
    // Where the kernel makes no partition of it, the file says why.
    Ok(vec![Fact::outside(FILE, taker.read(FILE)?), child.fact()?])
}

/// Only a child of a partition can become one. The root of the hierarchy is a partition.
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
    let what = format!("a parent cgroup that is a partition: its {FILE} reads {:?}", reads.trim());
    let remedy = "run as root, in a cgroup below the root of the hierarchy";
    Ok((!matches!(reads.trim(), "root" | "isolated")).then(|| Unmet::new(what, remedy)))
}
