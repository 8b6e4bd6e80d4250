//! One experiment's part of a transcript: what it declared, what happened in each step, and what became of each claim.

use std::time::Duration;

use crate::claim::ClaimHead;
use crate::event::{Actor, Event, Origin, Sandbox};
use crate::tally::Tally;
use crate::verdict::Verdict;
use anyhow::{Context, Result, bail, ensure};

/// What an experiment says first, but for its claims.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// The experiment's name.
    pub experiment: String,
    /// Its question.
    pub question: String,
    /// The section of the study notes.
    pub notes: String,
    /// Manual pages.
    pub man: Vec<String>,
    /// uname(2)'s release.
    pub kernel: String,
    /// uname(2)'s machine.
    pub machine: String,
    /// Whether the factors are left out.
    pub sabotage: bool,
    /// Whose run it is, where, and when.
    pub origin: Origin,
    /// Where it runs.
    pub sandbox: Sandbox,
    /// What both arms do, in a sentence.
    pub setup: String,
    /// What to take home.
    pub in_short: String,
}

/// A claim, and what became of it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// What it says.
    pub head: ClaimHead,
    /// `None` until it is known, or where the experiment broke before.
    pub result: Option<ClaimResult>,
    /// The number of the step that it was judged or skipped in.
    pub step: Option<usize>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimResult {
    /// It has a verdict.
    Judged {
        /// The verdict.
        verdict: Verdict,
        /// Whether it is what is expected on its kernel.
        expected: bool,
    },
    /// The machine could not be asked.
    Skipped {
        /// What is missing.
        missing: String,
        /// How to get it.
        remedy: String,
    },
}

/// What an experiment says last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why it broke, if it did.
    pub broken: Option<String>,
    /// The status that it says it exits with.
    pub status: u8,
    /// How long it took, by its own clock.
    pub elapsed: Duration,
}

/// What an experiment has said so far. It may not contradict itself.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it said first.
    pub begin: Begin,
    /// In the order in which it declares them.
    pub claims: Vec<Claim>,
    /// All of them, in their order.
    events: Vec<Event>,
    tally: Tally,
    /// What it said last; `None` until then.
    pub end: Option<End>,
}

impl Claim {
    /// One that nothing is known of yet but what it says.
    pub fn declared(head: ClaimHead) -> Claim {
        Claim { head, result: None, step: None }
    }
}

impl ClaimResult {
    /// The verdict; a skip is one.
    pub fn verdict(&self) -> Verdict {
        match self {
            ClaimResult::Judged { verdict, .. } => *verdict,
            ClaimResult::Skipped { .. } => Verdict::Skipped,
        }
    }

    /// Whether it is what is expected on its kernel. A skip is neither, and counts apart.
    pub fn is_expected(&self) -> bool {
        !matches!(self, ClaimResult::Judged { expected: false, .. })
    }
}

impl Run {
    /// Begins with the first event.
    ///
    /// # Errors
    /// When that is another than `begin`.
    pub fn begin(event: Event) -> Result<Run> {
        let Event::Begin {
            experiment,
            question,
            notes,
            man,
            kernel,
            machine,
            sabotage,
            origin,
            sandbox,
            setup,
            in_short,
            claims,
            ..
        } = event.clone()
        else {
            bail!("it does not begin with 'begin'");
        };
        Ok(Run {
            begin: Begin {
                experiment,
                question,
                notes,
                man,
                kernel,
                machine,
                sabotage,
                origin: *origin,
                sandbox,
                setup,
                in_short,
            },
            claims: claims.into_iter().map(Claim::declared).collect(),
            events: vec![event],
            tally: Tally::default(),
            end: None,
        })
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When it contradicts what was said before.
    pub fn take(&mut self, event: Event) -> Result<()> {
        ensure!(self.end.is_none(), "it goes on after its end");
        match &event {
            Event::Begin { .. } => bail!("it begins twice"),
            Event::Judged { claim, verdict, expected, .. } => {
                self.settle(claim, ClaimResult::Judged { verdict: *verdict, expected: *expected })?;
            }
            Event::Skipped { claim, missing, remedy } => {
                self.settle(
                    claim,
                    ClaimResult::Skipped { missing: missing.clone(), remedy: remedy.clone() },
                )?;
            }
            Event::End { tally, broken, status, elapsed } => {
                ensure!(*tally == self.tally, "its last count of the verdicts is wrong");
                let elapsed = Duration::from_nanos(*elapsed);
                self.end = Some(End { broken: broken.clone(), status: *status, elapsed });
            }
            Event::Step { .. } | Event::Actor(_) | Event::Saw(_) | Event::Table(_) => {}
        }
        self.events.push(event);
        Ok(())
    }

    fn settle(&mut self, id: &str, result: ClaimResult) -> Result<()> {
        let step = self.step();
        let claim = self.claims.iter_mut().find(|claim| claim.head.id == id);
        let claim = claim.with_context(|| format!("it settles '{id}', which it has not declared"))?;
        ensure!(claim.result.is_none(), "it settles '{id}' twice");
        self.tally.count(result.verdict(), result.is_expected());
        (claim.result, claim.step) = (Some(result), step);
        Ok(())
    }

    /// Gives it the end that it did not come to: why it broke, the exit status, and after how long a time.
    pub fn break_off(&mut self, why: &str, status: u8, elapsed: Duration) -> Event {
        let broken = Some(why.to_string());
        self.end = Some(End { broken: broken.clone(), status, elapsed });
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let event = Event::End { tally: self.tally, broken, status, elapsed: nanoseconds };
        self.events.push(event.clone());
        event
    }

    /// The claim called `id`.
    pub fn claim(&self, id: &str) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.head.id == id)
    }

    /// The sentence that the claim `head` is put right by, if it is expected to be refuted.
    pub fn correction(&self, head: &ClaimHead) -> Option<&ClaimHead> {
        self.claim(head.expect.correction()?).map(|claim| &claim.head)
    }

    /// The processes that have taken part so far.
    pub fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.events
            .iter()
            .filter_map(|event| if let Event::Actor(actor) = event { Some(actor) } else { None })
    }

    /// What happened, step by step: each from its announcement on. The first is what comes before all steps.
    pub fn steps(&self) -> impl Iterator<Item = &[Event]> {
        self.events.chunk_by(|_, next| number(next).is_none())
    }

    /// The number of the last step that it announced; `None` before the first.
    pub fn step(&self) -> Option<usize> {
        self.events.iter().rev().find_map(number)
    }

    /// Why it broke, if it did.
    pub fn broken(&self) -> Option<&str> {
        self.end.as_ref()?.broken.as_deref()
    }

    /// Whether it has settled all that it declared, unless it broke.
    ///
    /// # Errors
    /// One line that names the first claim that is left.
    pub fn all_settled(&self) -> Result<()> {
        match self.claims.iter().find(|claim| claim.result.is_none()) {
            Some(left) if self.broken().is_none() => bail!("it has not settled '{}'", left.head.id),
            _ => Ok(()),
        }
    }
}

/// The number of the step that an event announces.
fn number(event: &Event) -> Option<usize> {
    match event {
        Event::Step { number, .. } => Some(*number),
        _ => None,
    }
}
