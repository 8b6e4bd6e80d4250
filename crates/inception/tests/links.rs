//! Every link in README.md and docs/ leads to a file that is there, and to a heading that is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

#[test]
fn every_link_leads_somewhere() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed = fs::read_dir(checkout.join("docs")).unwrap();
    let mut pages: Vec<PathBuf> =
        listed.map(|entry| PathBuf::from("docs").join(entry.unwrap().file_name())).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.push("README.md".into());
    let read = |page: PathBuf| (page.clone(), fs::read_to_string(checkout.join(page)).unwrap());
    let wrong = wrong_links(&pages.into_iter().map(read).collect(), |path| checkout.join(path).exists());
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
