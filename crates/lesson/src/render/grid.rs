//! Rows and columns that fit.

use tabled::builder::Builder;
use tabled::settings::Style as Borders;
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WrapAlgorithm};

/// A column narrower than this is no pleasure to read.
const LEAST: usize = 20;
/// What a column costs besides its text: a blank on either side and a line.
const FRAME: usize = 3;

/// Rows under their `heads` in a frame, at most `width` columns wide; each row is as long as `heads`.
///
/// The column `wraps`, if one is named, gives way. Where that is not enough, or none may, every row becomes a list
/// of `head: cell`. Cells are set as they are: they may be styled, and what they hold was made [`printable`] before.
///
/// [`printable`]: ns_core::fact::printable
pub fn grid(heads: &[&str], rows: &[Vec<String>], wraps: Option<usize>, width: usize) -> String {
    let mut rows = rows.to_vec();
    let columns: Vec<usize> = (0..heads.len())
        .map(|at| rows.iter().map(|row| widest(&row[at])).max().unwrap_or(0).max(widest(heads[at])))
        .collect();
    let needed = columns.iter().map(|column| column + FRAME).sum::<usize>() + 1;
    if needed > width {
        let room = wraps.and_then(|at| (width + columns[at]).checked_sub(needed).map(|room| (at, room)));
        match room.filter(|(_, room)| *room >= LEAST) {
            Some((at, room)) => rows.iter_mut().for_each(|row| row[at] = fill(&row[at], room)),
            None => return stacked(heads, &rows, width),
        }
    }
    let mut table = Builder::default();
    table.push_record(heads.iter().copied());
    rows.into_iter().for_each(|row| table.push_record(row));
    let mut table = table.build();
    table.with(Borders::sharp());
    table.to_string() + "\n"
}

fn stacked(heads: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut text = String::new();
    for row in rows {
        let filled = heads.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
        for (at, (head, cell)) in filled.enumerate() {
            let line = format!("{}: {}", head.replace('\n', " "), cell.replace('\n', " "));
            text += &super::text::lay_out(&line, width, if at == 0 { "- " } else { "  " }, "    ");
        }
    }
    text
}

fn widest(cell: &str) -> usize {
    cell.lines().map(display_width).max().unwrap_or(0)
}

/// Names of programs and options stay whole where they can.
fn fill(text: &str, width: usize) -> String {
    let options = Options::new(width).wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(text, options.word_separator(WordSeparator::AsciiSpace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize) -> String {
        let row = |name: &str, what: &str| vec![name.to_string(), what.to_string()];
        let rows =
            [row("pid-ns-init", "What can kill PID 1?"), row("time-ns", "Boot again without rebooting")];
        grid(&["name", "question"], &rows, Some(1), width)
    }

    #[test]
    fn what_fits_is_framed() {
        let expected = "\
┌─────────────┬──────────────────────────────┐
│ name        │ question                     │
├─────────────┼──────────────────────────────┤
│ pid-ns-init │ What can kill PID 1?         │
│ time-ns     │ Boot again without rebooting │
└─────────────┴──────────────────────────────┘
";
        assert_eq!(drawn(46), expected);
        assert_eq!(drawn(400), expected);
    }

    #[test]
    fn what_does_not_wraps() {
        assert!(
            drawn(45)
                .contains("│ time-ns     │ Boot again without   │\n│             │ rebooting            │"),
            "{}",
            drawn(45)
        );
    }

    #[test]
    fn what_is_narrow_is_stacked() {
        assert_eq!(
            drawn(30),
            "- name: pid-ns-init\nquestion: What can kill PID 1?\n- name: time-ns\nquestion: Boot again without\nrebooting\n"
        );
    }

    #[test]
    fn no_width_is_overrun() {
        for width in 20..120 {
            assert!(
                drawn(width).lines().all(|line| display_width(line) <= width),
                "{width}:\n{}",
                drawn(width)
            );
        }
    }
}
