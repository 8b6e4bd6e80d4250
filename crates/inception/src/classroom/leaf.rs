//! What is shown between two pauses, and how it is divided where it is taller than the screen.

use textwrap::core::display_width;
use transcript::Event;

/// What stands between the parts of a table, in text for people.
const BAR: char = '│';

/// The lines of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Block {
    lines: Vec<String>,
    /// How many of them say what the others are: they stand again where the others go on.
    head: usize,
}

impl Block {
    /// The text of an event, which may be styled.
    pub(super) fn of(event: &Event, text: &str) -> Block {
        let lines: Vec<String> = text.lines().map(ToString::to_string).collect();
        let after = |is_last: &dyn Fn(&str) -> bool| lines.iter().position(|it| is_last(it)).map(|at| at + 1);
        let head = match event {
            // Below the names of the columns is a line; without columns, the first row begins with a sign.
            Event::Table(_) => after(&|it| bare(it).starts_with('├'))
                .or_else(|| lines.iter().position(|it| bare(it).starts_with("- "))),
            // The sentence, and 'outside' and 'inside' above the arms; of a list, the sentence's first line.
            Event::Judged { .. } => {
                after(&|it| it.contains(BAR)).or_else(|| after(&|it| !bare(it).is_empty()))
            }
            _ => None,
        };
        Block { head: head.unwrap_or(0), lines }
    }
}

/// Divides blocks into screens of at most `rows` lines, in a terminal of `columns`. A block that fits on a screen is not
/// divided; the head of one that is stands on each of its screens.
pub(super) fn screens(blocks: &[Block], rows: usize, columns: usize) -> Vec<Vec<String>> {
    let rows = rows.max(1);
    let mut screens = vec![Vec::new()];
    let mut used = 0;
    for block in blocks {
        let whole = height(&block.lines, columns);
        let is_blank = |line: &String| bare(line).is_empty();
        if used > 0
            && used + whole > rows
            && whole - usize::from(block.lines.first().is_some_and(is_blank)) <= rows
        {
            screens.push(Vec::new());
            used = 0;
        }
        let head = &block.lines[..block.head];
        // A head that leaves no room for what it is the head of is no help.
        let head = if height(head, columns) * 2 > rows { &[] } else { head };
        let mut lines = block.lines.as_slice();
        let mut is_first = true;
        while !lines.is_empty() {
            // Nothing stands above it that a blank line could divide it from.
            let skipped = if used == 0 { lines.iter().take_while(|it| is_blank(it)).count() } else { 0 };
            lines = &lines[skipped..];
            let Some(screen) = screens.last_mut() else { break };
            if !is_first {
                let repeated = head.iter().skip_while(|it| is_blank(it));
                screen.extend(repeated.cloned());
                used += height(screen, columns);
            }
            let count = fitting(lines, rows.saturating_sub(used), columns, used == 0);
            screen.extend_from_slice(&lines[..count]);
            used += height(&lines[..count], columns);
            lines = &lines[count..];
            is_first = false;
            if !lines.is_empty() {
                screens.push(Vec::new());
                used = 0;
            }
        }
    }
    screens.retain(|screen| !screen.is_empty());
    screens
}

/// How many of `lines` fit into `room`, so that no row of a table is cut in two; at least one where there `must` be one.
fn fitting(lines: &[String], room: usize, columns: usize, must: bool) -> usize {
    let mut used = 0;
    let most = lines
        .iter()
        .take_while(|line| {
            used += height(std::slice::from_ref(line), columns);
            used <= room
        })
        .count();
    if most == lines.len() {
        return most;
    }
    let whole = (1..=most).rev().find(|at| !goes_on(&lines[*at]));
    whole.unwrap_or(most).max(usize::from(must))
}

/// Whether a line belongs to the row of a table above it, or ends the table.
fn goes_on(line: &str) -> bool {
    let line = bare(line);
    let Some(rest) = line.strip_prefix(BAR) else { return line.starts_with('└') };
    // Where nothing frames the rows, the first cell has no line before it.
    let is_framed = rest.ends_with(BAR);
    !is_framed || rest.split(BAR).next().is_some_and(|first| first.trim().is_empty())
}

/// How many lines of a terminal these take.
pub(super) fn height(lines: &[String], columns: usize) -> usize {
    lines.iter().map(|line| display_width(line).max(1).div_ceil(columns.max(1))).sum()
}

/// A line without its styles and its indent.
fn bare(line: &str) -> String {
    anstream::adapter::strip_str(line).to_string().trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::Value;

    fn table() -> Event {
        Event::Table(transcript::Table {
            title: String::new(),
            columns: Vec::new(),
            rows: Vec::<Vec<Value>>::new(),
            picture: None,
        })
    }

    fn numbered(from: usize, to: usize) -> String {
        (from..=to).map(|at| format!("   │ row {at} │ yes │\n   │       │ and │\n")).collect()
    }

    #[test]
    fn a_table_keeps_its_head_on_every_screen_and_its_rows_whole() {
        let head = "   ┌───────┬─────┐\n   │ row   │ is  │\n   ├───────┼─────┤\n";
        let text = format!("\n   A table\n{head}{}   └───────┴─────┘\n", numbered(1, 9));
        let block = Block::of(&table(), &text);
        let screens = screens(&[block], 11, 80);
        let texts: Vec<String> = screens.iter().map(|lines| lines.join("\n") + "\n").collect();
        assert_eq!(texts[0], format!("   A table\n{head}{}", numbered(1, 3)));
        assert_eq!(texts[1], format!("   A table\n{head}{}", numbered(4, 6)));
        assert_eq!(texts[2], format!("   A table\n{head}{}   └───────┴─────┘\n", numbered(7, 9)));
        assert_eq!(texts.len(), 3);
    }

    #[test]
    fn what_fits_is_one_screen_and_what_fits_alone_is_not_divided() {
        let block = |lines: usize| Block { lines: vec!["x".into(); lines], head: 0 };
        let heights =
            |blocks: &[Block]| -> Vec<usize> { screens(blocks, 10, 80).iter().map(Vec::len).collect() };
        assert_eq!(heights(&[block(4), block(6)]), [10]);
        assert_eq!(heights(&[block(4), block(7)]), [4, 7]);
        assert_eq!(heights(&[block(4), block(17)]), [10, 10, 1]);
        assert_eq!(heights(&[]), [0; 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_screen_is_too_tall_and_no_line_is_lost(heights in proptest::collection::vec((0..40_usize, 0..12_usize), 0..5), rows in 5..30_usize) {
            let blocks: Vec<Block> = heights.iter().enumerate().map(|(block, (lines, head))| Block {
                lines: (0..*lines).map(|line| format!("{block}.{line}")).collect(),
                head: *head.min(lines),
            }).collect();
            let shown = screens(&blocks, rows, 80);
            proptest::prop_assert!(shown.iter().all(|screen| screen.len() <= rows && !screen.is_empty()));
            let all: Vec<&String> = shown.iter().flatten().collect();
            for line in blocks.iter().flat_map(|block| &block.lines) {
                proptest::prop_assert!(all.contains(&line));
            }
        }
    }
}
