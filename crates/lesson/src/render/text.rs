//! For people: at a terminal, in a pipe, without colour and on a projector.
//!
//! Colour repeats what a word already says. Lines fit the width, from 20 columns up, but for a command that cannot be
//! broken and say the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use ns_core::fact::printable;
use ns_core::{Fact, Value};
use owo_colors::{OwoColorize, Style};

use super::evidence::{self, Shows};
use super::lines::{self, wrap};
use super::stable::Shown;
use super::{Renderer, command, grid};
use crate::event::{Actor, Arm, ClaimHead, Event, Stage, Tally};
use crate::judge::Verdict;

/// How wide a verdict is, with a blank after it.
const WORD: usize = evidence::INDENT;

/// Writes events as text.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    page: Page,
}

/// What is known of the transcript so far.
#[derive(Debug)]
struct Page {
    width: usize,
    verbose: bool,
    values: Shown,
    experiment: String,
    claims: HashMap<String, ClaimHead>,
    /// What was missing, and its remedy, when a claim was last skipped.
    last_skip: Option<(String, String)>,
}

impl<W: Write> Text<W> {
    /// Writes to `out`, `width` columns wide. `stable` puts names in the place of what differs from run to run;
    /// `verbose` says who saw what.
    pub fn new(out: W, width: usize, stable: bool, verbose: bool) -> Text<W> {
        let page = Page {
            width,
            verbose,
            values: Shown::new(stable),
            experiment: String::new(),
            claims: HashMap::new(),
            last_skip: None,
        };
        Text { out, page }
    }
}

impl<W> Text<W> {
    /// A value as it stands in the text.
    pub(crate) fn value(&mut self, value: &Value) -> String {
        self.page.values.value(value)
    }
}

impl<W: Write> Renderer for Text<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        // In one piece, so that an event is on the screen whole or not at all.
        let text = self.page.set(event);
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Page {
    fn set(&mut self, event: &Event) -> String {
        match event {
            Event::Begin { experiment, question, notes, man, kernel, sabotage, stage, claims, .. } => {
                self.experiment.clone_from(experiment);
                self.claims = claims.iter().map(|claim| (claim.id.clone(), claim.clone())).collect();
                let kernel = if self.values.is_stable() { "<kernel>" } else { kernel };
                self.begin(
                    question,
                    &format!("{notes} in the notes; {}; Linux {kernel}", man.join(", ")),
                    stage,
                    *sabotage,
                )
            }
            Event::Step { number, goal, calls, by_hand } => self.step(*number, goal, calls, by_hand),
            Event::Actor(actor) => self.actor(actor),
            Event::Saw(fact) => {
                let line = self.fact(fact);
                self.wrap(&line, "   - ", "     ")
            }
            Event::Table { title, columns, rows, .. } => self.table(title, columns, rows),
            Event::Judged { claim, verdict, expected, without, with } => {
                self.judged(claim, *verdict, *expected, without, with)
            }
            Event::Skipped { claim, missing, remedy } => self.skipped(claim, missing, remedy),
            Event::End { tally, broken, elapsed, .. } => self.end(*tally, broken.as_deref(), *elapsed),
        }
    }

    fn begin(&self, question: &str, source: &str, stage: &Stage, sabotage: bool) -> String {
        let title = self.wrap(&format!("{}: {question}", self.experiment), "", "  ");
        let mut text = styled(title.trim_end(), Style::new().bold()) + "\n";
        text += &styled_lines(&self.wrap(source, "", "  "), Style::new().dimmed());
        if let Some(sentence) = stage.sentence(self.values.is_stable()) {
            text += &styled_lines(&self.wrap(&sentence, "", "  "), Style::new().dimmed());
        }
        if sabotage {
            text += &styled_lines(
                &self.wrap("SABOTAGE: the causes are left out. No claim may hold.", "", "  "),
                Style::new().red().bold(),
            );
        }
        text
    }

    fn step(&self, number: usize, goal: &str, calls: &[String], by_hand: &[String]) -> String {
        let head = format!("{number}. ");
        let goal = self.wrap(goal, &head, &" ".repeat(head.len()));
        let mut text = format!("\n{}\n", styled(goal.trim_end(), Style::new().cyan().bold()));
        if !calls.is_empty() {
            text += &styled_lines(
                &lines::calls(calls, self.width, "   calls    ", "            "),
                Style::new().dimmed(),
            );
        }
        for (at, command) in by_hand.iter().enumerate() {
            let head = if at == 0 { "   by hand  $ " } else { "            $ " };
            text += &styled_lines(
                &command::lines(command, self.width, head, "                "),
                Style::new().dimmed(),
            );
        }
        text
    }

    fn actor(&mut self, actor: &Actor) -> String {
        let pids: Vec<_> = actor.pids.iter().map(|pid| self.pid(*pid)).collect();
        let mut line = format!("{} is PID {}", actor.label, pids.first().map_or("?", String::as_str));
        if pids.len() > 1 {
            let _ = write!(line, " here and {} inside", pids[1..].join(", then "));
        }
        if self.verbose && !actor.elsewhere.is_empty() {
            let ids: Vec<_> =
                actor.elsewhere.iter().map(|id| self.values.value(&Value::Namespace(*id))).collect();
            let _ = write!(line, ", in {}", ids.join(" "));
        }
        styled_lines(&self.wrap(&line, "   - ", "     "), Style::new().dimmed())
    }

    fn judged(&mut self, id: &str, verdict: Verdict, expected: bool, without: &Arm, with: &Arm) -> String {
        let claim = self.claims.get(id).cloned();
        let blank = evidence::indent(self.width);
        let mut text = self.verdict_line(id, verdict, expected);
        if !expected {
            let expect = claim.as_ref().map_or("?", |claim| claim.expect.as_str());
            let line = self.wrap(
                &format!("UNEXPECTED: this kernel was expected to say '{expect}'."),
                &blank,
                &blank,
            );
            text += &styled_lines(&line, Style::new().red().bold());
        }
        let cause = claim.as_ref().map_or("", |claim| claim.cause.as_str());
        text += &self.evidence(cause, without, with);
        let why = claim
            .filter(|_| expected && verdict == Verdict::Refuted)
            .and_then(|claim| claim.why_refuted(self.claims.values()));
        text + &why.map_or_else(String::new, |why| self.wrap(&why, &blank, &blank))
    }

    fn verdict_line(&self, id: &str, verdict: Verdict, expected: bool) -> String {
        let style = match verdict {
            _ if !expected => Style::new().red().bold(),
            Verdict::Holds => Style::new().green().bold(),
            Verdict::Refuted => Style::new().yellow().bold(),
            Verdict::Unproven => Style::new().magenta().bold(),
            Verdict::Skipped => Style::new().blue().bold(),
        };
        let word = verdict.word().to_uppercase();
        let sentence =
            self.claims.get(id).map_or_else(|| id.to_string(), |claim| sentence(claim, self.verbose));
        let line = self.wrap(&sentence, &format!("{word:WORD$}"), &" ".repeat(WORD));
        let rest = line.strip_prefix(word.as_str()).unwrap_or(&line).to_string();
        format!("\n{}{rest}", styled(&word, style))
    }

    /// What both arms showed, each below its name.
    fn evidence(&mut self, cause: &str, without: &Arm, with: &Arm) -> String {
        let names = if cause.is_empty() {
            ["without".into(), "with".into()]
        } else {
            [format!("without {cause}"), format!("with {cause}")]
        };
        let mut arm = |name, arm: &Arm| Shows {
            name,
            facts: arm.facts.iter().map(|fact| (fact.view, self.fact(fact))).collect(),
        };
        let [before, after] = names;
        evidence::draw(&[arm(before, without), arm(after, with)], self.width)
    }

    fn skipped(&mut self, id: &str, missing: &str, remedy: &str) -> String {
        let blank = evidence::indent(self.width);
        let text = self.verdict_line(id, Verdict::Skipped, true);
        let reason = (missing.to_string(), remedy.to_string());
        if self.last_skip.as_ref() == Some(&reason) {
            return text + &self.wrap(&format!("missing: {missing}; to get it: as above"), &blank, &blank);
        }
        self.last_skip = Some(reason);
        text + &self.wrap(&format!("missing: {missing}"), &blank, &blank)
            + &self.wrap(&format!("to get it: {remedy}"), &blank, &blank)
    }

    fn table(&mut self, title: &str, columns: &[String], rows: &[Vec<Value>]) -> String {
        let mut text = format!("\n{}", self.wrap(title, "   ", "   "));
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|value| self.values.value(value)).collect()).collect();
        let columns: Vec<String> = columns.iter().map(|column| printable(column)).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let (_, indent) = lines::indents(self.width, "", "   ");
        for line in grid(&columns, &rows, self.width - indent.len()).lines() {
            text += &format!("{indent}{line}\n");
        }
        text
    }

    fn end(&self, tally: Tally, broken: Option<&str>, elapsed: u64) -> String {
        let mut parts = vec![format!("{} hold", tally.holds)];
        for (count, word) in
            [(tally.refuted, "refuted"), (tally.unproven, "unproven"), (tally.skipped, "skipped")]
        {
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        parts.push(match tally.unexpected {
            0 if tally.judged() > 0 => "all as expected".into(),
            0 => "nothing was asked".into(),
            count => format!("{count} NOT AS EXPECTED"),
        });
        let time = if self.values.is_stable() {
            String::new()
        } else {
            format!(" ({}.{:03} s)", elapsed / 1_000_000_000, elapsed / 1_000_000 % 1000)
        };
        let line = match broken {
            Some(why) => format!("{}: BROKEN: {why}{time}", self.experiment),
            None => format!("{}: {}{time}", self.experiment, parts.join(", ")),
        };
        let style = if broken.is_some() || tally.unexpected > 0 {
            Style::new().red().bold()
        } else {
            Style::new().bold()
        };
        format!("\n{}\n", styled(self.wrap(&line, "", "  ").trim_end(), style))
    }

    fn fact(&mut self, fact: &Fact) -> String {
        let value = self.values.value(&fact.value);
        let who = if self.verbose { format!("{}: ", fact.who) } else { String::new() };
        format!("{who}{} = {value}", fact.what)
    }

    fn pid(&mut self, pid: i32) -> String {
        self.values.value(&Value::Pid(pid))
    }

    fn wrap(&self, text: &str, first: &str, rest: &str) -> String {
        wrap(text, self.width, first, rest)
    }
}

/// A claim as it stands in a list.
pub fn claim_head(claim: &ClaimHead, width: usize) -> String {
    let mut text = wrap(&format!("{}: {}", claim.id, sentence(claim, false)), width, "", "  ");
    let expect = match &claim.correction {
        Some(correction) => format!("expected: refuted; see {correction}"),
        None => format!("expected: {}", claim.expect),
    };
    text += &wrap(&format!("cause: {}; {expect}", claim.cause), width, "    ", "    ");
    text
}

/// The sentence with the numbers that it answers to.
fn sentence(claim: &ClaimHead, with_id: bool) -> String {
    let numbers = claim.numbers();
    let id = if with_id { format!(" ({})", claim.id) } else { String::new() };
    if numbers.is_empty() {
        format!("{}{id}", claim.text)
    } else {
        format!("{}{id} [{}]", claim.text, numbers.join(" "))
    }
}

pub(super) fn styled(text: &str, style: Style) -> String {
    text.style(style).to_string()
}

/// Styles each line on its own, so that a pager that cuts lines keeps them whole.
pub(super) fn styled_lines(text: &str, style: Style) -> String {
    text.lines().map(|line| styled(line, style) + "\n").collect()
}
