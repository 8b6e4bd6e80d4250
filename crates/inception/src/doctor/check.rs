//! A question to this machine, and what came of it.

use lesson::unmet::remedy;
use ns_core::probe::{self, Unmet};
use ns_core::{Errno, Namespaces};
use serde::Serialize;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Missing,
    /// The check itself failed, which says nothing about the machine.
    Unknown,
}

/// A question to this machine, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) group: &'static str,
    pub(super) check: String,
    pub(super) state: State,
    pub(super) found: String,
    pub(super) remedy: Option<String>,
}

/// Checks that belong together.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) checks: Vec<Check>,
}

impl Group {
    pub(super) fn new(name: &'static str) -> Group {
        Group { name, checks: Vec::new() }
    }

    /// Adds a check. `found` is shown when nothing is missing.
    pub(super) fn add(
        &mut self,
        check: impl Into<String>,
        found: impl Into<String>,
        missing: ns_core::Result<Option<Unmet>>,
    ) {
        // A call that this machine refuses for a cause, or at a limit, is what is missing.
        let missing = missing.or_else(|error| {
            let limits = [Errno::EAGAIN, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM];
            let unmet = error.refused().and_then(|refused| match limits.contains(&refused.errno) {
                true => Some(probe::why_refused(refused, Namespaces::NONE)),
                false => probe::cause(&refused, Namespaces::NONE),
            });
            unmet.map(Some).ok_or(error)
        });
        let (state, found, remedy) = match missing {
            Ok(None) => (State::Ok, found.into(), None),
            Ok(Some(unmet)) => (State::Missing, unmet.to_string(), Some(remedy(&unmet))),
            Err(error) => (State::Unknown, error.to_string(), None),
        };
        self.checks.push(Check { group: self.name, check: check.into(), state, found, remedy });
    }
}
