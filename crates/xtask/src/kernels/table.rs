//! The tables of docs/kernels.md: their columns, of which each kernel has one.

use std::collections::BTreeSet;

/// The heads of the first table's columns but the first, which names the row.
pub(super) fn columns(document: &str) -> Vec<String> {
    let head = document.lines().find(|line| line.starts_with('|'));
    head.map(|line| cells(line).split_off(1)).unwrap_or_default()
}

/// The tables of a document with these columns alone, and what names a row. Some rows are there for the columns that
/// are left out: those go too.
pub(super) fn only(columns: &BTreeSet<String>, document: &str) -> String {
    let mut text = String::new();
    let mut heading = None;
    // Of each column of the table that we are in: whether it is a kernel's, and whether it is shown.
    let mut heads: Option<Vec<(bool, bool)>> = None;
    for line in document.lines() {
        if line.starts_with("## ") {
            heading = Some(line);
        }
        if !line.starts_with('|') {
            heads = None;
            continue;
        }
        let cells = cells(line);
        let is_head = heads.is_none();
        let heads = heads.get_or_insert_with(|| {
            let kind = |cell: &String| (is_kernel(cell), !is_kernel(cell) || columns.contains(cell));
            cells.iter().map(kind).collect()
        });
        let shown = || cells.iter().zip(heads.iter()).filter(|(_, (_, shown))| *shown);
        let says = |cell: &str| !["0", "undeclared", "not run", "---"].contains(&cell);
        if !is_head && !shown().any(|(cell, (kernel, _))| *kernel && says(cell)) {
            continue;
        }
        if let Some(heading) = heading.take() {
            text.push_str(heading);
            text.push('\n');
        }
        text.push('|');
        for (cell, _) in shown() {
            text.push_str(&format!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}

/// Whether a column's head is such as `6.1 root`.
fn is_kernel(head: &str) -> bool {
    let Some((release, _)) = head.split_once(' ') else { return false };
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    release.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

/// The cells of a row, as they are written. A backslash takes its meaning from what follows it.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = row.chars();
    while let Some(character) = characters.next() {
        if character == '|' {
            cells.push(String::new());
            continue;
        }
        let Some(cell) = cells.last_mut() else { continue };
        cell.push(character);
        if character == '\\' {
            cell.extend(characters.next());
        }
    }
    // A row begins and ends with a bar.
    let between = 1..cells.len().saturating_sub(1).max(1);
    cells[between].iter().map(|cell| cell.trim_matches(' ').to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# Verdicts

| | 6.1 root | 6.12 root |
| --- | --- | --- |
| holds | 2 | 3 |

## One

| claim | 6.1 root | 6.12 root |
| --- | --- | --- |
| a \\| b | holds | not run |

## Two

| claim | 6.1 root | 6.12 root |
| --- | --- | --- |
| c | undeclared | holds |
";

    #[test]
    fn the_first_table_tells_the_columns() {
        assert_eq!(columns(DOCUMENT), ["6.1 root", "6.12 root"]);
        assert_eq!(columns("no table\n"), Vec::<String>::new());
    }

    #[test]
    fn a_bar_in_a_cell_is_no_end_of_it() {
        assert_eq!(cells(r"| a \| b | c\\ | d |"), [r"a \| b", r"c\\", "d"]);
        assert_eq!(cells("|"), Vec::<String>::new());
    }

    #[test]
    fn what_is_there_for_columns_left_out_goes_with_them() {
        let columns = BTreeSet::from(["6.1 root".to_string()]);
        let expected = "\
| | 6.1 root |
| holds | 2 |
## One
| claim | 6.1 root |
| a \\| b | holds |
## Two
| claim | 6.1 root |
";
        let expected = expected.replace("| | 6", "|  | 6");
        assert_eq!(only(&columns, DOCUMENT), expected);
    }
}
