//! A heat map: answers in rows and columns, those that are alike in one colour, and each in words.

use lesson::render::Shown;
use pages::{Anchor, Canvas, Face, LINE, MARGIN, Picture, width};
use serde::Serialize;
use textwrap::WordSplitter;

use super::table::Table;

/// So many answers have a colour of their own (picture.css).
const COLOURS: usize = 6;
const PAD: i32 = 8;
const ROW: i32 = 24;

pub(super) fn draw(table: Table<'_>, heads: usize, names: &mut Shown) -> Picture {
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(|value| names.value(value)).collect()).collect();
    let answers = answers(&rows, heads);
    let titles: Vec<Vec<String>> = (0..table.columns.len()).map(|at| folded(table, &rows, at)).collect();
    let widths: Vec<i32> = (0..table.columns.len())
        .map(|at| {
            let cells = rows.iter().map(|row| row[at].as_str());
            let widest = cells.chain(titles[at].iter().map(String::as_str)).map(width).max();
            widest.unwrap_or(0) + 2 * PAD
        })
        .collect();
    let lines = i32::try_from(titles.iter().map(Vec::len).max().unwrap_or(1)).unwrap_or(1);

    let mut canvas = Canvas::new();
    let top = MARGIN + lines * LINE + 6;
    let mut left = MARGIN;
    for (at, title) in titles.iter().enumerate() {
        let (x, anchor) =
            if at < heads { (left, Anchor::Start) } else { (left + widths[at] / 2, Anchor::Middle) };
        let mut y = top - 8 - LINE * (i32::try_from(title.len()).unwrap_or(1) - 1);
        for line in title {
            canvas.words(x, y, line, anchor, Face::Faint);
            y += LINE;
        }
        left += widths[at];
    }
    let mut y = top;
    for (number, row) in rows.iter().enumerate() {
        let mut x = MARGIN;
        for (at, cell) in row.iter().enumerate() {
            if at >= heads {
                let colour = answers.iter().find(|it| it.word == *cell).and_then(|it| it.colour);
                let class = colour.map_or("cell".into(), |at| format!("cell a{at}"));
                canvas.rectangle(x, y, widths[at], ROW, &class);
                canvas.words(x + widths[at] / 2, y + 16, cell, Anchor::Middle, Face::Plain);
            } else if at + 1 == heads || number == 0 || rows[number - 1][at] != *cell {
                canvas.words(x, y + 16, cell, Anchor::Start, Face::Plain);
            }
            x += widths[at];
        }
        y += ROW;
    }
    canvas.finish(table.title, description(table, &rows, heads, &answers))
}

/// An answer that stands in a table.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) word: String,
    /// Its colour of those that picture.css and page.css number, while there are some.
    pub(crate) colour: Option<usize>,
    count: usize,
}

/// The answers in the order in which they come, each once. `heads` columns name a row, and all others hold answers.
pub(crate) fn answers(rows: &[Vec<String>], heads: usize) -> Vec<Answer> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for word in rows.iter().flat_map(|row| row.get(heads..).unwrap_or_default()) {
        match counts.iter_mut().find(|(known, _)| known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let words: Vec<&str> = counts.iter().map(|(word, _)| *word).collect();
    let colours = colours(&words);
    let answer = |((word, count), colour): ((&str, usize), _)| Answer { word: word.into(), colour, count };
    counts.into_iter().zip(colours).map(answer).collect()
}

/// A colour for each answer: for what is allowed and what is not the same in every picture, for others by their order.
fn colours(answers: &[&str]) -> Vec<Option<usize>> {
    let known = |answer: &str| match answer {
        "OK" | "yes" => Some(0),
        "EPERM" | "no" => Some(1),
        _ => None,
    };
    let taken: Vec<usize> = answers.iter().filter_map(|answer| known(answer)).collect();
    let mut free = (0..COLOURS).filter(|colour| !taken.contains(colour));
    answers.iter().map(|answer| known(answer).or_else(|| free.next())).collect()
}

/// A column's title in lines that are about as wide as its cells.
fn folded(table: Table<'_>, rows: &[Vec<String>], at: usize) -> Vec<String> {
    const LEAST: usize = 9;
    let widest = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let options = textwrap::Options::new(widest.max(LEAST)).break_words(false);
    let lines = textwrap::wrap(&table.columns[at], options.word_splitter(WordSplitter::NoHyphenation));
    lines.into_iter().map(Into::into).collect()
}

fn description(table: Table<'_>, rows: &[Vec<String>], heads: usize, answers: &[Answer]) -> String {
    let counts: Vec<_> = answers.iter().map(|it| format!("{}: {}", it.word, it.count)).collect();
    format!(
        "A heat map. {} rows, by {}. Columns: {}. Answers: {}. The table beside it says the same.",
        rows.len(),
        table.columns[..heads].join(" and "),
        table.columns[heads..].join(", "),
        counts.join(", ")
    )
}
