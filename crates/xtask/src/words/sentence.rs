//! Sentences, and how many words they have.

use std::ops::Range;

use super::prose::{self, Block};

/// What ends with a full stop and ends no sentence.
const ABBREVIATIONS: &[&str] = &["e.g.", "i.e.", "vs.", "cf.", "etc.", "no.", "St."];

/// A sentence of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Where it stands in the block.
    pub(super) range: Range<usize>,
    pub(super) words: usize,
}

/// The sentences of a block: what ends with a full stop, a question mark, an exclamation mark, or the block.
pub(super) fn of(block: &Block) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut current: Option<Sentence> = None;
    for (offset, word) in block.words() {
        let sentence = current.get_or_insert(Sentence { range: offset..offset, words: 0 });
        sentence.range.end = offset + word.len();
        sentence.words += usize::from(prose::counts(word));
        if ends(word) || (block.is_cell && word.ends_with(';')) {
            sentences.extend(current.take());
        }
    }
    sentences.extend(current);
    sentences.retain(|it| it.words > 0);
    sentences
}

fn ends(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', '”', '’', '*', '_', ']']);
    let opened = bare.trim_start_matches(['(', '"', '“', '*']);
    bare.ends_with(['.', '?', '!']) && !bare.ends_with("...") && !ABBREVIATIONS.contains(&opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Vec<usize> {
        of(&Block::of(text, 1)).iter().map(|it| it.words).collect()
    }

    #[test]
    fn a_sentence_ends_where_a_reader_sees_its_end() {
        assert_eq!(lengths("One two. Three (four five.) Six? `a. b` seven"), [2, 3, 1, 2]);
        assert_eq!(lengths("A kernel, e.g. 6.1, has cgroup.procs in it: one; two"), [10]);
        assert_eq!(lengths("systemd starts. runc ends."), [2, 2]);
    }

    #[test]
    fn in_a_cell_a_semicolon_ends_a_sentence() {
        let mut cell = Block::of("one two; three", 1);
        assert_eq!(of(&cell).len(), 1);
        cell.is_cell = true;
        assert_eq!(of(&cell).len(), 2);
    }

    #[test]
    fn what_has_no_letter_is_no_word() {
        assert_eq!(lengths("one – two = three →"), [3]);
        assert_eq!(lengths("—"), Vec::<usize>::new());
    }
}
