//! What is written into the index and into a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use super::data::Run;
use super::pages::{PAGES, Page, Source};

pub(super) const BEGIN: &str = "<!-- written by cargo xtask machines -->";
pub(super) const END: &str = "<!-- until here -->";

/// A screen.
const COLUMNS: usize = 80;
const LINES: usize = 34;
/// At most so many causes are shown.
const CAUSES: usize = 3;
/// As many experiments are named.
const EXPERIMENTS: usize = 4;

/// A row's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers<'a> {
    answered: u64,
    skipped: u64,
    run: Option<&'a Run>,
}

/// Where all numbers are.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    runs: &'a [Run],
    kernels: BTreeMap<String, (u64, u64)>,
}

impl<'a> Numbered<'a> {
    /// Of the runs on emulated machines, and of the text of docs/kernels.md.
    ///
    /// # Errors
    /// When that has no table of verdicts.
    pub(super) fn new(runs: &'a [Run], kernels: &str) -> Result<Numbered<'a>> {
        Ok(Numbered { runs, kernels: columns(kernels)? })
    }

    fn of(&self, source: Source) -> Result<Numbers<'a>> {
        match source {
            Source::Ran(column) => {
                let (answered, skipped) = *self
                    .kernels
                    .get(column)
                    .with_context(|| format!("docs/kernels.md has no column '{column}'"))?;
                Ok(Numbers { answered, skipped, run: None })
            }
            Source::Emulated(machine, beneath) | Source::Vm(machine, beneath) => {
                let run = self.runs.iter().find(|run| run.machine == machine && run.beneath == beneath);
                let run = run.with_context(|| format!("runs.jsonl has no '{machine}'"))?;
                Ok(Numbers { answered: run.answered, skipped: run.skipped, run: Some(run) })
            }
        }
    }

    /// How many claims there are, in each run.
    ///
    /// # Errors
    /// When runs were made of different builds.
    pub(super) fn claims(&self) -> Result<u64> {
        let rows = PAGES.iter().flat_map(|page| page.rows);
        let mut first = None;
        for (who, source) in rows {
            let Numbers { answered, skipped, .. } = self.of(*source)?;
            let (claims, others) = (answered + skipped, *first.get_or_insert(answered + skipped));
            ensure!(
                claims == others,
                "'{who}': {claims} claims, and other runs have {others}: make all of one build"
            );
        }
        first.context("there are no pages")
    }

    /// The table of all machines.
    ///
    /// # Errors
    /// When a number is missing.
    pub(super) fn index(&self) -> Result<String> {
        let mut text = format!(
            "| machine | who | of {} claims, answered | skipped | mostly | numbers |\n|---|---|---|---|---|---|\n",
            self.claims()?
        );
        for page in PAGES {
            for (at, (who, source)) in page.rows.iter().enumerate() {
                let Numbers { answered, skipped, .. } = self.of(*source)?;
                let (machine, mostly) = if at == 0 {
                    (format!("[{}](machines/{}.md)", page.machine, page.name), page.skipped)
                } else {
                    (String::new(), "")
                };
                let made = if matches!(source, Source::Emulated(..)) { "emulation" } else { "run" };
                writeln!(text, "| {machine} | {who} | {answered} | {skipped} | {mostly} | {made} |")?;
            }
        }
        Ok(text)
    }

    /// What a page's numbers are, and why.
    ///
    /// # Errors
    /// When a number is missing.
    pub(super) fn block(&self, page: &Page) -> Result<String> {
        let mut text = format!("| {} claims | answered | skipped | by this machine |\n", self.claims()?);
        text.push_str("|---|---|---|---|\n");
        for (who, source) in page.rows {
            let Numbers { answered, skipped, run } = self.of(*source)?;
            // With nothing beneath there is nothing to compare.
            let compared = run.filter(|run| run.machine != run.beneath);
            let beyond = compared.map_or_else(|| "–".into(), |run| run.beyond().to_string());
            writeln!(text, "| {who} | {answered} | {skipped} | {beyond} |")?;
        }
        if let Some((who, source)) = page.rows.first() {
            if let Some(run) = self.of(*source)?.run.filter(|run| run.beyond() > 0) {
                text.push('\n');
                text.push_str(&why(page, who, run));
            }
        }
        Ok(text)
    }
}

/// Why a run skips more than the machine beneath it.
fn why(page: &Page, who: &str, run: &Run) -> String {
    let of_the_emulation = |missing: &str| page.artefacts.iter().any(|words| missing.contains(words));
    let (artefacts, causes): (Vec<_>, Vec<_>) =
        run.causes.iter().partition(|cause| of_the_emulation(&cause.missing));
    let sum = |causes: &[&super::data::Cause]| causes.iter().map(|cause| cause.claims).sum::<u64>();
    let (told, others) = causes.split_at(CAUSES.min(causes.len()));
    let mut text = format!("By this machine, in the words of the programs ({who}):\n");
    for cause in told {
        text.push_str(&wrapped(&format!("- {}: `{}` → `{}`", cause.claims, cause.missing, cause.remedy)));
    }
    if !others.is_empty() {
        text.push_str(&wrapped(&format!("- {}: other causes", sum(others))));
    }
    if !artefacts.is_empty() {
        text.push_str(&wrapped(&format!(
            "- {}: the emulation itself, and not such a machine",
            sum(&artefacts)
        )));
    }
    let named: Vec<_> =
        run.experiments.iter().take(EXPERIMENTS).map(|(name, claims)| format!("{name} {claims}")).collect();
    let more = if run.experiments.len() > EXPERIMENTS { ", …" } else { "" };
    text.push_str(&wrapped(&format!("- by experiment: {}{more}", named.join(", "))));
    text
}

/// Lines of a screen's width. What follows the first of a list's item is indented.
fn wrapped(text: &str) -> String {
    let indent = if text.starts_with("- ") { "  " } else { "" };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(format!("{indent}{word}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// The text with this between the markers.
///
/// # Errors
/// When it has no markers.
pub(super) fn with(text: &str, block: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("no marker of the beginning")?;
    let (_, after) = rest.split_once(END).context("no marker of the end")?;
    Ok(format!("{before}{BEGIN}\n{block}{END}{after}"))
}

/// Why a page is no screen; a line each.
pub(super) fn too_large(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // A comment is not shown.
    let lines = text.lines().filter(|line| !line.starts_with("<!--")).count();
    if lines > LINES {
        faults.push(format!("{lines} lines, of at most {LINES}"));
    }
    for (at, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS && !line.starts_with("<!--") {
            faults.push(format!("line {}: {columns} columns, of at most {COLUMNS}", at + 1));
        }
    }
    faults
}

/// The columns of docs/kernels.md: claims with a verdict, and without.
fn columns(kernels: &str) -> Result<BTreeMap<String, (u64, u64)>> {
    let cells = |line: &str| {
        line.trim_matches('|').split('|').skip(1).map(|cell| cell.trim().to_string()).collect::<Vec<_>>()
    };
    let mut lines = kernels.lines().skip_while(|line| !line.starts_with("| claims |"));
    let names = cells(lines.next().context("docs/kernels.md has no table of claims")?);
    let mut columns: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), (0, 0))).collect();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let skipped = line.starts_with("| skipped |");
        for (name, cell) in names.iter().zip(cells(line)) {
            let number: u64 = cell.parse().with_context(|| format!("docs/kernels.md: {line}: no number"))?;
            let column = columns.entry(name.clone()).or_default();
            if skipped { column.1 += number } else { column.0 += number }
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::data::Cause;

    const KERNELS: &str = "# x\n\n| claims | 6.1 root | 6.12 root |\n| --- | --- | --- |\n| holds | 5 | 6 |\n| refuted | 2 | 1 |\n| skipped | 3 | 3 |\n\nmore\n";

    fn run() -> Run {
        let cause = |claims, missing: &str| Cause { claims, missing: missing.into(), remedy: "do".into() };
        Run {
            machine: "m".into(),
            how: "h".into(),
            made: "6.18".into(),
            answered: 4,
            skipped: 6,
            beneath: "plain".into(),
            causes: vec![cause(2, "a"), cause(1, "b"), cause(1, "c seccomp"), cause(1, "d"), cause(1, "e")],
            experiments: vec![("time-ns".into(), 5), ("sandbox".into(), 1)],
        }
    }

    #[test]
    fn verdicts_are_summed_by_column() {
        let columns = columns(KERNELS).unwrap();
        assert_eq!(columns["6.1 root"], (7, 3));
        assert_eq!(columns["6.12 root"], (7, 3));
    }

    #[test]
    fn a_page_has_numbers_causes_and_experiments() {
        const PAGE: Page = Page {
            name: "m",
            machine: "M",
            skipped: "-",
            rows: &[("root", Source::Emulated("m", "plain")), ("Debian", Source::Ran("6.1 root"))],
            artefacts: &["seccomp"],
        };
        let text = why(&PAGE, "root", &run());
        assert_eq!(
            text,
            "By this machine, in the words of the programs (root):\n\
             - 2: `a` → `do`\n- 1: `b` → `do`\n- 1: `d` → `do`\n- 1: other causes\n\
             - 1: the emulation itself, and not such a machine\n\
             - by experiment: time-ns 5, sandbox 1\n"
        );
    }

    #[test]
    fn what_stands_between_the_markers_is_replaced() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(with(&text, "new\n").unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert!(with("a\n", "new\n").is_err());
    }

    #[test]
    fn a_page_is_a_screen() {
        assert_eq!(too_large(&format!("{}\n", "x".repeat(80))), Vec::<String>::new());
        assert_eq!(too_large(&"x".repeat(81)), ["line 1: 81 columns, of at most 80"]);
        assert_eq!(too_large(&"x\n".repeat(35)), ["35 lines, of at most 34"]);
        assert_eq!(wrapped(&format!("- {} b", "a".repeat(78))), format!("- {}\n  b\n", "a".repeat(78)));
    }
}
