//! How a class is held.

use std::path::PathBuf;

use lesson::{Screen, Steps};

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
    /// Names in the place of what differs from run to run.
    pub(crate) stable: bool,
    /// Say too who saw what, and which namespaces each process is in.
    pub(crate) verbose: bool,
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

    /// What an experiment is told of it.
    pub(super) fn experiments(&self) -> Vec<String> {
        [self.conditions.options(), self.steps.options()].concat()
    }
}
