//! Rows and columns that fit.

use tabled::builder::Builder;
use tabled::settings::Style as Borders;
use textwrap::core::display_width;

use super::lines::{fill, lay_out};

/// A column of sentences that is narrower than this is no pleasure to read.
const LEAST: usize = 16;
/// A word longer than this is broken, if the table has no room else.
const LONG_WORD: usize = 20;
/// What a column costs besides its text: a blank on either side and a line.
const FRAME: usize = 3;

/// Rows under their `heads` in a frame, at most `width` columns wide; each row is as long as `heads`.
///
/// Where they are wider, the heads give way first, then the cells, long words last. Where that is not enough, every
/// row becomes a list of `head: cell`. Cells are set as they are: they may be styled, and what they hold was made
/// [`printable`] before.
///
/// [`printable`]: ns_core::printable
pub fn grid(heads: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let Some(widths) = widths(heads, rows, width.saturating_sub(FRAME * heads.len() + 1)) else {
        return listed(heads, rows, width);
    };
    let mut table = Builder::default();
    table.push_record(heads.iter().zip(&widths).map(|(head, width)| fill(head, *width, "")));
    for row in rows {
        table.push_record(row.iter().zip(&widths).map(|(cell, width)| {
            cell.split('\n').map(|line| set(line, *width)).collect::<Vec<_>>().join("\n")
        }));
    }
    let mut table = table.build();
    table.with(Borders::sharp());
    table.to_string() + "\n"
}

/// A line of a cell: what of it is below is not to be taken for the next.
fn set(line: &str, width: usize) -> String {
    fill(line, width, if longest_word(line) + 2 <= width { "  " } else { "" })
}

/// How wide each column is if all share `room`; none when they cannot.
fn widths(heads: &[&str], rows: &[Vec<String>], room: usize) -> Option<Vec<usize>> {
    let of = |cell: fn(&str) -> usize, head: fn(&str) -> usize| -> Vec<usize> {
        let cells = |at: usize| rows.iter().map(|row| cell(&row[at])).max().unwrap_or(0);
        heads.iter().enumerate().map(|(at, text)| cells(at).max(head(text))).collect()
    };
    let (whole, heads_wrapped, all_wrapped) =
        (of(widest, widest), of(widest, longest_word), of(longest_word, longest_word));
    let readable: Vec<usize> =
        all_wrapped.iter().zip(&heads_wrapped).map(|(least, whole)| *least.max(&LEAST.min(*whole))).collect();
    let words_broken = readable.iter().map(|width| *width.min(&LONG_WORD)).collect();
    grown(heads_wrapped.clone(), &whole, room)
        .or_else(|| grown(readable, &heads_wrapped, room))
        .or_else(|| grown(words_broken, &heads_wrapped, room))
}

/// The columns, the narrowest first, made wider up to what they `want`, while there is room; none when there is not
/// even room for them as they are.
fn grown(mut widths: Vec<usize>, want: &[usize], room: usize) -> Option<Vec<usize>> {
    let left = room.checked_sub(widths.iter().sum())?;
    for _ in 0..left {
        let small =
            widths.iter_mut().zip(want).filter(|(width, want)| **width < **want).map(|(width, _)| width);
        match small.min() {
            Some(width) => *width += 1,
            None => break,
        }
    }
    Some(widths)
}

/// A line for each cell that is not empty: `head: cell`.
pub(super) fn listed(heads: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut text = String::new();
    for row in rows {
        let filled = heads.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
        for (at, (head, cell)) in filled.enumerate() {
            let line = format!("{}: {}", head.replace('\n', " "), cell.replace('\n', " "));
            text += &lay_out(&line, width, if at == 0 { "- " } else { "  " }, "    ");
        }
    }
    text
}

fn widest(cell: &str) -> usize {
    cell.lines().map(display_width).max().unwrap_or(0)
}

fn longest_word(cell: &str) -> usize {
    cell.split_whitespace().map(display_width).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize) -> String {
        let row = |name: &str, what: &str| vec![name.to_string(), what.to_string()];
        let rows =
            [row("pid-ns-init", "What can kill PID 1?"), row("time-ns", "Boot again without rebooting")];
        grid(&["name", "question"], &rows, width)
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
                .contains("│ time-ns     │ Boot again without   │\n│             │   rebooting          │"),
            "{}",
            drawn(45)
        );
    }

    #[test]
    fn heads_give_way_before_cells() {
        let rows = [vec!["--make-shared".to_string(), "yes".into()]];
        assert_eq!(
            grid(&["set inside", "outside to inside"], &rows, 28),
            "\
┌───────────────┬─────────┐
│ set inside    │ outside │
│               │ to      │
│               │ inside  │
├───────────────┼─────────┤
│ --make-shared │ yes     │
└───────────────┴─────────┘
"
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
    fn lines_of_a_cell_stay_lines() {
        let rows = [vec!["N1".to_string(), "mini-container processes\ndocker-view kinds".into()]];
        let drawn = grid(&["notes", "judged by"], &rows, 30);
        assert!(drawn.contains("│   processes       │\n│       │ docker-view kinds │"), "{drawn}");
        assert!(drawn.lines().all(|line| display_width(line) <= 30), "{drawn}");
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
