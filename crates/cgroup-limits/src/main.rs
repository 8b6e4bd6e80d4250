//! What does a limit do?
//!
//! A limit is a number in a file of a cgroup. What happens at the limit depends on the resource: fork() fails, the
//! kernel kills a process, or a process waits. Watch which process is affected: it is not always the one that used too
//! much. The ancestors can have limits too. The strictest one applies.
//!
//! No claim is judged by elapsed time. Where a limit makes a process wait, the claim reads a counter of the kernel, or
//! looks which of two processes is done first.

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
mod shell;
mod swap;
mod tree;

use anyhow::Result;
use lesson::{Experiment, Need, Step, hand};
use ns_core::cgroup::{EnabledControllers, Layout};
use ns_core::{Capability, Fact, Namespaces, Value, probe};

const CGROUP_LIMITS: Experiment = Experiment {
    name: "cgroup-limits",
    question: "What does a limit do?",
    setup: "A process uses too much of a resource, without a limit and with one.",
    arms: ["no limit", "limit"],
    in_short: "past a limit, fork() fails, a process is killed, or it waits. The strictest ancestor limit applies.",
    notes: "What is a cgroup?",
    man: &["cgroups(7)", "cpuset(7)", "sched_setaffinity(2)", "systemd.resource-control(5)"],
    examples: &[
        ("cgroup-limits", "run the experiment, below the nearest cgroup that you may write to"),
        (
            "systemd-run --user --scope -p Delegate=yes cgroup-limits",
            "run it as an ordinary user, in a cgroup that systemd delegates",
        ),
        ("cgroup-limits --sabotage", "run the negative control: without the factors, no claim holds"),
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
    shell: Some(shell::SHELL),
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
        lab.saw(Fact::outside("cgroup layout", layout.kind().to_string()))?;
        let columns = ["controller", "in the notes", "in cgroup.controllers", "mounted on v1"];
        lab.table("Controllers of the notes, and of this machine", &columns, list(&layout))
    },
};

/// On a disposable machine, enables in the root what systemd does not enable. Then every claim can be asked there.
fn enable_the_rest() -> Result<Option<EnabledControllers>> {
    if probe::throw_away()?.or(probe::capability(Capability::CAP_SYS_ADMIN)).is_some() {
        return Ok(None);
    }
    let layout = Layout::detect()?;
    let mut rest = vec!["cpuset", "io", "hugetlb", "rdma"];
    rest.retain(|name| layout.v2_controllers().iter().any(|own| own == name));
    Ok(Some(EnabledControllers::in_the_root(&rest)?))
}

/// The controllers of the notes and two newer ones, and whether this machine has them on version 1 or 2.
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
