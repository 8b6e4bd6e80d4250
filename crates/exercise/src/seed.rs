//! What a learner's values are drawn from.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The first 16 hexadecimal digits of SHA-256 of `student \0 class \0 exercise \0 attempt`.
///
/// Whoever knows these four can compute it again, and with it each value. The rule may never change: attempts that were
/// handed in would get other values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(String);

impl Seed {
    /// The seed of the `attempt` of a student, counted from 1.
    pub fn of(student: &str, class: &str, exercise: &str, attempt: u32) -> Seed {
        Seed(digits(&format!("{student}\0{class}\0{exercise}\0{attempt}")))
    }

    /// A number below `end`, which is at least 1, that belongs to this seed and the value called `name`.
    pub fn below(&self, name: &str, end: u64) -> u64 {
        let drawn = u64::from_str_radix(&digits(&format!("{self}\0{name}")), 16).unwrap_or(0);
        drawn % end.max(1)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 16 hexadecimal digits of SHA-256 of a text.
pub(crate) fn digits(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_what_anybody_can_compute() {
        // printf 'ada\0%s\0own-hostname\0%s' 2026a 1 | sha256sum
        assert_eq!(Seed::of("ada", "2026a", "own-hostname", 1).to_string(), "d78bbb74882d8024");
    }

    #[test]
    fn each_learner_and_each_attempt_has_another() {
        let of = |student, attempt| Seed::of(student, "", "own-hostname", attempt);
        assert_ne!(of("ada", 1), of("ada", 2));
        assert_ne!(of("ada", 1), of("bob", 1));
        assert_eq!(of("ada", 1).below("name", 128), of("ada", 1).below("name", 128));
    }
}
