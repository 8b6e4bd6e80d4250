//! `--predict`: before each verdict, what is expected.

use anyhow::Result;
use lesson::complain;
use lesson::render::{Shown, tone, wrap};
use ns_core::Value;
use owo_colors::OwoColorize;
use transcript::{ClaimHead, Event, Run, Verdict};

use super::ask::ask;
use super::page::{Page, Part};
use super::pause::reveal;
use super::process::ExperimentProcess;
use super::question::Question;
use super::room::{Next, Room};
use super::score::{Prediction, Score};
use crate::demos::Demo;

/// What was asked in a run, and how it was answered.
pub(super) struct Predictions {
    demo: &'static Demo,
    asked: Vec<Question>,
    /// How many of them were answered right.
    right: usize,
    /// The claims that a refuted sentence was put right by.
    told: Vec<String>,
}

impl Predictions {
    /// Of a run that begins.
    pub(super) fn of(demo: &'static Demo) -> Predictions {
        Predictions { demo, asked: Vec::new(), right: 0, told: Vec::new() }
    }

    /// Shows what was `done` in a step, and asks before each verdict where that is wanted; about the claims `chosen`
    /// alone, if any are. What would give an answer away is shown after it.
    pub(super) fn ask_about(
        &mut self,
        done: Vec<Event>,
        process: &ExperimentProcess,
        chosen: &[String],
        room: &mut Room<'_>,
        page: &mut Page<'_>,
    ) -> Result<Next> {
        let Some(run) = process.run() else { return Ok(Next::On) };
        let count = done.iter().filter(|event| matches!(event, Event::Judged { .. })).count();
        let mut place = 0;
        let mut held = Vec::new();
        for event in done {
            let Event::Judged { claim, verdict, .. } = &event else {
                if matches!(event, Event::Begin { .. }) {
                    page.show(&event)?;
                } else {
                    held.push(event);
                }
                continue;
            };
            let Some(head) = run.claim(claim).map(|claim| &claim.head) else { continue };
            if !chosen.is_empty() && !chosen.contains(claim) {
                continue;
            }
            place += 1;
            let question =
                if room.options.predict { self.question(head, &event, run, room, page) } else { None };
            // A review asks what it was told to.
            let question = question.and_then(|it| {
                if chosen.is_empty() { self.not_given_away(it, head, *verdict) } else { Some(it) }
            });
            if let Some(question) = question {
                let given = match ask(&question, claim, room, page)? {
                    Ok(place) => place,
                    Err(next) => return Ok(next),
                };
                let answer = &question.answers[given];
                self.right += usize::from(answer.right);
                let prediction =
                    Prediction::new(self.demo.name, claim, &answer.text, answer.right, &run.begin.kernel);
                self.keep(prediction, &mut room.score);
                self.asked.push(question);
            }
            if let (Verdict::Refuted, Some(correction)) = (verdict, head.expect.correction()) {
                self.told.push(correction.to_string());
            }
            held.push(event);
            let shown = std::mem::take(&mut held);
            match reveal(room, self.demo, process, page, Part::Claim(place, count), shown)? {
                Next::On => {}
                other => return Ok(other),
            }
        }
        reveal(room, self.demo, process, page, Part::Rest, held)
    }

    /// The question that the event `judged` answers.
    fn question(
        &self,
        head: &ClaimHead,
        judged: &Event,
        run: &Run,
        room: &Room<'_>,
        page: &mut Page<'_>,
    ) -> Option<Question> {
        let Event::Judged { verdict, expected, control, treatment, .. } = judged else { return None };
        // The order changes with each time that a person is asked, and never for a file.
        let times = room.score.as_ref().map_or(0, |it| it.times(self.demo.name, &head.id));
        let turn = if room.answers.is_some() { 0 } else { times };
        // By names: the number of a process that has ended is no help, and never the same again.
        let mut names = Shown::new(true);
        let show =
            |value: &Value| if room.options.look.stable { page.value(value) } else { names.value(value) };
        // Where nobody is in other namespaces, there is no inside.
        let has_inside = run.actors().any(|actor| !actor.elsewhere.is_empty());
        let is_as_declared = *expected && !run.begin.sabotage;
        Question::of(head, (*verdict, is_as_declared), [control, treatment], has_inside, show, turn)
    }

    /// The question, or another about the same claim, if what was asked before has given its answer away; `None` if
    /// there is nothing left to ask.
    fn not_given_away(&self, question: Question, head: &ClaimHead, verdict: Verdict) -> Option<Question> {
        let whether = Question::whether(head, verdict);
        let is_told = self.told.contains(&head.id);
        match self.asked.iter().find(|it| question.is_given_away_by(it)) {
            Some(before) => (!is_told && !question.is_within(before)).then_some(whether),
            None => (!is_told || question.asks != whether.asks).then_some(question),
        }
    }

    fn keep(&self, prediction: Prediction, score: &mut Option<Score>) {
        let Some(kept) = score.as_mut().map(|score| score.keep(prediction)) else { return };
        if let Err(error) = kept {
            // Said once; the predicting goes on.
            complain(self.demo.name, &error);
            *score = None;
        }
    }

    /// Says how many were right.
    pub(super) fn sum_up(&self, score: Option<&Score>, page: &Page<'_>) -> Result<()> {
        let mut line = format!("Predicted: {} of {} right.", self.right, self.asked.len());
        if let Some(score) = score {
            let (right, asked) = score.so_far();
            line += &format!(" Of all that you were asked so far: {right} of {asked}.");
            if right < asked {
                line += " To be asked again what you missed: inception review";
            }
        }
        let line = wrap(&line, page.columns(), "", "  ");
        page.say(&format!("{}\n", line.trim_end().style(tone::strong())))
    }
}
