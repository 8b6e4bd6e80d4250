//! The coverage as text and as data.

use std::fmt::Write;

use anyhow::Result;
use lesson::render::{Layout, tone, wrap};
use lesson::{complain, status};
use ns_core::printable;
use owo_colors::OwoColorize;
use serde::Serialize;

use super::judges::{Coverage, Judge, Row};
use crate::format::Format;
use crate::stdout::BufferedStdout;
use crate::summary::item;

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
    /// Shows it. The exit status is 1 if there is a fault, and 2 if an experiment could not be asked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn show(&self, format: Format, stdout: &BufferedStdout, layout: Layout) -> Result<u8> {
        let text = match format {
            Format::Text => self.text(layout),
            Format::Markdown => self.markdown(),
            Format::Jsonl => {
                let lines = self.rows.iter().map(|row| Ok(serde_json::to_string(&row.line())? + "\n"));
                lines.collect::<Result<String>>()?
            }
        };
        stdout.show(&text)?;
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

    fn text(&self, layout: Layout) -> String {
        let mut text = String::new();
        for rows in self.sections() {
            let row = |row: &Row| {
                let mut said = layout.words(&printable(&row.sentence.text));
                if let Some(why) = row.why_not() {
                    let _ = write!(said, "\n({})", layout.words(&printable(&why)));
                }
                let judges =
                    row.judged_by.iter().map(|it| printable(&format!("{} {}", it.demo.name, it.head.id)));
                vec![row.sentence.number.to_string(), said, judges.collect::<Vec<_>>().join("\n")]
            };
            let rows_of: Vec<_> = rows.iter().map(row).collect();
            let title = layout.wrap(&rows[0].sentence.section, "", "  ");
            let table = layout.table(&["notes", "sentence", "judged by"], &rows_of);
            let _ = writeln!(text, "{}\n{table}", title.trim_end().style(tone::strong()));
        }
        for fault in &self.faults {
            text += &item("FAULT", &printable(fault), tone::bad(), layout);
        }
        let line = wrap(&format!("inception: {}", self.in_short().join("; ")), layout.width, "", "  ");
        let style = if self.faults.is_empty() { tone::strong() } else { tone::bad() };
        text + &format!("\n{}\n", line.trim_end().style(style))
    }
}

impl Row {
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
}

#[cfg(test)]
mod tests {
    use lesson::render::Layout;

    use crate::claims::coverage::fixture::{coverage, sentence};
    use crate::claims::notes::{Family, Number};

    #[test]
    fn every_width_will_do() {
        let sentences =
            vec![sentence(Number(Family::Notes, 1), None), sentence(Number(Family::Notes, 2), None)];
        let coverage = coverage(&[1], &[], sentences);
        for width in 20..=400 {
            assert!(coverage.text(Layout { width, plain: width % 2 == 0 }).contains("FAULT"));
        }
    }
}
