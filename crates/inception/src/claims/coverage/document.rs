//! The coverage as a document of Markdown.

use std::collections::BTreeSet;
use std::fmt::Write;

use transcript::Expectation;

use super::judges::{Coverage, Judge, Row};
use crate::markup::marked_up;

const HEAD: &str = "\
<!-- Written by cargo xtask claims: change nothing here by hand. -->

# Every sentence of the notes, and the claims that test it

First the numbers, then the sentences that are wrong or too strong, then a register of all. The sentences are those of the
study notes ([notes.md](notes.md)). A claim's own sentence stands in the reference of its experiment, where its link leads.
[kernels.md](kernels.md) has what each kernel answered, and [errata.md](errata.md) more on what is wrong.

## In numbers

";

impl Coverage {
    /// The document: a summary, and a table a section, with a line a sentence.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(HEAD);
        for line in self.in_short() {
            let _ = writeln!(text, "- {line}");
        }
        text += "\n| section | sentences | claims | expected to be refuted |\n| --- | --- | --- | --- |\n";
        for rows in self.sections() {
            let section = marked_up(&rows[0].sentence.section);
            let judges = || rows.iter().flat_map(|row| &row.judged_by);
            let claims: BTreeSet<_> = judges().map(Judge::key).collect();
            let refuted: BTreeSet<_> =
                judges().filter(|it| it.correction().is_some()).map(Judge::key).collect();
            let _ = writeln!(text, "| {section} | {} | {} | {} |", rows.len(), claims.len(), refuted.len());
        }
        text += "\n## Wrong or too strong\n\n| notes | often stated | what is so |\n| --- | --- | --- |\n";
        for line in self.rows.iter().flat_map(|row| self.corrected(row)) {
            let _ = writeln!(text, "| {} |", line.join(" | "));
        }
        text += "\n## The register\n";
        for rows in self.sections() {
            let _ = writeln!(text, "\n### {}\n", marked_up(&rows[0].sentence.section));
            text += "| notes | sentence | claims that test it | expected |\n| --- | --- | --- | --- |\n";
            for line in rows.iter().map(Row::cells) {
                let _ = writeln!(text, "| {} |", line.join(" | "));
            }
        }
        text
    }

    /// The claims of a sentence that are expected to be refuted, each with the claim that says it right.
    fn corrected(&self, row: &Row) -> Vec<[String; 3]> {
        let line = |judge: &Judge| {
            let correction = judge.correction()?;
            let all = self.rows.iter().flat_map(|row| &row.judged_by);
            let right = all.filter(|it| it.demo.name == judge.demo.name).find(|it| it.head.id == correction);
            let right =
                right.map_or_else(|| format!("*{}*", marked_up(correction)), |it| marked_up(&it.head.text));
            Some([
                format!("**{}**", row.sentence.number),
                format!("{} ({})", marked_up(&judge.head.text), judge.experiment()),
                right,
            ])
        };
        row.judged_by.iter().filter_map(line).collect()
    }
}

impl Judge {
    fn key(&self) -> (&str, &str) {
        (self.demo.name, &self.head.id)
    }

    /// The id of the claim that says it right, if this one is expected to be refuted.
    fn correction(&self) -> Option<&str> {
        match &self.head.expect {
            Expectation::Refuted { correction } => Some(correction),
            _ => None,
        }
    }

    /// The experiment, with a link to its claims.
    fn experiment(&self) -> String {
        match self.demo.reference {
            "" => self.demo.name.to_string(),
            _ => format!("[{}](reference/{}.md#the-claims)", self.demo.name, self.demo.stem()),
        }
    }
}

impl Row {
    /// The line of a table of Markdown.
    fn cells(&self) -> [String; 4] {
        // The list is Markdown itself.
        let [number, sentence] =
            [format!("**{}**", self.sentence.number), self.sentence.text.replace('|', "\\|")];
        if let Some(why) = self.why_not() {
            return [number, sentence, format!("*{}*", why.replace('|', "\\|")), String::new()];
        }
        let of_one = |judges: &[Judge]| {
            let ids: Vec<_> = judges.iter().map(|it| format!("*{}*", marked_up(&it.head.id))).collect();
            format!("{}: {}", judges[0].experiment(), ids.join(", "))
        };
        let claims: Vec<_> =
            self.judged_by.chunk_by(|one, next| one.demo.name == next.demo.name).map(of_one).collect();
        let others = self.judged_by.iter().filter(|it| it.head.expect != Expectation::Holds);
        let others: Vec<_> = others
            .map(|it| {
                let said = match &it.head.expect {
                    Expectation::Refuted { .. } => "refuted".into(),
                    other => other.to_string(),
                };
                format!("*{}*: {}", marked_up(&it.head.id), marked_up(&said))
            })
            .collect();
        let expected = match (others.len(), self.judged_by.len()) {
            (0, _) => "holds".into(),
            (some, all) if some == all => others.join("; "),
            _ => format!("holds; but {}", others.join("; ")),
        };
        [number, sentence, claims.join("; "), expected]
    }
}

#[cfg(test)]
mod tests {
    use crate::claims::coverage::fixture::{coverage, sentence};
    use crate::claims::notes::{Family, Number};

    #[test]
    fn a_document_has_a_line_a_sentence() {
        let sentences =
            vec![sentence(Number(Family::Notes, 1), None), sentence(Number(Family::More, 2), None)];
        let text = coverage(&[1], &[], sentences).markdown();
        let tail = text.lines().rev().take(2).collect::<Vec<_>>();
        assert_eq!(
            tail,
            [
                "| **M2** | The sentence M2. | *open: judged by no claim yet* |  |",
                "| **N1** | The sentence N1. | [pid-ns-init](reference/11-pid-ns-init.md#the-claims): *immune* | holds |",
            ]
        );
    }
}
