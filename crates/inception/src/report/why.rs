//! The reasons that a lesson's documents give, as HTML for a page that travels alone.

use std::collections::BTreeMap;

use minijinja::Value as Safe;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::markdown;

/// *Step by step* of the doc and *Why* of its reference, without these headings, if there is either. Links into the
/// project and pictures stay behind, since the page goes where those are not. The id of a claim, which the documents set
/// in italics, leads to its row: `rows` has the address of each.
pub(super) fn of(doc: &str, reference: &str, rows: &BTreeMap<String, String>) -> Option<Safe> {
    let sections = [markdown::section(doc, "Step by step"), markdown::section(reference, "Why")];
    let markdown = sections.into_iter().flatten().collect::<Vec<_>>().join("\n");
    if markdown.is_empty() {
        return None;
    }
    let events = Parser::new_ext(&markdown, Options::ENABLE_TABLES);
    let mut kept: Vec<Event<'_>> = Vec::new();
    let mut links = Vec::new();
    let mut is_title = false;
    for event in events {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => is_title = true,
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => is_title = false,
            _ if is_title => {}
            Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Image { .. } | Tag::HtmlBlock) => {}
            Event::End(TagEnd::Image | TagEnd::HtmlBlock) => {}
            Event::Start(Tag::Heading { level, id, classes, attrs }) => {
                kept.push(Event::Start(Tag::Heading { level: below(level), id, classes, attrs }));
            }
            Event::End(TagEnd::Heading(level)) => kept.push(Event::End(TagEnd::Heading(below(level)))),
            Event::Start(Tag::Link { ref dest_url, .. }) => {
                let leads_somewhere = ["https://", "http://"].iter().any(|it| dest_url.starts_with(it));
                links.push(leads_somewhere);
                kept.extend(leads_somewhere.then_some(event));
            }
            Event::End(TagEnd::Link) => kept.extend(links.pop().unwrap_or_default().then_some(event)),
            Event::Text(ref text) if matches!(kept.last(), Some(Event::Start(Tag::Emphasis))) => {
                let row = rows.get(text.as_ref());
                let link = row.map(|place| format!("<a href=\"#{place}\">{text}</a>"));
                kept.push(link.map_or(event, |link| Event::InlineHtml(link.into())));
            }
            other => kept.push(other),
        }
    }
    let mut text = String::new();
    html::push_html(&mut text, kept.into_iter());
    Some(Safe::from_safe_string(text))
}

/// The page's own headings go down to the third level.
const fn below(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 | HeadingLevel::H2 | HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_stand_alone() {
        let doc = "# Title\n\n## Step by step\n\n### Step 1: a\n\nFirst.\n\n## Try it\n\nno\n";
        let reference = "# Title\n\n## Why\n\nSee *is-one*, *this* & [code](../x.rs), <https://kernel.org>.\n\n<!-- block -->\n\
                   ### More\n\n![a figure](f.svg)\n\n## Manual pages\n\nnone\n";
        let rows = BTreeMap::from([("is-one".to_string(), "demo.is-one".to_string())]);
        let expected = "<h4>Step 1: a</h4>\n<p>First.</p>\n<p>See <em><a href=\"#demo.is-one\">is-one</a></em>, <em>this</em> &amp; code, \
                        <a href=\"https://kernel.org\">https://kernel.org</a>.</p>\n<h4>More</h4>\n<p>a figure</p>\n";
        assert_eq!(of(doc, reference, &rows).unwrap().to_string(), expected);
        assert!(of("# Title\n\nno such section\n", "", &rows).is_none());
    }
}
