//! The classroom: an experiment that goes at people's pace (`--pause`), and asks what they expect (`--predict`).
//!
//! Two processes. One has the terminal, stays in the namespaces that it was started in, and waits for keys. The other
//! is the experiment as ever, which writes events and, after each step that it tells, waits for a word (`--lockstep`,
//! docs/events.md). So whatever people do while they think (sleep, open a shell, close the window), it is at rest, and
//! to run it again is to send it home and start another.

mod answers;
mod page;
mod pause;
mod places;
mod question;
mod score;
mod shell;
mod subject;
mod telling;
mod terminal;
mod why;

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use ns_core::Value;
use owo_colors::{OwoColorize, Style};

pub use answers::Answers;
pub use question::{Answer, NO, Question, YES};
pub use score::{Prediction, Score};

use crate::cli::{Settings, Transcript, complain};
use crate::event::{ClaimHead, Event};
use crate::judge::Verdict;
use crate::model::Experiment;
use crate::render::Shown;
use crate::status::{AS_EXPECTED, LEFT};
use page::Page;
use subject::Subject;
use terminal::{Pressed, Terminal, die_of};

/// How a pause, a question or a run ended.
enum Next {
    /// On with it.
    On,
    /// The run is over, with this exit status.
    Over(u8),
    /// The experiment is to be run again.
    Again,
    /// The class is over.
    Left,
    /// This signal ended it.
    Ended(Signal),
}

/// Who asks, and who answers.
struct Class<'a> {
    experiment: &'a Experiment,
    settings: &'a Settings,
    terminal: Option<Terminal>,
    answers: Option<Answers>,
    score: Option<Score>,
    /// How many were predicted right in this run, of how many.
    right: (usize, usize),
    /// What was asked in this run.
    asked: Vec<Question>,
    /// The claims that a refuted sentence was put right by, in this run.
    told: Vec<String>,
}

/// Runs an experiment as the settings' `pause` and `predict` have it. Gives the exit status.
///
/// # Errors
/// When there is no terminal, an answer is missing or none of those that can be given, or the experiment breaks.
pub(crate) fn attend(experiment: &'static Experiment, settings: &Settings) -> Result<u8> {
    let option = if settings.pause { "--pause" } else { "--predict" };
    if settings.format != Transcript::Text {
        bail!("{option} is for people: it goes with --format text alone");
    }
    // A score may be older than the program.
    let is_known = |claim: &String| experiment.claims.iter().any(|own| own.id == claim);
    for claim in settings.ask.iter().filter(|claim| !is_known(claim)) {
        complain(experiment.name, &anyhow!("no claim is called '{claim}' any more; it is not asked"));
    }
    if !settings.ask.is_empty() && !settings.ask.iter().any(is_known) {
        return Ok(AS_EXPECTED);
    }
    let needs_keys = settings.pause || settings.answers.is_none();
    let or = if settings.pause { "" } else { "; --answers FILE takes the answers from a file" };
    let terminal = needs_keys.then(|| Terminal::open(option, or)).transpose()?;
    let answers = settings.answers.as_deref().map(Answers::open).transpose()?;
    // Without the causes nobody is asked about the kernel.
    let keeps = settings.predict && !settings.sabotage;
    // A score that cannot be kept is told, and keeps nobody from predicting.
    let open_score =
        || Score::open(experiment.name).inspect_err(|error| complain(experiment.name, error)).ok();
    let score = keeps.then(open_score).flatten();
    // What waits for us in the namespaces waits all day.
    ns_core::take_all_day();
    let mut class =
        Class { experiment, settings, terminal, answers, score, right: (0, 0), asked: vec![], told: vec![] };
    loop {
        let mut subject = Subject::start(experiment.name, settings)?;
        let mut page = Page::new(settings)?;
        match class.run(&mut subject, &mut page) {
            Ok(Next::Over(status)) => return subject.end(Some(status)),
            Ok(Next::On) => return subject.end(None),
            other => {
                subject.dismiss()?;
                match other? {
                    Next::Left => return Ok(LEFT),
                    Next::Ended(signal) => return Err(die_of(signal)),
                    _ => page.say("\n")?,
                }
            }
        }
    }
}

impl Class<'_> {
    /// One run, from its first event to its last.
    fn run(&mut self, subject: &mut Subject, page: &mut Page<'_>) -> Result<Next> {
        self.right = (0, 0);
        self.asked.clear();
        self.told.clear();
        let mut claims = HashMap::new();
        let mut kernel = String::new();
        // In a review, a step that nothing is asked about is not shown.
        let mut announced: Option<Event> = None;
        loop {
            let mut done = Vec::new();
            let stop = loop {
                match subject.next()? {
                    Some(stop @ (Event::Step { .. } | Event::End { .. })) => break stop,
                    None => return Ok(Next::On),
                    Some(event) => {
                        if let Event::Begin { claims: heads, kernel: release, .. } = &event {
                            claims = heads.iter().map(|it| (it.id.clone(), it.clone())).collect();
                            kernel.clone_from(release);
                        }
                        if self.settings.predict {
                            done.push(event);
                        } else {
                            page.show(&event)?;
                        }
                    }
                }
            };
            if self.is_shown(&done) {
                if let Some(step) = announced.take() {
                    page.show(&step)?;
                }
                match self.ask_about(done, &claims, &kernel, page)? {
                    Next::On => {}
                    other => return Ok(other),
                }
            }
            if let Event::End { status, .. } = stop {
                page.show(&stop)?;
                self.sum_up(page)?;
                return Ok(Next::Over(status));
            }
            if self.settings.ask.is_empty() {
                page.show(&stop)?;
            } else {
                announced = Some(stop);
            }
            if self.settings.pause {
                match self.pause(subject, page)? {
                    Next::On => {}
                    other => return Ok(other),
                }
            }
            subject.go_on()?;
        }
    }

    /// Whether something in what was done in a step is asked about; where nothing is chosen, all is.
    fn is_shown(&self, done: &[Event]) -> bool {
        self.settings.ask.is_empty()
            || done.iter().any(|event| match event {
                Event::Begin { .. } => true,
                Event::Judged { claim, .. } => self.settings.ask.contains(claim),
                _ => false,
            })
    }

    /// Shows what was done in a step, and asks before each verdict. What would give an answer away is shown after it.
    fn ask_about(
        &mut self,
        done: Vec<Event>,
        claims: &HashMap<String, ClaimHead>,
        kernel: &str,
        page: &mut Page<'_>,
    ) -> Result<Next> {
        let mut held = Vec::new();
        for event in done {
            let Event::Judged { claim, verdict, without, with, .. } = &event else {
                if matches!(event, Event::Begin { .. }) {
                    page.show(&event)?;
                } else {
                    held.push(event);
                }
                continue;
            };
            if !self.settings.ask.is_empty() && !self.settings.ask.contains(claim) {
                continue;
            }
            // The order changes with each time that a person is asked, and never for a file.
            let times = self.score.as_ref().map_or(0, |it| it.times(self.experiment.name, claim));
            let turn = if self.answers.is_some() { 0 } else { times };
            let head = claims.get(claim);
            let question = head.and_then(|head| {
                // By names: the number of a process that has ended is no help, and never the same again.
                let mut names = Shown::new(true);
                let show = |value: &Value| {
                    if self.settings.stable { page.value(value) } else { names.value(value) }
                };
                let question = Question::of(head, *verdict, [without, with], show, turn);
                question.and_then(|it| self.not_given_away(it, head, *verdict))
            });
            if let Some(question) = question {
                page.say(&set(&question, page.columns()))?;
                let given = match self.answer(&question, claim, page)? {
                    Ok(place) => place,
                    Err(next) => return Ok(next),
                };
                page.say(&set_reply(&question, given, page.columns()))?;
                let right = question.answers[given].right;
                self.right = (self.right.0 + usize::from(right), self.right.1 + 1);
                self.keep(claim, &question.answers[given].text, right, kernel)?;
                self.asked.push(question);
            }
            if let (Verdict::Refuted, Some(correction)) = (verdict, head.and_then(|it| it.correction.clone()))
            {
                self.told.push(correction);
            }
            for event in held.drain(..) {
                page.show(&event)?;
            }
            page.show(&event)?;
        }
        for event in held {
            page.show(&event)?;
        }
        Ok(Next::On)
    }

    /// The question, or another about the same claim, if what was asked before has given its answer away; `None` if
    /// there is nothing left to ask. A review asks what it was told to.
    fn not_given_away(&self, question: Question, head: &ClaimHead, verdict: Verdict) -> Option<Question> {
        if !self.settings.ask.is_empty() {
            return Some(question);
        }
        let whether = Question::whether(head, verdict);
        let is_told = self.told.contains(&head.id);
        match self.asked.iter().find(|it| question.is_given_away_by(it)) {
            Some(before) => (!is_told && !question.is_within(before)).then_some(whether),
            None => (!is_told || question.asks != whether.asks).then_some(question),
        }
    }

    /// The place of the answer that was given, or what was wanted instead.
    fn answer(
        &mut self,
        question: &Question,
        claim: &str,
        page: &mut Page<'_>,
    ) -> Result<Result<usize, Next>> {
        let count = question.answers.len();
        let prompt = format!("Your answer, 1 to {count} (? lists the keys): ");
        if let Some(answers) = &mut self.answers {
            let place = answers.next(question, claim)?;
            page.say(&format!("Your answer, 1 to {count}: {}\n", place + 1))?;
            return Ok(Ok(place));
        }
        let terminal = self.terminal.as_mut().context("no terminal")?;
        loop {
            let pressed = terminal.key(|| page.say(&prompt), None)?;
            page.say(&format!("{}\n", pause::echo(pressed)))?;
            match pressed {
                Pressed::Key(key) => {
                    if let Some(place) = key.to_digit(10).and_then(|it| question.place(&it.to_string())) {
                        return Ok(Ok(place));
                    }
                    match key {
                        'q' => return Ok(Err(Next::Left)),
                        'r' => return Ok(Err(Next::Again)),
                        '?' => page.say(&set_keys(&question_keys(count), page.columns()))?,
                        _ => page.remark(&wrong_key(&format!("1 to {count}, r, q or ?")))?,
                    }
                }
                Pressed::Unknown => page.remark(&wrong_key(&format!("1 to {count}, r, q or ?")))?,
                Pressed::Interrupt => return Ok(Err(Next::Left)),
                Pressed::Ended(signal) => return Ok(Err(Next::Ended(signal))),
                // Nobody's end was waited for: the experiment may be over, and its last claims be asked about.
                Pressed::Gone => {}
            }
        }
    }

    fn keep(&mut self, claim: &str, answer: &str, right: bool, kernel: &str) -> Result<()> {
        let Some(score) = &mut self.score else { return Ok(()) };
        let kept = score.keep(Prediction::new(self.experiment.name, claim, answer, right, kernel));
        if let Err(error) = kept {
            // Said once; the predicting goes on.
            complain(self.experiment.name, &error);
            self.score = None;
        }
        Ok(())
    }

    fn sum_up(&self, page: &Page<'_>) -> Result<()> {
        let (right, asked) = self.right;
        if !self.settings.predict {
            return Ok(());
        }
        let mut line = format!("Predicted: {right} of {asked} right.");
        if let Some(score) = &self.score {
            let (right, asked) = score.so_far();
            line += &format!(" Of all that you were asked so far: {right} of {asked}.");
            if right < asked {
                line += " To be asked again what you missed: inception review";
            }
        }
        let line = crate::render::wrap(&line, page.columns(), "", "  ");
        page.say(&format!("{}\n", line.trim_end().style(Style::new().bold())))
    }
}

/// A question with its answers.
fn set(question: &Question, width: usize) -> String {
    let asks = crate::render::wrap(&question.asks, width, "PREDICT  ", "         ");
    let mut text = format!("\n{}\n", asks.trim_end().style(Style::new().cyan().bold()));
    for (at, answer) in question.answers.iter().enumerate() {
        let number = format!("      {}  ", at + 1);
        text += &crate::render::wrap(&answer.text, width, &number, "           ");
    }
    text
}

/// What is to be said to an answer: whether it is right, what is, and why people think otherwise.
fn set_reply(question: &Question, given: usize, width: usize) -> String {
    let right = question.right();
    let said = &question.answers[right].text;
    let (word, style, rest) = if given == right {
        ("Right.", Style::new().green().bold(), String::new())
    } else {
        let rest = format!(" The kernel says {}: {said}", right + 1);
        ("Not so.", Style::new().yellow().bold(), rest)
    };
    let line = crate::render::wrap(&format!("{word}{rest}"), width, "         ", "         ");
    let mut text = line.replacen(word, &word.style(style).to_string(), 1);
    for (at, answer) in question.answers.iter().enumerate() {
        let Some(why) = &answer.why else { continue };
        let stop = if why.ends_with('.') { "" } else { "." };
        let line = format!("Why people say {}: {why}{stop}", at + 1);
        text += &crate::render::wrap(&line, width, "         ", "         ");
    }
    text
}

/// What a key does, line by line.
fn set_keys(keys: &[(String, &str)], width: usize) -> String {
    let line = |(key, does): &(String, &str)| {
        crate::render::wrap(does, width, &format!("   {key:8} "), "            ")
    };
    keys.iter().map(line).collect()
}

fn question_keys(count: usize) -> Vec<(String, &'static str)> {
    vec![
        (format!("1 to {count}"), "that answer"),
        ("r".into(), "run the experiment again, in fresh namespaces"),
        ("q".into(), "quit, and clean up"),
        ("?".into(), "this list"),
    ]
}

fn wrong_key(keys: &str) -> String {
    format!("No key of ours. The keys: {keys}.")
}
