//! What does a limit do?
//!
//! A limit is a number in a file of a cgroup, and each kind answers in its own way when it is hit: fork() fails, a
//! process is killed, or it is made to wait. Watch for the answer, and for who gets it: it is not always the one who
//! did too much. And the number in the file is not the whole truth: what holds is the least of all above.
//!
//! Nothing is judged by a clock. Where a limit makes a process wait, the kernel's own count tells, or who comes first.

mod cgroups;
mod contention;
mod cpu;
mod freeze;
mod io;
mod memory;
mod others;
mod partition;
mod perf;
mod pids;
mod protection;
mod requirements;
mod swap;
mod tree;

use anyhow::Result;
use lesson::{Experiment, Need, Step, hand};
use ns_core::cgroup::{EnabledControllers, Layout};
use ns_core::{Capability, Fact, Namespaces, Value, probe};

const CGROUP_LIMITS: Experiment = Experiment {
    name: "cgroup-limits",
    question: "What does a limit do?",
    setup: "A process does too much, without a limit and with one.",
    arms: ["no limit", "limit"],
    in_short: "past a limit fork() fails, a process is killed, or it waits. The strictest limit above applies.",
    notes: "What is a cgroup?",
    man: &["cgroups(7)", "cpuset(7)", "sched_setaffinity(2)", "systemd.resource-control(5)"],
    examples: &[
        ("cgroup-limits", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-limits", "as an ordinary user of systemd"),
        ("cgroup-limits --sabotage", "without the factors: no claim holds"),
    ],
    sandbox: Namespaces::NONE,
    requires: &[],
    steps: &[
        LIST_THE_CONTROLLERS,
        pids::LIMIT_PIDS,
        memory::LIMIT_MEMORY,
        memory::MOVE_AN_OWNER,
        memory::ANSWER_OTHERWISE,
        memory::OUTGROW_INTO_SWAP,
        cpu::LIMIT_CPU,
        cpu::LIMIT_CPUSET,
        io::LIMIT_IO,
        freeze::FREEZE_AND_KILL,
        others::COUNT_EVENTS,
        others::TAKE_A_HUGE_PAGE,
        others::ENABLE_RDMA,
        tree::GIVE_MORE_BELOW,
        tree::WRITE_NO_LIMIT,
        memory::CHOOSE_A_VICTIM,
        memory::READ_MEMINFO,
        contention::SHARE_CPU,
        contention::PRESS,
        contention::MOVE_WHO_IS_PINNED,
        partition::TAKE_A_CPU,
        protection::WAIT_PAST_HIGH,
        protection::PROTECT,
        protection::PROTECT_FOR_GOOD,
    ],
    prepare: Some(prepare),
};

fn prepare() -> Result<()> {
    Ok(ns_core::cgroup::sweep().map(drop)?)
}

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_LIMITS)
}

const LIST_THE_CONTROLLERS: Step = Step {
    title: "Compare the notes' list of controllers with this machine's.",
    calls: &["read(\"…/cgroup.controllers\")", "read(\"/proc/self/mountinfo\")"],
    by_hand: &[hand("systemd-run --quiet --scope -p Delegate=yes bash  # a shell of your own, for all that follows").as_root().prints("").needs(&[Need::Systemd, Need::Controllers]), hand("cd /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir shell; echo $$ > shell/cgroup.procs; cat cgroup.controllers").as_root().prints("cpuset cpu io memory…pids…"), hand("echo +cpu +cpuset +io +memory +pids > cgroup.subtree_control; cut -f 1 /proc/cgroups | tail -n +2 | xargs").as_root().prints("cpuset cpu cpuacct blkio memory devices freezer …"), ],
    claims: &[],
    run: |lab| {
        lab.once(|_| enable_the_rest())?;
        let layout = Layout::detect()?;
        lab.saw(Fact::outside("the layout of this machine", layout.kind().to_string()))?;
        let columns = ["controller", "in the notes", "in cgroup.controllers", "mounted on v1"];
        lab.table("Controllers, and where this machine has them", &columns, list(&layout))
    },
};

/// On a machine to throw away the root enables for its children what systemd does not, so that every claim can be
/// asked there.
fn enable_the_rest() -> Result<Option<EnabledControllers>> {
    if probe::throw_away()?.or(probe::capability(Capability::CAP_SYS_ADMIN)).is_some() {
        return Ok(None);
    }
    let layout = Layout::detect()?;
    let mut rest = vec!["cpuset", "io", "hugetlb", "rdma"];
    rest.retain(|name| layout.v2_controllers().iter().any(|own| own == name));
    Ok(Some(EnabledControllers::in_the_root(&rest)?))
}

/// The notes' controllers, and those besides, with where this machine has them.
fn list(layout: &Layout) -> Vec<Vec<Value>> {
    let controllers =
        ["cpu", "cpuset", "freezer", "hugetlb", "io", "memory", "perf_event", "pids", "rdma", "misc", "dmem"];
    let row = |name: &str| {
        let on_v1 = layout.v1(if name == "io" { "blkio" } else { name }).is_some();
        let on_v2 = layout.v2_controllers().iter().any(|own| own == name);
        let noted = !matches!(name, "misc" | "dmem");
        vec![name.into(), Value::from(noted), on_v2.into(), on_v1.into()]
    };
    controllers.into_iter().map(row).collect()
}
