//! What a limit is: a number in a file, which applies to the members and to no other process.
//!
//! The example is `pids.max`: both versions have it, and its effect shows at once.

use anyhow::Result;
use lesson::{Claim, Requirement, Step, first, hand, inside, outside};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::probe;
use ns_core::{Child, Fact, Namespaces, Outcome, Value, child};

const REQUEST: CgroupRequest<'_> = CgroupRequest::Controller("pids");
const PIDS: Requirement = Requirement::CgroupParent(REQUEST);
const ROOM: Requirement = Requirement::Probe(probe::processes);

const IN_A_FILE: Claim =
    Claim::holds("in-a-file", "A write to pids.max sets the limit, and a read returns it.")
        .factor("echo 5 > pids.max")
        .arms("not written", "5 written")
        .notes(&[36])
        .requires(&[PIDS]);
const NONSENSE: Claim =
    Claim::holds("nonsense", "Writing 10% to pids.max fails with EINVAL, and the old limit stays.")
        .factor("an invalid value")
        .arms("5", "10%")
        .notes(&[36])
        .requires(&[PIDS]);

pub(crate) const SET: Step = Step {
    title: "Write a limit to pids.max, read it back, and write invalid values.",
    calls: &["write(\"…/pids.max\", \"5\")", "read(\"…/pids.max\")"],
    by_hand: &[hand(
        "mkdir new; cat new/pids.max; echo 5 > new/pids.max; cat new/pids.max; echo -1 > new/pids.max",
    )
    .as_root()
    .prints("max\n5\nEINVAL")
    .in_the_same_shell()],
    claims: &[IN_A_FILE, NONSENSE],
    run: |lab| {
        let parent = CgroupParent::require(REQUEST)?;
        lab.saw(Fact::outside("cgroup version", parent.version().to_string()))?;
        lab.compare(IN_A_FILE, None, Some(5), |limit| {
            let cgroup = limited(limit)?;
            Ok(Fact::outside("cat pids.max", cgroup.read("pids.max")?))
        })?
        .shows(outside("cat pids.max").is("5"))?;
        lab.compare(NONSENSE, "5", "10%", |text| {
            let cgroup = limited(Some(5))?;
            let answer = Outcome::of(cgroup.write("pids.max", text))?;
            Ok([
                Fact::outside(format!("echo {text} > pids.max"), answer),
                Fact::outside("cat pids.max", cgroup.read("pids.max")?),
            ])
        })?
        .in_both_arms(outside("cat pids.max").is("5"))
        .shows(first().is("EINVAL"))?;
        let cgroup = limited(Some(5))?;
        let mut rows = Vec::new();
        for text in ["0", "5", "max", "-1", "10%", "many", "5 5", "4194305"] {
            rows.push(vec![Value::from(text), Outcome::of(cgroup.write("pids.max", text))?.into()]);
        }
        lab.table("What the kernel answers to a write to pids.max", &["written", "answer"], rows)
    },
};

const BINDS: Claim = Claim::holds(
    "binds",
    "A limit applies to members alone: past pids.max, fork() of a member fails with EAGAIN.",
)
.factor("membership")
.arms("outside", "inside")
.notes(&[29])
.requires(&[PIDS, ROOM]);

pub(crate) const EXCEED: Step = Step {
    title: "Limit a cgroup to 3 processes. Let a process outside, and then one inside, fork 4 times.",
    calls: &["write(\"…/pids.max\", \"3\")", "fork()"],
    by_hand: &[
        hand("echo 3 > new/pids.max; sh -c 'echo $$ > new/cgroup.procs; sleep 1 & sleep 1 & sleep 1'")
            .as_root()
            .prints("…: Cannot fork")
            .in_the_same_shell(),
        hand("sleep 2; rmdir new; exit").as_root().prints(""),
    ],
    claims: &[BINDS],
    run: |lab| lab.compare(BINDS, false, true, fork_four_times)?.shows(inside("fork()").is("EAGAIN")),
};

/// Creates a cgroup with this limit of processes.
fn limited(limit: Option<u32>) -> Result<Cgroup> {
    let cgroup = CgroupParent::require(REQUEST)?.create("limited")?;
    if let Some(limit) = limit {
        cgroup.limit("pids.max", limit)?;
    }
    Ok(cgroup)
}

/// A process forks, inside or outside of a cgroup that may have three processes.
fn fork_four_times(inside: bool) -> Result<Vec<Fact>> {
    let cgroup = limited(Some(3))?;
    let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let mut children = Vec::new();
        let answer = child::have_children(&mut children, 4)?;
        me.report("fork()", answer)?;
        me.report("children created", children.len())
    })?;
    if inside {
        cgroup.join(parent.pid())?;
    }
    parent.wake()?;
    Ok(parent.facts()?)
}
