//! What a kernel is expected to say to a claim.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::verdict::Verdict;

/// A kernel by the first two numbers of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kernel(pub u32, pub u32);

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What the kernel is expected to say to a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// That it is so.
    #[default]
    Holds,
    /// That it is not so: the notes' sentence is wrong or too strong.
    Refuted {
        /// The id of the claim that says it right.
        correction: String,
    },
    /// That it is so from this kernel on, and not before.
    HoldsSince(Kernel),
    /// Either.
    Varies {
        /// The reason.
        why: String,
    },
}

impl Expectation {
    /// Whether `verdict` is what is expected on `kernel`. A skip is neither expected nor not: it counts apart.
    pub fn allows(&self, verdict: Verdict, kernel: Kernel) -> bool {
        match (verdict, self) {
            (Verdict::Skipped, _) => true,
            (Verdict::Inconclusive, _) => false,
            (verdict, Expectation::Holds) => verdict == Verdict::Holds,
            (verdict, Expectation::Refuted { .. }) => verdict == Verdict::Refuted,
            (verdict, Expectation::HoldsSince(since)) => (verdict == Verdict::Holds) == (kernel >= *since),
            (_, Expectation::Varies { .. }) => true,
        }
    }

    /// The id of the claim that corrects the sentence, if it is expected to be refuted.
    pub fn correction(&self) -> Option<&str> {
        match self {
            Expectation::Refuted { correction } => Some(correction),
            _ => None,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Holds => f.write_str("holds"),
            Expectation::Refuted { .. } => f.write_str("refuted"),
            Expectation::HoldsSince(kernel) => write!(f, "since {kernel}"),
            Expectation::Varies { why } => write!(f, "varies: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_held_against_its_expectation() {
        let refuted = || Expectation::Refuted { correction: "x".into() };
        let since = || Expectation::HoldsSince(Kernel(6, 2));
        let varies = || Expectation::Varies { why: "for a reason".into() };
        let (old, new) = (Kernel(6, 1), Kernel(6, 12));
        let table = [
            (Expectation::Holds, Verdict::Holds, old, true),
            (Expectation::Holds, Verdict::Refuted, old, false),
            (refuted(), Verdict::Refuted, old, true),
            (refuted(), Verdict::Holds, old, false),
            (since(), Verdict::Holds, old, false),
            (since(), Verdict::Refuted, old, true),
            (since(), Verdict::Holds, new, true),
            (since(), Verdict::Refuted, new, false),
            (varies(), Verdict::Holds, new, true),
            (varies(), Verdict::Refuted, new, true),
        ];
        for (expectation, verdict, kernel, allowed) in table {
            assert_eq!(
                expectation.allows(verdict, kernel),
                allowed,
                "{expectation:?} {verdict:?} on {kernel}"
            );
        }
        for expectation in [Expectation::Holds, refuted(), since(), varies()] {
            assert!(!expectation.allows(Verdict::Inconclusive, new), "an inconclusive claim is never fine");
            assert!(expectation.allows(Verdict::Skipped, new), "a skip counts apart");
        }
    }

    #[test]
    fn an_expectation_survives_json() {
        let all = [
            Expectation::Holds,
            Expectation::Refuted { correction: "immune".into() },
            Expectation::HoldsSince(Kernel(6, 2)),
            Expectation::Varies { why: "load".into() },
        ];
        for expectation in all {
            let text = serde_json::to_string(&expectation).unwrap();
            assert_eq!(serde_json::from_str::<Expectation>(&text).unwrap(), expectation, "{text}");
        }
    }
}
