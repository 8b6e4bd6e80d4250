//! A claim as it stands on the page: its rows, and what is folded below them.

use lesson::render::Shown;
use ns_core::printable;
use pages::{anchor, lines};
use serde::Serialize;
use transcript::{Arm, ClaimHead, ClaimResult, Row, Run, Verdict};

use super::evidence::{self, Seen};

/// A claim, and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Claim {
    /// Its address on the page.
    pub(super) anchor: String,
    pub(super) id: String,
    /// What links to it say.
    pub(super) label: String,
    text: String,
    numbers: String,
    /// What the treatment has and the control lacks; empty where the names of the arms say so.
    factor: String,
    pub(super) core: bool,
    verdict: &'static str,
    expected: bool,
    expect: String,
    /// What is to be said beside a sentence that is refuted, as it should be.
    remark: Option<String>,
    /// Where the claim stands that says it right.
    right: Option<String>,
    /// What the control and the treatment are.
    pub(super) arms: [String; 2],
    /// Whether the arms have to be named above its rows.
    pub(super) heads: bool,
    pub(super) rows: Vec<Cells>,
    /// Whether the effect was seen in the control and in the treatment; none where nothing was asked.
    effects: Option<[bool; 2]>,
    seen: Vec<Seen>,
    lacks: Option<Lacks>,
}

/// A row of the one screen.
#[derive(Debug, Serialize)]
pub(super) struct Cells {
    label: String,
    control: Option<String>,
    treatment: Option<String>,
    differs: bool,
}

/// Why it was skipped.
#[derive(Debug, Serialize)]
struct Lacks {
    missing: String,
    remedy: String,
}

/// The address of the claim `id` of the lesson that stands at `lesson`.
fn address(lesson: &str, id: &str) -> String {
    format!("{lesson}.{}", anchor(id))
}

impl Claim {
    /// The claim `id` of `run`, if it was declared. What it rests on is added by [`Claim::judged`] or [`Claim::skipped`].
    pub(super) fn of(run: &Run, id: &str, lesson: &str) -> Option<Claim> {
        let claim = run.claim(id)?;
        let head: &ClaimHead = &claim.head;
        let result = claim.result.as_ref();
        let verdict = result.map(ClaimResult::verdict);
        let expected = result.is_none_or(ClaimResult::is_expected);
        let is_refuted = expected && verdict == Some(Verdict::Refuted);
        let right = run.correction(head).filter(|_| is_refuted);
        let remark = match right {
            Some(right) => Some(format!("Correct: {}", right.text)),
            None if is_refuted => head.why_refuted(run.claims.iter().map(|claim| &claim.head)),
            None => None,
        };
        Some(Claim {
            anchor: address(lesson, &head.id),
            id: printable(&head.id),
            label: lines(&head.text),
            text: lines(&head.text),
            numbers: head.numbers().join(" "),
            factor: if head.names_its_arms() { lines(&head.factor) } else { String::new() },
            core: head.core,
            verdict: verdict.map_or("", Verdict::word),
            expected,
            expect: lines(&head.expect.to_string()),
            remark: remark.map(|remark| lines(&remark)),
            right: right.map(|right| address(lesson, &right.id)),
            arms: head.arm_names().map(|name| lines(&name)),
            heads: false,
            rows: Vec::new(),
            effects: None,
            seen: Vec::new(),
            lacks: None,
        })
    }

    /// With what it was judged by.
    pub(super) fn judged(mut self, rows: &[Row], arms: [&Arm; 2], names: &mut Shown) -> Claim {
        self.rows = rows.iter().map(|row| cells(row, names)).collect();
        if let Some(first) = self.rows.first().filter(|_| self.core) {
            self.label.clone_from(&first.label);
        }
        self.effects = Some(arms.map(|arm| arm.effect));
        self.seen = evidence::pair(arms, names);
        self
    }

    /// With why it could not be asked.
    pub(super) fn skipped(mut self, missing: &str, remedy: &str) -> Claim {
        self.lacks = Some(Lacks { missing: lines(missing), remedy: lines(remedy) });
        self
    }
}

fn cells(row: &Row, names: &mut Shown) -> Cells {
    Cells {
        label: lines(&row.label),
        control: row.control.as_ref().map(|value| names.value(value)),
        treatment: row.treatment.as_ref().map(|value| names.value(value)),
        differs: row.differs(),
    }
}
