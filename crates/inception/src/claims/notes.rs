//! The study notes' sentences, as docs/notes.md lists them.

use std::fmt;

use anyhow::{Context, Result, ensure};

/// docs/notes.md.
const TEXT: &str = include_str!("../../../../docs/notes.md");

/// Whose sentences a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// The notes', on setting Debian up.
    Setup,
    /// The notes', on the kernel.
    Notes,
    /// Further behaviours.
    More,
}

/// A number of the list, such as N84.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(pub(crate) Family, pub(crate) u16);

/// A sentence of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) number: Number,
    /// The heading that it stands under.
    pub(crate) section: String,
    pub(crate) text: String,
    /// Why no experiment judges it, if none is to.
    pub(crate) reason: Option<String>,
}

impl Family {
    const ALL: [Family; 3] = [Family::Setup, Family::Notes, Family::More];

    fn letter(self) -> char {
        match self {
            Family::Setup => 'P',
            Family::Notes => 'N',
            Family::More => 'M',
        }
    }

    /// What its numbers count.
    pub(crate) fn counts(self) -> &'static str {
        match self {
            Family::Setup => "sentences on setting Debian up",
            Family::Notes => "sentences of the notes",
            Family::More => "further behaviours",
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.letter(), self.1)
    }
}

impl Number {
    fn parse(text: &str) -> Option<Number> {
        let family = Family::ALL.into_iter().find(|family| text.starts_with(family.letter()))?;
        Some(Number(family, text[1..].parse().ok()?))
    }
}

/// The whole list, in its order.
///
/// # Errors
/// One line that names the item, where docs/notes.md is not of its form.
pub(crate) fn all() -> Result<Vec<Sentence>> {
    parse(TEXT).context("docs/notes.md, as this program was built with it")
}

fn parse(text: &str) -> Result<Vec<Sentence>> {
    let mut list: Vec<Sentence> = Vec::new();
    let mut section = String::new();
    for item in items(text) {
        if let Some(heading) = item.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_string();
            continue;
        }
        let Some(rest) = item.strip_prefix("- **") else { continue };
        let (number, rest) = rest.split_once("** ").with_context(|| format!("no sentence in '{item}'"))?;
        let number = Number::parse(number).with_context(|| format!("no number: '{number}'"))?;
        let (text, reason) =
            rest.split_once(NOT_JUDGED).map_or((rest, None), |(text, why)| (text, Some(why)));
        let sentence = Sentence {
            number,
            section: section.clone(),
            text: text.trim().into(),
            reason: reason.map(|why| why.trim().into()),
        };
        ensure!(!sentence.text.is_empty(), "{number} has no sentence");
        ensure!(sentence.reason.as_deref() != Some(""), "{number} has no reason");
        ensure!(list.iter().all(|other| other.number != number), "{number} stands twice");
        list.push(sentence);
    }
    ensure!(!list.is_empty(), "it lists nothing");
    Ok(list)
}

const NOT_JUDGED: &str = "*Not judged:*";

/// Headings, items and paragraphs, each as one line.
pub(crate) fn items(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let first = lines.find(|line| !line.trim().is_empty())?;
        let mut item = first.trim().to_string();
        while !first.starts_with('#') {
            let goes_on = |line: &&str| !line.trim().is_empty() && !line.starts_with(['-', '#']);
            let Some(line) = lines.next_if(goes_on) else { break };
            item = format!("{item} {}", line.trim());
        }
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        let all = all().unwrap();
        for (family, last) in [(Family::Setup, 5), (Family::Notes, 136), (Family::More, 138)] {
            let numbers: Vec<_> =
                all.iter().filter(|it| it.number.0 == family).map(|it| it.number.1).collect();
            assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "{family:?}");
        }
        assert!(all.iter().all(|it| !it.section.is_empty() && it.text.ends_with('.')));
    }

    #[test]
    fn an_item_may_go_over_lines_and_may_have_a_reason() {
        let list =
            parse("# A\n\n## B\n\n- **N7** It is\n  so.\n  *Not judged:* an\n  opinion.\n- **M8** Or so.\n");
        let list = list.unwrap();
        assert_eq!(list[0].number, Number(Family::Notes, 7));
        assert_eq!((list[0].section.as_str(), list[0].text.as_str()), ("B", "It is so."));
        assert_eq!(list[0].reason.as_deref(), Some("an opinion."));
        assert_eq!((list[1].number.to_string().as_str(), list[1].reason.as_deref()), ("M8", None));
    }

    #[test]
    fn a_faulty_list_names_the_item() {
        let fault = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(fault("- **N7** A.\n- **N7** B.\n"), "N7 stands twice");
        assert_eq!(fault("- **X7** A.\n"), "no number: 'X7'");
        assert_eq!(fault("- **N7** *Not judged:* why\n"), "N7 has no sentence");
        assert_eq!(fault("text\n"), "it lists nothing");
    }

    proptest::proptest! {
        #[test]
        fn any_list_is_read_or_refused(text: String, items in "(- \\*\\*[NMSX]?[0-9]{0,3}\\*?\\*? ?[a-z.*]{0,9}\n){0,9}") {
            let _ = (parse(&text), parse(&items));
        }
    }
}
