//! Choosing, predicting and limiting PIDs: separately in each PID namespace.

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Requirement, Step, hand, inside, outside};
use nix::unistd::getpid;
use ns_core::machine;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Namespaces, Outcome, Reporter, Spawn, pids, sandbox};

use crate::trial::{in_a, send_all_of};

const CHOSEN: Claim = Claim::holds(
    "chosen",
    "clone3(set_tid) with a used PID fails with EEXIST in the same PID namespace, and succeeds in a new one.",
)
.factor("CLONE_NEWPID")
.notes(&[82, 83]);

pub(crate) const CHOOSE_TWICE: Step = Step {
    title: "In A, create a process with PID 777. Request 777 a second time: in the same namespace, then in a new one.",
    calls: &["clone3(set_tid = [777])"],
    by_hand: &[],
    claims: &[CHOSEN],
    run: |lab| {
        lab.compare(CHOSEN, Namespaces::NONE, Namespaces::PID, choose_twice)?
            .shows(inside("777 requested again").from("EEXIST").to("OK"))
    },
};

const NEXT: Claim = Claim::holds(
    "next",
    "After a write of 4999 to ns_last_pid, the next process of the PID namespace gets PID 5000, if free.",
)
.factor("a write to ns_last_pid")
.notes(&[83])
.more(&[43])
.requires(&[Requirement::Probe(ns_last_pid)]);

pub(crate) const SET_THE_LAST: Step = Step {
    title: "In A, write 4999 to ns_last_pid, and create a process.",
    calls: &["write(\"/proc/sys/kernel/ns_last_pid\", \"4999\")", "fork()", "getpid()"],
    by_hand: &[hand("unshare -Urpf sh -c 'echo 4999 > /proc/sys/kernel/ns_last_pid; sh -c \"echo \\$\\$\"'")
        .prints("5000")],
    claims: &[NEXT],
    run: |lab| lab.compare(NEXT, None, Some(4999), after_last)?.shows(inside("getpid()").is(5000)),
};

const LIMIT: Claim = Claim::holds_since(
    "limit",
    "Each PID namespace has its own pid_max: a write inside leaves the value outside unchanged.",
    Kernel(6, 14),
)
.factor("CLONE_NEWPID")
.more(&[36])
.requires(&[Requirement::Probe(a_limit_to_write)]);

pub(crate) const LOWER_PID_MAX: Step = Step {
    title: "Set pid_max to 400 in a new PID namespace, and read it in A, the parent. Inside, create two processes after PID 398, where PIDs wrap.",
    calls: &["write(\"/proc/sys/kernel/pid_max\", \"400\")", "read(\"/proc/sys/kernel/pid_max\")", "fork()"],
    by_hand: &[hand("cat /proc/sys/kernel/pid_max; unshare -Urpf sh -c 'echo 400 > /proc/sys/kernel/pid_max; cat /proc/sys/kernel/pid_max'").prints("<limit>\n400").needs(&[Need::Kernel(6, 14)]), hand("cat /proc/sys/kernel/pid_max").prints("<limit>"), ],
    claims: &[LIMIT],
    run: |lab| {
        lab.compare(LIMIT, Namespaces::NONE, Namespaces::PID, limit)?
            .in_both_arms(inside("pid_max").is(LOW))
            .shows(outside("pid_max outside changed").is(false))
    },
};

fn choose_twice(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let report_and_stay =
            |me: &mut Reporter| me.report("getpid()", getpid().as_raw()).and_then(|()| me.stay());
        let mut first = Spawn::new("first").set_tid(&[777]).run(report_and_stay)?;
        me.report("getpid() of the first", first.fact()?.value)?;
        let second = Child::spawn("creator", namespaces, move |me| {
            let mut pid = None;
            let second = Spawn::new("second").set_tid(&[777]).run(report_and_stay);
            let answer = Outcome::of(second.map(|mut second| pid = Some(second.fact())))?;
            me.report("777 requested again", answer)?;
            match pid {
                Some(pid) => me.report("getpid() of the second", pid?.value),
                None => Ok(()),
            }
        })?;
        send_all_of(second, me)
    })
}

fn after_last(last: Option<i32>) -> Result<Vec<Fact>> {
    in_a(move |me| {
        if let Some(last) = last {
            pids::set_last(last)?;
        }
        let next = Child::spawn("next", Namespaces::NONE, |me| {
            // Reported as a number, since A is new and the PID is the same in every run.
            me.report("getpid()", getpid().as_raw())
        })?;
        send_all_of(next, me)
    })
}

/// A low limit, which the kernel still accepts with a few processors.
const LOW: i32 = 400;

fn limit(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let before = pids::max()?;
        let mut inside = Child::spawn("inside", namespaces, |me| {
            pids::set_max(LOW)?;
            me.report("pid_max", pids::max()?)?;
            pids::set_last(LOW - 2)?;
            let mut next = Vec::new();
            for _ in 0..2 {
                let mut child =
                    Child::spawn("next", Namespaces::NONE, |me| me.report("getpid()", getpid().as_raw()))?;
                next.push(child.fact()?.value);
                child.wait()?;
            }
            me.report("next two PIDs after 398", next)
        })?;
        let facts = inside.facts()?;
        let after = pids::max()?;
        // Before Linux 6.14 the limit is the machine's. There, LIMIT runs only on a machine that may be thrown away.
        pids::set_max(before)?;
        me.send(Fact::outside("pid_max outside changed", after != before))?;
        facts.into_iter().try_for_each(|fact| me.send(fact))
    })
}

/// What prevents this process from writing ns_last_pid. A child tries, in a new PID namespace.
fn ns_last_pid() -> ns_core::Result<Option<Unmet>> {
    let mut probe =
        Child::spawn("probe", Namespaces::PID, |me| me.report("write", Outcome::of(pids::set_last(50))?))?;
    let answer = probe.fact()?.value;
    Ok((answer != "OK").then(|| {
        let what = format!("a writable /proc/sys/kernel/ns_last_pid: write() returns {answer}");
        Unmet::new(what, "run where /proc/sys is writable, on a kernel with CONFIG_CHECKPOINT_RESTORE")
    }))
}

/// What prevents this process from writing pid_max: a limit of the whole machine. Root of a user namespace may open the
/// file for writing only if the limit belongs to the PID namespace.
fn a_limit_to_write() -> ns_core::Result<Option<Unmet>> {
    let mut probe = Child::spawn("probe", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::USER | Namespaces::PID)?;
        let first = Child::spawn("probe", Namespaces::NONE, |me| {
            me.report("pid_max is of this namespace", pids::max_is_ours()?)
        })?;
        send_all_of(first, me)
    })?;
    if probe.fact()?.value == true {
        return Ok(None);
    }
    // Otherwise the limit is the machine's, which must be one that may be thrown away.
    machine::changeable("/proc/sys/kernel/pid_max")
}
