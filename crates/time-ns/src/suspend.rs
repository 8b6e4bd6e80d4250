//! Whether the clocks go on while the machine sleeps. To find out, it is put to sleep: a machine to throw away, and no
//! other.

use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::clock::Clock;
use ns_core::{Child, Fact, Namespaces, Value, machine};

use crate::{LAST_WEEK, entry};

pub(crate) const STOPS: Claim =
    Claim::holds("stops", "CLOCK_MONOTONIC stands still while the machine is suspended.")
        .cause("a suspended machine")
        .notes(&[104])
        .needs(&[Need::Probe(machine::suspendable)]);
pub(crate) const GOES_ON: Claim =
    Claim::holds("goes-on", "CLOCK_BOOTTIME goes on while the machine is suspended.")
        .cause("a suspended machine")
        .notes(&[105])
        .needs(&[Need::Probe(machine::suspendable)]);

/// What CLOCK_MONOTONIC did not count, by the two clocks that may have.
const MISSED: [(&str, Clock); 2] =
    [("gained by CLOCK_REALTIME", Clock::Realtime), ("gained by CLOCK_BOOTTIME", Clock::Boottime)];
/// Less is the time that the machine takes to fall asleep; it is woken after three seconds.
const ASLEEP: i64 = 1_000_000_000;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Compare the two clocks that count from boot: they differ by the time that this machine was suspended.",
        calls: &["clock_gettime(CLOCK_MONOTONIC)", "clock_gettime(CLOCK_BOOTTIME)"],
        by_hand: &["/usr/bin/python3 -c 'import time; print(time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic())'"],
    })?;
    let (monotonic, boottime) = (Clock::Monotonic.now()?, Clock::Boottime.now()?);
    lab.saw(Fact::outside("CLOCK_BOOTTIME - CLOCK_MONOTONIC", Value::Nanoseconds(boottime - monotonic)))?;
    if !lab.can_ask(&[STOPS, GOES_ON])? {
        return Ok(());
    }

    lab.step(Step {
        goal: "Suspend the machine. What do the other clocks gain on CLOCK_MONOTONIC, here and in a time namespace?",
        calls: &["write(\"/sys/power/state\", \"mem\")", "clock_gettime(…)"],
        by_hand: &["sudo rtcwake --mode mem --seconds 10"],
    })?;
    let (awake, asleep) = (read_around(|| Ok(()))?, read_around(cause(sleep, || Ok(())))?);
    let slept = |gained: Option<&Value>| gained.and_then(Value::as_i64).is_some_and(|it| it > ASLEEP);
    for (claim, (what, _)) in [STOPS, GOES_ON].into_iter().zip(MISSED) {
        let of_it =
            |facts: &[Fact]| facts.iter().filter(|fact| fact.what == what).cloned().collect::<Vec<_>>();
        lab.claim(claim)
            .without(of_it(&awake))
            .with(of_it(&asleep))
            .shows(|gained| slept(gained.outside(what)) && slept(gained.inside(what)))?;
    }
    Ok(())
}

fn sleep() -> ns_core::Result<()> {
    machine::suspend_to_ram(Duration::from_secs(30))
}

/// What two clocks gained on CLOCK_MONOTONIC while `it` happened: here, and in a time namespace with offsets.
fn read_around(it: fn() -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("inside", Namespaces::NONE, |me| {
        entry::enter_new(Some(LAST_WEEK))?;
        let before = ahead()?;
        me.saw("ready", "yes")?;
        me.pause()?;
        gains(before)?.into_iter().try_for_each(|(what, gained)| me.saw(what, gained))
    })?;
    child.hear()?; // it has read
    let before = ahead()?;
    it()?;
    let mut facts: Vec<Fact> =
        gains(before)?.map(|(what, gained)| Fact::outside(what, gained)).into_iter().collect();
    child.release()?;
    facts.extend(child.hear_all()?);
    Ok(facts)
}

/// What each of the two gained on CLOCK_MONOTONIC since it was `before` ahead.
fn gains(before: [i64; 2]) -> ns_core::Result<[(&'static str, Value); 2]> {
    let after = ahead()?;
    Ok([0, 1].map(|nth| (MISSED[nth].0, Value::Nanoseconds(after[nth] - before[nth]))))
}

/// How far each of the two is ahead of CLOCK_MONOTONIC, in nanoseconds.
fn ahead() -> ns_core::Result<[i64; 2]> {
    let monotonic = Clock::Monotonic.now()?;
    let [realtime, boottime] = MISSED.map(|(_, clock)| clock.now());
    Ok([realtime? - monotonic, boottime? - monotonic])
}
