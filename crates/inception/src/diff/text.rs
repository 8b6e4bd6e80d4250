//! A comparison as text: a table, and the reasons.

use lesson::render::{Layout, tone, wrap};
use ns_core::printable;
use owo_colors::OwoColorize;

use super::comparison::{Comparison, Row, claims};
use crate::summary::item;

/// A word this long stands above its mark, so that five kernels have room in 80 columns.
const LONG: usize = 12;

impl Comparison<'_> {
    pub(super) fn text(&self, all: bool, layout: Layout) -> String {
        let shown: Vec<_> = self.rows.iter().filter(|row| all || row.differs()).collect();
        let mut text = if shown.is_empty() { String::new() } else { self.table(&shown, layout) + "\n" };
        for (reason, rows) in self.reasons() {
            let (word, style) = if reason.is_explained() {
                ("EXPLAINED", tone::good())
            } else {
                ("UNEXPLAINED", tone::bad())
            };
            let claims = claims(&reason, &rows).into_iter().map(|claim| format!("- {claim}"));
            let lines = reason.lines().into_iter().chain(claims).map(|line| printable(&line));
            text += &(item(word, &lines.collect::<Vec<_>>().join("\n"), style, layout) + "\n");
        }
        let line = wrap(&format!("inception: {}", self.in_short()), layout.width, "", "  ");
        let style = if self.unexplained() > 0 { tone::bad() } else { tone::strong() };
        text + &format!("{}\n", line.trim_end().style(style))
    }

    fn table(&self, rows: &[&Row<'_>], layout: Layout) -> String {
        let drawn = |heads: &[&str], named: fn(&Row<'_>) -> Vec<String>| {
            let row = |row: &&Row<'_>| {
                let cells = row.cells.iter().map(|cell| broken(cell.marked()));
                named(row).iter().map(|name| printable(name)).chain(cells).collect()
            };
            let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
            let heads: Vec<_> =
                heads.iter().copied().chain(self.columns.iter().map(String::as_str)).collect();
            layout.table(&heads, &rows)
        };
        let apart = drawn(&["experiment", "claim"], |row| vec![row.experiment.into(), row.head.id.clone()]);
        // What fits has a frame. One column takes less than two.
        if layout.plain || apart.starts_with('┌') {
            return apart;
        }
        drawn(&["claim"], |row| vec![format!("{} {}", row.experiment, row.head.id)])
    }
}

/// In two lines, if it is too long for one.
fn broken(cell: String) -> String {
    if cell.len() > LONG { cell.replace(' ', "\n") } else { cell }
}
