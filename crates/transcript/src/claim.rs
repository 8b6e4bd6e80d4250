//! What a claim says, before it is judged.

use serde::{Deserialize, Serialize};

use crate::expectation::Expectation;

/// What a claim says, before it is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimHead {
    /// Its id.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// What one arm has and the other lacks.
    pub factor: String,
    /// What the kernel is expected to say.
    pub expect: Expectation,
    /// Whether it is one of the few that the lesson is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub core: bool,
    /// What the control and the treatment are, in a word or two; empty where nobody said so.
    #[serde(default, skip_serializing_if = "is_unnamed")]
    pub arms: [String; 2],
    /// The notes' claims that it answers.
    pub notes: Vec<u16>,
    /// The further behaviours that it shows.
    pub more: Vec<u16>,
    /// The question whose answer it is, where it declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The answers to choose from, where it declares them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<DeclaredAnswer>,
}

/// An answer that can be given to a claim's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredAnswer {
    /// In words, as the question is.
    pub answer: String,
    /// Whether it is the one that a verdict as expected proves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub right: bool,
    /// Why people give it who have it wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

fn is_unnamed(arms: &[String; 2]) -> bool {
    arms.iter().all(String::is_empty)
}

impl ClaimHead {
    /// Whether it says what its arms are. Else they are called by the factor.
    pub fn names_its_arms(&self) -> bool {
        !is_unnamed(&self.arms)
    }

    /// What the control and the treatment are: by their names, or else without the factor and with it.
    pub fn arm_names(&self) -> [String; 2] {
        match &self.arms {
            arms if self.names_its_arms() => arms.clone(),
            _ if self.factor.is_empty() => ["control".into(), "treatment".into()],
            _ => [format!("without {}", self.factor), format!("with {}", self.factor)],
        }
    }

    /// The numbers that it answers to, as people write them: `N84`, `M23`.
    pub fn numbers(&self) -> Vec<String> {
        let notes = self.notes.iter().map(|number| format!("N{number}"));
        notes.chain(self.more.iter().map(|number| format!("M{number}"))).collect()
    }

    /// Why it is as expected that the sentence is refuted. `claims` are those of its experiment.
    pub fn why_refuted<'a>(&self, claims: impl IntoIterator<Item = &'a ClaimHead>) -> Option<String> {
        match &self.expect {
            Expectation::Holds => None,
            Expectation::Refuted { correction } => {
                let right = claims.into_iter().find(|claim| claim.id == *correction);
                let right = right.map_or(correction.as_str(), |claim| claim.text.as_str());
                Some(format!("Often stated, but this kernel behaves differently. Correct: {right}"))
            }
            Expectation::HoldsSince(kernel) => Some(format!("It holds since Linux {kernel}.")),
            Expectation::Varies { why } => Some(format!("That varies: {why}.")),
        }
    }
}
