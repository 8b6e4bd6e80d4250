//! Text that a person reads, with the lines in which it stands.

/// What stands for a character of code: it is no letter, no blank and no end of a sentence.
const MASK: char = '\u{7f}';

/// A text of fewer words is a name.
const FEWEST: usize = 3;

/// Who reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Document,
    /// Of a program or a script.
    Output,
    /// In source.
    Comment,
}

/// A paragraph, a heading, an item of a list, a cell of a table, or a text of a program.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    /// As a reader sees it.
    pub(super) text: String,
    /// The same, byte by byte, with code masked.
    pub(super) plain: String,
    pub(super) kind: Kind,
    /// In a cell of a table a semicolon ends a sentence too: what stands there is often a list.
    pub(super) is_cell: bool,
    /// The file in which it stands, below the project's directory.
    pub(super) file: String,
    /// From which offset on a line holds.
    lines: Vec<(usize, usize)>,
}

impl Block {
    /// Adds text of that line.
    pub(super) fn push(&mut self, text: &str, line: usize) {
        self.begin(line);
        self.text.push_str(text);
        self.plain.push_str(text);
    }

    /// Adds code of that line. It counts as one word.
    pub(super) fn push_code(&mut self, code: &str, line: usize) {
        self.begin(line);
        self.text.push_str(code);
        self.plain.extend(code.bytes().map(|_| MASK));
    }

    /// A block that is text alone.
    pub(super) fn of(text: &str, line: usize) -> Block {
        let mut block = Block::default();
        block.push_with_code(text, line);
        block
    }

    /// Adds text in which code stands between backticks. A line ends where the text has an end of line.
    pub(super) fn push_with_code(&mut self, text: &str, mut line: usize) {
        let mut rest = text;
        while let Some((before, code, after)) = between_backticks(rest) {
            self.push(before, line);
            line += before.matches('\n').count();
            self.push_code(code, line);
            line += code.matches('\n').count();
            rest = after;
        }
        self.push(rest, line);
    }

    /// Masks what a format puts values in the place of, such as `{name}`.
    pub(super) fn mask_values(&mut self) {
        let mut is_value = false;
        let masked = self.plain.bytes().map(|byte| {
            is_value = byte == b'{' || (is_value && !byte.is_ascii_whitespace());
            let shown = if is_value { MASK as u8 } else { byte };
            is_value &= byte != b'}';
            shown
        });
        // Bytes of a longer character stand in no name of a value.
        if let Ok(masked) = String::from_utf8(masked.collect()) {
            self.plain = masked;
        }
    }

    fn begin(&mut self, line: usize) {
        if self.lines.last().is_none_or(|(_, last)| *last != line) {
            self.lines.push((self.text.len(), line));
        }
    }

    /// The line of an offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.lines.iter().take_while(|(from, _)| *from <= offset).last();
        before.map_or(1, |(from, line)| line + self.text[*from..offset.max(*from)].matches('\n').count())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The words of the whole block, code masked, each with its offset.
    pub(super) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        words(&self.plain)
    }
}

/// What stands between blanks, each with its offset.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Whether it is a word that a reader counts: it has a letter, a digit or code.
pub(super) fn counts(word: &str) -> bool {
    word.contains(|it: char| it.is_alphanumeric() || it == MASK)
}

pub(super) fn is_code(word: &str) -> bool {
    word.contains(MASK)
}

/// Whether it is made of words, and not a command, a path or a pattern.
pub(super) fn is_prose(block: &Block) -> bool {
    let words: Vec<_> = block.words().filter(|(_, word)| !is_code(word)).collect();
    let plain = words.iter().filter(|(_, word)| {
        let word = word.trim_matches(|it: char| it.is_ascii_punctuation() && it != '_' && it != '$');
        !word.is_empty() && word.chars().all(|it| it.is_alphabetic() || matches!(it, '\'' | '-' | '’'))
    });
    let plain = plain.count();
    let looks_like_shell =
        ["$", " && ", " || ", " | ", " > ", "; do", "</", " -c "].iter().any(|it| block.plain.contains(it));
    plain >= FEWEST && 2 * plain >= words.len() && !looks_like_shell
}

/// What stands before, in, with its backticks, and after the first code.
fn between_backticks(text: &str) -> Option<(&str, &str, &str)> {
    let from = text.find('`')?;
    let to = from + 1 + text[from + 1..].find('`')? + 1;
    Some((&text[..from], &text[from..to], &text[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_one_word_and_none_of_its_characters_counts() {
        let block = Block::of("A letter, `a world. Of` it.", 7);
        assert_eq!(block.text.len(), block.plain.len());
        assert_eq!(block.words().count(), 4);
        assert!(!block.plain.contains("world") && block.text.contains("world"));
        assert!(block.words().nth(2).is_some_and(|(_, word)| is_code(word) && counts(word)));
    }

    #[test]
    fn a_value_is_code() {
        let mut block = Block::of("{NAME} is {world:?}, é", 1);
        block.mask_values();
        assert_eq!(block.words().filter(|(_, word)| is_code(word)).count(), 2);
        assert!(block.plain.ends_with(" is \u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}, é"));
    }

    #[test]
    fn each_offset_has_its_line() {
        let mut block = Block::of("one\ntwo", 3);
        block.push(" three", 9);
        assert_eq!([block.line(0), block.line(5), block.line(9)], [3, 4, 9]);
    }
}
