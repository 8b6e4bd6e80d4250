//! The words that docs/STYLE.md forbids.

use anyhow::{Result, ensure};

use super::fault::{Fault, shown};
use super::prose::Block;
use super::sentence;

/// Where the table stands.
pub(super) const TABLE: &str = "docs/STYLE.md";

/// The head of the table.
const HEAD: [&str; 3] = ["not", "write", "looked for"];

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// Words in small letters, one after the other, that are looked for.
    phrases: Vec<Vec<String>>,
    write: String,
}

/// The rows of the table: what is looked for stands in the third column between backticks, or else is the first column.
///
/// # Errors
/// When there is no such table.
pub(super) fn rows(style: &str) -> Result<Vec<Row>> {
    let mut lines = style.lines().skip_while(|line| cells(line) != HEAD);
    lines.next();
    let rows = lines.take_while(|line| line.starts_with('|')).map(cells).filter(|it| !it[0].starts_with('-'));
    let rows: Vec<_> = rows.filter_map(|cells| row(&cells)).collect();
    ensure!(!rows.is_empty(), "{TABLE} has no table with the head: {}; write it", HEAD.join(", "));
    Ok(rows)
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn row(cells: &[&str]) -> Option<Row> {
    let [not, write, rest @ ..] = cells else { return None };
    let listed = rest.first().unwrap_or(&"");
    let between_backticks = listed.split('`').skip(1).step_by(2);
    let phrases: Vec<_> = if listed.contains('`') {
        between_backticks.map(phrase).collect()
    } else {
        not.split(',').map(phrase).collect()
    };
    Some(Row { phrases, write: (*write).into() })
}

fn phrase(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_lowercase).collect()
}

/// Each place at which a block has what a row looks for.
pub(super) fn faults(block: &Block, rows: &[Row]) -> Vec<Fault> {
    let words: Vec<_> = block.words().collect();
    let mut faults = Vec::new();
    for (row, phrase) in rows.iter().flat_map(|row| row.phrases.iter().map(move |phrase| (row, phrase))) {
        for (place, found) in words.iter().zip(words.windows(phrase.len())) {
            if is_said(phrase, found) {
                let sentence = sentence::of(block).into_iter().find(|it| it.range.contains(&place.0));
                let context = sentence.map_or("", |it| &block.text[it.range]);
                faults.push(Fault {
                    file: block.file.clone(),
                    line: block.line(place.0),
                    what: format!("'{}' in: {}", phrase.join(" "), shown(context)),
                    remedy: format!("write: {}", row.write),
                });
            }
        }
    }
    faults
}

/// Whether these words are the phrase, its last word in the plural too. Nothing but blanks parts them.
fn is_said(phrase: &[String], words: &[(usize, &str)]) -> bool {
    let last = phrase.len().saturating_sub(1);
    phrase.iter().zip(words).enumerate().all(|(at, (wanted, (_, word)))| {
        let bare = word.trim_matches(|it: char| !it.is_alphanumeric());
        let bare = bare.strip_suffix("'s").or(bare.strip_suffix("’s")).unwrap_or(bare).to_lowercase();
        if at < last {
            return bare == *wanted && word.ends_with(char::is_alphanumeric);
        }
        bare == *wanted || bare.strip_suffix('s') == Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = "| not | write | looked for |\n|---|---|---|\n| world | namespace | |\n\
                         | letter (that is sent) | datagram | `a letter` `letters of` |\n| saw, tell | report | |\n";

    fn found(text: &str) -> Vec<String> {
        faults(&Block::of(text, 4), &rows(STYLE).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_word_of_the_table_is_found_in_each_of_its_forms() {
        assert_eq!(found("It sends\na letter."), [":5: 'a letter' in: It sends a letter.; write: datagram"]);
        for text in ["A World.", "(the worlds)", "its world's end", "It saw one", "Letters of it"] {
            assert_eq!(found(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn other_words_and_code_are_not() {
        for text in ["`world`", "worldly", "the letter", "telling", "a. Letter", "hello, world-wide"] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn without_its_table_there_is_an_error() {
        assert!(rows("| not | write |\n|---|---|\n| a | b |\n").is_err());
    }
}
