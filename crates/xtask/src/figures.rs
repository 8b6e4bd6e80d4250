//! Tables of figures, for a terminal and for a page; and how figures are written.

use std::fmt::Write as _;

/// A table. Its first column is words, the others are figures.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// Sentences below it.
    pub(crate) notes: Vec<String>,
}

/// Commands and paths are not divided at their signs.
const AT_BLANKS: textwrap::WordSeparator = textwrap::WordSeparator::AsciiSpace;
/// Between two columns of a terminal.
const GAP: usize = 2;

impl Table {
    /// A table without rows.
    pub(crate) fn new(title: impl Into<String>, heads: &[&str]) -> Table {
        let heads = heads.iter().map(|head| (*head).to_string()).collect();
        Table { title: title.into(), heads, ..Table::default() }
    }

    /// As Markdown, below a heading of that level; without a heading for level 0.
    pub(crate) fn markdown(&self, level: usize) -> String {
        let mut text = String::new();
        if level > 0 {
            let _ = write!(text, "{} {}\n\n", "#".repeat(level), self.title);
        }
        let line = |cells: &[String]| {
            format!(
                "| {} |\n",
                cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | ")
            )
        };
        text.push_str(&line(&self.heads));
        let rule = self.heads.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "--:" });
        let _ = writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"));
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        for note in &self.notes {
            let _ = write!(text, "\n{}\n", textwrap::fill(note, 120));
        }
        text
    }

    /// For a terminal of that many columns. The first column is folded where it does not fit.
    pub(crate) fn screen(&self, columns: usize) -> String {
        let widths: Vec<usize> = (0..self.heads.len()).map(|at| self.width(at)).collect();
        let figures: usize = widths.iter().skip(1).map(|width| width + GAP).sum();
        let words = widths.first().copied().unwrap_or(0).min(columns.saturating_sub(figures)).max(16);
        let mut text =
            textwrap::fill(&self.title, textwrap::Options::new(columns).word_separator(AT_BLANKS)) + "\n";
        text.push_str(&line(&self.heads, words, &widths));
        for row in &self.rows {
            text.push_str(&line(row, words, &widths));
        }
        for note in &self.notes {
            text.push_str(&textwrap::fill(note, columns));
            text.push('\n');
        }
        text
    }

    fn width(&self, at: usize) -> usize {
        let cells = self.rows.iter().chain([&self.heads]).filter_map(|row| row.get(at));
        cells.map(|cell| textwrap::core::display_width(cell)).max().unwrap_or(0)
    }
}

/// A row of a terminal: the first cell over as many lines as it needs, the others on its first.
fn line(cells: &[String], words: usize, widths: &[usize]) -> String {
    let (name, figures) = cells.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let folded =
        textwrap::wrap(name, textwrap::Options::new(words).subsequent_indent("  ").word_separator(AT_BLANKS));
    let mut text = String::new();
    for (at, part) in folded.iter().enumerate() {
        let mut row = part.to_string();
        if at == 0 {
            row.push_str(&" ".repeat(words.saturating_sub(textwrap::core::display_width(part))));
            for (figure, width) in figures.iter().zip(&widths[1..]) {
                let blank = width.saturating_sub(textwrap::core::display_width(figure)) + GAP;
                row.push_str(&" ".repeat(blank));
                row.push_str(figure);
            }
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Milliseconds, with as many digits as tell something.
pub(crate) fn ms(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => count(value),
    }
}

/// A whole number, in groups of three.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many times as long.
pub(crate) fn ratio(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { count(value) }
}

/// The middle of the values: of two in the middle, their mean. 0 for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The mean of the values; 0 for none. The kernel counts processor time in ticks, so the median of short runs is one.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The least of the values; 0 for none.
pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0)
}

/// The greatest of the values; 0 for none.
pub(crate) fn most(values: &[f64]) -> f64 {
    values.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("Title", &["program", "ms", "ratio"]);
        table.rows.push(vec!["a program whose name is long".into(), "1.20".into(), "1.00".into()]);
        table.rows.push(vec!["b|c".into(), "1,234".into(), "13.20".into()]);
        table.notes.push("A note.".into());
        table
    }

    #[test]
    fn a_table_is_the_same_on_a_page_and_on_a_screen() {
        assert_eq!(
            table().markdown(2),
            "## Title\n\n| program | ms | ratio |\n|---|--:|--:|\n\
             | a program whose name is long | 1.20 | 1.00 |\n| b\\|c | 1,234 | 13.20 |\n\nA note.\n"
        );
        assert_eq!(
            table().screen(80),
            "Title\nprogram                          ms  ratio\na program whose name is long   1.20   1.00\n\
             b|c                           1,234  13.20\nA note.\n"
        );
        assert_eq!(
            table().screen(32),
            "Title\nprogram                ms  ratio\na program whose      1.20   1.00\n  name is long\n\
             b|c                 1,234  13.20\nA note.\n"
        );
    }

    #[test]
    fn figures_have_the_digits_that_tell_something() {
        assert_eq!([0.314, 31.44, 314.4, 12_345.6].map(ms), ["0.31", "31.4", "314", "12,346"]);
        assert_eq!([1.0, 99.994, 123.4].map(ratio), ["1.00", "99.99", "123"]);
        assert_eq!([999.0, 1000.0, 1_234_567.0].map(count), ["999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!((mean(&[]), mean(&[1.0, 2.0, 6.0])), (0.0, 3.0));
        assert_eq!((least(&[2.0, 1.0]), most(&[2.0, 1.0])), (1.0, 2.0));
    }
}
