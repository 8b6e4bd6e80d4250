//! The driver's manual pages and completions (feature `manual`), and a page of section 7 for each doc.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, TypedValueParser};
use clap_mangen::roff::{Inline, Roff, bold, italic, line_break, roman};
use lesson::Help;
use lesson::manual::{MANUAL, SOURCE, as_it_stands, see_also};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::demos::{self, Demo};

/// Writes all of them into `directory`.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(help: &Help, mut command: Command, directory: &Path) -> Result<()> {
    // What is completed after `inception run`: the demos' names.
    for (name, word) in [("run", "demos"), ("walk", "demos"), ("claims", "demos"), ("read", "demo")] {
        command = command.mut_subcommand(name, |it| {
            it.mut_arg(word, |it| it.value_parser(Names).hide_possible_values(true))
        });
    }
    let mut more = Roff::new();
    let pages: Vec<_> = demos::ALL.iter().map(|demo| format!("{}(1)", demo.name)).collect();
    let docs: Vec<_> = demos::ALL.iter().map(|demo| format!("inception-{}(7)", demo.name)).collect();
    let pages: Vec<_> =
        pages.iter().chain(&docs).map(String::as_str).chain(["namespaces(7)", "cgroups(7)"]).collect();
    see_also(&mut more, &pages);
    let command = command.long_about(
        "Runs, explains and sums up experiments on the kernel that runs. A container is a process with namespaces, \
         cgroups and a changed root; each of those does something that can be seen. So each experiment does it twice, \
         once without the factor and once with it. It shows what was seen from outside and from inside, and says what \
         follows. Nothing on the machine changes, and nothing is left behind.",
    );
    lesson::manual::write(help, command, &more, directory)?;
    let folder = directory.join("man7");
    fs::create_dir_all(&folder)?;
    for demo in demos::ALL.iter().filter(|demo| !demo.doc.is_empty()) {
        let path = folder.join(format!("inception-{}.7", demo.name));
        fs::write(&path, page(demo)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Takes every word, and lets the demos' names be completed.
#[derive(Clone)]
struct Names;

impl TypedValueParser for Names {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        NonEmptyStringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(demos::ALL.iter().map(|demo| PossibleValue::new(demo.name).help(demo.question))))
    }
}

/// A doc as a page of section 7, from its second heading on: the first is the question, which is the page's name. The
/// screen stays out: the reader's own kernel makes a better one.
fn page(demo: &Demo) -> String {
    let mut roff = Roff::new();
    let name = format!("inception-{}", demo.name);
    roff.control("TH", [name.as_str(), "7", "", SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", demo.question))]);
    let mut setter = Setter { roff, words: Vec::new(), fonts: Vec::new(), lists: Vec::new() };
    let sections = sections(Parser::new_ext(demo.doc, Options::ENABLE_TABLES));
    for section in sections.into_iter().filter(|section| !is_screen(section)) {
        let mut events = section.into_iter();
        while let Some(event) = events.next() {
            setter.set(event, &mut events);
        }
    }
    setter.end_paragraph();
    let mut roff = setter.roff;
    roff.control("SH", ["FILES"]);
    for (path, what) in [
        (
            format!("/usr/share/inception-lab/demos/{}.sh", demo.stem()),
            "the walkthrough, whose commands one may also type",
        ),
        (format!("/usr/share/doc/inception-lab/docs/{}.md", demo.stem()), "this text, with a screen"),
        (
            format!("/usr/share/doc/inception-lab/docs/reference/{}.md", demo.stem()),
            "what it leaves out: further reasons, every claim, a whole run",
        ),
        (
            format!("/usr/share/doc/inception-lab/crates/{}/src", demo.name),
            "the experiment, to read from main.rs on",
        ),
    ] {
        roff.control("TP", []);
        roff.text([bold(path)]);
        roff.text([roman(what)]);
    }
    see_also(&mut roff, &[&format!("{}(1)", demo.name), "inception(1)"]);
    roff.render()
}

/// The doc's sections, each from its heading on, without the first, which is of the heading that is the question.
fn sections<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Vec<Event<'a>>> {
    let mut sections = Vec::new();
    for event in events {
        if let Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) = event {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(event);
        }
    }
    sections
}

fn is_screen(section: &[Event<'_>]) -> bool {
    let is_marker = |event: &Event<'_>| matches!(event, Event::Html(text) if text.starts_with("<!-- screen"));
    section.iter().any(is_marker)
}

/// Sets Markdown in the macros of man(7).
struct Setter {
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
