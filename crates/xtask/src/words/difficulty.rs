//! How hard a sentence is to read.

use std::collections::BTreeMap;

use super::prose::{self, Block};
use super::sentence::Sentence;

/// What begins a clause, beside a semicolon and a colon.
const CLAUSES: &[&str] = &[
    "which", "that", "who", "whose", "where", "when", "while", "if", "unless", "because", "since",
    "although", "so", "but", "before", "after", "until", "whether",
];

/// A word that stands in all texts no more often is rare.
const RARE: usize = 3;

/// How often each word stands in the texts.
#[derive(Debug)]
pub(super) struct Frequencies(BTreeMap<String, usize>);

impl Frequencies {
    pub(super) fn of(blocks: &[Block]) -> Frequencies {
        let mut counted = BTreeMap::new();
        for (_, word) in blocks.iter().flat_map(Block::words) {
            *counted.entry(bare(word)).or_insert(0) += 1;
        }
        Frequencies(counted)
    }

    /// Its words, four for each clause after the first, one for each comma, and two for each rare word.
    pub(super) fn difficulty(&self, block: &Block, sentence: &Sentence) -> usize {
        let plain = &block.plain[sentence.range.clone()];
        let (mut clauses, mut commas, mut rare) = (0, 0, 0);
        let last = prose::words(plain).last().map_or(0, |(offset, _)| offset);
        for (offset, word) in prose::words(plain) {
            let begins = CLAUSES.contains(&bare(word).as_str()) && offset > 0;
            let parts = word.ends_with([';', ':']) && offset < last;
            clauses += usize::from(begins || parts);
            commas += usize::from(word.ends_with(','));
            let is_word = word.chars().any(char::is_alphabetic) && !prose::is_code(word);
            rare += usize::from(is_word && self.0.get(&bare(word)).is_none_or(|count| *count <= RARE));
        }
        sentence.words + 4 * clauses + commas + 2 * rare
    }
}

fn bare(word: &str) -> String {
    word.trim_matches(|it: char| !it.is_alphanumeric()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::sentence;

    #[test]
    fn clauses_and_rare_words_make_a_sentence_harder() {
        let texts: Vec<_> =
            ["a b c d a b c d", "a b; c d", "a, b z d", "a b c d"].map(|it| Block::of(it, 1)).into();
        let frequencies = Frequencies::of(&texts);
        let of = |block: &Block| frequencies.difficulty(block, &sentence::of(block)[0]);
        assert_eq!([of(&texts[3]), of(&texts[1]), of(&texts[2])], [4, 8, 7]);
    }
}
