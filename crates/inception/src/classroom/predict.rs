//! `--predict`: before each verdict, what is expected.

use anyhow::Result;
use lesson::complain;
use lesson::render::{tone, wrap};
use owo_colors::OwoColorize;
use transcript::{Event, Origin, Run};

use super::ask::{Asides, Given, ask};
use super::page::Page;
use super::question::Question;
use super::room::{Next, Room};
use super::score::{Asked, Kept, Prediction, Round, Votes};
use super::why;
use crate::demos::Demo;

/// What was asked in a run, and how it was answered.
pub(super) struct Predictions {
    demo: &'static Demo,
    origin: Origin,
    asked: usize,
    /// How many of them were answered right.
    right: usize,
}

impl Predictions {
    /// Of a run that begins.
    pub(super) fn of(demo: &'static Demo) -> Predictions {
        Predictions { demo, origin: Origin::default(), asked: 0, right: 0 }
    }

    /// Asks about what was `done` in a step of `run`, about the claims `chosen` alone, if any are; and shows it then.
    ///
    /// The step itself, and all that it saw, comes after its last question: its claims are judged from the same facts,
    /// and a sentence that is refuted stands beside the one that says it right, so each would give the next one's answer
    /// away.
    pub(super) fn ask_about(
        &mut self,
        done: Vec<Event>,
        run: &Run,
        chosen: &[String],
        room: &mut Room<'_>,
        page: &mut Page<'_>,
    ) -> Result<Next> {
        for event in &done {
            match event {
                Event::Begin { origin, kernel, .. } => {
                    self.origin = (**origin).clone();
                    room.scored.begin(origin, kernel);
                }
                Event::Judged { claim, expected: true, .. } if is_chosen(claim, chosen) => {
                    if let Some(next) = self.ask(claim, run, room, page)? {
                        return Ok(next);
                    }
                }
                _ => {}
            }
        }
        for event in done {
            let is_shown = match &event {
                Event::Judged { claim, .. } => is_chosen(claim, chosen),
                _ => true,
            };
            if is_shown {
                page.show(&event)?;
            }
        }
        Ok(Next::On)
    }

    /// Asks about a claim whose verdict is as expected: for that it was declared which answer is right. Gives what is
    /// wanted instead of an answer.
    fn ask(
        &mut self,
        claim: &str,
        run: &Run,
        room: &mut Room<'_>,
        page: &mut Page<'_>,
    ) -> Result<Option<Next>> {
        let Some(head) = run.claim(claim).map(|claim| &claim.head).filter(|_| !run.begin.sabotage) else {
            return Ok(None);
        };
        // The order changes with each time that a person is asked, and never for a file.
        let times = room.score.as_ref().map_or(0, |it| it.times(self.demo.name, claim));
        let turn = if room.answers.is_some() { 0 } else { times };
        let Some(question) = Question::of(head, turn) else { return Ok(None) };
        let mut asides = StepBefore { demo: self.demo, run, reread: run.step().unwrap_or_default() };
        let given = match ask(&question, claim, &mut asides, room, page)? {
            Ok(given) => given,
            Err(next) => return Ok(Some(next)),
        };
        let asked = Asked::now(self.demo.name, claim, &question.asks, &self.origin, &run.begin.kernel);
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

/// What was shown before a step that is asked about.
struct StepBefore<'a> {
    demo: &'static Demo,
    run: &'a Run,
    reread: usize,
}

impl Asides for StepBefore<'_> {
    fn before(&mut self, page: &mut Page<'_>) -> Result<()> {
        self.reread = self.reread.saturating_sub(1);
        page.again(self.reread)
    }

    fn why(&mut self, page: &mut Page<'_>) -> Result<()> {
        why::show(self.demo, self.run, page)
    }
}
