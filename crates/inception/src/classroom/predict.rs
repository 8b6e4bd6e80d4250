//! `--predict`: before each verdict, what is expected.

use anyhow::Result;
use lesson::complain;
use lesson::render::{tone, wrap};
use owo_colors::OwoColorize;
use transcript::Event;

use super::ask::{Given, ask};
use super::page::{Page, Part};
use super::pause::{note, reveal};
use super::process::ExperimentProcess;
use super::question::Question;
use super::room::{Next, Room};
use super::score::{Asked, Kept, Prediction, Round, Votes};
use crate::demos::Demo;

/// What was asked in a run, and how it was answered.
pub(super) struct Predictions {
    demo: &'static Demo,
    asked: usize,
    /// How many of them were answered right.
    right: usize,
}

impl Predictions {
    /// Of a run that begins.
    pub(super) fn of(demo: &'static Demo) -> Predictions {
        Predictions { demo, asked: 0, right: 0 }
    }

    /// Asks about what was `done` in a step, where that is wanted, about the claims `chosen` alone, if any are; and shows
    /// it then, claim by claim.
    ///
    /// The step itself, and all that it observed, comes after its last question. Its claims are judged from the same
    /// facts, and a sentence that is refuted stands beside the correct one. So each would give the next one's answer
    /// away.
    pub(super) fn ask_about(
        &mut self,
        done: Vec<Event>,
        process: &ExperimentProcess,
        chosen: &[String],
        room: &mut Room<'_>,
        page: &mut Page<'_>,
    ) -> Result<Next> {
        let (begins, done): (Vec<Event>, Vec<Event>) =
            done.into_iter().partition(|event| matches!(event, Event::Begin { .. }));
        page.show(Part::Announced, begins)?;
        if let (true, Some(step)) = (room.options.predict, room.asking) {
            note(room, self.demo, process, step, Part::Announced, &done);
            for event in &done {
                let Event::Judged { claim, expected: true, .. } = event else { continue };
                if !is_chosen(claim, chosen) {
                    continue;
                }
                if let Some(next) = self.ask(claim, process, room, page)? {
                    return Ok(next);
                }
            }
        }
        room.asking = None;
        let is_judged =
            |event: &&Event| matches!(event, Event::Judged { claim, .. } if is_chosen(claim, chosen));
        let count = done.iter().filter(is_judged).count();
        let (mut place, mut held) = (0, Vec::new());
        for event in done {
            match &event {
                Event::Judged { claim, .. } if !is_chosen(claim, chosen) => continue,
                Event::Judged { .. } => place += 1,
                _ => {
                    held.push(event);
                    continue;
                }
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

    /// Asks about a claim whose verdict is as expected: for that it was declared which answer is right. Gives what is
    /// wanted instead of an answer.
    fn ask(
        &mut self,
        claim: &str,
        process: &ExperimentProcess,
        room: &mut Room<'_>,
        page: &mut Page<'_>,
    ) -> Result<Option<Next>> {
        let Some(run) = process.run().filter(|run| !run.begin.sabotage) else { return Ok(None) };
        let Some(head) = run.claim(claim).map(|claim| &claim.head) else { return Ok(None) };
        // The order changes with each time that a person is asked, and never for a file.
        let times = room.score.as_ref().map_or(0, |it| it.times(self.demo.name, claim));
        let turn = if room.answers.is_some() { 0 } else { times };
        let Some(question) = Question::of(head, turn) else { return Ok(None) };
        let given = match ask(&question, claim, (self.demo, run), room, page)? {
            Ok(given) => given,
            Err(next) => return Ok(Some(next)),
        };
        let asked = Asked::now(self.demo.name, claim, &question.asks, &run.begin.origin, &run.begin.kernel);
        self.keep(&asked, &question, &given, room);
        Ok(None)
    }

    /// Keeps an answer, and the votes before it.
    fn keep(&mut self, asked: &Asked, question: &Question, given: &Given, room: &mut Room<'_>) {
        let answer = &question.answers[given.place];
        self.asked += 1;
        self.right += usize::from(answer.right);
        let rounds = (1..).zip(&given.votes).map(|(round, vote)| {
            let votes = question.answers.iter().enumerate().map(|(at, answer)| Votes {
                letter: Question::letter(at),
                answer: answer.text.clone(),
                right: answer.right,
                count: vote.count(at),
            });
            Kept::Round(Round { asked: asked.clone(), round, votes: votes.collect() })
        });
        let prediction = Prediction {
            asked: asked.clone(),
            letter: Some(Question::letter(given.place)),
            answer: answer.text.clone(),
            right: answer.right,
        };
        for kept in rounds.chain([Kept::Prediction(prediction.clone())]) {
            let Some(Err(error)) = room.score.as_mut().map(|score| score.keep(kept)) else { continue };
            // Said once; the predicting goes on.
            complain(self.demo.name, &error);
            room.score = None;
        }
        room.scored.add(prediction, &question.answers[question.right()].text);
    }

    /// Says how many were right.
    pub(super) fn sum_up(&self, room: &Room<'_>, page: &Page<'_>) -> Result<()> {
        let mut line = format!("Predicted: {} of {} right.", self.right, self.asked);
        if let Some(score) = &room.score {
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

/// Whether a claim is asked about; where none is chosen, all are.
fn is_chosen(claim: &String, chosen: &[String]) -> bool {
    chosen.is_empty() || chosen.contains(claim)
}
