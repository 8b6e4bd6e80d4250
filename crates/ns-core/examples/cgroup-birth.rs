//! What a process in a cgroup of its own costs here. A cgroup is made, with a guard and a cleanup worker behind it. A child
//! is created in it and ends, and the cgroup is removed. The peer in C is scripts/bench.d/cgroup-birth.c.
//!
//! Usage: cgroup-birth ROUNDS. It prints the nanoseconds of each round.

use std::io::Write;
use std::time::{Duration, Instant};

use ns_core::cgroup::{CgroupParent, CgroupRequest};
use ns_core::{Error, Named, Result, Spawn, cleanup, host};

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let rounds: usize = rounds.ok_or_else(|| Error::Input("usage: cgroup-birth ROUNDS".into()))?;
    host::remember()?;
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let took = (0..rounds).map(|_| round(&parent)).collect::<Result<Vec<_>>>()?;
    let mut out = std::io::stdout().lock();
    for time in took {
        writeln!(out, "{}", time.as_nanos()).named(|| "write(stdout)".into())?;
    }
    cleanup::finish()
}

fn round(parent: &CgroupParent) -> Result<Duration> {
    let began = Instant::now();
    let cgroup = parent.create("birth")?;
    let mut child = Spawn::new("member").into_cgroup(cgroup.fd()).run(|_| Ok(()))?;
    child.wait()?;
    cgroup.remove()?;
    Ok(began.elapsed())
}
