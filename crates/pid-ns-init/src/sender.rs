//! The senders of a signal to init, and the requirement that no tracer interferes.

use lesson::Requirement;
use ns_core::{Error, Outcome, Pid, Result, Signal, probe, signals};

/// Who sends a signal to init.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sender {
    Outside,
    Member,
    Itself,
}

/// A tracer changes the result: the kernel reports a signal to the tracer instead of dropping it.
pub(crate) const UNTRACED: Requirement = Requirement::Probe(probe::untraced);

/// Sends a signal. kill(2) returning an errno is an error. A dropped signal is no error: kill(2) returns 0 for it too.
pub(crate) fn send(process: Pid, signal: Signal) -> Result<()> {
    check_sent(signal, signals::send(process, Some(signal))?)
}

/// The outcome of kill(2) as a result: an errno is an error.
pub(crate) fn check_sent(signal: Signal, answer: Outcome) -> Result<()> {
    match answer {
        Outcome::Failed(errno) => Err(Error::Call { call: format!("kill(pid, {signal})"), errno }),
        _ => Ok(()),
    }
}
