//! The registry office: a user namespace in which as many namespaces of a kind may live as the trial needs.
//!
//! When one more is refused (ENOSPC), those that were made live; when it is made, one of them is gone. That is an
//! obituary, and nobody needs privilege to read it. It tells even of a namespace that has no process, no name and no
//! number left by which to look for it.

use anyhow::Result;
use lesson::Observation;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use ns_core::{
    Child, Error, Fact, Kind, Named, Namespaces, Outcome, Pid, Spawn, Witness, limit, stage, until,
};

/// How often the undertaker is waited for.
const ROUNDS: usize = 2;

/// Keeps this process, and all that it starts, on the CPU that it is on. The kernel's workers and its RCU callbacks take
/// up what they are given in its order on each CPU, not across them.
pub(crate) fn stay_on_this_cpu() -> Result<()> {
    let cpu = sched_getcpu().named(|| "sched_getcpu()".into())?;
    let mut only = CpuSet::new();
    only.set(cpu).named(|| format!("CPU_SET({cpu})"))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only).named(|| format!("sched_setaffinity({cpu})"))?)
}

/// In an office where `most` namespaces of `kind` may live, `make` makes them and ends what need not stay; it returns
/// what does. The first fact is what the kernel says to one more, once it has had the time to take down the dead.
pub(crate) fn one_more<T>(
    kind: Kind,
    most: u32,
    make: impl FnOnce(&mut Witness) -> ns_core::Result<T>,
) -> Result<Observation> {
    let mut office = Child::spawn("office", Namespaces::NONE, move |me| {
        // The mounts are for trials that mount something; the office's own mount namespace counts, too.
        stage::enter(Namespaces::USER | Namespaces::MNT)?;
        limit::set(kind, most + u32::from(kind == Kind::Mnt))?;
        let stays = make(me)?;
        me.saw("ready", "yes")?;
        me.pause()?;
        me.saw(what(kind), another(kind)?)?;
        drop(stays);
        Ok(())
    })?;
    let mut facts = Vec::new();
    loop {
        let fact = office.hear()?;
        if fact.what == "ready" {
            break;
        }
        facts.push(fact);
    }
    for _ in 0..ROUNDS {
        wait_for_the_undertaker(kind)?;
    }
    office.release()?;
    facts.insert(0, office.hear()?);
    Ok(facts.into())
}

/// They live: one more is refused.
pub(crate) fn lives(seen: &Observation) -> bool {
    *seen == "ENOSPC"
}

/// One of them is gone: there is room.
pub(crate) fn gone(seen: &Observation) -> bool {
    *seen == "OK"
}

pub(crate) fn what(kind: Kind) -> String {
    format!("one more {kind} namespace")
}

/// A process in a new namespace of `kind`, which stays until it is told to end. It is ready when this returns.
pub(crate) fn member(
    kind: Kind,
    prepare: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
) -> ns_core::Result<Child> {
    let mut member = Child::spawn("member", kind.only(), |me| {
        prepare(me)?;
        me.saw("ready", "yes")?;
        me.stay()
    })?;
    member.hear()?;
    Ok(member)
}

/// Lets a process end, and waits for that: it is no member any more.
pub(crate) fn end(member: &mut Child) -> ns_core::Result<()> {
    member.release()?;
    member.wait().map(drop)
}

/// Tries to make a namespace of `kind`, which ends at once.
fn another(kind: Kind) -> ns_core::Result<Outcome> {
    Outcome::of(Spawn::new("one more").namespaces_always(kind.only()).run(|_| Ok(())))
}

/// Waits until there is room for one more: for an end that is sure to come.
pub(crate) fn wait_until_gone(kind: Kind) -> ns_core::Result<()> {
    until(&format!("the end of a {kind} namespace"), || Ok((another(kind)? == Outcome::Done).then_some(())))
}

/// Most kinds are taken down by a worker of the kernel's, some time after the last hold on them was let go. So in an
/// office of its own another namespace dies, and is waited for: the worker has come past the earlier ones by then.
fn wait_for_the_undertaker(kind: Kind) -> Result<()> {
    let mut fence = Child::spawn("fence", Namespaces::NONE, move |_| {
        stage::enter(Namespaces::USER)?;
        limit::set(kind, 1)?;
        another(kind)?;
        wait_until_gone(kind)
    })?;
    match fence.hear_all()?.into_iter().next() {
        None => Ok(()),
        Some(Fact { what, value, .. }) => Err(Error::Input(format!("the fence: {what} {value}")).into()),
    }
}
