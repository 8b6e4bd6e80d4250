//! Freezing and killing: what is done to all of a cgroup at once, and needs no controller on version 2.

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
                right("EINVAL, as any unknown name"),
                wrong(
                    "OK",
                    "in version 1 it is a controller, and the list of controllers is often given for both",
                ),
                wrong("ENOENT", "that is the answer for a controller that the cgroup lacks"),
            ],
        );
const FREEZES: Claim = Claim::holds(
    "freezes",
    "Every v2 cgroup below the root has cgroup.freeze, without a controller: all below stand still until it is 0 again.",
)
.factor("cgroup.freeze")
.notes(&[42])
.more(&[110])
.requires(&[ANY_V2])
.arms("not frozen", "frozen")
.core(&[Row::outside("process answers", "the process answers")])
.asks(
    "No controller is enabled. 1 is written to cgroup.freeze of a cgroup. What does a process in a cgroup below do?",
    &[
        right("it stands still, until 0 is written"),
        wrong("it goes on: only direct members stop", "cgroup.procs does list direct members alone"),
        wrong("it goes on: there is no such file without a controller", "in version 1 freezing takes a controller"),
        wrong("it stops, as by SIGSTOP, and any SIGCONT wakes it", "a frozen process looks like a stopped one"),
    ],
);
const MOVED_IN: Claim = Claim::holds(
    "frozen-moved",
    "A process that is moved into a frozen cgroup freezes, and thaws when moved out.",
)
.factor("a move into a frozen cgroup")
.more(&[110])
.requires(&[ANY_V2]);
const KILLED: Claim = Claim::holds(
    "frozen-killed",
    "A frozen process of version 2 dies of SIGKILL at once; a signal that it handles waits for the thaw.",
)
.factor("SIGKILL instead of SIGUSR1")
.notes(&[42])
.more(&[110])
.requires(&[ANY_V2]);
const KILL: Claim =
    Claim::holds("kill", "A 1 in cgroup.kill kills every process in the cgroup and below, by SIGKILL.")
        .factor("echo 1 > cgroup.kill")
        .more(&[109])
        .requires(&[ANY_V2]);

pub(crate) const FREEZE_AND_KILL: Step = Step {
    title: "Freeze a cgroup: does a process in it or below go on? Move one in, send signals, kill all. No controller is needed.",
    calls: &[
        "write(\"…/cgroup.subtree_control\", \"+freezer\")",
        "write(\"…/cgroup.freeze\", \"1\")",
        "poll(\"…/cgroup.events\", POLLPRI)",
        "kill(PID, SIGKILL)",
        "write(\"…/cgroup.kill\", \"1\")",
    ],
    by_hand: &[hand("mkdir new new/below; sleep 60 & echo $! > new/below/cgroup.procs; echo 1 > new/cgroup.freeze; sleep 1; grep frozen new/below/cgroup.events").as_root().prints("frozen 1").in_the_same_shell(), hand("kill $!; sleep 1; jobs; echo 0 > new/cgroup.freeze; sleep 1; rmdir new/below new").as_root().prints("[1]+ Terminated sleep 60"), ],
    claims: &[NO_CONTROLLER, FREEZES, MOVED_IN, KILLED, KILL],
    run: |lab| {
        // A controller that there is, and that the cgroup lacks, would be ENOENT. The one below has none at all.
        lab.compare(NO_CONTROLLER, "nonsense", "freezer", |name| enable(&Pair::bare()?.below, name))?
            .shows(first().from("EINVAL").to("ENOENT"))?;
        lab.compare(FREEZES, false, true, freeze_above)?.shows(
            outside("frozen, in cgroup.events below").is("yes")
                & outside("the process answers").is("no")
                & outside("it answers after the thaw").is("yes"),
        )?;
        lab.compare(MOVED_IN, false, true, move_in_and_out)?.shows(
            outside("the process answers").is("no") & outside("it answers when moved out").is("yes"),
        )?;
        lab.compare(KILLED, Signal::SIGUSR1, Signal::SIGKILL, signal_while_frozen)?
            .shows(first().is("it ends"))?;
        lab.compare(KILL, false, true, kill_above)?.shows(every().is("killed by SIGKILL"))
    },
};

/// One that says a word when it is woken.
fn answerer(label: &str) -> Result<Child> {
    let answers = |me: &mut Reporter| {
        me.checkpoint()?;
        me.report("the process answers", true)?;
        me.stay()
    };
    Ok(Child::spawn(label, Namespaces::NONE, answers)?)
}

/// Whether `child`, who was woken, answers while another one does.
fn answers_in_time(child: &mut Child, is_frozen: bool) -> Result<bool> {
    if !is_frozen {
        child.fact()?;
        return Ok(true);
    }
    // Created, heard and gone: in that time a process that can run would have said its word too.
    let mut other = answerer("another")?;
    other.wake()?;
    other.fact()?;
    Ok(child.has_message()?)
}

/// A process below a cgroup that is frozen, or not.
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
        Fact::outside("frozen, in cgroup.events below", frozen),
        Fact::outside("the process answers", answers),
        Fact::outside("it answers after the thaw", after),
    ])
}

/// A process that is moved into a cgroup that is frozen already, or is not, and out again.
fn move_in_and_out(freezes: bool) -> Result<[Fact; 2]> {
    let [cold, warm] = [create(AnyV2, "cold")?, create(AnyV2, "warm")?];
    if freezes {
        cold.freeze()?;
    }
    let mut child = answerer("traveller")?;
    cold.join(child.pid())?;
    // The cgroup counts as frozen again once the newcomer is.
    let frozen = freezes && cold.freeze().is_ok();
    child.wake()?;
    let answers = answers_in_time(&mut child, frozen)?;
    warm.join(child.pid())?;
    let after = answers || child.fact()?.what == "the process answers";
    Ok([Fact::outside("the process answers", answers), Fact::outside("it answers when moved out", after)])
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

/// Looks until one of three things is so.
fn result_of(child: &Child, signal: Signal) -> Result<&'static str> {
    let bit = 1_u64 << (signal as i32 - 1);
    for _ in 0..1_000_000 {
        let status = process::status(Some(child.pid()))?;
        let pending = (status.sigpnd | status.shdpnd) & bit != 0;
        // Whom a signal has woken runs until that is done. So who sleeps is done with it, or does not heed it.
        match (status.state.chars().next(), pending) {
            (Some('Z'), _) => return Ok("it ends"),
            (Some('S'), true) => return Ok("it waits"),
            (Some('S'), false) => return Ok("it acts on it"),
            _ => {}
        }
        std::thread::yield_now();
    }
    bail!("{signal} neither waits nor does anything");
}

/// Two processes, one in a cgroup and one below, and what they have to say after a kill, or without.
fn kill_above(kills: bool) -> Result<Vec<Fact>> {
    let pair = Pair::bare()?;
    let member = |label: &str, cgroup: &Cgroup| -> Result<Child> {
        let child = Child::spawn(label, Namespaces::NONE, |me| {
            me.checkpoint()?;
            me.report("", "lives on")
        })?;
        cgroup.join(child.pid())?;
        Ok(child)
    };
    let mut members = [member("the one in it", &pair.above)?, member("the one below", &pair.below)?];
    if kills {
        pair.above.limit("cgroup.kill", 1)?;
    }
    let mut facts = Vec::new();
    for child in &mut members {
        // Who was killed hears no more of it, and says how it ended.
        let _ = child.wake();
        let end = format!("end of {}", child.label());
        facts.push(child.next(end)?);
    }
    Ok(facts)
}
