//! Freezing and killing all processes of a cgroup at once. Version 2 needs no controller for it.

use anyhow::{Result, bail};
use lesson::{Claim, Row, Step, every, first, hand, outside, right, wrong};
use ns_core::cgroup::Cgroup;
use ns_core::cgroup::CgroupRequest::AnyV2;
use ns_core::{Child, Fact, Namespaces, Reporter, Signal, process, signals};

use crate::cgroups::{Pair, create, enable};
use crate::requirements::ANY_V2;

const NO_CONTROLLER: Claim =
    Claim::refuted("freezer", "freezer is one of the controllers of cgroup v2.", "freezes")
        .factor("the name freezer")
        .notes(&[42])
        .requires(&[ANY_V2])
        .arms("nonsense", "freezer")
        .core(&[Row::first("echo +NAME")])
        .asks(
            "What does `echo +freezer > cgroup.subtree_control` give in version 2?",
            &[
                right("EINVAL, as for any unknown name"),
                wrong("OK", "it is a controller in version 1, and one list is often given for both versions"),
                wrong("ENOENT", "a controller that the kernel has and the cgroup lacks gives ENOENT"),
            ],
        );
const FREEZES: Claim = Claim::holds(
    "freezes",
    "cgroup v2 freezes processes without a controller: 1 in cgroup.freeze stops those below until it is 0.",
)
.factor("cgroup.freeze")
.notes(&[42])
.more(&[110])
.requires(&[ANY_V2])
.arms("not frozen", "frozen")
.core(&[Row::outside("process answers", "the process answers")])
.asks(
    "No controller is enabled. 1 is written to cgroup.freeze of a cgroup. What does a process in its child cgroup do?",
    &[
        right("it stops, until 0 is written"),
        wrong("it continues: only direct members stop", "cgroup.procs lists direct members alone"),
        wrong("it continues: without a controller the file does not exist", "version 1 needs a controller for it"),
        wrong("it stops, as by SIGSTOP, and SIGCONT resumes it", "a frozen process looks like a stopped one"),
    ],
);
const MOVED_IN: Claim = Claim::holds(
    "frozen-moved",
    "A process freezes when it moves into a frozen cgroup, and thaws when it moves out.",
)
.factor("a move into a frozen cgroup")
.arms("not frozen", "frozen")
.more(&[110])
.requires(&[ANY_V2]);
const KILLED: Claim = Claim::holds(
    "frozen-killed",
    "In cgroup v2, SIGKILL ends a frozen process at once; a SIGUSR1 that it handles waits for the thaw.",
)
.factor("SIGKILL instead of SIGUSR1")
.arms("SIGUSR1", "SIGKILL")
.notes(&[42])
.more(&[110])
.requires(&[ANY_V2]);
const KILL: Claim =
    Claim::holds("kill", "Writing 1 to cgroup.kill sends SIGKILL to every process in the cgroup and below.")
        .factor("echo 1 > cgroup.kill")
        .arms("nothing", "cgroup.kill")
        .more(&[109])
        .requires(&[ANY_V2]);

pub(crate) const FREEZE_AND_KILL: Step = Step {
    title: "Freeze a cgroup without a controller. Move a process in, send signals to a frozen one, and kill all members.",
    calls: &[
        "write(\"…/cgroup.subtree_control\", \"+freezer\")",
        "write(\"…/cgroup.freeze\", \"1\")",
        "poll(\"…/cgroup.events\", POLLPRI)",
        "kill(PID, SIGKILL)",
        "write(\"…/cgroup.kill\", \"1\")",
    ],
    by_hand: &[hand("mkdir new new/below; sleep 60 & echo $! > new/below/cgroup.procs; echo 1 > new/cgroup.freeze; sleep 1; grep frozen new/below/cgroup.events").as_root().prints("frozen 1").in_the_same_shell(), hand("kill $!; sleep 1; jobs; echo 0 > new/cgroup.freeze; sleep 1; rmdir new/below new").as_root().prints("…"), ],
    claims: &[NO_CONTROLLER, FREEZES, MOVED_IN, KILLED, KILL],
    run: |lab| {
        // A controller that the kernel has and the cgroup lacks would give ENOENT. The child has no controller.
        lab.compare(NO_CONTROLLER, "nonsense", "freezer", |name| enable(&Pair::bare()?.below, name))?
            .shows(first().from("EINVAL").to("ENOENT"))?;
        lab.compare(FREEZES, false, true, freeze_above)?
            .in_both_arms(outside("it answers after the thaw").is("yes"))
            .shows(outside("cgroup.events: frozen").is("yes") & outside("the process answers").is("no"))?;
        lab.compare(MOVED_IN, false, true, move_in_and_out)?
            .in_both_arms(outside("it answers once moved out").is("yes"))
            .shows(outside("the process answers").is("no"))?;
        lab.compare(KILLED, Signal::SIGUSR1, Signal::SIGKILL, signal_while_frozen)?
            .shows(first().is("process ends"))?;
        lab.compare(KILL, false, true, kill_above)?.shows(every().is("killed by SIGKILL"))
    },
};

/// A process that reports when it is woken.
fn answerer(label: &str) -> Result<Child> {
    let answers = |me: &mut Reporter| {
        me.checkpoint()?;
        me.report("the process answers", true)?;
        me.stay()
    };
    Ok(Child::spawn(label, Namespaces::NONE, answers)?)
}

/// Whether `child`, which was woken, reports in the time that another process takes for it.
fn answers_in_time(child: &mut Child, is_frozen: bool) -> Result<bool> {
    if !is_frozen {
        child.fact()?;
        return Ok(true);
    }
    // While another process is created and reports, a child that can run would have reported too.
    let mut other = answerer("another")?;
    other.wake()?;
    other.fact()?;
    Ok(child.has_message()?)
}

/// A process in a child cgroup, whose parent is frozen if `freezes`.
fn freeze_above(freezes: bool) -> Result<[Fact; 3]> {
    let Pair { below, above } = &Pair::bare()?;
    let mut child = answerer("sleeper")?;
    below.join(child.pid())?;
    if freezes {
        above.freeze()?;
    }
    let frozen = below.is_frozen()?;
    child.wake()?;
    let answers = answers_in_time(&mut child, frozen)?;
    above.thaw()?;
    let after = answers || child.fact()?.what == "the process answers";
    Ok([
        Fact::outside("cgroup.events: frozen", frozen),
        Fact::outside("the process answers", answers),
        Fact::outside("it answers after the thaw", after),
    ])
}

/// A process moves into a cgroup, which is frozen if `freezes`, and out again.
fn move_in_and_out(freezes: bool) -> Result<[Fact; 2]> {
    let [cold, warm] = [create(AnyV2, "cold")?, create(AnyV2, "warm")?];
    if freezes {
        cold.freeze()?;
    }
    let mut child = answerer("mover")?;
    cold.join(child.pid())?;
    // The cgroup counts as frozen again once its new member is.
    let frozen = freezes && cold.freeze().is_ok();
    child.wake()?;
    let answers = answers_in_time(&mut child, frozen)?;
    warm.join(child.pid())?;
    let after = answers || child.fact()?.what == "the process answers";
    Ok([Fact::outside("the process answers", answers), Fact::outside("it answers once moved out", after)])
}

/// What a signal does to a process that is frozen and handles SIGUSR1.
fn signal_while_frozen(signal: Signal) -> Result<[Fact; 2]> {
    let cgroup = create(AnyV2, "frozen")?;
    let mut child = Child::spawn("sleeper", Namespaces::NONE, |me| {
        let mut caught = signals::catch(&[Signal::SIGUSR1])?;
        me.report("it is", "ready")?;
        me.report("", format!("caught {}", caught.wait()?.signal))?;
        me.stay()
    })?;
    child.fact()?;
    cgroup.join(child.pid())?;
    cgroup.freeze()?;
    child.signal(signal)?;
    let result = result_of(&child, signal)?;
    cgroup.thaw()?;
    Ok([Fact::outside(format!("while frozen, after {signal}"), result), child.next("after the thaw")?])
}

/// Reads the state of a process until it has ended, the signal is pending, or the signal is handled.
fn result_of(child: &Child, signal: Signal) -> Result<&'static str> {
    let bit = 1_u64 << (signal as i32 - 1);
    for _ in 0..1_000_000 {
        let status = process::status(Some(child.pid()))?;
        let pending = (status.sigpnd | status.shdpnd) & bit != 0;
        // A process that a signal wakes runs until it has handled the signal. So one that sleeps has handled it.
        match (status.state.chars().next(), pending) {
            (Some('Z'), _) => return Ok("process ends"),
            (Some('S'), true) => return Ok("signal waits"),
            (Some('S'), false) => return Ok("signal handled"),
            _ => {}
        }
        std::thread::yield_now();
    }
    bail!("{signal}: the process neither ends nor sleeps");
}

/// Two processes, one in a cgroup and one in its child: how each ends, after cgroup.kill if `kills`.
fn kill_above(kills: bool) -> Result<Vec<Fact>> {
    let pair = Pair::bare()?;
    let member = |label: &str, cgroup: &Cgroup| -> Result<Child> {
        let child = Child::spawn(label, Namespaces::NONE, |me| {
            me.checkpoint()?;
            me.report("", "survives")
        })?;
        cgroup.join(child.pid())?;
        Ok(child)
    };
    let mut members = [member("member", &pair.above)?, member("member below", &pair.below)?];
    if kills {
        pair.above.limit("cgroup.kill", 1)?;
    }
    let mut facts = Vec::new();
    for child in &mut members {
        // Fails if the child was killed. Then the fact is how it ended.
        let _ = child.wake();
        let end = format!("end of {}", child.label());
        facts.push(child.next(end)?);
    }
    Ok(facts)
}
