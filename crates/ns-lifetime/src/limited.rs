//! A limited user namespace, in which as many namespaces of a kind may live as the trial needs.
//!
//! When one more is refused (ENOSPC), those that were made live; when it is made, one of them is gone. Nobody needs
//! privilege to learn it. It tells even of a namespace that has no process, no name and no number left by which to look
//! for it.

use anyhow::Result;
use lesson::{Effect, inside};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use ns_core::probe::Unmet;
use ns_core::{Child, Errno, Error, Fact, Kind, Named, Namespaces, Outcome, Pid, Reporter, sandbox, until};

use crate::limit;

/// What has become of the namespace that was made, or of one of them.
pub(crate) const IT: &str = "the namespace";

/// How often the kernel's cleanup worker is waited for.
const ROUNDS: usize = 2;

/// In a user namespace where `most` namespaces of `kind` may live, `make` makes them and ends what need not stay; it
/// returns what does. The first fact is what the kernel says to one more, once it has had the time to clean up; the last
/// is what follows for those that were made.
pub(crate) fn one_more<T>(
    kind: Kind,
    most: u32,
    make: impl FnOnce(&mut Reporter) -> ns_core::Result<T>,
) -> Result<Vec<Fact>> {
    let mut facts = one_more_of_each(&[kind], most, make)?;
    if let Some(outcome) = facts.first().and_then(|answer| answer.value.as_outcome()) {
        let became = match outcome {
            Outcome::Done => "gone".into(),
            Outcome::Failed(Errno::ENOSPC) => "lives on".into(),
            other => other.to_string(),
        };
        facts.push(Fact::outside(IT, became));
    }
    Ok(facts)
}

/// As [`one_more`], of each of these kinds: the first facts are what the kernel says to one more of each.
pub(crate) fn one_more_of_each<T>(
    kinds: &[Kind],
    most: u32,
    make: impl FnOnce(&mut Reporter) -> ns_core::Result<T>,
) -> Result<Vec<Fact>> {
    stay_on_this_cpu()?;
    let mut creator = Child::spawn("creator", Namespaces::NONE, move |me| {
        // The mounts are for trials that mount something; the creator's own mount namespace counts, too.
        sandbox::enter(Namespaces::USER | Namespaces::MNT)?;
        for kind in kinds {
            limit::set(*kind, most + u32::from(*kind == Kind::Mnt))?;
        }
        let stays = make(me)?;
        me.report("ready", "yes")?;
        // However long the worker takes.
        me.stay()?;
        for kind in kinds {
            me.report(asked(*kind), Outcome::of(another(*kind))?)?;
        }
        drop(stays);
        Ok(())
    })?;
    let mut facts = Vec::new();
    loop {
        let fact = creator.fact()?;
        if fact.what == "ready" {
            break;
        }
        facts.push(fact);
    }
    for _ in 0..ROUNDS {
        wait_for_the_cleanup_worker(kinds)?;
    }
    creator.wake()?;
    for at in 0..kinds.len() {
        facts.insert(at, creator.fact()?);
    }
    Ok(facts)
}

/// They live: one more is refused.
pub(crate) fn lives(kind: Kind) -> Effect {
    inside(asked(kind)).from("OK").to("ENOSPC")
}

/// One of them is gone: there is room.
pub(crate) fn gone(kind: Kind) -> Effect {
    inside(asked(kind)).from("ENOSPC").to("OK")
}

fn asked(kind: Kind) -> String {
    format!("one more {kind} namespace")
}

/// Keeps this process, and all that it starts, on the CPU that it is on. The kernel's workers and its RCU callbacks take
/// up what they are given in its order on each CPU, not across them.
pub(crate) fn stay_on_this_cpu() -> Result<()> {
    let cpu = sched_getcpu().named(|| "sched_getcpu()".into())?;
    let mut only = CpuSet::new();
    only.set(cpu).named(|| format!("CPU_SET({cpu})"))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only).named(|| format!("sched_setaffinity({cpu})"))?)
}

/// Tries to make a namespace of `kind`, which ends at once.
fn another(kind: Kind) -> ns_core::Result<()> {
    Child::spawn("one more", Namespaces::only(kind), |_| Ok(())).map(drop)
}

/// Waits until there is room for one more: for an end that is sure to come.
pub(crate) fn wait_until_gone(kind: Kind) -> ns_core::Result<()> {
    until(&format!("the end of a {kind} namespace"), || match another(kind) {
        Err(error) if error.errno() == Some(Errno::ENOSPC) => Ok(None),
        other => other.map(Some),
    })
}

/// Most kinds are cleaned up by a worker of the kernel's, some time after the last hold on them was let go. So in a
/// limited user namespace of its own another namespace of each kind ends, and is waited for: the worker has come past the
/// earlier ones by then.
fn wait_for_the_cleanup_worker(kinds: &[Kind]) -> Result<()> {
    let mut fence = Child::spawn("fence", Namespaces::NONE, move |_| {
        sandbox::enter(Namespaces::USER)?;
        kinds.iter().try_for_each(|kind| limit::set(*kind, 1))?;
        kinds.iter().try_for_each(|kind| another(*kind))?;
        kinds.iter().try_for_each(|kind| wait_until_gone(*kind))
    })?;
    let facts = fence.facts().map_err(|error| match error {
        Error::Deadline { seconds, .. } => Error::Unmet(Unmet::new(
            format!("a kernel that cleans up after namespaces within {seconds} s"),
            "run again when this machine is less busy",
        )),
        other => other,
    })?;
    match facts.into_iter().next() {
        None => Ok(()),
        Some(Fact { what, value, .. }) => Err(Error::Input(format!("the fence: {what} {value}")).into()),
    }
}
