//! A comparison as a document of Markdown: every claim.

use super::comparison::{Comparison, Row, claims};
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
        text += "\n## Differences\n";
        for (reason, rows) in self.reasons() {
            let word = if reason.explained { "explained" } else { "UNEXPLAINED" };
            text += &format!("\n- {word}: {}\n", marked_up(&reason.lines.join("; ")));
            for claim in claims(&reason, &rows) {
                text += &format!("  - {}\n", marked_up(&claim));
            }
        }
        if self.count(Row::differs) == 0 {
            text += "\nNone.\n";
        }
        for rows in self.rows.chunk_by(|one, next| one.experiment == next.experiment) {
            let name = marked_up(rows[0].experiment);
            let demo = demos::ALL.iter().find(|demo| demo.name == rows[0].experiment && !demo.doc.is_empty());
            let name = demo.map_or(name.clone(), |demo| format!("[{name}]({}.md)", demo.stem()));
            text += &format!("\n## {name}: {}\n\n", marked_up(rows[0].question));
            let row = |row: &Row<'_>| {
                let cells = row.cells.iter().map(|cell| cell.marked());
                [&row.head.id, &row.head.text].map(|it| marked_up(it)).into_iter().chain(cells).collect()
            };
            text += &self.table_of(&["claim", "sentence"], &rows.iter().map(row).collect::<Vec<_>>());
        }
        text
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
        let rule = vec!["---".to_string(); heads.len()];
        let rows = [&heads, &rule].into_iter().chain(rows);
        rows.map(|row| format!("| {} |\n", row.join(" | "))).collect()
    }
}
