//! How many claims came out how.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// How many claims came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Held.
    pub holds: usize,
    /// Were refuted.
    pub refuted: usize,
    /// Could not be told.
    pub inconclusive: usize,
    /// Could not be asked.
    pub skipped: usize,
    /// Of those judged, came out otherwise than expected.
    pub unexpected: usize,
}

impl Tally {
    /// Counts one claim.
    pub fn count(&mut self, verdict: Verdict, expected: bool) {
        match verdict {
            Verdict::Holds => self.holds += 1,
            Verdict::Refuted => self.refuted += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::Skipped => self.skipped += 1,
        }
        self.unexpected += usize::from(!expected);
    }

    /// How many were judged.
    pub fn judged(&self) -> usize {
        self.holds + self.refuted + self.inconclusive
    }
}

/// In words, what is none but for those that hold left out: `5 hold, 1 refuted`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hold", self.holds)?;
        let others =
            [(self.refuted, "refuted"), (self.inconclusive, "inconclusive"), (self.skipped, "skipped")];
        let mut others = others.into_iter().filter(|(count, _)| *count > 0);
        others.try_for_each(|(count, word)| write!(f, ", {count} {word}"))
    }
}
