//! What was predicted in a class, as data: `--score FILE`.

use std::path::Path;

use anyhow::Result;
use pages::Target;
use serde::Serialize;
use transcript::Origin;

use super::score::Prediction;

/// What was predicted in a class, and where it is written to, if that is wanted.
pub(super) struct Scored {
    to: Option<Target>,
    score: Score,
}

/// The file's object.
#[derive(Debug, Default, Serialize)]
struct Score {
    /// How many were right.
    right: usize,
    /// How many were asked.
    asked: usize,
    /// The exit status.
    status: u8,
    #[serde(flatten)]
    origin: Origin,
    kernel: String,
    predictions: Vec<Line>,
}

/// A prediction in it.
#[derive(Debug, Serialize)]
struct Line {
    experiment: String,
    claim: String,
    question: String,
    /// The answer that was given.
    answered: String,
    right: bool,
    /// The answer that the kernel gave.
    kernel_says: String,
}

impl Scored {
    /// Nothing yet. What cannot be written is found out before anything runs.
    ///
    /// # Errors
    /// In one line, which file cannot be written and why.
    pub(super) fn open(path: Option<&Path>) -> Result<Scored> {
        Ok(Scored { to: path.map(Target::open).transpose()?, score: Score::default() })
    }

    /// Takes down who predicts, and on which kernel: the first experiment says so.
    pub(super) fn begin(&mut self, origin: &Origin, kernel: &str) {
        if self.score.kernel.is_empty() {
            self.score.origin = origin.clone();
            self.score.kernel = kernel.into();
        }
    }

    /// Adds a prediction, to which the kernel said `says`.
    pub(super) fn add(&mut self, Prediction { asked, answer, right, .. }: Prediction, says: &str) {
        self.score.asked += 1;
        self.score.right += usize::from(right);
        self.score.predictions.push(Line {
            experiment: asked.experiment,
            claim: asked.claim,
            question: asked.question,
            answered: answer,
            right,
            kernel_says: says.into(),
        });
    }

    /// Whether an answer was wrong.
    pub(super) fn has_wrong(&self) -> bool {
        self.score.right < self.score.asked
    }

    /// Writes it where it is wanted.
    ///
    /// # Errors
    /// As [`Target::write`].
    pub(super) fn write(mut self, status: u8) -> Result<()> {
        let Some(to) = self.to.take() else { return Ok(()) };
        self.score.status = status;
        to.write((serde_json::to_string_pretty(&self.score)? + "\n").as_bytes())
    }
}
