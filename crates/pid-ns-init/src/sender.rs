//! Who sends init a signal, and who would receive it first.

use lesson::Requirement;
use ns_core::{Error, Outcome, Pid, Result, Signal, probe, signals};

/// Who sends a signal to init.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sender {
    Outside,
    Member,
    Itself,
}

/// A tracer receives signals before they are dropped, and then they are not dropped.
pub(crate) const UNTRACED: Requirement = Requirement::Probe(probe::untraced);

/// Sends a signal that the kernel has to take: that it was dropped is seen in what comes of it, not in the answer.
pub(crate) fn send(process: Pid, signal: Signal) -> Result<()> {
    taken(signal, signals::send(process, Some(signal))?)
}

/// That kill(2) answered so when it was asked to send `signal`.
pub(crate) fn taken(signal: Signal, answer: Outcome) -> Result<()> {
    match answer {
        Outcome::Failed(errno) => Err(Error::Call { call: format!("kill(pid, {signal})"), errno }),
        _ => Ok(()),
    }
}
