//! PIDs that are chosen, predicted and limited: in each PID namespace by itself.

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Requirement, Step, hand, inside, outside};
use nix::unistd::getpid;
use ns_core::machine;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Namespaces, Outcome, Reporter, Spawn, pids, sandbox};

use crate::trial::{in_a, send_all_of};

const CHOSEN: Claim = Claim::holds(
    "chosen",
    "A PID that is taken in one namespace (EEXIST) is free in another: clone3(set_tid) gives it there.",
)
.factor("CLONE_NEWPID")
.notes(&[82, 83]);

pub(crate) const CHOOSE_TWICE: Step = Step {
    title: "In A, take PID 777, and ask for it a second time: in the same namespace, and in a new one.",
    calls: &["clone3(set_tid = [777])"],
    by_hand: &[],
    claims: &[CHOSEN],
    run: |lab| {
        lab.compare(CHOSEN, Namespaces::NONE, Namespaces::PID, choose_twice)?
            .shows(inside("777 asked for again").from("EEXIST").to("OK"))
    },
};

const NEXT: Claim = Claim::holds(
    "next",
    "After 4999 is written to ns_last_pid in a PID namespace, its next process gets PID 5000, if free.",
)
.factor("a write to ns_last_pid")
.notes(&[83])
.more(&[43])
.requires(&[Requirement::Probe(ns_last_pid)]);

pub(crate) const SET_THE_LAST: Step = Step {
    title: "In A, write that the last PID was 4999, and make a process.",
    calls: &["write(\"/proc/sys/kernel/ns_last_pid\", \"4999\")", "fork()", "getpid()"],
    by_hand: &[hand("unshare -Urpf sh -c 'echo 4999 > /proc/sys/kernel/ns_last_pid; sh -c \"echo \\$\\$\"'")
        .prints("5000")],
    claims: &[NEXT],
    run: |lab| lab.compare(NEXT, None, Some(4999), after_last)?.shows(inside("getpid()").is(5000)),
};

const LIMIT: Claim = Claim::holds_since(
    "limit",
    "pid_max is each PID namespace's own: what is written inside leaves the limit outside as it was.",
    Kernel(6, 14),
)
.factor("CLONE_NEWPID")
.more(&[36])
.requires(&[Requirement::Probe(a_limit_to_write)]);

pub(crate) const LOWER_PID_MAX: Step = Step {
    title: "Set pid_max to 400 in a new PID namespace, and read it in A above. Inside, make two processes \
            after PID 398, where PIDs wrap.",
    calls: &["write(\"/proc/sys/kernel/pid_max\", \"400\")", "read(\"/proc/sys/kernel/pid_max\")", "fork()"],
    by_hand: &[hand("cat /proc/sys/kernel/pid_max; unshare -Urpf sh -c 'echo 400 > /proc/sys/kernel/pid_max; cat /proc/sys/kernel/pid_max'").prints("<limit>\n400").needs(&[Need::Kernel(6, 14)]), hand("cat /proc/sys/kernel/pid_max").prints("<limit>"), ],
    claims: &[LIMIT],
    run: |lab| {
        lab.compare(LIMIT, Namespaces::NONE, Namespaces::PID, limit)?
            .shows(inside("pid_max").is(LOW) & outside("pid_max outside changed").is(false))
    },
};

fn choose_twice(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let report_and_stay =
            |me: &mut Reporter| me.report("getpid()", getpid().as_raw()).and_then(|()| me.stay());
        let mut first = Spawn::new("first").set_tid(&[777]).run(report_and_stay)?;
        me.report("getpid() of the first", first.fact()?.value)?;
        let second = Child::spawn("elsewhere", namespaces, move |me| {
            let mut pid = None;
            let second = Spawn::new("second").set_tid(&[777]).run(report_and_stay);
            let answer = Outcome::of(second.map(|mut second| pid = Some(second.fact())))?;
            me.report("777 asked for again", answer)?;
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
            // The same in every run, since A is new: a number, and no PID that differs.
            me.report("getpid()", getpid().as_raw())
        })?;
        send_all_of(next, me)
    })
}

/// Low, but not lower than the kernel takes with a few processors.
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
            me.report("the next two PIDs after 398", next)
        })?;
        let facts = inside.facts()?;
        let after = pids::max()?;
        // Before Linux 6.14 this is the machine's: LIMIT is asked there on none but one that is thrown away.
        pids::set_max(before)?;
        me.send(Fact::outside("pid_max outside changed", after != before))?;
        facts.into_iter().try_for_each(|fact| me.send(fact))
    })
}

/// What keeps us from writing ns_last_pid: a child tries, in a namespace of its own.
fn ns_last_pid() -> ns_core::Result<Option<Unmet>> {
    let mut probe =
        Child::spawn("probe", Namespaces::PID, |me| me.report("write", Outcome::of(pids::set_last(50))?))?;
    let answer = probe.fact()?.value;
    Ok((answer != "OK").then(|| {
        let what = format!("writing /proc/sys/kernel/ns_last_pid gives {answer}");
        Unmet::new(what, "run where /proc/sys is writable, on a kernel with CONFIG_CHECKPOINT_RESTORE")
    }))
}

/// What keeps us from writing pid_max without harm: that it is the whole machine's. The root of a user namespace may open
/// the file for writing only where it is the namespace's own.
fn a_limit_to_write() -> ns_core::Result<Option<Unmet>> {
    let mut probe = Child::spawn("probe", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::USER | Namespaces::PID)?;
        let first =
            Child::spawn("probe", Namespaces::NONE, |me| me.report("pid_max is ours", pids::max_is_ours()?))?;
        send_all_of(first, me)
    })?;
    if probe.fact()?.value == true {
        return Ok(None);
    }
    // Elsewhere it is the machine's, which has to be one to throw away.
    machine::changeable("/proc/sys/kernel/pid_max")
}
