//! Two arms, which differ in one factor, and the verdict on them.

use anyhow::{Result, bail, ensure};
use ns_core::Fact;

use crate::claim::Claim;
use crate::effect::{Effect, Shown};
use crate::lab::Lab;
use crate::observation::Observation;
use crate::refusal;
use transcript::{Arm, Event, Expectation, Row, Verdict, judge};

/// What two arms came to: the control, in which the factor is left out, and the treatment, in which it is not.
///
/// They come from [`Lab::arms`] alone, which makes both with one function. So no two things can be compared that differ
/// in more than the factor by a slip, and `--sabotage` reaches every pair there is. By hand it does not compile:
///
/// ```compile_fail,E0451
/// let arms = lesson::Arms { control: 1, treatment: 2 };
/// ```
#[derive(Debug, Clone)]
pub struct Arms<T> {
    control: T,
    treatment: T,
}

impl<T> Arms<T> {
    /// Without the factor.
    pub fn control(&self) -> &T {
        &self.control
    }

    /// With it.
    pub fn treatment(&self) -> &T {
        &self.treatment
    }

    /// The same of both arms, such as those facts on which a claim rests.
    pub fn map<U>(self, mut part: impl FnMut(T) -> U) -> Arms<U> {
        Arms { control: part(self.control), treatment: part(self.treatment) }
    }

    /// As [`Arms::map`], where that can fail.
    ///
    /// # Errors
    /// Those of `part`.
    pub fn try_map<U>(self, mut part: impl FnMut(T) -> Result<U>) -> Result<Arms<U>> {
        Ok(Arms { control: part(self.control)?, treatment: part(self.treatment)? })
    }

    /// The arms of the opposite claim: what was the factor is now its absence.
    #[must_use]
    pub fn swapped(self) -> Arms<T> {
        Arms { control: self.treatment, treatment: self.control }
    }
}

impl Arms<Vec<Fact>> {
    /// Those facts of both arms on which a claim rests, by their names.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Arms<Vec<Fact>> {
        let part = |facts: &[Fact]| {
            facts.iter().filter(|fact| names.contains(&fact.what.as_str())).cloned().collect()
        };
        Arms { control: part(&self.control), treatment: part(&self.treatment) }
    }
}

/// A claim with its arms, which waits for its verdict.
#[must_use = "a claim that is compared and not judged breaks the experiment"]
pub struct Compared<'a> {
    lab: &'a mut Lab,
    claim: Claim,
    /// None where the claim was skipped.
    arms: Option<Arms<Observation>>,
    in_both: Option<Effect>,
}

/// The arms of a claim that are begun, and whose end is awaited together with that of others.
#[must_use = "a claim that is begun and not ended breaks the experiment"]
pub struct Begun<P> {
    claim: Claim,
    /// None where the claim is not asked.
    arms: Option<Result<Arms<P>>>,
}

impl<P> Begun<P> {
    /// What the arms have come to so far: nothing where the claim is not asked, or an arm could not be begun.
    pub fn so_far(&self) -> impl Iterator<Item = &P> {
        let arms = self.arms.iter().flatten();
        arms.flat_map(|arms| [&arms.control, &arms.treatment])
    }
}

impl Lab {
    /// As the first half of [`Lab::compare`]: begins both arms of a claim, and leaves the rest to [`Lab::end`]. So the
    /// arms of several claims can wait at the same time for what the kernel does in its own time.
    pub fn begin<F: Clone, P>(
        &self,
        claim: Claim,
        control: F,
        treatment: F,
        arm: impl FnMut(F) -> Result<P>,
    ) -> Begun<P> {
        Begun { claim, arms: self.asks(&claim).then(|| self.arms(control, treatment, arm)) }
    }

    /// As the second half of [`Lab::compare`]: ends both arms by one function, which observes.
    ///
    /// # Errors
    /// Those of `end` and of the arms, but for a call that this machine refuses: for that the claim is skipped.
    pub fn end<P, O: Into<Observation>>(
        &mut self,
        begun: Begun<P>,
        mut end: impl FnMut(P) -> Result<O>,
    ) -> Result<Compared<'_>> {
        let Begun { claim, arms } = begun;
        let arms = arms.map(|arms| arms?.try_map(|part| end(part).map(Into::into)));
        self.judge_or_skip(Begun { claim, arms })
    }

    /// Runs both arms of a claim: one function, called without the factor and with it. Under `--sabotage` it is called
    /// with the control twice. Nothing is run for a claim that this machine cannot be asked.
    ///
    /// # Errors
    /// Those of `arm`, but for a call that this machine refuses: for that the claim is skipped.
    pub fn compare<F: Clone, O: Into<Observation>>(
        &mut self,
        claim: Claim,
        control: F,
        treatment: F,
        mut arm: impl FnMut(F) -> Result<O>,
    ) -> Result<Compared<'_>> {
        let begun = self.begin(claim, control, treatment, |factor| arm(factor).map(Into::into));
        self.judge_or_skip(begun)
    }

    /// What [`Lab::compare`] does for whatever arms.
    fn judge_or_skip(&mut self, begun: Begun<Observation>) -> Result<Compared<'_>> {
        let Begun { claim, arms } = begun;
        let Some(arms) = arms else { return Ok(Compared { lab: self, claim, arms: None, in_both: None }) };
        match arms {
            Ok(arms) => Ok(self.judge(claim, arms)),
            Err(error) => match refusal::of(&error) {
                Some(unmet) => {
                    self.skip(claim, unmet)?;
                    Ok(Compared { lab: self, claim, arms: None, in_both: None })
                }
                None => Err(error),
            },
        }
    }

    /// Both arms, for more than one claim or for a table: one function, called without the factor and with it; under
    /// `--sabotage` twice without.
    ///
    /// # Errors
    /// Those of `arm`. A call that this machine refuses skips what claims the step has left.
    pub fn arms<F: Clone, T>(
        &self,
        control: F,
        treatment: F,
        mut arm: impl FnMut(F) -> Result<T>,
    ) -> Result<Arms<T>> {
        let treatment = if self.is_sabotaged() { control.clone() } else { treatment };
        Ok(Arms { control: arm(control)?, treatment: arm(treatment)? })
    }

    /// Asks for the verdict on a claim with these arms.
    pub fn judge<O: Into<Observation>>(&mut self, claim: Claim, arms: Arms<O>) -> Compared<'_> {
        let arms = self.asks(&claim).then(|| arms.map(Into::into));
        Compared { lab: self, claim, arms, in_both: None }
    }
}

impl Compared<'_> {
    /// And this is so in both arms, whatever the factor does: see [`crate::effect`].
    pub fn in_both_arms(mut self, also: Effect) -> Self {
        self.in_both = Some(match self.in_both.take() {
            Some(before) => before & also,
            None => also,
        });
        self
    }

    /// Judges by whether the effect is to be seen in either arm: any part of it in the control, all of it in the
    /// treatment. Where an arm shows neither the effect nor its absence, since this machine gave an answer that is none
    /// of those, the claim is skipped. So is one whose verdict is not as expected where this machine is the reason for
    /// the answers. A seccomp filter that refuses a call answers as the kernel does. A verdict that is as expected is
    /// never touched.
    ///
    /// # Errors
    /// When an arm reported nothing, or nothing by a name that the effect asks for. When an arm lacks what is so in both,
    /// and this machine is not the reason. When the claim is not of this step, or judged already. When the output cannot
    /// be written.
    pub fn shows(self, effect: Effect) -> Result<()> {
        let Compared { lab, claim, arms, in_both } = self;
        let Some(Arms { control, treatment }) = arms else { return Ok(()) };
        let (control, treatment) = (control.into_facts(), treatment.into_facts());
        if control.is_empty() || treatment.is_empty() {
            bail!("the claim '{}' has an arm in which nothing was seen", claim.id);
        }
        let held_against = |effect: &Effect| {
            effect.in_both(&control, &treatment).map_err(|missing| {
                let names = [&control, &treatment].map(|facts| names(facts));
                anyhow::anyhow!(
                    "the claim '{}' asks for {}, which an arm does not report; the control reports {}; the treatment {}",
                    claim.id,
                    missing.asked,
                    names[0],
                    names[1]
                )
            })
        };
        let shown = held_against(&effect)?;
        let of_both = in_both.as_ref().map(held_against).transpose()?;
        if let Some(unmet) = shown.iter().chain(of_both.iter().flatten()).find_map(refusal::third_answer) {
            return lab.skip(claim, unmet);
        }
        let lacks = [&control, &treatment]
            .map(|facts| in_both.as_ref().map_or_else(Vec::new, |also| also.against(facts, true)));
        // What the control shows in part, the factor does not bring about.
        let [before, after] = [shown[0] != Shown::Absent, shown[1] == Shown::Present && lacks[1].is_empty()];
        let verdict = judge(before, after);
        let expectation = Expectation::from(claim.expect);
        // Without its factor no claim may hold, and that is all that is expected then.
        let expected = if lab.is_sabotaged() {
            verdict != Verdict::Holds
        } else {
            expectation.allows(verdict, lab.kernel())
        };
        // Without what is so in both arms no verdict comes out as expected.
        let undecided = !lacks[0].is_empty() || expected && !lacks[1].is_empty();
        if undecided || !expected && !lab.is_sabotaged() {
            let wants = expectation.allows(Verdict::Holds, lab.kernel());
            let mut against = lacks.concat();
            against.extend(effect.against(&treatment, wants));
            if wants && before {
                against.extend(effect.against(&control, false));
            }
            let all: Vec<_> = treatment.iter().chain(&control).collect();
            if let Some(unmet) = refusal::explains(&against, &all) {
                return lab.skip(claim, unmet);
            }
        }
        if undecided {
            let (arm, facts) =
                if lacks[0].is_empty() { ("treatment", &lacks[1]) } else { ("control", &lacks[0]) };
            let told = |fact: &&Fact| format!("{} = {}", typed(fact), fact.value);
            let facts: Vec<_> = facts.iter().map(told).collect();
            bail!(
                "the claim '{}' lacks in its {arm} what is so in both arms: {}",
                claim.id,
                facts.join(", ")
            );
        }
        let rows = rows(&claim, &control, &treatment)?;
        lab.settle_as(&claim, verdict, expected)?;
        lab.emit(&Event::Judged {
            claim: claim.id.into(),
            verdict,
            expected,
            control: Arm { effect: before, facts: control },
            treatment: Arm { effect: after, facts: treatment },
            rows,
        })
    }
}

/// The rows of the one screen that a claim declares.
fn rows(claim: &Claim, control: &[Fact], treatment: &[Fact]) -> Result<Vec<Row>> {
    let row = |declared: &crate::core_claim::Row| {
        let [control_value, treatment_value] =
            [control, treatment].map(|facts| declared.find(facts).map(|fact| fact.value.clone()));
        ensure!(
            control_value.is_some() || treatment_value.is_some(),
            "the row '{}' of the claim '{}' asks for a fact that neither arm reports; the control reports {}; the \
             treatment {}",
            declared.label,
            claim.id,
            names(control),
            names(treatment)
        );
        Ok(Row { label: declared.label.into(), control: control_value, treatment: treatment_value })
    };
    claim.core.iter().map(row).collect()
}

/// The names by which facts can be asked for, as an experiment asks.
fn names(facts: &[Fact]) -> String {
    facts.iter().map(typed).collect::<Vec<_>>().join(", ")
}

/// A fact, as an experiment asks for it.
fn typed(fact: &Fact) -> String {
    format!("{}({:?})", fact.view.word(), fact.what)
}
