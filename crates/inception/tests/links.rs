//! Every link in README.md, docs/ and docs/machines/ leads to a file that is there, and to a heading that is in it. And docs/glossary.md
//! keeps its form.

#[path = "documents/mod.rs"]
mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

#[test]
fn every_link_leads_somewhere() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |page: PathBuf| (page.clone(), fs::read_to_string(checkout.join(page)).unwrap());
    let wrong = wrong_links(&documents::pages(&checkout).into_iter().map(read).collect(), |path| {
        checkout.join(path).exists()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_link_to_nowhere_is_noticed() {
    let one =
        "# Not quite\n\n[a](two.md#the-end) [b](two.md#end) [c](#not-quite) [d](#no) [e](../demos/01.sh)";
    let two = "# `The` end\n\n[a](../../secret) [b](https://example.org/#x) [c](gone.md)";
    let pages = [("docs/one.md", one), ("docs/two.md", two)];
    let pages = pages.map(|(name, text)| (PathBuf::from(name), text.to_string())).into();
    let there = |path: &Path| path.starts_with("docs") && path != Path::new("docs/gone.md");
    let wrong = [
        "docs/one.md: two.md#end: no such heading",
        "docs/one.md: #no: no such heading",
        "docs/one.md: ../demos/01.sh: no such file",
        "docs/two.md: ../../secret: outside of the project",
        "docs/two.md: gone.md: no such file",
    ];
    assert_eq!(wrong_links(&pages, there), wrong);
}

#[test]
fn the_glossary_has_each_term_once_in_order_in_one_sentence_with_its_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/glossary.md");
    let faults = glossary_faults(&fs::read_to_string(path).unwrap());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_fault_of_the_glossary_is_noticed() {
    let long = ["word"; 21].join(" ");
    let text = format!(
        "| term | meaning | page |\n|---|---|---|\n| zombie | One. | wait(2) |\n| init | Two. Three. | a page |\n\
         | Init | {long}. | x.rst |\n| orphan | No end | [a](b.md) |\n| one cell |\n",
    );
    let wrong = [
        "init: not after 'zombie' in the alphabet",
        "init: not one sentence",
        "init: no page, such as veth(4), cgroup-v2.rst or a link",
        "Init: not after 'init' in the alphabet",
        "Init: 21 words, of at most 20",
        "orphan: not one sentence",
        "| one cell |: not three cells",
    ];
    assert_eq!(glossary_faults(&text), wrong);
    assert_eq!(glossary_faults("# Glossary"), ["no terms"]);
}

/// Of the rows `| term | meaning | page |`, those whose form is wrong.
fn glossary_faults(text: &str) -> Vec<String> {
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let mut faults = Vec::new();
    if rows.is_empty() {
        faults.push("no terms".into());
    }
    let mut before = "";
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [term, meaning, page] = cells[..] else {
            faults.push(format!("{row}: not three cells"));
            continue;
        };
        let mut say = |what: String| faults.push(format!("{term}: {what}"));
        if term.to_lowercase() <= before.to_lowercase() {
            say(format!("not after '{before}' in the alphabet"));
        }
        if !meaning.ends_with('.') || meaning.contains(". ") {
            say("not one sentence".into());
        }
        let words = meaning.split_whitespace().count();
        if words > 20 {
            say(format!("{words} words, of at most 20"));
        }
        let section = page.strip_suffix(')').and_then(|page| page.rsplit_once('('));
        let is_manual =
            section.is_some_and(|(name, number)| !name.contains(' ') && number.parse::<u8>().is_ok());
        if !is_manual && !page.ends_with(".rst") && !page.starts_with('[') {
            say("no page, such as veth(4), cgroup-v2.rst or a link".into());
        }
        before = term;
    }
    faults
}

fn wrong_links(pages: &BTreeMap<PathBuf, String>, is_there: impl Fn(&Path) -> bool) -> Vec<String> {
    let headings: BTreeMap<&Path, BTreeSet<String>> =
        pages.iter().map(|(page, text)| (page.as_path(), headings(text))).collect();
    let mut wrong = Vec::new();
    for (page, text) in pages {
        for link in links(text) {
            let mut say = |why: &str| wrong.push(format!("{}: {link}: {why}", page.display()));
            let (file, heading) = link.split_once('#').map_or((link.as_str(), None), |(f, h)| (f, Some(h)));
            let folder = page.parent().unwrap();
            let target = if file.is_empty() { Some(page.clone()) } else { plain(&folder.join(file)) };
            let Some(target) = target else {
                say("outside of the project");
                continue;
            };
            if !is_there(&target) {
                say("no such file");
            } else if heading
                .is_some_and(|heading| !headings.get(&*target).is_some_and(|all| all.contains(heading)))
            {
                say("no such heading");
            }
        }
    }
    wrong
}

/// The path without its `..`, unless it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => plain.pop().then_some(())?,
            part => plain.push(part),
        }
    }
    Some(plain)
}

fn links(text: &str) -> Vec<String> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES);
    let links = events.filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.into_string())
        }
        _ => None,
    });
    links.filter(|link| !link.contains("://") && !link.starts_with("mailto:")).collect()
}

/// What GitHub and mdBook call the headings: small letters, digits, `-` and `_`, and `-` for each blank.
fn headings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let name: String = heading.take().unwrap_or_default().to_lowercase();
                let name: String = name
                    .chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                    .map(|c| if c == ' ' { '-' } else { c })
                    .collect();
                let again = (1..).map(|number| format!("{name}-{number}"));
                let name = std::iter::once(name.clone()).chain(again).find(|name| !found.contains(name));
                found.extend(name);
            }
            _ => {}
        }
    }
    found
}
