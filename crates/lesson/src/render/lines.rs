//! Text in lines that fit.

use ns_core::printable;
use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Below this many columns, nothing is indented.
const NARROW: usize = 40;

/// Text in lines of at most `width` columns, of which the `first` and the `rest` begin so. Line breaks in it stay;
/// other control characters are shown and not obeyed.
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    lay_out(&shown(text), width, first, rest)
}

/// As [`wrap`], for text whose control characters are our own: styles.
pub(super) fn lay_out(text: &str, width: usize, first: &str, rest: &str) -> String {
    set(text, options(width), first, rest)
}

/// System calls as typed, one after another: their lines end at blanks and between flags.
pub(super) fn calls(calls: &[String], width: usize, first: &str, rest: &str) -> String {
    let options = options(width).word_separator(WordSeparator::Custom(words_and_flags));
    set(&printable(&calls.join("; ")), options, first, rest)
}

fn set<'a>(text: &str, options: Options<'a>, first: &'a str, rest: &'a str) -> String {
    let (first, rest) = indents(options.width, first, rest);
    textwrap::fill(text, options.initial_indent(first).subsequent_indent(rest)) + "\n"
}

/// Text as wide as a cell of a table. It may be styled; what it holds was made [`printable`] before.
pub(super) fn fill(text: &str, width: usize, rest: &str) -> String {
    textwrap::fill(text, options(width).subsequent_indent(rest))
}

/// The first `most` lines of a text, with a sign in the end where there are more.
pub(super) fn first_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= most {
        return text.into();
    }
    let mut kept = lines[..most].join("\n");
    kept.pop();
    kept + "…"
}

/// An indent that leaves no room would push the words off a narrow screen.
pub(super) fn indents<'a>(width: usize, first: &'a str, rest: &'a str) -> (&'a str, &'a str) {
    if width < NARROW { (first.trim_start(), "") } else { (first, rest) }
}

/// Text in which all control characters but line breaks are shown.
pub(super) fn shown(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Lines break at blanks alone: a path or an option that is cut in two cannot be read, nor copied.
fn options(width: usize) -> Options<'static> {
    Options::new(width.max(1))
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        // The optimal fit may run over the width for a better shape; a terminal would break such a line.
        .wrap_algorithm(WrapAlgorithm::FirstFit)
}

/// Words end at a blank, and after a `|` between flags.
fn words_and_flags(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    Box::new(line.split_inclusive([' ', '|']).map(Word::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_break_between_flags() {
        let clone = ["clone3(CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS)".to_string(), "wait4()".into()];
        assert_eq!(
            calls(&clone, 44, "   calls ", "         "),
            "   calls clone3(CLONE_NEWUSER|CLONE_NEWPID|\n         CLONE_NEWNS); wait4()\n"
        );
    }
}
