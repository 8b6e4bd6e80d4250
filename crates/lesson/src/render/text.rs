//! For people: at a terminal, in a pipe, without colour and on a projector.
//!
//! Colour repeats what a word already says. Lines fit the width, from 20 columns up.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use ns_core::fact::printable;
use ns_core::{Fact, Value, View};
use owo_colors::{OwoColorize, Style};
use tabled::builder::Builder;
use tabled::settings::{Padding, Style as Borders};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_width::UnicodeWidthStr;

use super::stable::Shown;
use super::{Renderer, grid};
use crate::event::{Actor, Arm, ClaimHead, Event, Stage, Tally};
use crate::judge::Verdict;

/// Below this many columns, outside and inside are stacked.
const SIDE_BY_SIDE: usize = 64;
/// Below this many columns, nothing is indented.
const NARROW: usize = 40;
/// What stands left of a claim's evidence.
const INDENT: usize = 9;

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
                &self.wrap(&calls.join("; "), "   calls    ", "            "),
                Style::new().dimmed(),
            );
        }
        for (at, command) in by_hand.iter().enumerate() {
            let head = if at == 0 { "   by hand  $ " } else { "            $ " };
            text += &styled_lines(&self.wrap(command, head, "              "), Style::new().dimmed());
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
        let blank = self.indent();
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
        let line = self.wrap(&sentence, &format!("{word:INDENT$}"), &" ".repeat(INDENT));
        let rest = line.strip_prefix(word.as_str()).unwrap_or(&line).to_string();
        format!("\n{}{rest}", styled(&word, style))
    }

    /// Outside and inside side by side, the arms below each other; stacked where that is too wide.
    fn evidence(&mut self, cause: &str, without: &Arm, with: &Arm) -> String {
        let both = [without, with];
        let has = |view| both.iter().any(|arm| arm.facts.iter().any(|fact| fact.view == view));
        let views: Vec<View> = [View::Outside, View::Inside].into_iter().filter(|view| has(*view)).collect();
        let names = if cause.is_empty() {
            ["without".into(), "with".into()]
        } else {
            [format!("without {cause}"), format!("with {cause}")]
        };
        if views.is_empty() {
            return String::new();
        }
        let room = self.width.saturating_sub(INDENT);
        if self.width < SIDE_BY_SIDE {
            let mut text = String::new();
            for (name, arm) in names.iter().zip(both) {
                text += &styled_lines(&self.wrap(name, "  ", "  "), Style::new().dimmed());
                for view in &views {
                    for fact in arm.facts.iter().filter(|fact| fact.view == *view) {
                        let line = format!("{:7} {}", word(*view), self.fact(fact));
                        text += &self.wrap(&line, "    ", "            ");
                    }
                }
            }
            return text;
        }
        let lines: Vec<Vec<Vec<String>>> = both
            .iter()
            .map(|arm| {
                let of = |view: &View| arm.facts.iter().filter(|fact| fact.view == *view).collect::<Vec<_>>();
                views.iter().map(|view| of(view).into_iter().map(|fact| self.fact(fact)).collect()).collect()
            })
            .collect();
        let widest =
            |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.width()).max().unwrap_or(0);
        // Each column but the first has a bar and two blanks around it.
        let first = widest(&mut names.iter()).min(room / 3);
        let wanted: Vec<_> = (0..views.len())
            .map(|at| widest(&mut lines.iter().flat_map(|row| &row[at])).max(word(views[at]).width()))
            .collect();
        let widths = share(room - first - 3 * views.len(), &wanted);
        let mut table = Builder::default();
        table
            .push_record([String::new()].into_iter().chain(views.iter().map(|view| word(*view).to_string())));
        for (name, row) in names.iter().zip(&lines) {
            let cell = |(lines, width): (&Vec<String>, &usize)| {
                lines.iter().map(|line| fill(line, *width)).collect::<Vec<_>>().join("\n")
            };
            table.push_record([fill(name, first)].into_iter().chain(row.iter().zip(&widths).map(cell)));
        }
        let mut table = table.build();
        table.with(Borders::empty().vertical('│')).with(Padding::new(0, 0, 0, 0));
        table.modify(tabled::settings::object::Columns::new(1..), Padding::new(1, 1, 0, 0));
        table.modify(tabled::settings::object::Columns::first(), Padding::new(0, 1, 0, 0));
        let lines = table.to_string();
        let mut text = String::new();
        for (at, line) in lines.lines().enumerate() {
            let line = format!("{}{}", " ".repeat(INDENT), line.trim_end());
            text += &if at == 0 { styled(&line, Style::new().dimmed()) } else { line };
            text.push('\n');
        }
        text
    }

    fn skipped(&mut self, id: &str, missing: &str, remedy: &str) -> String {
        let blank = self.indent();
        let text = self.verdict_line(id, Verdict::Skipped, true);
        let reason = (missing.to_string(), remedy.to_string());
        if self.last_skip.as_ref() == Some(&reason) {
            return text + &self.wrap("missing: the same", &blank, &blank);
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
        let indent = if self.width < NARROW { "" } else { "   " };
        for line in grid(&columns, &rows, None, self.width - indent.len()).lines() {
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

    /// What stands left of a claim's evidence: less where outside and inside are stacked.
    fn indent(&self) -> String {
        " ".repeat(if self.width < SIDE_BY_SIDE { 2 } else { INDENT })
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

const fn word(view: View) -> &'static str {
    match view {
        View::Outside => "outside",
        View::Inside => "inside",
    }
}

/// Divides `room` columns: who wants less than an equal share gets that, and the others share what is left.
fn share(room: usize, wanted: &[usize]) -> Vec<usize> {
    let equal = room / wanted.len().max(1);
    let modest: usize = wanted.iter().filter(|want| **want <= equal).sum();
    let greedy = wanted.iter().filter(|want| **want > equal).count().max(1);
    wanted
        .iter()
        .map(|want| if *want <= equal { *want } else { (*want).min((room - modest) / greedy) })
        .collect()
}

/// Lines break at blanks alone: a path or an option that is cut in two cannot be read, nor copied.
fn options(width: usize) -> Options<'static> {
    Options::new(width.max(1))
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        // The optimal fit may run over the width for a better shape; a terminal would break such a line.
        .wrap_algorithm(WrapAlgorithm::FirstFit)
}

fn fill(text: &str, width: usize) -> String {
    let text = printable(text);
    textwrap::fill(&text, options(width).subsequent_indent(if width > 12 { "  " } else { "" }))
}

/// Text in lines of at most `width` columns, of which the `first` and the `rest` begin so. Line breaks in it stay;
/// other control characters are shown and not obeyed.
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    lay_out(&text.split('\n').map(printable).collect::<Vec<_>>().join("\n"), width, first, rest)
}

/// As [`wrap`], for text whose control characters are our own: styles.
pub(super) fn lay_out(text: &str, width: usize, first: &str, rest: &str) -> String {
    // An indent that leaves no room would push the words off a narrow screen.
    let (first, rest) = if width < NARROW { (first.trim_start(), "") } else { (first, rest) };
    let mut out = textwrap::fill(text, options(width).initial_indent(first).subsequent_indent(rest));
    out.push('\n');
    out
}

fn styled(text: &str, style: Style) -> String {
    text.style(style).to_string()
}

/// Styles each line on its own, so that a pager that cuts lines keeps them whole.
fn styled_lines(text: &str, style: Style) -> String {
    text.lines().map(|line| styled(line, style) + "\n").collect()
}
