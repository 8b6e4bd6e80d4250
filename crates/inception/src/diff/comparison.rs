//! What all transcripts say to each claim, and why they differ.

use super::transcript::Transcript;
use transcript::{ClaimHead, ClaimResult, Expectation, Kernel, Run};

/// What all transcripts say.
pub(super) struct Comparison<'a> {
    /// What each transcript is called, in one line or several.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row<'a>>,
}

/// What all transcripts say to one claim.
pub(super) struct Row<'a> {
    pub(super) experiment: &'a str,
    pub(super) question: &'a str,
    /// As the first that has the claim declares it.
    pub(super) head: &'a ClaimHead,
    /// One a column.
    pub(super) cells: Vec<Cell<'a>>,
}

/// What one transcript says to one claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    declared: Option<&'a ClaimHead>,
    state: CellState<'a>,
}

/// What became of a claim, or why nothing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellState<'a> {
    Settled(&'a ClaimResult),
    /// The experiment broke before.
    Broken(&'a str),
    /// The experiment that was run has no such claim.
    Undeclared,
    /// The experiment was not run.
    NotRun,
}

/// Why the cells of a row differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// The claim holds from a kernel on.
    Since { kernel: Kernel, said: String },
    /// The claim may come out either way.
    Varies { why: String, said: String },
    /// Some could not be asked.
    Skipped { on: String, missing: String, remedy: String },
    /// Nothing that the claim says explains it.
    Unexplained { needs_sentence: bool, lines: Vec<String> },
}

impl Reason {
    pub(super) const fn is_explained(&self) -> bool {
        !matches!(self, Reason::Unexplained { .. })
    }

    /// Whether it cannot be understood without the claim's sentence.
    const fn needs_sentence(&self) -> bool {
        match self {
            Reason::Since { .. } | Reason::Varies { .. } => true,
            Reason::Skipped { .. } => false,
            Reason::Unexplained { needs_sentence, .. } => *needs_sentence,
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Reason::Since { kernel, said } => vec![format!("holds since {kernel}"), said.clone()],
            Reason::Varies { why, said } => vec![format!("varies: {why}"), said.clone()],
            Reason::Skipped { on, missing, remedy } => {
                vec![format!("skipped on {on}"), format!("missing: {missing}"), format!("fix: {remedy}")]
            }
            Reason::Unexplained { lines, .. } => lines.clone(),
        }
    }

    fn unexplained(line: String) -> Reason {
        Reason::Unexplained { needs_sentence: false, lines: vec![line] }
    }
}

pub(super) fn rows(transcripts: &[Transcript]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let runs = transcripts.iter().flat_map(|transcript| &transcript.runs.all);
    for experiment in each_once(runs.map(|run| run.begin.experiment.as_str())) {
        let runs: Vec<_> = transcripts.iter().map(|transcript| transcript.runs.of(experiment)).collect();
        let claims = runs.iter().flatten().flat_map(|run| &run.claims);
        for id in each_once(claims.map(|claim| claim.head.id.as_str())) {
            let first = runs.iter().flatten().find_map(|run| Some((run, run.claim(id)?)));
            let Some((run, claim)) = first else { continue };
            let cells = runs.iter().map(|run| Cell::of(*run, id)).collect();
            rows.push(Row { experiment, question: &run.begin.question, head: &claim.head, cells });
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
        let Some(run) = run else { return Cell { declared: None, state: CellState::NotRun } };
        let Some(claim) = run.claim(id) else { return Cell { declared: None, state: CellState::Undeclared } };
        let broken = CellState::Broken(run.broken().unwrap_or_default());
        Cell { declared: Some(&claim.head), state: claim.result.as_ref().map_or(broken, CellState::Settled) }
    }

    pub(super) fn word(self) -> &'static str {
        match self.state {
            CellState::Settled(result) => result.verdict().word(),
            CellState::Broken(_) => "broken",
            CellState::Undeclared => "undeclared",
            CellState::NotRun => "not run",
        }
    }

    pub(super) fn is_judged(self) -> bool {
        matches!(self.state, CellState::Settled(ClaimResult::Judged { .. }))
    }

    pub(super) fn is_unexpected(self) -> bool {
        matches!(self.state, CellState::Settled(ClaimResult::Judged { expected: false, .. }))
    }

    /// The word, with a mark where this kernel was expected to say another.
    pub(super) fn marked(self) -> String {
        format!("{}{}", self.word(), if self.is_unexpected() { " (!)" } else { "" })
    }
}

impl Row<'_> {
    pub(super) fn differs(&self) -> bool {
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
    pub(super) fn reasons(&self, columns: &[String]) -> Vec<Reason> {
        if !self.differs() {
            return Vec::new();
        }
        let mut reasons = Vec::from_iter(self.why_judged_differently(columns));
        for cell in &self.cells {
            // All that became so for the same reason are named at once.
            let on = self.on(columns, |other| other.state == cell.state);
            reasons.push(match cell.state {
                CellState::Settled(ClaimResult::Judged { .. }) => continue,
                CellState::Settled(ClaimResult::Skipped { missing, remedy }) => {
                    Reason::Skipped { on, missing: missing.clone(), remedy: remedy.clone() }
                }
                CellState::Broken(why) => Reason::unexplained(format!("broken on {on}: {why}")),
                CellState::Undeclared => {
                    Reason::unexplained(format!("not declared on {on}, by another build"))
                }
                CellState::NotRun => Reason::unexplained(format!("not run on {on}")),
            });
        }
        if self.cells.iter().any(|cell| self.is_of_another_build(cell)) {
            let on = self.on(columns, |cell| self.is_of_another_build(cell));
            let lines = vec![format!("declared otherwise on {on}, by another build")];
            reasons.push(Reason::Unexplained { needs_sentence: true, lines });
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
        let is_unexpected = judged().any(|cell| cell.is_unexpected());
        Some(match expect {
            Expectation::HoldsSince(kernel) if !is_unexpected => Reason::Since { kernel: *kernel, said },
            Expectation::Varies { why } if !is_unexpected => Reason::Varies { why: why.clone(), said },
            _ => Reason::Unexplained {
                needs_sentence: true,
                lines: vec![said, format!("the claim says: {expect}")],
            },
        })
    }

    /// The columns whose cells are so.
    fn on(&self, columns: &[String], is_so: impl Fn(&Cell<'_>) -> bool) -> String {
        let named = columns.iter().zip(&self.cells).filter(|(_, cell)| is_so(cell));
        named.map(|(column, _)| column.replace('\n', " ")).collect::<Vec<_>>().join(", ")
    }
}

/// Rows that differ for one reason.
pub(super) type Alike<'r, 'a> = (Reason, Vec<&'r Row<'a>>);

impl<'a> Comparison<'a> {
    /// The reasons, each once: those that explain, and then the others.
    pub(super) fn reasons(&self) -> Vec<Alike<'_, 'a>> {
        let mut all: Vec<Alike<'_, 'a>> = Vec::new();
        for row in &self.rows {
            for reason in row.reasons(&self.columns) {
                match all.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, rows)) => rows.push(row),
                    None => all.push((reason, vec![row])),
                }
            }
        }
        all.sort_by_key(|(reason, _)| !reason.is_explained());
        all
    }

    pub(super) fn count(&self, is_so: impl Fn(&Row<'a>) -> bool) -> usize {
        self.rows.iter().filter(|row| is_so(row)).count()
    }

    pub(super) fn unexplained(&self) -> usize {
        self.count(|row| row.reasons(&self.columns).iter().any(|reason| !reason.is_explained()))
    }

    /// All in one line.
    pub(super) fn in_short(&self) -> String {
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
pub(super) fn claims(reason: &Reason, rows: &[&Row<'_>]) -> Vec<String> {
    if reason.needs_sentence() {
        let claim = |row: &&Row<'_>| format!("{} {}: {}", row.experiment, row.head.id, row.head.text);
        return rows.iter().map(claim).collect();
    }
    let line = |rows: &[&Row<'_>]| {
        let ids: Vec<_> = rows.iter().map(|row| row.head.id.as_str()).collect();
        format!("{}: {}", rows[0].experiment, ids.join(", "))
    };
    rows.chunk_by(|one, next| one.experiment == next.experiment).map(line).collect()
}
