//! How a class is held.

use std::path::PathBuf;

use lesson::{Look, Screen, Steps};

use crate::trial::Conditions;

/// What is wanted of a class, in all of its experiments.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Stop at each step until a key is pressed.
    pub(crate) pause: bool,
    /// Ask for a prediction before each verdict.
    pub(crate) predict: bool,
    /// Take the answers from this file; `-` is standard input.
    pub(crate) answers: Option<PathBuf>,
    /// Write what was predicted to this file; `-` is standard output.
    pub(crate) score: Option<PathBuf>,
    pub(crate) screen: Screen,
    /// How text looks; it is always step by step.
    pub(crate) look: Look,
    /// Where the teacher's notes go.
    pub(crate) notes: Option<PathBuf>,
    /// Record the text in this file, too.
    pub(crate) record: Option<PathBuf>,
    pub(crate) conditions: Conditions,
    pub(crate) steps: Steps,
}

impl Options {
    /// The option that asks for a class.
    pub(crate) fn name(&self) -> &'static str {
        if self.pause { "--pause" } else { "--predict" }
    }

    /// What asks for the same class again, but for its steps.
    pub(super) fn again(&self) -> Vec<String> {
        let options = [(self.pause, "--pause"), (self.predict, "--predict")];
        let options = options.into_iter().filter(|(is_on, _)| *is_on).map(|(_, option)| option);
        let options = options.chain(self.look.options()).map(String::from).collect();
        let notes = self.notes.iter().map(|path| format!("--notes={}", path.display())).collect();
        [options, self.screen.options(), self.conditions.options(), notes].concat()
    }

    /// The part of it that an experiment gets as arguments.
    pub(super) fn experiments(&self) -> Vec<String> {
        [self.conditions.options(), self.steps.options()].concat()
    }
}
