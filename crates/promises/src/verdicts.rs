//! What is promised of the verdicts.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Completion, Failed};
use transcript::{Claim, ClaimHead, ClaimResult, Event, Run};

use crate::ensure::ensure;
use crate::experiment::{Experiment, Transcript, WHOLE};

/// One claim's verdict is as expected. A claim that cannot be asked here is a skipped test, or with `LAB_MUST_RUN=1` a
/// failed one.
pub(crate) fn is_as_expected(experiment: &Experiment, id: &str) -> Result<Completion, Failed> {
    let transcript = experiment.plain()?;
    match transcript.run.claim(id).and_then(|claim| claim.result.as_ref()) {
        Some(ClaimResult::Judged { expected: true, .. }) => Ok(Completion::Completed),
        Some(ClaimResult::Judged { verdict, .. }) => {
            Err(format!("{}: {}", verdict.word(), transcript.seen(id)).into())
        }
        Some(ClaimResult::Skipped { missing, remedy }) => {
            let why = format!("{missing}; to get it: {remedy}");
            let must_run = std::env::var_os("LAB_MUST_RUN").is_some_and(|it| it == "1");
            if must_run {
                Err(format!("LAB_MUST_RUN=1, but skipped: {why}").into())
            } else {
                Ok(Completion::ignored_with(why))
            }
        }
        None => Err(format!("not settled; broken: {:?}", transcript.run.broken()).into()),
    }
}

pub(crate) fn every_verdict_is_as_expected(experiment: &Experiment) -> Result<(), Failed> {
    let transcript = experiment.plain()?;
    is_whole(&transcript.run)?;
    let surprises = surprises(transcript);
    ensure(surprises.is_empty(), || surprises.clone())?;
    let due = transcript.status_or_skipped(0);
    ensure(transcript.status == due, || format!("exits {:?}", transcript.status))
}

/// The claims whose verdict is not as expected, and what both arms reported, a line each.
fn surprises(transcript: &Transcript) -> String {
    let is_unexpected = |claim: &&Claim| claim.result.as_ref().is_some_and(|result| !result.is_expected());
    let surprises = transcript.run.claims.iter().filter(is_unexpected).map(|claim| &claim.head.id);
    surprises.map(|id| format!("{id}: {}", transcript.seen(id))).collect::<Vec<_>>().join("\n")
}

pub(crate) fn no_claim_holds_under_sabotage(experiment: &Experiment) -> Result<(), Failed> {
    let transcript = experiment.sabotaged()?;
    is_whole(&transcript.run)?;
    ensure(transcript.run.begin.sabotage, || "the transcript does not say that it is sabotaged".into())?;
    let holds = transcript.holds();
    ensure(holds.is_empty(), || format!("these hold without their factor: {holds:?}"))?;
    let due = transcript.status_or_skipped(0);
    ensure(transcript.status == due, || format!("exits {:?}", transcript.status))
}

/// It did not break, and settled each claim that it declares, once.
fn is_whole(run: &Run) -> Result<(), Failed> {
    ensure(run.broken().is_none(), || format!("broken: {:?}", run.broken()))?;
    Ok(run.all_settled().map_err(|why| format!("{why:#}"))?)
}

/// Alone, a step says what it says in its place, by the same number.
pub(crate) fn a_step_alone_says_the_same(experiment: &Experiment) -> Result<(), Failed> {
    let plain = experiment.plain()?;
    let steps: Vec<_> = plain.run.steps().filter_map(|events| events.iter().find_map(step)).collect();
    let last = steps.iter().map(|(number, _)| *number).max().unwrap_or_default();
    for (number, claims) in steps {
        let alone = experiment.transcript_of(&["--step", &number.to_string()])?;
        is_whole(&alone.run)?;
        let in_its_place: Vec<_> =
            plain.verdicts().into_iter().filter(|(id, _)| claims.iter().any(|claim| claim == id)).collect();
        ensure(alone.verdicts() == in_its_place, || {
            format!("step {number}: {:?} instead of {in_its_place:?}", alone.verdicts())
        })?;
        let numbers: Vec<_> = alone.run.steps().filter_map(|events| events.iter().find_map(step)).collect();
        ensure(numbers.iter().map(|(number, _)| *number).eq([number]), || format!("{numbers:?}"))?;
    }
    let beyond = experiment.run(&["--step", &(last + 1000).to_string()])?;
    ensure(beyond.status.code() == Some(2) && beyond.stdout.is_empty(), || format!("{beyond:?}"))
}

/// The number of a step, and its claims.
fn step(event: &Event) -> Option<(usize, &[String])> {
    let Event::Step { number, claims, .. } = event else { return None };
    Some((*number, claims))
}

pub(crate) fn every_claim_is_settled_once(experiment: &Experiment) -> Result<(), Failed> {
    let run = &experiment.plain()?.run;
    let claims: Vec<&ClaimHead> = run.claims.iter().map(|claim| &claim.head).collect();
    ensure(!claims.is_empty(), || "it declares no claim".into())?;
    let unique: BTreeSet<_> = claims.iter().map(|claim| &claim.id).collect();
    ensure(unique.len() == claims.len(), || "an id stands twice".into())?;
    is_whole(run)?;
    for claim in &claims {
        let ClaimHead { id, text, factor, .. } = claim;
        ensure(
            id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            || format!("the id {id:?}"),
        )?;
        ensure(!factor.is_empty(), || format!("{id} names no factor"))?;
        ensure(text.ends_with('.') && text.len() <= 140, || format!("{id} is no short sentence: {text:?}"))?;
        ensure(!claim.notes.is_empty() || !claim.more.is_empty(), || format!("{id} answers to no number"))?;
        if let Some(correction) = claim.expect.correction() {
            let right = claims.iter().find(|other| other.id == *correction);
            let is_right = right.is_some_and(|right| right.expect.correction().is_none());
            ensure(is_right, || format!("{id} is corrected by {correction:?}, which is {right:?}"))?;
        }
    }
    ensure(experiment.claims()?.iter().eq(claims), || "--list-claims lists other claims".into())
}

pub(crate) fn a_skip_fails_when_it_must_run(experiment: &Experiment) -> Result<(), Failed> {
    let strict = experiment.run(&[WHOLE, &["--must-run"]].concat())?;
    fails_for_skips(experiment.plain()?, &strict)?;
    let strict = experiment.command(&["--format", "jsonl"]).env("LAB_MUST_RUN", "1").output()?;
    fails_for_skips(experiment.core()?, &strict)
}

/// A run that must ask every claim exits with 1 if one is skipped, and otherwise as one that may skip.
fn fails_for_skips(relaxed: &Transcript, strict: &Output) -> Result<(), Failed> {
    let strict = Transcript::read(strict)?;
    let wanted = if relaxed.has_skips() { Some(1) } else { relaxed.status };
    ensure(strict.status == wanted, || {
        format!("exits {:?} instead of {wanted:?}; {}", strict.status, surprises(&strict))
    })
}

/// Signals ignored or blocked by the parent, no environment, descriptors closed: none is the experiment's fault.
const HOSTILE: &[&[&str]] = &[
    &["bash", "-c", "exec \"$@\" <&- 2>&-", "bash"],
    &["env", "-i"],
    &["env", "--ignore-signal=CHLD,INT,QUIT,TERM,USR1,SEGV", "--block-signal=TERM,INT"],
];
/// As the only member of namespaces, whose numbers are free once it leaves them.
const ALONE: &[&str] = &["unshare", "--mount", "--propagation", "unchanged", "--uts", "--ipc"];

/// In all of that at once. If that changes something, each is tried by itself, for the name of it.
pub(crate) fn a_hostile_start_changes_nothing(experiment: &Experiment) -> Result<(), Failed> {
    let is_root = nix::unistd::getuid().is_root();
    let starts: Vec<&[&str]> = is_root.then_some(ALONE).into_iter().chain(HOSTILE.iter().copied()).collect();
    changes_nothing(experiment, &starts.concat()).or_else(|together| {
        starts.iter().try_for_each(|start| changes_nothing(experiment, start))?;
        Err(together)
    })
}

fn changes_nothing(experiment: &Experiment, start: &[&str]) -> Result<(), Failed> {
    let usual = experiment.plain()?.verdicts();
    let mut command = Command::new(start[0]);
    command.args(&start[1..]).arg(experiment.program()).args(WHOLE);
    command.stdin(Stdio::null()).env_remove("LAB_MUST_RUN");
    let transcript = Transcript::read(&command.output()?)?;
    let verdicts = transcript.verdicts();
    ensure(verdicts == usual, || format!("{start:?}: {verdicts:?} instead of {usual:?}"))
}
