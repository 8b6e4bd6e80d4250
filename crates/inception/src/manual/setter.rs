//! Markdown, set in the macros of man(7).

use clap_mangen::roff::{Inline, Roff, bold, italic, line_break, roman};
use lesson::manual::as_it_stands;
use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

/// Sets Markdown in the macros of man(7).
pub(super) struct Setter {
    roff: Roff,
    /// The line that is being filled.
    words: Vec<Inline>,
    /// The emphasis that surrounds it, innermost last.
    fonts: Vec<Font>,
    /// The lists around it: the number of the next item, or none for a bullet.
    lists: Vec<Option<u64>>,
}

#[derive(Clone, Copy)]
enum Font {
    Bold,
    Italic,
}

impl Setter {
    /// Goes on after what is in `roff`.
    pub(super) fn of(roff: Roff) -> Setter {
        Setter { roff, words: Vec::new(), fonts: Vec::new(), lists: Vec::new() }
    }

    /// Sets all events of a section.
    pub(super) fn set_all(&mut self, section: Vec<Event<'_>>) {
        let mut events = section.into_iter();
        while let Some(event) = events.next() {
            self.set(event, &mut events);
        }
    }

    /// What was set.
    pub(super) fn end(mut self) -> Roff {
        self.end_paragraph();
        self.roff
    }

    fn set<'a>(&mut self, event: Event<'a>, rest: &mut impl Iterator<Item = Event<'a>>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.end_paragraph();
                let text = text_until(rest, |end| matches!(end, TagEnd::Heading(_)));
                match (level, text.as_str()) {
                    // As every manual page calls it.
                    (HeadingLevel::H2, "The idea") => self.roff.control("SH", ["DESCRIPTION"]),
                    (HeadingLevel::H2, _) => self.roff.control("SH", [text.to_uppercase().as_str()]),
                    _ => self.roff.control("SS", [text.as_str()]),
                };
            }
            Event::Start(Tag::CodeBlock(_)) => {
                self.end_paragraph();
                let code = text_until(rest, |end| matches!(end, TagEnd::CodeBlock));
                as_it_stands(&mut self.roff, &code);
            }
            Event::Start(Tag::Table(_)) => {
                self.end_paragraph();
                self.table(rest);
            }
            Event::Start(Tag::List(first)) => {
                self.end_paragraph();
                if !self.lists.is_empty() {
                    self.roff.control("RS", []);
                }
                self.lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                self.end_paragraph();
                self.lists.pop();
                self.roff.control(if self.lists.is_empty() { "PP" } else { "RE" }, []);
            }
            Event::Start(Tag::Item) => {
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}.", *number - 1)
                    }
                    _ => "\\(bu".into(),
                };
                self.roff.control("IP", [marker.as_str(), "3"]);
            }
            Event::End(TagEnd::Item | TagEnd::BlockQuote(_)) => self.end_paragraph(),
            Event::Start(Tag::Paragraph) if self.lists.is_empty() => {
                self.roff.control("PP", []);
            }
            Event::End(TagEnd::Paragraph) => self.end_paragraph(),
            Event::Start(Tag::Strong) => self.fonts.push(Font::Bold),
            Event::Start(Tag::Emphasis) => self.fonts.push(Font::Italic),
            Event::End(TagEnd::Strong | TagEnd::Emphasis) => {
                self.fonts.pop();
            }
            Event::Text(text) => self.words.push(match self.fonts.last() {
                Some(Font::Bold) => bold(text.into_string()),
                Some(Font::Italic) => italic(text.into_string()),
                None => roman(text.into_string()),
            }),
            Event::Code(code) => self.words.push(bold(code.into_string())),
            Event::SoftBreak => self.words.push(roman(" ")),
            Event::HardBreak => self.words.push(line_break()),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        if !self.words.is_empty() {
            self.roff.text(std::mem::take(&mut self.words));
        }
    }

    /// A row an item: its first cell, and below it the others.
    fn table<'a>(&mut self, rest: &mut impl Iterator<Item = Event<'a>>) {
        let mut cell = 0;
        while let Some(event) = rest.next() {
            match event {
                Event::End(TagEnd::Table) => break,
                Event::Start(Tag::TableHead | Tag::TableRow) => {
                    cell = 0;
                    self.roff.control("TP", []);
                }
                Event::Start(Tag::TableCell) if cell > 1 => self.words.push(roman("; ")),
                Event::Start(Tag::TableCell) => {}
                Event::End(TagEnd::TableCell) => {
                    if cell == 0 {
                        self.end_paragraph();
                    }
                    cell += 1;
                }
                Event::End(TagEnd::TableHead | TagEnd::TableRow) => self.end_paragraph(),
                other => self.set(other, rest),
            }
        }
        self.roff.control("PP", []);
    }
}

/// The text up to an end, which is taken.
fn text_until<'a>(rest: &mut impl Iterator<Item = Event<'a>>, is_end: fn(&TagEnd) -> bool) -> String {
    let mut all = String::new();
    for event in rest {
        match event {
            Event::End(end) if is_end(&end) => break,
            Event::Text(text) | Event::Code(text) => all += &text,
            Event::SoftBreak => all.push(' '),
            _ => {}
        }
    }
    all
}
