//! Which claims judge which sentence, and what is at fault.

use std::fmt::Write;

use anyhow::Result;
use lesson::complain;

use crate::claims::declared::declared;
use crate::claims::errata;
use crate::claims::notes::{self, Family, Number, Sentence};
use crate::demos::{self, Demo};
use crate::stdout::BufferedStdout;
use transcript::Claim;

/// Each sentence, with the claims that judge it.
pub(crate) struct Coverage {
    pub(super) rows: Vec<Row>,
    /// What is wrong with the list, the claims or docs/errata.md.
    pub(super) faults: Vec<String>,
    /// Whether an experiment could not be asked for its claims.
    pub(super) broken: bool,
}

pub(super) struct Row {
    pub(super) sentence: Sentence,
    pub(super) judged_by: Vec<Judge>,
}

/// A claim that judges a sentence.
pub(super) struct Judge {
    pub(super) demo: &'static Demo,
    pub(super) head: transcript::ClaimHead,
}

impl Coverage {
    /// Asks every experiment for the claims that it declares.
    ///
    /// # Errors
    /// When docs/notes.md is not of its form, or the output has no reader any more.
    pub(crate) fn new(stdout: &BufferedStdout) -> Result<Coverage> {
        let mut experiments = Vec::new();
        let mut broken = false;
        for demo in demos::ALL {
            match declared(demo, stdout) {
                Ok(claims) => experiments.push((demo, claims)),
                Err(error) if lesson::is_reader_gone(&error) => return Err(error),
                Err(error) => {
                    complain("inception", &error.context(demo.name));
                    broken = true;
                }
            }
        }
        Ok(Coverage { broken, ..Coverage::of(notes::all()?, &experiments) })
    }

    pub(super) fn of(sentences: Vec<Sentence>, experiments: &[(&'static Demo, Vec<Claim>)]) -> Coverage {
        let mut faults = Vec::new();
        let all = || experiments.iter().flat_map(|(demo, claims)| claims.iter().map(|it| (*demo, &it.head)));
        for (demo, head) in all() {
            for number in numbers(head).filter(|number| sentences.iter().all(|it| it.number != *number)) {
                faults
                    .push(format!("{}: '{}' judges {number}, which docs/notes.md lacks", demo.name, head.id));
            }
        }
        let judged_by = |number: Number| {
            let judges = all().filter(|(_, head)| numbers(head).any(|it| it == number));
            judges.map(|(demo, head)| Judge { demo, head: head.clone() }).collect()
        };
        let rows: Vec<_> = sentences
            .into_iter()
            .map(|sentence| Row { judged_by: judged_by(sentence.number), sentence })
            .collect();
        for row in &rows {
            let number = row.sentence.number;
            match (row.judged_by.first(), &row.sentence.reason) {
                (Some(judge), Some(_)) => {
                    faults.push(format!("docs/notes.md: {number} is judged, by {}", judge.demo.name));
                }
                // What the notes say is to be answered for; what they leave out is not.
                (None, None) if number.0 != Family::More => {
                    faults.push(format!("docs/notes.md: {number} is judged by no claim, and has no reason"));
                }
                _ => {}
            }
        }
        let declared: Vec<_> =
            experiments.iter().map(|(demo, claims)| (demo.name, claims.as_slice())).collect();
        faults.extend(errata::faults(&declared));
        Coverage { rows, faults, broken: false }
    }

    /// The sentences, heading by heading.
    pub(super) fn sections(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, next| one.sentence.section == next.sentence.section)
    }

    /// How many of each family are judged, and how many are not.
    pub(super) fn in_short(&self) -> Vec<String> {
        let families = [Family::Notes, Family::Setup, Family::More];
        let line = |family: Family| {
            let rows: Vec<_> = self.rows.iter().filter(|row| row.sentence.number.0 == family).collect();
            let judged = rows.iter().filter(|row| !row.judged_by.is_empty()).count();
            let open = rows.iter().filter(|row| row.is_open()).count();
            let mut line = format!("{judged} of {} {} judged", rows.len(), family.counts());
            if judged + open < rows.len() {
                let _ = write!(line, ", {} not, for a reason", rows.len() - judged - open);
            }
            if open > 0 {
                let _ = write!(line, ", {open} OPEN");
            }
            line
        };
        families.map(line).to_vec()
    }
}

impl Row {
    pub(super) fn is_open(&self) -> bool {
        self.judged_by.is_empty() && self.sentence.reason.is_none()
    }

    pub(super) fn why_not(&self) -> Option<String> {
        let open = self.is_open().then(|| "open: judged by no claim yet".to_string());
        self.sentence.reason.as_ref().map(|why| format!("not judged: {why}")).or(open)
    }
}

/// The numbers that a claim answers to.
fn numbers(head: &transcript::ClaimHead) -> impl Iterator<Item = Number> + '_ {
    let notes = head.notes.iter().map(|number| Number(Family::Notes, *number));
    notes.chain(head.more.iter().map(|number| Number(Family::More, *number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::coverage::fixture::{coverage, sentence};

    #[test]
    fn a_sentence_is_judged_or_has_a_reason() {
        let [n, m, p] = [Family::Notes, Family::More, Family::Setup];
        let fine = vec![
            sentence(Number(n, 1), None),
            sentence(Number(n, 2), Some("an opinion.")),
            sentence(Number(m, 3), None),
            sentence(Number(p, 1), Some("set-up.")),
        ];
        let fine = coverage(&[1], &[], fine);
        assert_eq!(fine.faults, Vec::<String>::new());
        assert_eq!(
            fine.in_short(),
            [
                "1 of 2 sentences of the notes judged, 1 not, for a reason",
                "0 of 1 sentences on setting Debian up judged, 1 not, for a reason",
                "0 of 1 further behaviours judged, 1 OPEN",
            ]
        );
        assert_eq!(
            coverage(&[9], &[3], vec![sentence(Number(n, 1), None), sentence(Number(m, 3), Some("later."))])
                .faults,
            [
                "pid-ns-init: 'immune' judges N9, which docs/notes.md lacks",
                "docs/notes.md: N1 is judged by no claim, and has no reason",
                "docs/notes.md: M3 is judged, by pid-ns-init",
            ]
        );
    }
}
