//! The pages: what is set of which document.

use clap_mangen::roff::{Roff, bold, roman};
use lesson::manual::{MANUAL, SOURCE, see_also};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::setter::Setter;
use crate::demos::Demo;

/// The documents about exercises, which make a page of section 5.
const FILE: &str = include_str!("../../../../docs/exercise-file.md");
const FACTS: &str = include_str!("../../../../docs/exercise-facts.md");

/// The form of an exercise's file.
pub(super) fn exercise() -> String {
    let name = "inception-exercise";
    let mut setter = Setter::of(title(name, "5", "a task that the kernel checks, as a file"));
    for section in sections(Parser::new_ext(FILE, Options::ENABLE_TABLES)) {
        setter.set_all(section);
    }
    // What stands below the document's title is about all facts.
    setter.set_all(Parser::new("## Facts").collect());
    let facts = Parser::new_ext(FACTS, Options::ENABLE_TABLES);
    let title = |event: &Event<'_>| !matches!(event, Event::End(TagEnd::Heading(HeadingLevel::H1)));
    setter.set_all(facts.skip_while(title).skip(1).collect());
    let mut roff = setter.end();
    roff.control("SH", ["FILES"]);
    for (path, what) in [
        (
            "/usr/share/inception-teacher/exercises",
            "the exercises with their solutions (package inception-teacher)",
        ),
        ("/usr/share/doc/inception-lab/docs/exercise-authors.md", "how to write one"),
    ] {
        roff.control("TP", []);
        roff.text([bold(path)]);
        roff.text([roman(what)]);
    }
    see_also(&mut roff, &["inception-exercise(1)", "inception(1)"]);
    roff.render()
}

/// A page's head, and its name with what it is about.
fn title(name: &str, section: &str, about: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("TH", [name, section, "", SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {about}"))]);
    roff
}

/// A doc as a page of section 7, from its second heading on: the first is the question, which is the page's name. The
/// screen stays out: the reader's own kernel makes a better one.
pub(super) fn doc(demo: &Demo) -> String {
    let mut setter = Setter::of(title(&format!("inception-{}", demo.name), "7", demo.question));
    let sections = sections(Parser::new_ext(demo.doc, Options::ENABLE_TABLES));
    for section in sections.into_iter().filter(|section| !is_screen(section)) {
        setter.set_all(section);
    }
    let mut roff = setter.end();
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
