//! A comparison as a document of Markdown: every claim.

use super::comparison::{Comparison, Reason, Row, claims};
use crate::demos;
use crate::markup::marked_up;

const LEGEND: &str = "\
Each column is a run of all experiments, named by the kernel and by who ran it. A claim *holds* where its effect comes
with its factor alone. It is *refuted* where the effect does not come, and *inconclusive* where it comes without the
factor too. It is *skipped* where that machine could not be asked. Without a verdict are the claims of an experiment that broke
before, that was not run, or that another build did not declare. (!) marks a verdict that was not expected of that
kernel.

";

impl Comparison<'_> {
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "<!-- Written by inception diff --format markdown: change nothing here by hand. -->\n\n",
        );
        text += &format!("# Every claim, kernel by kernel\n\n{}.\n\n{LEGEND}", self.in_short());
        text += &self.counts();
        text += &self.differences();
        text += "\n## The register\n\nEvery claim, by experiment.\n";
        for rows in self.rows.chunk_by(|one, next| one.experiment == next.experiment) {
            let name = marked_up(rows[0].experiment);
            let demo = demos::ALL.iter().find(|demo| demo.name == rows[0].experiment && !demo.doc.is_empty());
            let name = demo.map_or(name.clone(), |demo| format!("[{name}]({}.md)", demo.stem()));
            text += &format!("\n### {name}: {}\n\n", marked_up(rows[0].question));
            let row = |row: &Row<'_>| {
                let cells = row.cells.iter().map(|cell| cell.marked());
                [&row.head.id, &row.head.text].map(|it| marked_up(it)).into_iter().chain(cells).collect()
            };
            text += &self.table_of(&["claim", "sentence"], &rows.iter().map(row).collect::<Vec<_>>());
        }
        text
    }

    /// What differs, and why: by kernel, by machine, by what could not be asked.
    fn differences(&self) -> String {
        let mut reasons = self.reasons();
        if reasons.is_empty() {
            return "\nNo claim differs.\n".into();
        }
        reasons.sort_by_key(|(reason, _)| match reason {
            Reason::Since { kernel, .. } => Some(*kernel),
            _ => None,
        });
        let [mut unexplained, mut since, mut varies, mut skipped] = [const { Vec::new() }; 4];
        for (reason, rows) in &reasons {
            let ids = || marked_up(&claims(reason, rows).join("; "));
            let each = |row: &&Row<'_>| (marked_up(row.experiment), sentence(row));
            match reason {
                Reason::Since { kernel, .. } => {
                    since.extend(rows.iter().map(each).map(|(name, it)| vec![kernel.to_string(), name, it]));
                }
                Reason::Varies { why, .. } => {
                    varies.extend(rows.iter().map(each).map(|(name, it)| vec![name, it, marked_up(why)]));
                }
                Reason::Skipped { on, missing, remedy } => {
                    let cells = [missing, remedy, on].map(|it| marked_up(it));
                    skipped.push(cells.into_iter().chain([ids()]).collect());
                }
                Reason::Unexplained { .. } => {
                    unexplained.push(vec![marked_up(&reason.lines().join("; ")), ids()]);
                }
            }
        }
        [
            part("Unexplained", &["what", "claims"], &unexplained),
            part("What a kernel changed", &["since", "experiment", "claim"], &since),
            part("What depends on the machine", &["experiment", "claim", "why"], &varies),
            part("What could not be asked", &["missing", "fix", "on", "claims"], &skipped),
        ]
        .concat()
    }

    /// How many claims came out how.
    fn counts(&self) -> String {
        let words = ["holds", "refuted", "inconclusive", "skipped", "broken", "undeclared", "not run"];
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
        table(&heads, rows)
    }
}

/// A claim's id and what it says.
fn sentence(row: &Row<'_>) -> String {
    format!("{}: {}", marked_up(&row.head.id), marked_up(&row.head.text))
}

/// A heading and its table, if there is anything below it.
fn part(heading: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads: Vec<_> = heads.iter().map(ToString::to_string).collect();
    format!("\n## {heading}\n\n{}", table(&heads, rows))
}

fn table(heads: &[String], rows: &[Vec<String>]) -> String {
    let rule = vec!["---".to_string(); heads.len()];
    let rows = [heads, &rule].into_iter().chain(rows.iter().map(Vec::as_slice));
    rows.map(|row| format!("| {} |\n", row.join(" | "))).collect()
}
