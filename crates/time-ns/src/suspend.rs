//! Which clocks count while the machine is suspended. The step suspends the machine, so it runs only on a machine that
//! may be thrown away.

use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Effect, Need, Requirement, Step, hand, inside, outside};
use ns_core::clock::Clock;
use ns_core::{Child, Fact, Namespaces, Value};

use crate::shift::LAST_WEEK;
use crate::{entry, sleep};

pub(crate) const COMPARE: Step = Step {
    title: "Read CLOCK_MONOTONIC and CLOCK_BOOTTIME. They differ by the time that this machine was suspended.",
    calls: &["clock_gettime(CLOCK_MONOTONIC)", "clock_gettime(CLOCK_BOOTTIME)"],
    by_hand: &[hand("/usr/bin/python3 -c 'import time; print(round(time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()))'").prints("<seconds>"), ],
    claims: &[],
    run: |lab| {
        let (monotonic, boottime) = (Clock::Monotonic.now()?, Clock::Boottime.now()?);
        lab.saw(Fact::outside("CLOCK_BOOTTIME - CLOCK_MONOTONIC", Value::Nanoseconds(boottime - monotonic)))
    },
};

const STOPS: Claim = Claim::holds("stops", "CLOCK_MONOTONIC stops while the machine is suspended.")
    .factor("a suspended machine")
    .notes(&[104])
    .requires(&[Requirement::Probe(sleep::suspendable)]);
const GOES_ON: Claim = Claim::holds("goes-on", "CLOCK_BOOTTIME continues while the machine is suspended.")
    .factor("a suspended machine")
    .notes(&[105])
    .requires(&[Requirement::Probe(sleep::suspendable)]);

pub(crate) const SUSPEND: Step = Step {
    title: "Suspend the machine. Compare the other clocks with CLOCK_MONOTONIC, outside and in a time namespace.",
    calls: &["write(\"/sys/power/state\", \"mem\")", "clock_gettime(…)"],
    by_hand: &[hand("clocks='import time; print(round(time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()))'").as_root().prints("").needs(&[Need::ThrowAway]), hand("/usr/bin/python3 -c \"$clocks\"; rtcwake --mode mem --seconds 10 >/dev/null; /usr/bin/python3 -c \"$clocks\"").as_root().prints("<seconds A>\n<seconds B>").needs(&[Need::ThrowAway]), ],
    claims: &[STOPS, GOES_ON],
    run: |lab| {
        let gained = lab.arms(false, true, read_around)?;
        for (claim, (what, _)) in [STOPS, GOES_ON].into_iter().zip(MISSED) {
            lab.judge(claim, gained.only(&[what])).shows(counts_the_sleep(what))?;
        }
        Ok(())
    },
};

/// The two clocks that may count the time that CLOCK_MONOTONIC does not.
const MISSED: [(&str, Clock); 2] =
    [("gained by CLOCK_REALTIME", Clock::Realtime), ("gained by CLOCK_BOOTTIME", Clock::Boottime)];
/// The least gain of a suspended machine. It wakes after three seconds, and needs some time to suspend.
const ASLEEP: i64 = 1_000_000_000;

/// Outside and in the time namespace, the clock counted the time of the suspended machine.
fn counts_the_sleep(what: &str) -> Effect {
    let asleep = |gained: &Value| gained.as_i64().is_some_and(|it| it > ASLEEP);
    outside(what).that(asleep) & inside(what).that(asleep)
}

/// What two clocks gained on CLOCK_MONOTONIC while the machine was suspended, or was not: outside, and in a time
/// namespace with offsets.
fn read_around(sleeps: bool) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("inside", Namespaces::NONE, |me| {
        entry::enter_new(Some(LAST_WEEK))?;
        let before = ahead()?;
        me.report("ready", "yes")?;
        me.checkpoint()?;
        gains(before)?.into_iter().try_for_each(|(what, gained)| me.report(what, gained))
    })?;
    child.fact()?; // it has read its clocks
    let before = ahead()?;
    if sleeps {
        sleep::suspend_to_ram(Duration::from_secs(30))?;
    }
    let mut facts: Vec<Fact> =
        gains(before)?.map(|(what, gained)| Fact::outside(what, gained)).into_iter().collect();
    child.wake()?;
    facts.extend(child.facts()?);
    Ok(facts)
}

/// What each of the two gained on CLOCK_MONOTONIC. `before` is how far it was ahead at first.
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
