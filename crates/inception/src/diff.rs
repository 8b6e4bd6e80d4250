//! `inception diff`: what several kernels said to the same claims, side by side, and why they differ.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use lesson::render::{grid, wrap};
use lesson::{ClaimHead, Event, Screen, Verdict, status};
use ns_core::fact::printable;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::demos;
use crate::format::Format;
use crate::outbox::Outbox;
use crate::summary::item;
use crate::transcript::each_line;
use crate::trial::{self, Fate, Settled, Watch};

/// What to compare, and how to show it.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Transcripts, as inception run --format jsonl writes them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Show every claim, not only those whose verdicts differ
    #[arg(long)]
    all: bool,

    /// What to write: text for people, jsonl: one JSON object a claim, or markdown: every claim, as a document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    screen: Screen,
}

impl Diff {
    /// Compares the transcripts. A difference that no claim explains gives 1.
    pub(crate) fn run(&self) -> Result<u8> {
        let alone = self.files.len() == 1 && !self.all && self.format != Format::Markdown;
        ensure!(!alone, "one transcript differs from nothing; name another, or show it with --all");
        let transcripts = self.files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
        let outbox = Outbox::open(&self.screen)?;
        let comparison = Comparison {
            // A document may lose or gain a column, and the others shall keep their names.
            columns: columns(&transcripts, if self.format == Format::Markdown { 2 } else { 1 }),
            rows: rows(&transcripts),
        };
        let text = match self.format {
            Format::Text => comparison.text(self.all, self.screen.columns()),
            Format::Markdown => comparison.markdown(),
            Format::Jsonl => comparison.json_lines(self.all, &transcripts)?,
        };
        outbox.show(&text)?;
        Ok(if comparison.unexplained() > 0 { status::UNEXPECTED } else { status::AS_EXPECTED })
    }
}

// --- Reading ---

/// What one kernel said to one user.
#[derive(Debug)]
struct Transcript {
    file: PathBuf,
    kernel: String,
    uid: u32,
    runs: Vec<Run>,
}

/// An experiment's part of a transcript.
#[derive(Debug)]
struct Run {
    experiment: String,
    question: String,
    watch: Watch,
}

/// Reads a transcript.
///
/// # Errors
/// One line that names the file, and the line of it, when it cannot be read, is no transcript, or is cut short.
fn read(file: &Path) -> Result<Transcript> {
    let mut transcript = Transcript { file: file.into(), kernel: String::new(), uid: 0, runs: Vec::new() };
    let name = file.display().to_string();
    let input = File::open(file).with_context(|| format!("cannot open {name}"))?;
    let number = each_line(&name, input, |line| transcript.take(line))?;
    match transcript.unfinished() {
        Some(run) => bail!("{name}: line {number}: cut short, '{}' has not ended", run.experiment),
        None => Ok(transcript),
    }
}

impl Transcript {
    fn take(&mut self, line: &[u8]) -> Result<()> {
        let event = trial::event(line)
            .map_err(|why| if line.ends_with(b"\n") { anyhow!(why) } else { anyhow!("cut short, {why}") })?;
        if let Event::Begin { experiment, question, kernel, sabotage, stage, .. } = &event {
            ensure!(!sabotage, "a run with --sabotage says nothing about the kernel");
            if let Some(unfinished) = self.unfinished() {
                bail!("cut short before it, '{}' has not ended", unfinished.experiment);
            }
            if self.runs.is_empty() {
                (self.kernel, self.uid) = (kernel.clone(), stage.uid);
            }
            ensure!(
                *kernel == self.kernel && stage.uid == self.uid,
                "another run begins, of {} on {kernel}, after that of {} on {}; give each a file",
                who(stage.uid),
                who(self.uid),
                self.kernel
            );
            ensure!(self.run(experiment).is_none(), "'{experiment}' a second time; give each run a file");
            let (experiment, question) = (experiment.clone(), question.clone());
            self.runs.push(Run { experiment, question, watch: Watch::default() });
        }
        let run = self.runs.last_mut().context("a transcript begins with 'begin'")?;
        run.watch.follow(&event)?;
        if run.watch.status.is_some() { run.watch.all_settled() } else { Ok(()) }
    }

    fn unfinished(&self) -> Option<&Run> {
        self.runs.last().filter(|run| run.watch.status.is_none())
    }

    fn run(&self, experiment: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.experiment == experiment)
    }
}

impl Run {
    fn claim(&self, id: &str) -> Option<&Settled> {
        self.watch.claims.iter().find(|claim| claim.head.id == id)
    }
}

fn who(uid: u32) -> String {
    if uid == 0 { "root".into() } else { format!("uid {uid}") }
}

/// `6.1` of `6.1.0-40-amd64`.
fn short(release: &str) -> String {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if !major.is_empty() && !minor.is_empty() => format!("{major}.{minor}"),
        _ => printable(release),
    }
}

/// What each transcript is called: by its kernel, then by who ran it, then by its file, as far as it takes to tell it
/// from the others.
fn columns(transcripts: &[Transcript], at_least: usize) -> Vec<String> {
    let names = |it: &Transcript| {
        let file = it.file.file_name().unwrap_or(it.file.as_os_str()).to_string_lossy();
        [short(&it.kernel), who(it.uid), printable(&file), printable(&it.file.to_string_lossy())]
    };
    let all: Vec<_> = transcripts.iter().map(names).collect();
    let name = |own: &[String; 4]| {
        let is_alone = |parts: &usize| all.iter().filter(|it| it.starts_with(&own[..*parts])).count() == 1;
        match (at_least..=3).find(is_alone) {
            Some(parts) => own[..parts].join("\n"),
            None => [&own[0], &own[1], &own[3]].map(String::as_str).join("\n"),
        }
    };
    all.iter().map(name).collect()
}

// --- Comparing ---

/// What all transcripts say.
struct Comparison<'a> {
    /// What each transcript is called, in one line or several.
    columns: Vec<String>,
    rows: Vec<Row<'a>>,
}

/// What all transcripts say to one claim.
struct Row<'a> {
    experiment: &'a str,
    question: &'a str,
    /// As the first that has the claim declares it.
    head: &'a ClaimHead,
    /// One a column.
    cells: Vec<Cell<'a>>,
}

/// What one transcript says to one claim.
#[derive(Debug, Clone, Copy)]
struct Cell<'a> {
    declared: Option<&'a ClaimHead>,
    fate: Became<'a>,
}

/// What became of a claim, or why nothing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became<'a> {
    Settled(&'a Fate),
    /// The experiment broke before.
    Broken(&'a str),
    /// The experiment that was run has no such claim.
    Undeclared,
    /// The experiment was not run.
    NotRun,
}

/// Why the cells of a row differ.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    explained: bool,
    /// Whether it cannot be understood without the claim's sentence.
    needs_sentence: bool,
    lines: Vec<String>,
}

fn rows(transcripts: &[Transcript]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let runs = transcripts.iter().flat_map(|transcript| &transcript.runs);
    for experiment in each_once(runs.map(|run| run.experiment.as_str())) {
        let runs: Vec<_> = transcripts.iter().map(|transcript| transcript.run(experiment)).collect();
        let claims = runs.iter().flatten().flat_map(|run| &run.watch.claims);
        for id in each_once(claims.map(|claim| claim.head.id.as_str())) {
            let first = runs.iter().flatten().find_map(|run| Some((run, run.claim(id)?)));
            let Some((run, claim)) = first else { continue };
            let cells = runs.iter().map(|run| Cell::of(*run, id)).collect();
            rows.push(Row { experiment, question: &run.question, head: &claim.head, cells });
        }
    }
    rows
}

fn each_once<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

impl<'a> Cell<'a> {
    fn of(run: Option<&'a Run>, id: &str) -> Cell<'a> {
        let Some(run) = run else { return Cell { declared: None, fate: Became::NotRun } };
        let Some(claim) = run.claim(id) else { return Cell { declared: None, fate: Became::Undeclared } };
        let broken = Became::Broken(run.watch.broken.as_deref().unwrap_or_default());
        Cell { declared: Some(&claim.head), fate: claim.fate.as_ref().map_or(broken, Became::Settled) }
    }

    fn word(self) -> &'static str {
        match self.fate {
            Became::Settled(Fate::Judged { verdict, .. }) => verdict.word(),
            Became::Settled(Fate::Skipped { .. }) => Verdict::Skipped.word(),
            Became::Broken(_) => "broken",
            Became::Undeclared => "undeclared",
            Became::NotRun => "not run",
        }
    }

    fn is_judged(self) -> bool {
        matches!(self.fate, Became::Settled(Fate::Judged { .. }))
    }

    fn is_unexpected(self) -> bool {
        matches!(self.fate, Became::Settled(Fate::Judged { expected: false, .. }))
    }

    /// The word, with a mark where this kernel was expected to say another.
    fn marked(self) -> String {
        format!("{}{}", self.word(), if self.is_unexpected() { " (!)" } else { "" })
    }
}

impl Row<'_> {
    fn differs(&self) -> bool {
        let first = self.cells[0].word();
        self.cells.iter().any(|cell| cell.word() != first || self.is_of_another_build(cell))
    }

    /// Whether the claim has another meaning there.
    fn is_of_another_build(&self, cell: &Cell<'_>) -> bool {
        let head = self.head;
        cell.declared.is_some_and(|it| it.text != head.text || it.expect != head.expect)
    }

    /// Why the cells differ, if they do. Only the claim itself can explain a verdict, and only a skip can explain that
    /// there is none.
    fn reasons(&self, columns: &[String]) -> Vec<Reason> {
        if !self.differs() {
            return Vec::new();
        }
        let mut reasons = Vec::from_iter(self.why_judged_differently(columns));
        for cell in &self.cells {
            // All that became so for the same reason are told of at once.
            let on = self.on(columns, |other| other.fate == cell.fate);
            let (explained, lines) = match cell.fate {
                Became::Settled(Fate::Judged { .. }) => continue,
                Became::Settled(Fate::Skipped { missing, remedy }) => {
                    let lines = [
                        format!("skipped on {on}"),
                        format!("missing: {missing}"),
                        format!("to get it: {remedy}"),
                    ];
                    (true, lines.to_vec())
                }
                Became::Broken(why) => (false, vec![format!("broken on {on}: {why}")]),
                Became::Undeclared => (false, vec![format!("not declared on {on}, by another build")]),
                Became::NotRun => (false, vec![format!("not run on {on}")]),
            };
            reasons.push(Reason { explained, needs_sentence: false, lines });
        }
        if self.cells.iter().any(|cell| self.is_of_another_build(cell)) {
            let on = self.on(columns, |cell| self.is_of_another_build(cell));
            let lines = vec![format!("declared otherwise on {on}, by another build")];
            reasons.push(Reason { explained: false, needs_sentence: true, lines });
        }
        each_once(reasons)
    }

    fn why_judged_differently(&self, columns: &[String]) -> Option<Reason> {
        let judged = || self.cells.iter().filter(|cell| cell.is_judged());
        let words = each_once(judged().map(|cell| cell.word()));
        if words.len() < 2 {
            return None;
        }
        let said = |word: &&str| format!("{word} on {}", self.on(columns, |cell| cell.word() == *word));
        let said = words.iter().map(said).collect::<Vec<_>>().join("; ");
        let expect = &self.head.expect;
        let may_differ = expect.starts_with("since ") || expect.starts_with("varies: ");
        let explained = may_differ && !judged().any(|cell| cell.is_unexpected());
        let lines = match expect.strip_prefix("since ") {
            Some(kernel) if explained => vec![format!("holds since {kernel}"), said],
            _ if explained => vec![expect.clone(), said],
            _ => vec![said, format!("the claim says: {expect}")],
        };
        Some(Reason { explained, needs_sentence: true, lines })
    }

    /// The columns whose cells are so.
    fn on(&self, columns: &[String], is_so: impl Fn(&Cell<'_>) -> bool) -> String {
        let named = columns.iter().zip(&self.cells).filter(|(_, cell)| is_so(cell));
        named.map(|(column, _)| column.replace('\n', " ")).collect::<Vec<_>>().join(", ")
    }
}

/// Rows that differ for one reason.
type Alike<'r, 'a> = (Reason, Vec<&'r Row<'a>>);

impl<'a> Comparison<'a> {
    /// The reasons, each once: those that explain, and then the others.
    fn reasons(&self) -> Vec<Alike<'_, 'a>> {
        let mut all: Vec<Alike<'_, 'a>> = Vec::new();
        for row in &self.rows {
            for reason in row.reasons(&self.columns) {
                match all.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, rows)) => rows.push(row),
                    None => all.push((reason, vec![row])),
                }
            }
        }
        all.sort_by_key(|(reason, _)| !reason.explained);
        all
    }

    fn count(&self, is_so: impl Fn(&Row<'a>) -> bool) -> usize {
        self.rows.iter().filter(|row| is_so(row)).count()
    }

    fn unexplained(&self) -> usize {
        self.count(|row| row.reasons(&self.columns).iter().any(|reason| !reason.explained))
    }

    /// All in one line.
    fn in_short(&self) -> String {
        let (all, differ) = (self.rows.len(), self.count(Row::differs));
        let mut line = match (differ, self.unexplained()) {
            (0, _) => format!("{all} claims, none differs"),
            (_, 0) => format!("{differ} of {all} claims differ, all explained"),
            (_, unexplained) => format!("{differ} of {all} claims differ, {unexplained} UNEXPLAINED"),
        };
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        let unexpected = cells.filter(|cell| cell.is_unexpected()).count();
        if unexpected > 0 {
            line += &format!("; {unexpected} verdicts not as expected (!)");
        }
        line
    }
}

/// The claims of these rows: with their sentences, or else an experiment a line.
fn claims(reason: &Reason, rows: &[&Row<'_>]) -> Vec<String> {
    if reason.needs_sentence {
        let claim = |row: &&Row<'_>| format!("{} {}: {}", row.experiment, row.head.id, row.head.text);
        return rows.iter().map(claim).collect();
    }
    let line = |rows: &[&Row<'_>]| {
        let ids: Vec<_> = rows.iter().map(|row| row.head.id.as_str()).collect();
        format!("{}: {}", rows[0].experiment, ids.join(", "))
    };
    rows.chunk_by(|one, next| one.experiment == next.experiment).map(line).collect()
}

// --- Showing: text ---

impl Comparison<'_> {
    fn text(&self, all: bool, width: usize) -> String {
        let shown: Vec<_> = self.rows.iter().filter(|row| all || row.differs()).collect();
        let mut text = if shown.is_empty() { String::new() } else { self.table(&shown, width) + "\n" };
        for (reason, rows) in self.reasons() {
            let (word, style) = if reason.explained {
                ("EXPLAINED", Style::new().green().bold())
            } else {
                ("UNEXPLAINED", Style::new().red().bold())
            };
            let claims = claims(&reason, &rows).into_iter().map(|claim| format!("- {claim}"));
            let lines = reason.lines.iter().cloned().chain(claims).map(|line| printable(&line));
            text += &(item(word, &lines.collect::<Vec<_>>().join("\n"), style, width) + "\n");
        }
        let line = wrap(&format!("inception: {}", self.in_short()), width, "", "  ");
        let style = if self.unexplained() > 0 { Style::new().red().bold() } else { Style::new().bold() };
        text + &format!("{}\n", line.trim_end().style(style))
    }

    fn table(&self, rows: &[&Row<'_>], width: usize) -> String {
        let drawn = |heads: &[&str], named: fn(&Row<'_>) -> Vec<String>| {
            let row = |row: &&Row<'_>| {
                let cells = row.cells.iter().map(|cell| cell.marked());
                named(row).iter().map(|name| printable(name)).chain(cells).collect()
            };
            let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
            let heads: Vec<_> =
                heads.iter().copied().chain(self.columns.iter().map(String::as_str)).collect();
            grid(&heads, &rows, width)
        };
        let apart = drawn(&["experiment", "claim"], |row| vec![row.experiment.into(), row.head.id.clone()]);
        // What fits has a frame. One column takes less than two.
        if apart.starts_with('┌') {
            return apart;
        }
        drawn(&["claim"], |row| vec![format!("{} {}", row.experiment, row.head.id)])
    }
}

// --- Showing: data ---

/// A claim as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    experiment: &'a str,
    #[serde(flatten)]
    head: &'a ClaimHead,
    differs: bool,
    /// `null` where there is nothing to explain.
    explained: Option<bool>,
    because: Vec<String>,
    verdicts: Vec<Said<'a>>,
}

/// What one transcript says to a claim.
#[derive(Serialize)]
struct Said<'a> {
    column: String,
    file: String,
    kernel: &'a str,
    uid: u32,
    /// `holds`, `refuted`, `unproven` or `skipped`; where there is none, `broken`, `undeclared` or `not run`.
    verdict: &'static str,
    /// Whether it is what that kernel was expected to say.
    expected: Option<bool>,
}

impl Comparison<'_> {
    fn json_lines(&self, all: bool, transcripts: &[Transcript]) -> Result<String> {
        let mut text = String::new();
        for row in self.rows.iter().filter(|row| all || row.differs()) {
            let reasons = row.reasons(&self.columns);
            let mut verdicts = Vec::new();
            for ((transcript, column), cell) in transcripts.iter().zip(&self.columns).zip(&row.cells) {
                verdicts.push(Said {
                    column: column.replace('\n', " "),
                    file: transcript.file.to_string_lossy().into(),
                    kernel: &transcript.kernel,
                    uid: transcript.uid,
                    verdict: cell.word(),
                    expected: cell.is_judged().then(|| !cell.is_unexpected()),
                });
            }
            let line = Line {
                experiment: row.experiment,
                head: row.head,
                differs: row.differs(),
                explained: row.differs().then(|| reasons.iter().all(|reason| reason.explained)),
                because: reasons.iter().map(|reason| reason.lines.join("; ")).collect(),
                verdicts,
            };
            text += &(serde_json::to_string(&line)? + "\n");
        }
        Ok(text)
    }
}

// --- Showing: a document ---

const LEGEND: &str = "\
Each column is a run of all experiments, named by the kernel and by who ran it. A claim *holds* where its effect comes
with its cause alone, is *refuted* where the effect does not come, *unproven* where it comes without the cause too, and
*skipped* where that machine could not be asked. Without a verdict are the claims of an experiment that broke before,
that was not run, or that another build did not declare. (!) marks a verdict that was not expected of that kernel.

";

impl Comparison<'_> {
    fn markdown(&self) -> String {
        let mut text = String::from(
            "<!-- Written by inception diff --format markdown: change nothing here by hand. -->\n\n",
        );
        text += &format!("# Every claim, kernel by kernel\n\n{}.\n\n{LEGEND}", self.in_short());
        text += &self.counts();
        text += "\n## Differences\n";
        for (reason, rows) in self.reasons() {
            let word = if reason.explained { "explained" } else { "UNEXPLAINED" };
            text += &format!("\n- {word}: {}\n", marked_up(&reason.lines.join("; ")));
            for claim in claims(&reason, &rows) {
                text += &format!("  - {}\n", marked_up(&claim));
            }
        }
        if self.count(Row::differs) == 0 {
            text += "\nNone.\n";
        }
        for rows in self.rows.chunk_by(|one, next| one.experiment == next.experiment) {
            let name = marked_up(rows[0].experiment);
            let demo = demos::ALL.iter().find(|demo| demo.name == rows[0].experiment && !demo.doc.is_empty());
            let name = demo.map_or(name.clone(), |demo| format!("[{name}]({}.md)", demo.stem()));
            text += &format!("\n## {name}: {}\n\n", marked_up(rows[0].question));
            let row = |row: &Row<'_>| {
                let cells = row.cells.iter().map(|cell| cell.marked());
                [&row.head.id, &row.head.text].map(|it| marked_up(it)).into_iter().chain(cells).collect()
            };
            text += &self.table_of(&["claim", "sentence"], &rows.iter().map(row).collect::<Vec<_>>());
        }
        text
    }

    /// How many claims came out how.
    fn counts(&self) -> String {
        let words = ["holds", "refuted", "unproven", "skipped", "broken", "undeclared", "not run"];
        let row = |word: &str| {
            let count = |at: usize| self.count(|row| row.cells[at].word() == word).to_string();
            let counts: Vec<_> = (0..self.columns.len()).map(count).collect();
            let some = counts.iter().any(|count| count != "0");
            some.then(|| [vec![word.to_string()], counts].concat())
        };
        self.table_of(&["claims"], &words.into_iter().filter_map(row).collect::<Vec<_>>())
    }

    fn table_of(&self, heads: &[&str], rows: &[Vec<String>]) -> String {
        let columns = self.columns.iter().map(|column| marked_up(&column.replace('\n', " ")));
        let heads: Vec<_> = heads.iter().map(ToString::to_string).chain(columns).collect();
        let rule = vec!["---".to_string(); heads.len()];
        let rows = [&heads, &rule].into_iter().chain(rows);
        rows.map(|row| format!("| {} |\n", row.join(" | "))).collect()
    }
}

/// Text that Markdown shows as it is.
pub(crate) fn marked_up(text: &str) -> String {
    let text = printable(text);
    let mut out = String::new();
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_in_a_word = before.is_alphanumeric() && rest.peek().is_some_and(|c| c.is_alphanumeric());
        if r"\|`*[]<>&~".contains(c) || (c == '_' && !is_in_a_word) {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}
