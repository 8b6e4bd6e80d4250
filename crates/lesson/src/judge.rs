//! From two arms to a verdict.

use serde::{Deserialize, Serialize};

use crate::model::{Expect, Kernel};

/// What the experiment says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The effect comes with the cause alone.
    Holds,
    /// The effect does not come with the cause: the kernel disagrees with the sentence.
    Refuted,
    /// The effect comes without the cause too, so the experiment cannot tell.
    Unproven,
    /// This machine cannot be asked.
    Skipped,
}

impl Verdict {
    /// The word that stands for it.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Refuted => "refuted",
            Verdict::Unproven => "unproven",
            Verdict::Skipped => "skipped",
        }
    }
}

/// Judges by whether the effect was seen without the cause, and with it.
pub const fn judge(without: bool, with: bool) -> Verdict {
    match (without, with) {
        (false, true) => Verdict::Holds,
        (_, false) => Verdict::Refuted,
        (true, true) => Verdict::Unproven,
    }
}

/// Whether `verdict` is what is expected on `kernel`. A skip is neither expected nor not: it counts apart.
pub fn is_expected(expect: Expect, verdict: Verdict, kernel: Kernel) -> bool {
    match (verdict, expect) {
        (Verdict::Skipped, _) => true,
        (Verdict::Unproven, _) => false,
        (verdict, Expect::Holds) => verdict == Verdict::Holds,
        (verdict, Expect::Refuted { .. }) => verdict == Verdict::Refuted,
        (verdict, Expect::HoldsSince(since)) => (verdict == Verdict::Holds) == (kernel >= since),
        (_, Expect::Varies(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_arms_has_its_verdict() {
        let table = [
            (false, true, Verdict::Holds),
            (false, false, Verdict::Refuted),
            (true, false, Verdict::Refuted),
            (true, true, Verdict::Unproven),
        ];
        for (without, with, verdict) in table {
            assert_eq!(judge(without, with), verdict, "without {without}, with {with}");
        }
    }

    #[test]
    fn every_verdict_is_held_against_its_expectation() {
        const REFUTED: Expect = Expect::Refuted { correction: "x" };
        const SINCE: Expect = Expect::HoldsSince(Kernel(6, 2));
        const VARIES: Expect = Expect::Varies("for a reason");
        let (old, new) = (Kernel(6, 1), Kernel(6, 12));
        let table = [
            (Expect::Holds, Verdict::Holds, old, true),
            (Expect::Holds, Verdict::Refuted, old, false),
            (REFUTED, Verdict::Refuted, old, true),
            (REFUTED, Verdict::Holds, old, false),
            (SINCE, Verdict::Holds, old, false),
            (SINCE, Verdict::Refuted, old, true),
            (SINCE, Verdict::Holds, new, true),
            (SINCE, Verdict::Refuted, new, false),
            (VARIES, Verdict::Holds, new, true),
            (VARIES, Verdict::Refuted, new, true),
        ];
        for (expect, verdict, kernel, expected) in table {
            assert_eq!(is_expected(expect, verdict, kernel), expected, "{expect:?} {verdict:?} on {kernel}");
        }
        for expect in [Expect::Holds, REFUTED, SINCE, VARIES] {
            assert!(!is_expected(expect, Verdict::Unproven, new), "an unproven claim is never fine");
            assert!(is_expected(expect, Verdict::Skipped, new), "a skip counts apart");
        }
    }
}
