//! From two arms to a verdict.

use serde::{Deserialize, Serialize};

/// What the experiment says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The effect comes with the factor alone.
    Holds,
    /// The effect does not come with the factor: the kernel disagrees with the sentence.
    Refuted,
    /// The effect comes without the factor too, so the experiment cannot tell.
    Inconclusive,
    /// This machine cannot be asked.
    Skipped,
}

impl Verdict {
    /// The word that stands for it.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Refuted => "refuted",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Skipped => "skipped",
        }
    }
}

/// Judges by whether the effect was seen in the control, and in the treatment.
pub const fn judge(control: bool, treatment: bool) -> Verdict {
    match (control, treatment) {
        (false, true) => Verdict::Holds,
        (_, false) => Verdict::Refuted,
        (true, true) => Verdict::Inconclusive,
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
            (true, true, Verdict::Inconclusive),
        ];
        for (control, treatment, verdict) in table {
            assert_eq!(judge(control, treatment), verdict, "control {control}, treatment {treatment}");
        }
    }
}
