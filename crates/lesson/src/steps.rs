//! Which steps of an experiment are done.

use anyhow::{Result, ensure};
use clap::Args;

use crate::claim::Claim;
use crate::experiment::{Chosen, Experiment};

/// The choice of claims and steps; without one, the core claims.
#[derive(Debug, Clone, Default, Args)]
pub struct Steps {
    /// Ask every claim, not the core claims alone
    #[arg(short, long, conflicts_with_all = ["only", "from"])]
    all: bool,

    /// Run this step alone; may be given more than once
    #[arg(long = "step", value_name = "N", conflicts_with = "from")]
    only: Vec<usize>,

    /// Run this step and those after it
    #[arg(long, value_name = "N")]
    from: Option<usize>,
}

impl Steps {
    /// Every claim of every step.
    pub fn all() -> Steps {
        Steps { all: true, ..Steps::default() }
    }

    /// Whether steps were chosen by their numbers.
    pub fn are_numbered(&self) -> bool {
        !self.only.is_empty() || self.from.is_some()
    }

    /// Whether the core claims alone are asked: what one screen can show.
    pub fn is_core(&self) -> bool {
        !self.all && !self.are_numbered()
    }

    /// The same choice as options.
    pub fn options(&self) -> Vec<String> {
        let all = self.all.then(|| "--all".to_string());
        let only = self.only.iter().map(|number| format!("--step={number}"));
        all.into_iter().chain(only).chain(self.from.map(|number| format!("--from={number}"))).collect()
    }

    /// What of the choice is left when it is gone on with at the step `next`, as options.
    pub fn left(&self, next: usize) -> Vec<String> {
        let left = self.only.iter().filter(|number| **number >= next);
        let only: Vec<String> = left.map(|number| format!("--step {number}")).collect();
        if only.is_empty() { vec![format!("--from {next}")] } else { only }
    }

    /// The steps chosen, in their order, each with its number and the claims that are asked.
    ///
    /// # Errors
    /// When a number is not that of a step.
    pub(crate) fn of(&self, experiment: &'static Experiment) -> Result<Vec<Chosen>> {
        let last = experiment.steps.len();
        for number in self.only.iter().chain(&self.from) {
            ensure!(
                (1..=last).contains(number),
                "there is no step {number}; {} has 1 to {last}",
                experiment.name
            );
        }
        // An experiment that marks none is asked whole.
        let is_core = self.is_core() && experiment.claims().any(|claim| !claim.core.is_empty());
        let is_chosen = |number: usize| {
            !self.are_numbered()
                || self.only.contains(&number)
                || self.from.is_some_and(|from| number >= from)
        };
        let steps = (1..).zip(experiment.steps).filter(|(number, _)| is_chosen(*number));
        let chosen = steps.map(|(number, step)| {
            let is_asked = |claim: &&Claim| !is_core || !claim.core.is_empty();
            let claims = step.claims.iter().filter(is_asked).copied().collect();
            Chosen { number, step, claims, shell: experiment.shell(number) }
        });
        Ok(chosen.filter(|chosen| !is_core || !chosen.claims.is_empty()).collect())
    }
}
