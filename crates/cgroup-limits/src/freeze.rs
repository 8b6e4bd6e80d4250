//! Freezing and killing: what is done to all of a cgroup at once, and needs no controller on version 2.

use anyhow::{Result, bail};
use lesson::{Claim, Lab, Step, cause};
use ns_core::cgroup::{Cgroup, Place, Want};
use ns_core::{Child, Fact, Namespaces, Outcome, Signal, Value, Witness, process, signals};

use crate::{ANY_V2, find};

pub(crate) const NO_CONTROLLER: Claim =
    Claim::refuted("freezer", "freezer is one of the controllers of cgroup v2.", "freezes")
        .cause("the name freezer")
        .notes(&[42])
        .needs(&[ANY_V2])
        .misconceptions(&[(
            "echo +freezer > cgroup.subtree_control = OK",
            "in version 1 it is a controller, and the list of controllers is often given for both",
        )]);
pub(crate) const FREEZES: Claim = Claim::holds(
    "freezes",
    "Every v2 cgroup has cgroup.freeze, without a controller: all below stand still until it is 0 again.",
)
.cause("cgroup.freeze")
.notes(&[42])
.more(&[110])
.needs(&[ANY_V2]);
pub(crate) const MOVED_IN: Claim = Claim::holds(
    "frozen-moved",
    "A process that is moved into a frozen cgroup freezes, and thaws when moved out.",
)
.cause("a move into a frozen cgroup")
.more(&[110])
.needs(&[ANY_V2]);
pub(crate) const KILLED: Claim = Claim::holds(
    "frozen-killed",
    "A frozen process of version 2 dies of SIGKILL at once; a signal that it handles waits for the thaw.",
)
.cause("SIGKILL instead of SIGUSR1")
.notes(&[42])
.more(&[110])
.needs(&[ANY_V2]);
pub(crate) const KILL: Claim =
    Claim::holds("kill", "A 1 in cgroup.kill kills every process in the cgroup and below, by SIGKILL.")
        .cause("echo 1 > cgroup.kill")
        .more(&[109])
        .needs(&[ANY_V2]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Freeze a cgroup: does a process in it or below go on? Move one in, send signals, kill all. No controller is needed.",
        calls: &[
            "write(\"…/cgroup.subtree_control\", \"+freezer\")",
            "write(\"…/cgroup.freeze\", \"1\")",
            "poll(\"…/cgroup.events\", POLLPRI)",
            "kill(PID, SIGKILL)",
            "write(\"…/cgroup.kill\", \"1\")",
        ],
        by_hand: &[
            "cd $v2; mkdir new new/below; echo +freezer > new/cgroup.subtree_control; sleep 99 & echo $! > new/below/cgroup.procs",
            "echo 1 > new/cgroup.freeze; sleep 1; cat new/below/cgroup.events; ps -o pid,stat,wchan:20,args $!",
            "kill $!; sleep 1; jobs; echo 0 > new/cgroup.freeze; rmdir new/below new",
        ],
    })?;
    if !lab.can_ask(&[NO_CONTROLLER, FREEZES, MOVED_IN, KILLED, KILL])? {
        return Ok(());
    }
    let place = find(Want::AnyV2)?;
    let known = |name: &str| -> Result<Fact> {
        let cgroup = place.create("controllers")?;
        let answer = Outcome::of(cgroup.enable(name))?;
        Ok(Fact::outside(format!("echo +{name} > cgroup.subtree_control"), answer))
    };
    // A controller that there is, and that the cgroup lacks, would be ENOENT.
    lab.claim(NO_CONTROLLER)
        .without(known("nonsense")?)
        .with(known(cause("freezer", "nonsense"))?)
        .shows(|answer| *answer != "EINVAL")?;
    lab.claim(FREEZES).without(goes_on(&place, false)?).with(goes_on(&place, true)?).shows(|it| {
        it.outside("frozen, in cgroup.events below").is_some_and(|it| *it == "yes")
            && it.outside("the process answers").is_some_and(|it| *it == "no")
            && it.outside("it answers after the thaw").is_some_and(|it| *it == "yes")
    })?;
    lab.claim(MOVED_IN).without(moved(&place, false)?).with(moved(&place, true)?).shows(|it| {
        it.outside("the process answers").is_some_and(|it| *it == "no")
            && it.outside("it answers when moved out").is_some_and(|it| *it == "yes")
    })?;
    lab.claim(KILLED)
        .without(signalled(&place, Signal::SIGUSR1)?)
        .with(signalled(&place, cause(Signal::SIGKILL, Signal::SIGUSR1))?)
        .shows(|fate| *fate == "it ends")?;
    lab.claim(KILL)
        .without(killed(&place, false)?)
        .with(killed(&place, true)?)
        .shows(|it| it.facts().iter().all(|fact| fact.value == "killed by SIGKILL"))?;
    Ok(())
}

/// One that says a word each time it is released.
fn answerer(label: &str) -> Result<Child> {
    let answers = |me: &mut Witness| {
        me.pause()?;
        me.saw("the process answers", true)?;
        me.stay()
    };
    Ok(Child::spawn(label, Namespaces::NONE, answers)?)
}

/// Whether `child`, who was released, answers while another one does.
fn answers_in_time(child: &mut Child, is_frozen: bool) -> Result<bool> {
    if !is_frozen {
        child.hear()?;
        return Ok(true);
    }
    // Born, heard and gone: in that time a process that can run would have said its word too.
    let mut other = answerer("another")?;
    other.release()?;
    other.hear()?;
    Ok(child.has_told()?)
}

/// A process below a cgroup that is frozen, or not.
fn goes_on(place: &Place, freezes: bool) -> Result<Vec<Fact>> {
    let top = place.create("frozen")?;
    let below = top.child(&"below".parse()?)?;
    let mut child = answerer("sleeper")?;
    below.write("cgroup.procs", &child.pid().to_string())?;
    if freezes {
        top.freeze()?;
    }
    let frozen = below.is_frozen()?;
    child.release()?;
    let answers = answers_in_time(&mut child, frozen)?;
    top.thaw()?;
    let after = answers || child.hear()?.what == "the process answers";
    Ok(vec![
        Fact::outside("frozen, in cgroup.events below", frozen),
        Fact::outside("the process answers", answers),
        Fact::outside("it answers after the thaw", after),
    ])
}

/// A process that is moved into a cgroup that is frozen already, and out again.
fn moved(place: &Place, freezes: bool) -> Result<Vec<Fact>> {
    let (cold, warm) = (place.create("cold")?, place.create("warm")?);
    if freezes {
        cold.freeze()?;
    }
    let mut child = answerer("traveller")?;
    let pid = child.pid().to_string();
    cold.write("cgroup.procs", &pid)?;
    // The cgroup counts as frozen again once the newcomer is.
    let frozen = if cold.read("cgroup.freeze")? == "1" { cold.freeze().is_ok() } else { false };
    child.release()?;
    let answers = answers_in_time(&mut child, frozen)?;
    warm.write("cgroup.procs", &pid)?;
    let after = answers || child.hear()?.what == "the process answers";
    Ok(vec![Fact::outside("the process answers", answers), Fact::outside("it answers when moved out", after)])
}

/// What a signal does to a process that is frozen and handles SIGUSR1.
fn signalled(place: &Place, signal: Signal) -> Result<Vec<Fact>> {
    let cgroup = place.create("frozen")?;
    let mut child = Child::spawn("sleeper", Namespaces::NONE, |me| {
        let mut caught = signals::catch(&[Signal::SIGUSR1])?;
        me.saw("it is", "ready")?;
        let caught = caught.wait()?;
        me.saw("caught", caught.signal)?;
        me.stay()
    })?;
    child.hear()?;
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    cgroup.freeze()?;
    child.signal(signal)?;
    let fate = fate_of(&child, signal)?;
    cgroup.thaw()?;
    let last = child.hear()?;
    // A word of its own, or the guard's on how it ended.
    let end = if last.what == "caught" { format!("caught {}", last.value) } else { last.value.to_string() };
    Ok(vec![
        Fact::outside(format!("while frozen, after {signal}"), fate),
        Fact::inside("sleeper", "after the thaw", end),
    ])
}

/// Looks until one of three things is so.
fn fate_of(child: &Child, signal: Signal) -> Result<&'static str> {
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

/// Two processes, one in a cgroup and one below, and what they have to say after a kill.
fn killed(place: &Place, kills: bool) -> Result<Vec<Fact>> {
    let top = place.create("killed")?;
    let below = top.child(&"below".parse()?)?;
    let member = |label: &str, cgroup: &Cgroup| -> Result<Child> {
        let child = Child::spawn(label, Namespaces::NONE, |me| {
            me.pause()?;
            me.saw("end", "none: it goes on")
        })?;
        cgroup.write("cgroup.procs", &child.pid().to_string())?;
        Ok(child)
    };
    let mut members = [member("the one in it", &top)?, member("the one below", &below)?];
    if kills {
        top.limit("cgroup.kill", 1)?;
    }
    let mut facts = Vec::new();
    for child in &mut members {
        // Who was killed hears no more of it, and says how it ended.
        let _ = child.release();
        let heard = child.hear()?;
        facts.push(Fact::outside(format!("end of {}", child.label()), Value::Text(heard.value.to_string())));
    }
    Ok(facts)
}
