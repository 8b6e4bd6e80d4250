//! A limited user namespace, with a limit of as many namespaces of a kind as the trial needs.
//!
//! If creating one more fails with ENOSPC, the earlier ones exist. If it succeeds, one of them is gone. This needs no
//! privilege. It works even for a namespace that has no process and no name left to look it up by.

use anyhow::Result;
use lesson::{Effect, inside};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use ns_core::probe::Unmet;
use ns_core::{Child, Errno, Error, Fact, Kind, Named, Namespaces, Outcome, Pid, Reporter, sandbox, until};

use crate::limit;

/// The fact that says whether the namespace exists, or whether all of them do.
pub(crate) const NAMESPACE: &str = "the namespace";

/// How often to wait for the kernel's cleanup worker.
const ROUNDS: usize = 2;

/// What was created in a limited user namespace. It waits there to be asked whether it still exists.
pub(crate) struct Trial {
    creator: Child,
    kinds: Vec<Kind>,
    /// What was reported while it was created.
    facts: Vec<Fact>,
    /// Whether the last fact says what follows from the answer.
    concludes: bool,
}

/// Runs `make` in a user namespace with a limit of `most` namespaces of `kind`. It creates them, and returns what must
/// stay.
pub(crate) fn one_more<T>(
    kind: Kind,
    most: u32,
    make: impl FnOnce(&mut Reporter) -> ns_core::Result<T>,
) -> Result<Trial> {
    Ok(Trial { concludes: true, ..one_more_of_each(&[kind], most, make)? })
}

/// As [`one_more`], for several kinds.
pub(crate) fn one_more_of_each<T>(
    kinds: &[Kind],
    most: u32,
    make: impl FnOnce(&mut Reporter) -> ns_core::Result<T>,
) -> Result<Trial> {
    stay_on_this_cpu()?;
    let mut creator = Child::spawn("creator", Namespaces::NONE, move |me| {
        // MNT is for trials that mount something. The creator's own mount namespace counts toward the limit.
        sandbox::enter(Namespaces::USER | Namespaces::MNT)?;
        for kind in kinds {
            limit::set(*kind, most + u32::from(*kind == Kind::Mnt))?;
        }
        let stays = make(me)?;
        me.report("ready", "yes")?;
        // Until the cleanup worker has finished.
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
    Ok(Trial { creator, kinds: kinds.into(), facts, concludes: false })
}

/// Gives the kernel time to clean up after what these trials have ended. All of them wait together, since each of these
/// waits costs grace periods of RCU.
pub(crate) fn clean_up_after<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Result<()> {
    let wanted: Vec<Kind> = trials.into_iter().flat_map(|trial| trial.kinds.iter().copied()).collect();
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| wanted.contains(kind)).collect();
    if kinds.is_empty() {
        return Ok(());
    }
    (0..ROUNDS).try_for_each(|_| wait_for_the_cleanup_worker(&kinds))
}

impl Trial {
    /// The first facts are the outcomes of creating one more namespace of each kind: to be asked after
    /// [`clean_up_after`]. Of [`one_more`], the last fact is what follows from it for the earlier ones.
    pub(crate) fn ask(mut self) -> Result<Vec<Fact>> {
        self.creator.wake()?;
        let answers = self.kinds.iter().map(|_| self.creator.fact()).collect::<ns_core::Result<Vec<_>>>()?;
        let outcome = answers.first().and_then(|answer| answer.value.as_outcome());
        let state = outcome.filter(|_| self.concludes).map(|outcome| match outcome {
            Outcome::Done => "gone".into(),
            Outcome::Failed(Errno::ENOSPC) => "exists".into(),
            other => other.to_string(),
        });
        let state = state.map(|state: String| Fact::outside(NAMESPACE, state));
        Ok(answers.into_iter().chain(self.facts).chain(state).collect())
    }
}

/// All of them exist: creating one more fails with ENOSPC.
pub(crate) fn exists(kind: Kind) -> Effect {
    inside(asked(kind)).from("OK").to("ENOSPC")
}

/// One of them is gone: creating one more succeeds.
pub(crate) fn gone(kind: Kind) -> Effect {
    inside(asked(kind)).from("ENOSPC").to("OK")
}

fn asked(kind: Kind) -> String {
    format!("one more {kind} namespace")
}

/// Keeps this process and its children on their present CPU. On one CPU, the kernel's workers and RCU callbacks process
/// their work in order; across CPUs they do not.
pub(crate) fn stay_on_this_cpu() -> Result<()> {
    let cpu = sched_getcpu().named(|| "sched_getcpu()".into())?;
    let mut only = CpuSet::new();
    only.set(cpu).named(|| format!("CPU_SET({cpu})"))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only).named(|| format!("sched_setaffinity({cpu})"))?)
}

/// Tries to create a namespace of `kind`, which ends at once.
fn another(kind: Kind) -> ns_core::Result<()> {
    Child::spawn("one more", Namespaces::only(kind), |_| Ok(())).map(drop)
}

/// Waits until there is room for one more. Call it only if a namespace is sure to end.
pub(crate) fn wait_until_gone(kind: Kind) -> ns_core::Result<()> {
    until(&format!("the end of a {kind} namespace"), || match another(kind) {
        Err(error) if error.errno() == Some(Errno::ENOSPC) => Ok(None),
        other => other.map(Some),
    })
}

/// A kernel worker cleans up most kinds some time after their last reference is gone. So this creates another limited
/// user namespace, ends a namespace of each kind there, and waits until it is gone. By then the worker has processed the
/// earlier ones.
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
