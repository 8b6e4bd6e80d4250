//! For people: at a terminal, in a pipe, without colour and on a projector.
//!
//! Colour repeats what a word already says. Lines fit the width, from 20 columns up, but for a command that cannot be
//! broken and say the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use ns_core::printable;
use ns_core::{Fact, Value};
use owo_colors::Style;

use super::evidence::{self, Shows};
use super::head::sentence;
use super::item::item;
use super::layout::Layout;
use super::lines;
use super::negative::{NEGATIVE_CONTROL, negative_control, proves_nothing};
use super::plain;
use super::renderer::Renderer;
use super::skips::Skips;
use super::stable::Shown;
use super::step;
use super::style::{styled, styled_lines};
use super::tone;
use transcript::{Actor, Arm, ClaimHead, Event, Sandbox, Table, Tally, Verdict};

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
    layout: Layout,
    verbose: bool,
    values: Shown,
    experiment: String,
    sabotage: bool,
    claims: HashMap<String, ClaimHead>,
    step: usize,
    skipped: Skips,
    /// The claims that hold though their factor was left out.
    held: Vec<String>,
}

impl<W: Write> Text<W> {
    /// Writes to `out`, `width` columns wide. `stable` puts names in the place of what differs from run to run;
    /// `verbose` says who reported what.
    pub fn new(out: W, width: usize, stable: bool, verbose: bool) -> Text<W> {
        let page = Page {
            layout: Layout { width, plain: false },
            verbose,
            values: Shown::new(stable),
            experiment: String::new(),
            sabotage: false,
            claims: HashMap::new(),
            step: 0,
            skipped: Skips::default(),
            held: Vec::new(),
        };
        Text { out, page }
    }

    /// The same with one fact a line, without tables and in ASCII, if it is to be `plain`.
    pub fn plain(mut self, plain: bool) -> Text<W> {
        self.page.layout.plain = plain;
        self
    }
}

impl<W> Text<W> {
    /// A value as it stands in the text.
    pub fn value(&mut self, value: &Value) -> String {
        self.page.values.value(value)
    }
}

impl<W: Write> Renderer for Text<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        // In one piece, so that an event is on the screen whole or not at all.
        let text =
            if self.page.layout.plain { self.page.set(&plain::event(event)) } else { self.page.set(event) };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Page {
    fn set(&mut self, event: &Event) -> String {
        match event {
            Event::Begin { experiment, question, notes, man, kernel, sabotage, sandbox, claims, .. } => {
                self.experiment.clone_from(experiment);
                self.sabotage = *sabotage;
                // A recording goes on from one experiment to the next.
                (self.step, self.skipped, self.held) = (0, Skips::default(), Vec::new());
                self.claims = claims.iter().map(|claim| (claim.id.clone(), claim.clone())).collect();
                let kernel = if self.values.is_stable() { "<kernel>" } else { kernel };
                let notes = match notes.as_str() {
                    "" => "Not in the notes".into(),
                    section => format!("{section} in the notes"),
                };
                self.begin(question, &format!("{notes}; {}; Linux {kernel}", man.join(", ")), sandbox)
            }
            Event::Step { number, title, calls, by_hand, .. } => {
                self.values.begin_step();
                self.step = *number;
                step::head(*number, title, calls, by_hand, self.layout)
            }
            Event::Actor(actor) => self.actor(actor),
            Event::Saw(fact) => {
                let line = self.fact(fact);
                self.wrap(&line, "   - ", "     ")
            }
            Event::Table(Table { title, columns, rows, .. }) => self.table(title, columns, rows),
            Event::Judged { claim, verdict, expected, control, treatment, .. } => {
                self.judged(claim, *verdict, *expected, control, treatment)
            }
            Event::Skipped { claim, missing, remedy } => {
                // It is shown in the end, with all that lack the same.
                self.skipped.add(self.step, claim, missing, remedy);
                String::new()
            }
            Event::End { tally, broken, elapsed, .. } => self.end(*tally, broken.as_deref(), *elapsed),
        }
    }

    fn begin(&self, question: &str, source: &str, sandbox: &Sandbox) -> String {
        let title = self.wrap(&format!("{}: {question}", self.experiment), "", "  ");
        let mut text = styled(title.trim_end(), tone::strong()) + "\n";
        text += &styled_lines(&self.wrap(source, "", "  "), tone::faint());
        if let Some(sentence) = sandbox.sentence(self.values.is_stable()) {
            text += &styled_lines(&self.wrap(&sentence, "", "  "), tone::faint());
        }
        if self.sabotage {
            text += &styled_lines(&self.wrap(NEGATIVE_CONTROL, "", "  "), tone::bad());
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
        styled_lines(&self.wrap(&line, "   - ", "     "), tone::faint())
    }

    fn judged(&mut self, id: &str, verdict: Verdict, expected: bool, without: &Arm, with: &Arm) -> String {
        let claim = self.claims.get(id).cloned();
        let blank = self.indent();
        let mut text = self.verdict_line(id, verdict, expected);
        if !expected {
            let said = if self.sabotage {
                self.held.push(id.into());
                "It holds without its factor: it proves nothing.".into()
            } else {
                let expect = claim.as_ref().map_or_else(|| "?".into(), |claim| claim.expect.to_string());
                format!("UNEXPECTED: this kernel was expected to say '{expect}'.")
            };
            text += &styled_lines(&self.wrap(&said, &blank, &blank), tone::bad());
        }
        let names = claim.as_ref().map_or_else(|| ClaimHead::default().arm_names(), ClaimHead::arm_names);
        text += &self.evidence(names, without, with);
        let why = claim
            .filter(|_| expected && !self.sabotage && verdict == Verdict::Refuted)
            .and_then(|claim| claim.why_refuted(self.claims.values()));
        text + &why.map_or_else(String::new, |why| self.wrap(&why, &blank, &blank))
    }

    fn verdict_line(&self, id: &str, verdict: Verdict, expected: bool) -> String {
        let style = tone::of(verdict, expected);
        let word = verdict.word().to_uppercase();
        let sentence =
            self.claims.get(id).map_or_else(|| id.to_string(), |claim| sentence(claim, self.verbose));
        let line = self.wrap(&sentence, &format!("{word:WORD$}"), &" ".repeat(WORD));
        let rest = line.strip_prefix(word.as_str()).unwrap_or(&line).to_string();
        format!("\n{}{rest}", styled(&word, style))
    }

    /// What both arms showed, each below its name.
    fn evidence(&mut self, names: [String; 2], without: &Arm, with: &Arm) -> String {
        let mut arm = |name, arm: &Arm| Shows {
            name,
            facts: arm.facts.iter().map(|fact| (fact.view, self.fact(fact))).collect(),
        };
        let [before, after] = names;
        evidence::draw(&[arm(before, without), arm(after, with)], self.layout)
    }

    fn table(&mut self, title: &str, columns: &[String], rows: &[Vec<Value>]) -> String {
        let mut text = format!("\n{}", self.wrap(title, "   ", "   "));
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|value| self.values.value(value)).collect()).collect();
        let columns: Vec<String> = columns.iter().map(|column| printable(column)).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let Layout { width, plain } = self.layout;
        let (_, indent) = lines::indents(width, "", "   ");
        let layout = Layout { width: width - indent.len(), plain };
        for line in layout.table(&columns, &rows).lines() {
            text += &format!("{indent}{line}\n");
        }
        text
    }

    fn end(&self, tally: Tally, broken: Option<&str>, elapsed: u64) -> String {
        let mut text = String::from("\n");
        text += &self.skipped.set(self.layout.width, self.verbose);
        for id in &self.held {
            text += &item("HOLDS", &proves_nothing(id), tone::bad(), self.layout.width);
        }
        let (line, style) = self.in_short(tally, broken);
        let line = if self.sabotage && broken.is_none() {
            line
        } else if self.values.is_stable() {
            format!("{}: {line}", self.experiment)
        } else {
            let (seconds, rest) = (elapsed / 1_000_000_000, elapsed / 1_000_000 % 1000);
            format!("{}: {line} ({seconds}.{rest:03} s)", self.experiment)
        };
        text + &styled(self.wrap(&line, "", "  ").trim_end(), style) + "\n"
    }

    /// What came of all claims, and its style.
    fn in_short(&self, tally: Tally, broken: Option<&str>) -> (String, Style) {
        if let Some(why) = broken {
            return (format!("BROKEN: {why}"), tone::bad());
        }
        if self.sabotage {
            return negative_control(tally.judged(), self.held.len());
        }
        let verdict = match tally.unexpected {
            0 if tally.judged() > 0 => "all as expected".into(),
            0 => "nothing was asked".into(),
            count => format!("{count} NOT AS EXPECTED"),
        };
        let style = if tally.unexpected > 0 { tone::bad() } else { tone::strong() };
        (format!("{tally}, {verdict}"), style)
    }

    /// What stands left of a claim's lines.
    fn indent(&self) -> String {
        if self.layout.plain { "  ".into() } else { evidence::indent(self.layout.width) }
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
        lines::wrap(text, self.layout.width, first, rest)
    }
}
