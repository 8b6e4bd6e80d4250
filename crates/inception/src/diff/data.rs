//! A comparison as JSON, a line a claim.

use anyhow::Result;
use serde::Serialize;
use transcript::ClaimHead;

use super::comparison::Comparison;
use super::transcript::Transcript;

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
    /// `holds`, `refuted`, `inconclusive` or `skipped`; where there is none, `broken`, `undeclared` or `not run`.
    verdict: &'static str,
    /// Whether it is what that kernel was expected to say.
    expected: Option<bool>,
}

impl Comparison<'_> {
    pub(super) fn json_lines(&self, all: bool, transcripts: &[Transcript]) -> Result<String> {
        let mut text = String::new();
        for row in self.rows.iter().filter(|row| all || row.differs()) {
            let reasons = row.reasons(&self.columns);
            let mut verdicts = Vec::new();
            for ((transcript, column), cell) in transcripts.iter().zip(&self.columns).zip(&row.cells) {
                verdicts.push(Said {
                    column: column.replace('\n', " "),
                    file: transcript.file.to_string_lossy().into(),
                    kernel: transcript.kernel(),
                    uid: transcript.uid(),
                    verdict: cell.word(),
                    expected: cell.is_judged().then(|| !cell.is_unexpected()),
                });
            }
            let line = Line {
                experiment: row.experiment,
                head: row.head,
                differs: row.differs(),
                explained: row.differs().then(|| reasons.iter().all(super::comparison::Reason::is_explained)),
                because: reasons.iter().map(|reason| reason.lines().join("; ")).collect(),
                verdicts,
            };
            text += &(serde_json::to_string(&line)? + "\n");
        }
        Ok(text)
    }
}
