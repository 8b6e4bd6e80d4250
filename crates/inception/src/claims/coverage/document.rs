//! The coverage as a document of Markdown.

use std::fmt::Write;
use transcript::Expectation;

use super::judges::{Coverage, Judge, Row};
use crate::markup::marked_up;

const HEAD: &str = "\
<!-- Written by cargo xtask claims: change nothing here by hand. -->

# Every sentence of the notes, and what the kernel says to it

What the study notes say ([notes.md](notes.md)), the claims that put it to the kernel, and what the kernel is expected
to answer. What each kernel answered is in [kernels.md](kernels.md). A claim that is expected to be *refuted* is a
sentence that is wrong or too strong: [errata.md](errata.md) says what is so instead.

";

impl Coverage {
    /// The document: a table a section, with a line a claim.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(HEAD);
        for line in self.in_short() {
            let _ = writeln!(text, "- {line}");
        }
        for rows in self.sections() {
            let _ = writeln!(text, "\n## {}\n", marked_up(&rows[0].sentence.section));
            text += "| notes | sentence | claim | expected |\n| --- | --- | --- | --- |\n";
            for line in rows.iter().flat_map(Row::lines) {
                let _ = writeln!(text, "| {} |", line.join(" | "));
            }
        }
        text
    }
}

impl Row {
    /// The lines of a table of Markdown: one a claim, the first with the sentence.
    fn lines(&self) -> Vec<[String; 4]> {
        // The list is Markdown itself.
        let mut said = [format!("**{}**", self.sentence.number), self.sentence.text.replace('|', "\\|")];
        if let Some(why) = self.why_not() {
            let [number, text] = said;
            return vec![[number, text, format!("*{}*", why.replace('|', "\\|")), String::new()]];
        }
        let mut lines = Vec::new();
        for Judge { demo, head } in &self.judged_by {
            let experiment = match demo.doc {
                "" => demo.name.to_string(),
                _ => format!("[{}]({}.md)", demo.name, demo.stem()),
            };
            let claim = format!("{experiment} *{}*: {}", marked_up(&head.id), marked_up(&head.text));
            let expected = match &head.expect {
                Expectation::Refuted { correction } => format!("refuted; see *{}*", marked_up(correction)),
                other => marked_up(&other.to_string()),
            };
            let [number, text] = std::mem::take(&mut said);
            lines.push([number, text, claim, expected]);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use crate::claims::coverage::fixture::{coverage, sentence};
    use crate::claims::notes::{Family, Number};

    #[test]
    fn a_document_has_a_line_a_claim() {
        let sentences =
            vec![sentence(Number(Family::Notes, 1), None), sentence(Number(Family::More, 2), None)];
        let text = coverage(&[1], &[], sentences).markdown();
        let tail = text.lines().rev().take(2).collect::<Vec<_>>();
        assert_eq!(
            tail,
            [
                "| **M2** | The sentence M2. | *open: judged by no claim yet* |  |",
                "| **N1** | The sentence N1. | [pid-ns-init](11-pid-ns-init.md) *immune*: It is immune. | holds |",
            ]
        );
    }
}
