//! `inception claims --coverage`: which claims judge which sentence of the notes.

use std::fmt::Write;

use anyhow::Result;
use lesson::render::{grid, wrap};
use lesson::{complain, status};
use ns_core::fact::printable;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use super::notes::{self, Family, Number, Sentence};
use super::verdicts::Verdicts;
use super::{Format, declared, errata};
use crate::demos::{self, Demo};
use crate::diff::marked_up;
use crate::outbox::{self, Outbox};
use crate::summary::item;
use crate::trial::Settled;

/// Each sentence, with the claims that judge it.
pub(crate) struct Coverage {
    rows: Vec<Row>,
    /// What is wrong with the list, the claims or docs/errata.md.
    faults: Vec<String>,
    /// Whether an experiment could not be asked for its claims.
    broken: bool,
}

struct Row {
    sentence: Sentence,
    judged_by: Vec<Judge>,
}

/// A claim that judges a sentence.
struct Judge {
    demo: &'static Demo,
    head: lesson::ClaimHead,
}

/// A sentence as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    number: String,
    section: &'a str,
    sentence: &'a str,
    judged_by: Vec<Name<'a>>,
    not_judged: Option<&'a str>,
}

#[derive(Serialize)]
struct Name<'a> {
    experiment: &'a str,
    claim: &'a str,
}

impl Coverage {
    /// Asks every experiment for the claims that it declares.
    ///
    /// # Errors
    /// When docs/notes.md is not of its form, or the output has no reader any more.
    pub(crate) fn new(outbox: &Outbox) -> Result<Coverage> {
        let mut experiments = Vec::new();
        let mut broken = false;
        for demo in demos::ALL {
            match declared(demo, outbox) {
                Ok(claims) => experiments.push((demo, claims)),
                Err(error) if outbox::is_reader_gone(&error) => return Err(error),
                Err(error) => {
                    complain("inception", &error.context(demo.name));
                    broken = true;
                }
            }
        }
        Ok(Coverage { broken, ..Coverage::of(notes::all()?, &experiments) })
    }

    fn of(sentences: Vec<Sentence>, experiments: &[(&'static Demo, Vec<Settled>)]) -> Coverage {
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

    /// Shows it. The exit status is 1 if there is a fault, and 2 if an experiment could not be asked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn show(
        &self,
        format: Format,
        verdicts: &Verdicts,
        outbox: &Outbox,
        width: usize,
    ) -> Result<u8> {
        let text = match format {
            Format::Text => self.text(width),
            Format::Markdown => self.markdown(verdicts),
            Format::Jsonl => {
                let lines = self.rows.iter().map(|row| Ok(serde_json::to_string(&row.line())? + "\n"));
                lines.collect::<Result<String>>()?
            }
        };
        outbox.show(&text)?;
        if format != Format::Text {
            // What is made for a program has no place for them.
            self.faults.iter().for_each(|fault| complain("inception", &anyhow::anyhow!("{fault}")));
        }
        Ok(match (self.broken, self.faults.is_empty()) {
            (true, _) => status::BROKEN,
            (_, false) => status::UNEXPECTED,
            _ => status::AS_EXPECTED,
        })
    }

    fn sections(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, next| one.sentence.section == next.sentence.section)
    }

    fn text(&self, width: usize) -> String {
        let mut text = String::new();
        for rows in self.sections() {
            let row = |row: &Row| {
                let mut said = printable(&row.sentence.text);
                if let Some(why) = row.why_not() {
                    let _ = write!(said, "\n({})", printable(&why));
                }
                let judges =
                    row.judged_by.iter().map(|it| printable(&format!("{} {}", it.demo.name, it.head.id)));
                vec![row.sentence.number.to_string(), said, judges.collect::<Vec<_>>().join("\n")]
            };
            let rows_of: Vec<_> = rows.iter().map(row).collect();
            let title = &rows[0].sentence.section;
            let table = grid(&["notes", "sentence", "judged by"], &rows_of, width);
            let _ = writeln!(text, "{}\n{table}", title.style(Style::new().bold()));
        }
        for fault in &self.faults {
            text += &item("FAULT", &printable(fault), Style::new().red().bold(), width);
        }
        let line = wrap(&format!("inception: {}", self.in_short().join("; ")), width, "", "  ");
        let style = if self.faults.is_empty() { Style::new().bold() } else { Style::new().red().bold() };
        text + &format!("\n{}\n", line.trim_end().style(style))
    }

    /// How many of each family are judged, and how many are not.
    fn in_short(&self) -> Vec<String> {
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

    fn markdown(&self, verdicts: &Verdicts) -> String {
        let mut text = String::from(HEAD);
        for line in self.in_short() {
            let _ = writeln!(text, "- {line}");
        }
        for rows in self.sections() {
            let _ = writeln!(text, "\n## {}\n", marked_up(&rows[0].sentence.section));
            let columns = verdicts.columns.iter().map(String::as_str);
            let heads: Vec<_> =
                ["notes", "sentence", "claim", "expected"].into_iter().chain(columns).collect();
            let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), " --- |".repeat(heads.len()));
            for line in rows.iter().flat_map(|row| row.lines(verdicts)) {
                let _ = writeln!(text, "| {} |", line.join(" | "));
            }
        }
        text
    }
}

impl Row {
    fn is_open(&self) -> bool {
        self.judged_by.is_empty() && self.sentence.reason.is_none()
    }

    fn why_not(&self) -> Option<String> {
        let open = self.is_open().then(|| "open: judged by no claim yet".to_string());
        self.sentence.reason.as_ref().map(|why| format!("not judged: {why}")).or(open)
    }

    fn line(&self) -> Line<'_> {
        fn name(judge: &Judge) -> Name<'_> {
            Name { experiment: judge.demo.name, claim: &judge.head.id }
        }
        Line {
            number: self.sentence.number.to_string(),
            section: &self.sentence.section,
            sentence: &self.sentence.text,
            judged_by: self.judged_by.iter().map(name).collect(),
            not_judged: self.sentence.reason.as_deref(),
        }
    }

    /// The lines of a table of Markdown: one a claim, the first with the sentence.
    fn lines(&self, verdicts: &Verdicts) -> Vec<Vec<String>> {
        // The list is Markdown itself.
        let mut said = [format!("**{}**", self.sentence.number), self.sentence.text.replace('|', "\\|")];
        if let Some(why) = self.why_not() {
            let blank = vec![String::new(); verdicts.columns.len() + 1];
            let [number, text] = said;
            return vec![[vec![number, text, format!("*{}*", why.replace('|', "\\|"))], blank].concat()];
        }
        let mut lines = Vec::new();
        for Judge { demo, head } in &self.judged_by {
            let experiment = match demo.doc {
                "" => demo.name.to_string(),
                _ => format!("[{}]({}.md)", demo.name, demo.stem()),
            };
            let claim = format!("{experiment} *{}*: {}", marked_up(&head.id), marked_up(&head.text));
            let expected = match &head.correction {
                Some(correction) => format!("refuted; see *{}*", marked_up(correction)),
                None => marked_up(&head.expect),
            };
            let [number, text] = std::mem::take(&mut said);
            lines.push([vec![number, text, claim, expected], verdicts.of(demo.name, head)].concat());
        }
        lines
    }
}

/// The numbers that a claim answers to.
fn numbers(head: &lesson::ClaimHead) -> impl Iterator<Item = Number> + '_ {
    let notes = head.notes.iter().map(|number| Number(Family::Notes, *number));
    notes.chain(head.more.iter().map(|number| Number(Family::More, *number)))
}

const HEAD: &str = "\
<!-- Written by scripts/claims: change nothing here by hand. -->

# Every sentence of the notes, and what the kernel says to it

What the study notes say ([notes.md](notes.md)), the claims that put it to the kernel, what the kernel is expected to
answer, and what it answered, kernel by kernel ([kernels.md](kernels.md)). A claim that is expected to be *refuted* is a
sentence that is wrong or too strong: [errata.md](errata.md) says what is so instead. A cell is empty where a claim is
newer than kernels.md.

";

#[cfg(test)]
mod tests {
    use super::*;
    use lesson::ClaimHead;

    const DEMO: Demo = Demo { number: 11, name: "pid-ns-init", question: "", doc: "# A" };

    fn sentence(number: Number, reason: Option<&str>) -> Sentence {
        let text = format!("The sentence {number}.");
        Sentence { number, section: "A".into(), text, reason: reason.map(String::from) }
    }

    fn coverage(notes: &[u16], more: &[u16], sentences: Vec<Sentence>) -> Coverage {
        let head = ClaimHead {
            id: "immune".into(),
            text: "It is immune.".into(),
            cause: String::new(),
            expect: "holds".into(),
            correction: None,
            notes: notes.to_vec(),
            more: more.to_vec(),
            misconceptions: Vec::new(),
        };
        let mut coverage = Coverage::of(sentences, &[(&DEMO, vec![Settled { head, fate: None }])]);
        // The true errata name claims that this one experiment lacks.
        coverage.faults.retain(|fault| !fault.contains("docs/errata.md"));
        coverage
    }

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

    #[test]
    fn a_document_has_a_line_a_claim() {
        let sentences =
            vec![sentence(Number(Family::Notes, 1), None), sentence(Number(Family::More, 2), None)];
        let text = coverage(&[1], &[], sentences).markdown(&Verdicts::default());
        let tail = text.lines().rev().take(2).collect::<Vec<_>>();
        assert_eq!(
            tail,
            [
                "| **M2** | The sentence M2. | *open: judged by no claim yet* |  |",
                "| **N1** | The sentence N1. | [pid-ns-init](11-pid-ns-init.md) *immune*: It is immune. | holds |",
            ]
        );
    }

    #[test]
    fn every_width_will_do() {
        let sentences =
            vec![sentence(Number(Family::Notes, 1), None), sentence(Number(Family::Notes, 2), None)];
        let coverage = coverage(&[1], &[], sentences);
        for width in 20..=400 {
            assert!(coverage.text(width).contains("FAULT"));
        }
    }
}
