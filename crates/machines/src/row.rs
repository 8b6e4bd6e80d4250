//! A machine's row of the table.

use serde::{Deserialize, Serialize};

use crate::experiment::{Ran, Skip};
use crate::machine::Machine;

/// What came of all experiments that ran on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The machine's name.
    pub machine: String,
    /// How it is made.
    pub how: String,
    /// How many experiments ran.
    pub experiments: usize,
    /// How many claims have a verdict as expected.
    pub same: usize,
    /// How many were skipped, with a cause and a remedy.
    pub skipped: usize,
    /// How many have another verdict, or a skip without a cause.
    pub wrong: usize,
    /// How many experiments broke off, hung, panicked or left something.
    pub broken: usize,
    /// The longest run, in milliseconds.
    pub slowest_ms: u64,
    /// Those that were skipped.
    #[serde(default)]
    pub skips: Vec<Skip>,
    /// What is not as promised, a line each, with the experiment's name.
    pub faults: Vec<String>,
}

impl Row {
    /// The row of a machine on which nothing has run yet.
    pub fn of(machine: &Machine) -> Row {
        Row { machine: machine.name.clone(), how: machine.how.clone(), ..Row::default() }
    }

    /// Counts a run of `experiment`.
    pub fn count(&mut self, experiment: &str, ran: &Ran) {
        let wrong = ran.wrong.iter().map(|wrong| format!("{experiment}: wrong verdict: {wrong}"));
        let broken = ran.broken.iter().map(|broken| format!("{experiment}: {broken}"));
        self.faults.extend(wrong.chain(broken));
        self.experiments += 1;
        self.same += ran.same;
        self.skipped += ran.skipped;
        let named = |skip: &Skip| Skip { claim: format!("{experiment}/{}", skip.claim), ..skip.clone() };
        self.skips.extend(ran.skips.iter().map(named));
        self.wrong += ran.wrong.len();
        self.broken += usize::from(!ran.broken.is_empty());
        self.slowest_ms = self.slowest_ms.max(u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX));
    }
}
