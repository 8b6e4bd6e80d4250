//! What an experiment declares: its question, and the steps in which it is answered.

use anyhow::Result;
use ns_core::Namespaces;
use ns_core::probe::Unmet;

use crate::claim::Claim;
use crate::hand::Hand;
use crate::lab::Lab;
use crate::refusal;
use crate::requirement::Requirement;
use crate::shell::Shell;
use transcript::{ClaimHead, Event, Hands};

/// A question to the kernel, and the steps that answer it.
#[derive(Debug)]
pub struct Experiment {
    /// The binary's name.
    pub name: &'static str,
    /// The question, in one line.
    pub question: &'static str,
    /// What both arms do, in a sentence: the second line of the one screen.
    pub setup: &'static str,
    /// What the control and the treatment are, in a word or two: the heads of the one screen's columns. A claim whose
    /// factor is another says so itself ([`Claim::arms`]).
    pub arms: [&'static str; 2],
    /// What to take home, in a sentence or two that the core claims prove.
    pub in_short: &'static str,
    /// The section of the study notes that it answers; empty where they have nothing on it.
    pub notes: &'static str,
    /// The manual pages that state the rules.
    pub man: &'static [&'static str],
    /// Examples for `--help`: a command line and what it is good for.
    pub examples: &'static [(&'static str, &'static str)],
    /// The namespaces that the experiment runs in, control included, so that the host sees nothing of it. Without
    /// CAP_SYS_ADMIN a user namespace is added.
    pub sandbox: Namespaces,
    /// What all of its claims need, besides the sandbox.
    pub requires: &'static [Requirement],
    /// What is to be so before a machine is asked what it lacks: to remove what runs that were killed have left, say.
    pub prepare: Option<fn() -> Result<()>>,
    /// Its shell: the namespaces that it is about, for a person who tries things there.
    pub shell: Option<Shell>,
    /// Its steps, in the order in which they are done. A step has the same number on every machine.
    pub steps: &'static [Step],
}

/// A part of an experiment: what it is for, the claims that it judges, and how.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What it is for, in a sentence.
    pub title: &'static str,
    /// The system calls that it makes, as typed.
    pub calls: &'static [&'static str],
    /// The same by hand: shell commands, which are one session, and what they print.
    pub by_hand: &'static [Hand],
    /// The claims that it judges, in that order. It is left out where this machine can be asked none of them.
    pub claims: &'static [Claim],
    /// Does it.
    pub run: fn(&mut Lab) -> Result<()>,
}

/// A step that is done, and those of its claims that are asked.
pub(crate) struct Chosen {
    pub(crate) number: usize,
    pub(crate) step: &'static Step,
    pub(crate) claims: Vec<Claim>,
    /// The step in whose shell the commands are typed, if that is another.
    pub(crate) shell: Option<usize>,
}

impl Chosen {
    /// The event that announces it.
    pub(crate) fn announcement(&self) -> Event {
        let Chosen { number, step, claims, shell } = self;
        Event::Step {
            number: *number,
            title: step.title.into(),
            calls: step.calls.iter().map(ToString::to_string).collect(),
            by_hand: Hands { typed: step.by_hand.iter().map(Hand::data).collect(), shell: *shell },
            claims: claims.iter().map(|claim| claim.id.into()).collect(),
        }
    }
}

impl Experiment {
    /// All claims, in the order in which they are judged.
    pub fn claims(&self) -> impl Iterator<Item = &'static Claim> + use<> {
        self.steps.iter().flat_map(|step| step.claims)
    }

    /// The step in whose shell the commands of the step `number` are typed, if they go on in that of another. It is the
    /// last before it in which the same user begins one.
    pub(crate) fn shell(&self, number: usize) -> Option<usize> {
        let first = self.steps[number - 1].by_hand.first().filter(|first| first.goes_on())?;
        let begins = |step: &Step| {
            step.by_hand.first().is_some_and(|hand| !hand.goes_on() && hand.is_root() == first.is_root())
        };
        (1..number).rev().find(|earlier| begins(&self.steps[earlier - 1]))
    }

    /// What transcripts say of its claims, in that order.
    pub fn heads(&self) -> impl Iterator<Item = ClaimHead> + use<> {
        let arms = self.arms;
        self.claims().map(move |claim| claim.head(arms))
    }
}

impl Lab {
    /// Does a step for those of its claims that were `chosen`. It shows what it is for, skips the claims that this
    /// machine cannot be asked, and runs it for the others.
    pub(crate) fn perform(&mut self, chosen: &Chosen) -> Result<()> {
        let Chosen { step, claims, .. } = chosen;
        self.emit(&chosen.announcement())?;
        self.let_go();
        self.leave(step.claims)?;
        self.open(claims);
        for claim in claims {
            self.skip_if_unmet(claim)?;
        }
        if !step.claims.is_empty() && !claims.iter().any(|claim| self.asks(claim)) {
            return Ok(());
        }
        let is_alone = |requirement: &Requirement| matches!(requirement, Requirement::Alone);
        let asked = claims.iter().filter(|claim| self.asks(claim));
        let alone = asked.flat_map(|claim| claim.requires).any(is_alone);
        let turn = self.take_turn(alone)?;
        let ran = (step.run)(self);
        drop(turn);
        if let Err(error) = ran {
            let Some(unmet) = refusal::of(&error) else { return Err(error) };
            for claim in step.claims.iter().filter(|claim| self.asks(claim)).copied().collect::<Vec<_>>() {
                self.skip(claim, unmet.clone())?;
            }
        }
        let left: Vec<_> =
            step.claims.iter().filter(|claim| self.asks(claim)).map(|claim| claim.id).collect();
        anyhow::ensure!(left.is_empty(), "declared and never judged: {}", left.join(", "));
        let cgroup = |requirement: &Requirement| match requirement {
            Requirement::CgroupParent(request) => Some(*request),
            _ => None,
        };
        if let Some(request) = claims.iter().flat_map(|claim| claim.requires).find_map(cgroup) {
            // One like those of the step, if that has left none. A machine that refuses it has no shell there, and no more.
            let _ = self.leave_a_member(request, "new", |_| Ok(()));
        }
        Ok(())
    }

    fn skip_if_unmet(&mut self, claim: &Claim) -> Result<()> {
        match first_unmet(claim.requires)? {
            Some(unmet) => self.skip(*claim, unmet),
            None => Ok(()),
        }
    }
}

/// What a machine lacks first of what is required. A probe that this machine refuses finds that it does.
pub(crate) fn first_unmet(requires: &[Requirement]) -> Result<Option<Unmet>> {
    for requirement in requires {
        match requirement.unmet().map_err(Into::into) {
            Ok(None) => {}
            Ok(unmet) => return Ok(unmet),
            Err(error) => return refusal::of(&error).map(Some).ok_or(error),
        }
    }
    Ok(None)
}
