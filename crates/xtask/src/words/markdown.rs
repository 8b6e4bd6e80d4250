//! The prose of a Markdown document.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::prose::Block;

/// What a document says itself: neither code, nor what `cargo xtask` wrote between its markers, nor the words that a table
/// headed `not` forbids. `line_of` gives the line of each line of `text`, from 0.
pub(super) fn blocks(text: &str, line_of: impl Fn(usize) -> usize) -> Vec<Block> {
    let starts: Vec<_> = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line_at = |offset: usize| line_of(starts.partition_point(|start| *start <= offset) - 1);
    let mut reader = Reader::default();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        reader.take(event, &text[range.clone()], line_at(range.start));
    }
    reader.flush();
    reader.blocks
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    current: Block,
    is_written_by_us: bool,
    is_code: bool,
    table: Table,
    is_quoted: bool,
}

#[derive(Default, PartialEq)]
enum Table {
    #[default]
    None,
    /// Its first cell says what it is.
    Begun,
    Read,
    Forbids,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, source: &str, line: usize) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => self.mark(&html),
            Event::Start(Tag::CodeBlock(_)) => (self.is_code, _) = (true, self.flush()),
            Event::End(TagEnd::CodeBlock) => self.is_code = false,
            Event::Start(Tag::BlockQuote(_)) => (self.is_quoted, _) = (true, self.flush()),
            Event::End(TagEnd::BlockQuote(_)) => (self.is_quoted, _) = (false, self.flush()),
            Event::Start(Tag::Table(_)) => self.table = Table::Begun,
            Event::End(TagEnd::Table) => self.table = Table::None,
            Event::End(TagEnd::TableCell) => {
                if self.table == Table::Begun {
                    let forbids = self.current.text.trim() == "not";
                    self.table = if forbids { Table::Forbids } else { Table::Read };
                }
                self.current.is_cell = true;
                self.flush();
            }
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::TableCell)
            | Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item) => self.flush(),
            Event::Code(_) if self.is_read() => self.current.push_code(source, line),
            Event::Text(text) if self.is_read() => self.current.push(&text, line),
            Event::SoftBreak | Event::HardBreak => self.current.push(" ", line),
            _ => {}
        }
    }

    fn is_read(&self) -> bool {
        !(self.is_written_by_us || self.is_code || self.is_quoted || self.table == Table::Forbids)
    }

    fn mark(&mut self, html: &str) {
        if ["<!-- end", "<!-- until here"].iter().any(|it| html.starts_with(it)) {
            self.is_written_by_us = false;
        } else if html.starts_with("<!--") && html.contains("written by cargo xtask") {
            self.is_written_by_us = true;
        }
    }

    fn flush(&mut self) {
        let block = std::mem::take(&mut self.current);
        if !block.is_empty() {
            self.blocks.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String)> {
        blocks(text, |line| line + 1).into_iter().map(|it| (it.line(0), it.text)).collect()
    }

    #[test]
    fn prose_is_read_with_its_lines() {
        let text = "# A head\n\nOne `code`\ntwo.\n\n- item\n- more\n\n| a | b |\n|---|---|\n| c | d |\n";
        let expected = [
            (1, "A head"),
            (3, "One `code` two."),
            (6, "item"),
            (7, "more"),
            (9, "a"),
            (9, "b"),
            (11, "c"),
            (11, "d"),
        ];
        assert_eq!(read(text), expected.map(|(line, text)| (line, text.to_string())));
        assert_eq!(blocks(text, |line| line + 1)[1].line(12), 4);
    }

    #[test]
    fn code_what_was_written_by_us_and_what_is_quoted_are_not_read() {
        let text = "```sh\nworld\n```\n\n<!-- claims: written by cargo xtask docs -->\nworld\n<!-- end -->\n\n\
                    > world\n\n| not | write |\n|---|---|\n| world | namespace |\n\nhere\n";
        assert_eq!(read(text), [(11, "not".to_string()), (15, "here".to_string())]);
    }
}
