//! Markdown as styled text.
//!
//! Without colour the words alone have to do: headings are underlined, emphasis and code keep their marks, and a link
//! is followed by its address.

use lesson::render::{Layout, tone};
use ns_core::printable;
use owo_colors::{OwoColorize, Style};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};
use textwrap::core::display_width;
use textwrap::{WordSeparator, WordSplitter, WrapAlgorithm};

/// The text of a Markdown document as it is laid out.
pub(crate) fn render(markdown: &str, layout: Layout) -> String {
    let markdown = &layout.words(markdown);
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect::<Vec<_>>().into_iter();
    let mut text =
        Reader { events: events.peekable(), plain: layout.plain }.blocks(layout.width).join("\n\n");
    text.push('\n');
    text
}

/// What stands in a document below the heading of level 2 called `title`, the heading included.
pub(crate) fn section<'a>(markdown: &'a str, title: &str) -> Option<&'a str> {
    let mut begin = None;
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
        if !matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H1 | HeadingLevel::H2, .. })) {
            continue;
        }
        if let Some(begin) = begin {
            return Some(&markdown[begin..range.start]);
        }
        if markdown[range.clone()].trim_matches(['#', ' ', '\n']).eq_ignore_ascii_case(title) {
            begin = Some(range.start);
        }
    }
    begin.map(|begin| &markdown[begin..])
}

/// The text of a paragraph or an item of a list, without the signs of Markdown: what is emphasised, code, and linked, as
/// words alone.
pub(crate) fn without_signs(markdown: &str) -> String {
    let words = Parser::new_ext(markdown, Options::ENABLE_TABLES).map(|event| match event {
        Event::Text(text) | Event::Code(text) => printable(&text),
        Event::SoftBreak | Event::HardBreak => " ".into(),
        _ => String::new(),
    });
    words.collect()
}

struct Reader<'a> {
    events: std::iter::Peekable<std::vec::IntoIter<Event<'a>>>,
    plain: bool,
}

impl Reader<'_> {
    /// The blocks up to the end of what contains them, which is taken too.
    fn blocks(&mut self, width: usize) -> Vec<String> {
        let width = width.max(1);
        let mut blocks = Vec::new();
        while let Some(event) = self.events.peek() {
            match event {
                Event::End(_) => {
                    self.events.next();
                    break;
                }
                Event::Start(tag) if !is_inline(tag) => {
                    let tag = tag.clone();
                    self.events.next();
                    blocks.extend(self.block(&tag, width));
                }
                Event::Rule => {
                    self.events.next();
                    if !self.plain {
                        blocks.push("─".repeat(width));
                    }
                }
                Event::Html(_) => {
                    self.events.next();
                }
                // In a list without blank lines, text stands in no paragraph.
                _ => blocks.push(fill(&self.words(Style::new()), width, "")),
            }
        }
        blocks
    }

    fn block(&mut self, tag: &Tag<'_>, width: usize) -> Option<String> {
        match tag {
            Tag::Heading { level, .. } => {
                let text = self.words(tone::strong());
                self.events.next();
                let text = fill(&text, width, "");
                Some(if self.plain { text } else { heading(&text, *level) })
            }
            Tag::CodeBlock(_) => Some(self.code(width)),
            Tag::List(first) => Some(self.list(*first, width)),
            Tag::BlockQuote(_) => {
                let quoted = self.blocks(width.saturating_sub(2)).join("\n\n");
                let mark = if self.plain { "> " } else { "│ " };
                Some(indented(&quoted, mark, mark))
            }
            Tag::Table(_) => Some(self.table(width)),
            Tag::HtmlBlock => {
                self.blocks(width);
                None
            }
            _ => Some(self.blocks(width).join("\n")),
        }
    }

    fn list(&mut self, first: Option<u64>, width: usize) -> String {
        let mut items = Vec::new();
        let mut apart = false;
        let mut number = first;
        while let Some(Event::Start(_)) = self.events.next() {
            let marker = number.map_or("- ".into(), |number| format!("{number}. "));
            number = number.map(|number| number + 1);
            let blank = " ".repeat(marker.len());
            let is_apart = matches!(self.events.peek(), Some(Event::Start(Tag::Paragraph)));
            apart |= is_apart;
            let blocks = self.blocks(width.saturating_sub(marker.len()));
            items.push(indented(&blocks.join(if is_apart { "\n\n" } else { "\n" }), &marker, &blank));
        }
        items.join(if apart { "\n\n" } else { "\n" })
    }

    /// Code stands as it is. Lines that are too long are folded, with what follows indented.
    fn code(&mut self, width: usize) -> String {
        let mut code = String::new();
        while let Some(Event::Text(text)) = self.events.next() {
            code += &text;
        }
        let lines: Vec<_> = code.lines().map(|line| printable(&line.replace('\t', "    "))).collect();
        let longest = lines.iter().map(|line| display_width(line)).max().unwrap_or(0);
        let indent = " ".repeat(width.saturating_sub(longest).min(4));
        let shown = lines.iter().map(|line| {
            let line = fill(line, width, if width > 20 { "    " } else { "" });
            let is_typed = line.starts_with("$ ") || line.starts_with("# ");
            if is_typed { paint(&line, tone::strong()) } else { line }
        });
        indented(&shown.collect::<Vec<_>>().join("\n"), &indent, &indent)
    }

    fn table(&mut self, width: usize) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        loop {
            match self.events.next() {
                Some(Event::Start(Tag::TableHead | Tag::TableRow)) => rows.push(Vec::new()),
                Some(Event::Start(_)) => {
                    let cell = self.words(Style::new());
                    self.events.next();
                    rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
                }
                // A row's end, or the table's, with which nothing is left that it could be the end of.
                Some(Event::End(pulldown_cmark::TagEnd::Table)) | None => break,
                Some(_) => {}
            }
        }
        let heads = if rows.is_empty() { Vec::new() } else { rows.remove(0) };
        rows.iter_mut().for_each(|row| row.resize(heads.len(), String::new()));
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        Layout { width, plain: self.plain }.table(&heads, &rows).trim_end().into()
    }

    /// Words up to the end of what contains them, which is left. Each is styled by itself, so that a line can end
    /// after any.
    fn words(&mut self, style: Style) -> String {
        let mut words = String::new();
        while let Some(event) = self.events.peek().cloned() {
            match event {
                Event::Text(text) => words += &paint(&printable(&text), style),
                Event::Code(code) => words += &paint(&format!("`{}`", printable(&code)), tone::code(style)),
                Event::SoftBreak => words.push(' '),
                Event::HardBreak => words.push('\n'),
                Event::InlineHtml(_) => {}
                Event::Start(tag) if is_inline(&tag) => {
                    self.events.next();
                    words += &self.span(&tag, style);
                }
                _ => break,
            }
            self.events.next();
        }
        words
    }

    /// Words that are set apart, up to their end, which is left.
    fn span(&mut self, tag: &Tag<'_>, style: Style) -> String {
        match tag {
            Tag::Emphasis => {
                let style = style.italic();
                format!("{}{}{}", paint("*", style), self.words(style), paint("*", style))
            }
            Tag::Strong => self.words(style.bold()),
            Tag::Link { dest_url, .. } => {
                let text = self.words(style.underline());
                let address = printable(dest_url);
                let plain = anstream::adapter::strip_str(&text).to_string();
                let plain = plain.trim_matches('`');
                // A path may be said from the top, and lead there from the document.
                let says_it =
                    address.starts_with('#') || plain.contains(['.', '/']) && address.ends_with(plain);
                if says_it { text } else { format!("{text} ({address})") }
            }
            Tag::Image { dest_url, .. } => {
                format!("[image: {}] ({})", self.words(style), printable(dest_url))
            }
            _ => self.words(style),
        }
    }
}

fn is_inline(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::Link { .. }
            | Tag::Image { .. }
    )
}

fn heading(text: &str, level: HeadingLevel) -> String {
    let line = match level {
        HeadingLevel::H1 => "═",
        HeadingLevel::H2 => "─",
        _ => return text.into(),
    };
    let longest = text.lines().map(display_width).max().unwrap_or(0);
    format!("{text}\n{}", line.repeat(longest))
}

/// Breaks lines at blanks: what is typed in one piece is read in one piece.
fn fill(text: &str, width: usize, rest: &str) -> String {
    let options = textwrap::Options::new(width)
        .subsequent_indent(rest)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(text, options)
}

fn indented(text: &str, first: &str, rest: &str) -> String {
    let lines = text.lines().enumerate().map(|(at, line)| {
        let line = format!("{}{line}", if at == 0 { first } else { rest });
        line.trim_end().to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn paint(text: &str, style: Style) -> String {
    if style.is_plain() {
        return text.into();
    }
    let paint = |word: &str| if word.is_empty() { String::new() } else { word.style(style).to_string() };
    let line = |line: &str| line.split(' ').map(paint).collect::<Vec<_>>().join(" ");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_can_be_had_without_signs() {
        let text = "- **N87** Only *handled*\n  signals, `kill(2)` [says](x.md).";
        assert_eq!(without_signs(text), "N87 Only handled signals, kill(2) says.");
    }

    fn plain(markdown: &str, width: usize) -> String {
        anstream::adapter::strip_str(&render(markdown, Layout { width, plain: false })).to_string()
    }

    #[test]
    fn a_document_reads_without_colour() {
        let markdown = "\
# What can kill PID 1?

The first process of a *new* PID namespace is its **init**;
see [pid_namespaces(7)](https://man7.org/pid) and <https://kernel.org>.

## By hand

1. Type `unshare -Urpf`.
2. Look:
   - at `$$`
   - at [the end](#end)

```console
$ echo $$
1
```

> A quotation,
> in two lines.

| who | sees |
|---|---|
| inside | 1 |
| outside | another number |

<!-- unseen -->
---
";
        let expected = "\
What can kill PID 1?
════════════════════

The first process of a *new* PID namespace is its init;
see pid_namespaces(7) (https://man7.org/pid) and
https://kernel.org.

By hand
───────

1. Type `unshare -Urpf`.
2. Look:
   - at `$$`
   - at the end

    $ echo $$
    1

│ A quotation, in two lines.

┌─────────┬────────────────┐
│ who     │ sees           │
├─────────┼────────────────┤
│ inside  │ 1              │
│ outside │ another number │
└─────────┴────────────────┘

────────────────────────────────────────────────────────
";
        assert_eq!(plain(markdown, 56), expected);
    }

    #[test]
    fn items_that_stand_apart_stay_apart() {
        assert_eq!(plain("- one\n\n  more\n\n- two\n", 40), "- one\n\n  more\n\n- two\n");
    }

    #[test]
    fn long_code_is_folded_and_shorter_code_keeps_its_place() {
        let code = "```\n$ unshare --user --map-root-user --pid --fork sh\n 1\n```\n";
        assert_eq!(plain(code, 40), "$ unshare --user --map-root-user --pid\n    --fork sh\n 1\n");
        assert_eq!(plain("    0123456789\n", 12), "  0123456789\n");
    }

    #[test]
    fn nothing_in_a_document_reaches_the_terminal_but_text() {
        let text = plain("a\u{1b}[2Jb `c\u{7}`\n\n    d\u{9b}e\n", 40);
        assert_eq!(text, "a\\u{1b}[2Jb `c\\u{7}`\n\n    d\\u{9b}e\n");
    }

    #[test]
    fn lines_fit_from_20_columns_up() {
        let markdown = "# A rather long heading that has to wrap\n\nhttps://example.org/with/a/path/longer/than/any/line/of/it\n\n- a *list* of `several --words here`\n  1. and one\n     below **it all**\n\n|a|b|\n|-|-|\n|one cell|another cell that is long enough to wrap|\n";
        for width in 20..=400 {
            let text = plain(markdown, width);
            assert!(text.lines().all(|line| display_width(line) <= width), "{width}:\n{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn any_markdown_is_shown_and_nothing_of_it_obeyed(
            text: String,
            marked in "([#*_`|>+-]{1,3}|\\[x\\]\\(y\\)|<b>|[ \n]|\u{1b}\\]|\u{202e}|[a-z호]{1,9}){0,40}",
            width in 0_usize..120,
        ) {
            for text in [text, marked] {
                let shown = render(&text, Layout { width, plain: width % 2 == 0 });
                let mut rest = shown.chars();
                while let Some(c) = rest.next() {
                    if c == '\u{1b}' {
                        // A style of ours, and nothing else that begins so.
                        let end = rest.by_ref().skip(1).find(|c| !c.is_ascii_digit() && *c != ';');
                        proptest::prop_assert_eq!(end, Some('m'), "{:?}", shown);
                    } else {
                        proptest::prop_assert!(c == '\n' || !ns_core::is_deceptive(c), "{:?}", shown);
                    }
                }
            }
        }
    }
}
