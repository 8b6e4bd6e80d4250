//! The lesson on one screen: what both arms reported, a row each, and what to take home.
//!
//! The screen has 24 lines. What is longer gives up its empty lines first. Then it gives up the sentence below the
//! title, which the heads of the columns say again. Then it cuts what was skipped, which `--steps` has whole.

use std::io::{self, Write};

use ns_core::printable;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Padding, Style as Borders};
use transcript::{ClaimHead, Event, Row, Tally, Verdict};
use unicode_width::UnicodeWidthStr;

use super::item::{INDENT, item};
use super::lines::{fill, first_lines, wrap};
use super::negative::{NEGATIVE_CONTROL, negative_control, proves_nothing};
use super::plain;
use super::renderer::Renderer;
use super::skips::Skips;
use super::stable::Shown;
use super::style::{styled, styled_lines};
use super::tone;

/// Below this many columns there is no room for a table.
const NARROWEST: usize = 50;
/// The height of a terminal.
const SCREEN: usize = 24;
/// No cell has more lines.
const LINES: usize = 2;

/// Writes one screen for each experiment, when it has ended.
#[derive(Debug)]
pub struct OneScreen<W> {
    out: W,
    width: usize,
    plain: bool,
    values: Shown,
    page: Page,
}

/// What is known of the experiment so far.
#[derive(Debug, Default)]
struct Page {
    experiment: String,
    question: String,
    conditions: String,
    setup: String,
    in_short: String,
    of: usize,
    sabotage: bool,
    claims: Vec<ClaimHead>,
    step: usize,
    judged: Vec<Judged>,
    skipped: Skips,
}

/// A claim with its verdict.
#[derive(Debug)]
struct Judged {
    step: usize,
    claim: ClaimHead,
    verdict: Verdict,
    expected: bool,
    rows: Vec<Cells>,
}

/// What stands in a row.
#[derive(Debug)]
struct Cells {
    label: String,
    control: String,
    treatment: String,
    differs: bool,
}

impl<W: Write> OneScreen<W> {
    /// Writes to `out`, `width` columns wide. `stable` puts names in the place of what differs from run to run; `plain`
    /// puts one fact on a line, without a table.
    pub fn new(out: W, width: usize, stable: bool, plain: bool) -> OneScreen<W> {
        let plain = plain || width < NARROWEST;
        OneScreen { out, width, plain, values: Shown::new(stable), page: Page::default() }
    }
}

impl<W: Write> Renderer for OneScreen<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        if self.plain { self.take(&plain::event(event)) } else { self.take(event) }
    }
}

impl<W: Write> OneScreen<W> {
    fn take(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Begin {
                experiment,
                question,
                kernel,
                sabotage,
                sandbox,
                setup,
                in_short,
                of,
                claims,
                ..
            } => {
                let user = if sandbox.uid == 0 { "root".into() } else { format!("user {}", sandbox.uid) };
                let conditions = printable(&format!("Linux {}, {user}", short(kernel)));
                self.page = Page {
                    experiment: experiment.clone(),
                    question: question.clone(),
                    conditions: if self.values.is_stable() { String::new() } else { conditions },
                    setup: setup.clone(),
                    in_short: in_short.clone(),
                    of: *of,
                    sabotage: *sabotage,
                    claims: claims.clone(),
                    ..Page::default()
                };
            }
            Event::Step { number, .. } => {
                self.values.begin_step();
                self.page.step = *number;
            }
            Event::Judged { claim, verdict, expected, rows, .. } => {
                let Some(head) = self.page.claims.iter().find(|head| head.id == *claim).cloned() else {
                    return Ok(());
                };
                let rows = rows.iter().map(|row| cells(row, &mut self.values)).collect();
                let step = self.page.step;
                let (verdict, expected) = (*verdict, *expected);
                self.page.judged.push(Judged { step, claim: head, verdict, expected, rows });
            }
            Event::Skipped { claim, missing, remedy } => {
                self.page.skipped.add(self.page.step, claim, missing, remedy);
            }
            Event::End { tally, broken, .. } => {
                let text = self.page.set(*tally, broken.as_deref(), self.width, self.plain);
                self.out.write_all(text.as_bytes())?;
                self.out.flush()?;
            }
            Event::Actor(_) | Event::Saw(_) | Event::Table(_) => {}
        }
        Ok(())
    }
}

fn cells(row: &Row, values: &mut Shown) -> Cells {
    let mut cell = |value: &Option<ns_core::Value>| {
        value.as_ref().map_or_else(|| "-".into(), |value| printable(&values.value(value)))
    };
    Cells {
        label: printable(&row.label),
        control: cell(&row.control),
        treatment: cell(&row.treatment),
        differs: row.differs(),
    }
}

/// A kernel's version without what a distribution adds.
fn short(kernel: &str) -> String {
    kernel.split(['-', '+']).next().unwrap_or(kernel).split('.').take(2).collect::<Vec<_>>().join(".")
}

impl Page {
    fn set(&self, tally: Tally, broken: Option<&str>, width: usize, plain: bool) -> String {
        let (title, setup) = (self.title(width, plain), self.setup(width));
        let rows = if plain { self.list(width) } else { self.table(width) };
        let skips = self.skipped.set(width, false);
        let mut rest = self.rest(&skips, tally, broken, width);
        let lines = |parts: &[&String]| parts.iter().map(|part| part.lines().count()).sum::<usize>();
        if !plain && lines(&[&title, &rows, &rest]) > SCREEN {
            rest = self.rest(&self.skipped.set_short(width, LINES), tally, broken, width);
        }
        let height = lines(&[&title, &setup, &rows, &rest]);
        let empty = if plain || height + 2 <= SCREEN { "\n" } else { "" };
        let is_whole = plain || self.sabotage || height <= SCREEN;
        let setup = if is_whole { setup } else { String::new() };
        let rows = if rows.is_empty() { rows } else { format!("{empty}{rows}") };
        format!("{title}{setup}{rows}{empty}{rest}")
    }

    fn title(&self, width: usize, plain: bool) -> String {
        let title = format!("{}: {}", self.experiment, self.question);
        let room = width.saturating_sub(title.width() + 2);
        let is_beside = !self.conditions.is_empty() && self.conditions.width() <= room && !plain;
        if !is_beside {
            let title = styled(wrap(&title, width, "", "  ").trim_end(), tone::strong());
            let below = if plain { wrap(&self.conditions, width, "", "") } else { String::new() };
            return format!("{title}\n{}", styled_lines(below.trim_end(), tone::faint()));
        }
        let gap = " ".repeat(width - title.width() - self.conditions.width());
        let conditions = styled(&self.conditions, tone::faint());
        format!("{}{gap}{conditions}\n", styled(&printable(&title), tone::strong()))
    }

    fn setup(&self, width: usize) -> String {
        if self.sabotage {
            styled(wrap(NEGATIVE_CONTROL, width, "", "").trim_end(), tone::bad()) + "\n"
        } else if self.setup.is_empty() {
            String::new()
        } else {
            wrap(&self.setup, width, "", "")
        }
    }

    /// What stands below the rows, with these words on what was skipped.
    fn rest(&self, skips: &str, tally: Tally, broken: Option<&str>, width: usize) -> String {
        let mut text: String = self.judged.iter().map(|judged| self.remark(judged, width)).collect();
        text += skips;
        // It says no more than what this run has shown.
        let is_shown = self.skipped.is_empty() && tally.unexpected == 0 && broken.is_none();
        if is_shown && !self.sabotage && !self.in_short.is_empty() {
            text += &wrap(&format!("In short: {}", self.in_short), width, "", INDENT);
        }
        text + &self.last_line(tally, broken, width)
    }

    /// A row for each fact; the names of the arms stand above them wherever they change.
    fn table(&self, width: usize) -> String {
        let names: Vec<[String; 2]> = self.judged.iter().map(|judged| judged.claim.arm_names()).collect();
        let verdict = self.judged.iter().map(|judged| judged.word().width()).max().unwrap_or(0);
        // The number, the sign, the verdict, and the blanks between.
        let room = width.saturating_sub(2 + 1 + verdict + 7);
        let rows = self.judged.iter().flat_map(|judged| &judged.rows);
        let cells = rows.map(|row| [row.label.as_str(), row.control.as_str(), row.treatment.as_str()]);
        let heads = names.iter().map(|[control, treatment]| ["", control.as_str(), treatment.as_str()]);
        let widths = lowest(&cells.chain(heads).collect::<Vec<_>>(), room);
        let set = |text: &str, at: usize| first_lines(&fill(text, widths[at], ""), LINES);
        let mut table = Builder::default();
        let mut above: Option<&[String; 2]> = None;
        let mut last_step = 0;
        for (judged, names) in self.judged.iter().zip(&names) {
            if judged.rows.is_empty() {
                continue;
            }
            if above != Some(names) {
                let head = |at: usize| {
                    let lines = fill(&printable(&names[at]), widths[at + 1], "");
                    lines.lines().map(|line| styled(line, tone::faint())).collect::<Vec<_>>().join("\n")
                };
                table.push_record([
                    String::new(),
                    String::new(),
                    head(0),
                    String::new(),
                    head(1),
                    String::new(),
                ]);
                above = Some(names);
            }
            for (at, row) in judged.rows.iter().enumerate() {
                let is_first = at == 0;
                let number = if is_first && judged.step != last_step {
                    format!("{:>2}", judged.step)
                } else {
                    "  ".into()
                };
                let word = if is_first { styled(&judged.word(), judged.tone()) } else { String::new() };
                let sign = if row.differs { styled("≠", tone::strong()) } else { "=".into() };
                table.push_record([
                    number,
                    set(&row.label, 0),
                    set(&row.control, 1),
                    sign,
                    set(&row.treatment, 2),
                    word,
                ]);
            }
            last_step = judged.step;
        }
        let mut table = table.build();
        table.with(Borders::empty()).with(Padding::new(0, 1, 0, 0));
        for column in [1, 4] {
            table.modify(Columns::one(column), Padding::new(0, 2, 0, 0));
        }
        table.modify(Columns::last(), Padding::zero());
        table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// A line for each fact.
    fn list(&self, width: usize) -> String {
        let mut text = String::new();
        for judged in &self.judged {
            let [control, treatment] = judged.claim.arm_names();
            text += &wrap(&format!("Step {}. {}", judged.step, judged.claim.text), width, "\n", "");
            text += &format!("{}\n", styled(&judged.word(), judged.tone()));
            for row in &judged.rows {
                let answer = if row.differs { "different" } else { "the same" };
                text += &wrap(&format!("{}: {answer}.", row.label), width, "", "  ");
                text += &wrap(&format!("{control}: {}", row.control), width, "  ", "    ");
                text += &wrap(&format!("{treatment}: {}", row.treatment), width, "  ", "    ");
            }
        }
        text
    }

    /// What has to be said of a verdict besides the rows.
    fn remark(&self, judged: &Judged, width: usize) -> String {
        let (word, said) = if self.sabotage {
            if judged.expected {
                return String::new();
            }
            ("HOLDS", proves_nothing(&judged.claim.id))
        } else if !judged.expected {
            let said = format!(
                "{}: {}; this kernel was expected to say '{}'. To see why: {} --step {}",
                judged.claim.id,
                judged.verdict.word(),
                judged.claim.expect,
                self.experiment,
                judged.step
            );
            ("UNEXPECTED", said)
        } else if judged.verdict == Verdict::Refuted {
            let correction = judged.claim.expect.correction();
            let right = correction.and_then(|id| self.claims.iter().find(|claim| claim.id == id));
            let said = match right {
                Some(right) => format!("step {}. Correct: {}", judged.step, right.text),
                None => judged.claim.why_refuted(&self.claims).unwrap_or_default(),
            };
            ("REFUTED", said)
        } else {
            return String::new();
        };
        item(word, &said, judged.tone(), width)
    }

    fn last_line(&self, tally: Tally, broken: Option<&str>, width: usize) -> String {
        if let Some(why) = broken {
            return item("BROKEN", why, tone::bad(), width);
        }
        let judged = tally.judged();
        if self.sabotage {
            let (line, style) = negative_control(judged, tally.unexpected);
            return styled(wrap(&line, width, "", "").trim_end(), style) + "\n";
        }
        let verdict = match tally.unexpected {
            0 if judged > 0 => "as expected".into(),
            0 => "nothing could be asked".into(),
            count => format!("{count} NOT AS EXPECTED"),
        };
        let style = if tally.unexpected > 0 { tone::bad() } else { tone::strong() };
        let asked = self.claims.len();
        let more = format!(
            "{asked} of {} claims (--all, --steps). Why: inception read {}",
            self.of, self.experiment
        );
        let line = format!("{tally}: {verdict}.");
        let set = wrap(&format!("{line} {more}"), width, "", INDENT);
        set.replacen(&line, &styled(&line, style), 1)
    }
}

impl Judged {
    fn word(&self) -> String {
        let word = self.verdict.word().to_uppercase();
        if self.expected { word } else { format!("{word}!") }
    }

    fn tone(&self) -> owo_colors::Style {
        tone::of(self.verdict, self.expected)
    }
}

/// The widths of three columns that share `room` with which the rows have the fewest lines; of those, with the widest
/// first column.
fn lowest(rows: &[[&str; 3]], room: usize) -> [usize; 3] {
    let widest = |at: usize| rows.iter().map(|row| row[at].width()).max().unwrap_or(0);
    let longest_word = |at: usize| {
        let words = rows.iter().flat_map(|row| row[at].split_whitespace());
        words.map(UnicodeWidthStr::width).max().unwrap_or(0)
    };
    let natural = [0, 1, 2].map(widest);
    if natural.iter().sum::<usize>() <= room {
        return natural;
    }
    // A word that is longer is broken.
    let least = |at: usize| longest_word(at).clamp(1, (room / 4).max(1));
    let mut best = (usize::MAX, [room / 3; 3]);
    for control in least(1)..=natural[1] {
        for treatment in least(2)..=natural[2] {
            let Some(label) = room.checked_sub(control + treatment).filter(|label| *label >= least(0)) else {
                continue;
            };
            let widths = [label.min(natural[0]), control, treatment];
            let height = |row: &[&str; 3]| {
                let lines = |at: usize| fill(row[at], widths[at], "").lines().count();
                (0..3).map(lines).max().unwrap_or(1)
            };
            let total = rows.iter().map(height).sum();
            if total < best.0 || (total == best.0 && label > best.1[0]) {
                best = (total, widths);
            }
        }
    }
    best.1
}
