//! Whether the clocks go on while the machine sleeps. To find out, it has to be put to sleep, so nobody's machine is.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step};
use ns_core::clock::Clock;
use ns_core::probe::Missing;
use ns_core::{Fact, Value};

pub(crate) const STOPS: Claim =
    Claim::holds("stops", "CLOCK_MONOTONIC stands still while the machine is suspended.")
        .cause("a suspended machine")
        .notes(&[104])
        .needs(&[Need::Probe(a_machine_to_suspend)]);
pub(crate) const GOES_ON: Claim =
    Claim::holds("goes-on", "CLOCK_BOOTTIME goes on while the machine is suspended.")
        .cause("a suspended machine")
        .notes(&[105])
        .needs(&[Need::Probe(a_machine_to_suspend)]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Compare the two clocks that count from boot: they differ by the time that this machine was suspended.",
        calls: &["clock_gettime(CLOCK_MONOTONIC)", "clock_gettime(CLOCK_BOOTTIME)"],
        by_hand: &[],
    })?;
    let (monotonic, boottime) = (Clock::Monotonic.now()?, Clock::Boottime.now()?);
    lab.saw(Fact::outside("CLOCK_BOOTTIME - CLOCK_MONOTONIC", Value::Nanoseconds(boottime - monotonic)))?;
    // Always skipped as yet. If one day it is not, the claims below stay unjudged, which breaks the experiment aloud.
    lab.can_ask(&[STOPS, GOES_ON]).map(drop)
}

fn a_machine_to_suspend() -> ns_core::Result<Option<Missing>> {
    let throwaway = std::env::var_os("INCEPTION_THROWAWAY").is_some_and(|value| value == "1");
    Ok(Some(if throwaway {
        Missing::new("the suspending itself, which this version does not do yet", "a later version")
    } else {
        Missing::new(
            "a machine that may be suspended",
            "a virtual machine that may be suspended (not this one), with INCEPTION_THROWAWAY=1",
        )
    }))
}
