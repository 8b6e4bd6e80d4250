//! What is promised of the core of a lesson: few claims, a question each, and one screen.

use libtest_mimic::Failed;
use transcript::ClaimHead;

use crate::ensure::ensure;
use crate::experiment::Experiment;
use crate::rendered::{View, rendered};

/// The height of a terminal.
const LINES: usize = 24;

pub(crate) fn the_core_is_few_claims_with_a_question_each(experiment: &Experiment) -> Result<(), Failed> {
    let claims = experiment.claims()?;
    let core: Vec<&ClaimHead> = claims.iter().filter(|claim| claim.core).collect();
    let least = claims.len().min(3);
    ensure((least..=7).contains(&core.len()), || format!("{} core claims of {}", core.len(), claims.len()))?;
    for claim in core {
        let ClaimHead { id, answers, .. } = claim;
        ensure(claim.question.is_some(), || format!("{id} has no question"))?;
        ensure((3..=4).contains(&answers.len()), || format!("{id} has {} answers", answers.len()))?;
        let right = answers.iter().filter(|answer| answer.right).count();
        ensure(right == 1, || format!("{right} answers of {id} are right"))?;
        let explained = answers.iter().all(|answer| answer.right == answer.why.is_none());
        ensure(explained, || format!("a wrong answer of {id} does not say why people give it"))?;
        if let Some(correction) = claim.expect.correction() {
            let is_core = claims.iter().any(|other| other.id == *correction && other.core);
            ensure(is_core, || format!("{id} is core, and {correction}, which puts it right, is not"))?;
        }
    }
    Ok(())
}

pub(crate) fn the_core_runs_by_default(experiment: &Experiment) -> Result<(), Failed> {
    let core = experiment.core()?;
    core.run.all_settled().map_err(|why| format!("{why:#}"))?;
    let is_core = core.run.claims.iter().all(|claim| claim.head.core);
    ensure(is_core, || "a claim that is not core is asked".into())?;
    let among_all: Vec<_> = experiment.plain()?.verdicts();
    for verdict in core.verdicts() {
        ensure(among_all.contains(&verdict), || format!("alone {verdict:?}, and otherwise among all"))?;
    }
    let holds = experiment.sabotaged_core()?.holds();
    ensure(holds.is_empty(), || format!("these hold without their factor: {holds:?}"))
}

pub(crate) fn the_core_fits_one_screen(experiment: &Experiment) -> Result<(), Failed> {
    for transcript in [experiment.core()?, experiment.sabotaged_core()?] {
        for width in [60, 80, 100, 200] {
            let text = rendered(transcript, View::Screen, width, false)?;
            let lines = text.lines().count();
            ensure((3..=LINES).contains(&lines), || format!("{width} columns: {lines} lines:\n{text}"))?;
        }
    }
    Ok(())
}
