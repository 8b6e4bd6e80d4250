//! The parts of an experiment's doc that belong to some of its claims.

use crate::markdown::{section, without_signs};

/// What the doc says of the notes' sentences with these numbers: one text each, without signs.
pub(super) fn on_notes(doc: &str, numbers: &[u16]) -> Vec<String> {
    let items = section(doc, "What the notes say").map(items).unwrap_or_default();
    let is_meant = |item: &&String| {
        let head =
            item.trim_start_matches("- ").trim_start_matches("**").split("**").next().unwrap_or_default();
        numbers_in(head).iter().any(|number| numbers.contains(number))
    };
    items.iter().filter(is_meant).map(|item| without_signs(item.trim_start_matches("- "))).collect()
}

/// The paragraphs of a section that name one of the claims `about`, and none that is yet `to_come`; without signs.
pub(super) fn why(doc: &str, heading: &str, about: &[&str], to_come: &[&str]) -> Vec<String> {
    let text = section(doc, heading).unwrap_or_default();
    let names = |paragraph: &str, ids: &[&str]| ids.iter().any(|id| paragraph.contains(&format!("*{id}*")));
    let paragraphs = text.split("\n\n").filter(|it| names(it, about) && !names(it, to_come));
    paragraphs.map(without_signs).collect()
}

/// The items of the lists in a text.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        if line.starts_with("- ") {
            items.push(line.into());
            is_open = true;
        } else if let (true, true, Some(item)) = (line.starts_with("  "), is_open, items.last_mut()) {
            item.push('\n');
            item.push_str(line.trim());
        } else {
            is_open = false;
        }
    }
    items
}

/// The numbers in a head such as `N5 to N13` or `N30, N32`.
fn numbers_in(head: &str) -> Vec<u16> {
    let mut numbers: Vec<u16> = Vec::new();
    let mut is_range = false;
    for word in head.split(|c: char| c.is_whitespace() || c == ',') {
        if word == "to" {
            is_range = true;
        } else if let Some(number) = word.strip_prefix('N').and_then(|it| it.parse().ok()) {
            let first = numbers.last().copied().filter(|last| is_range && *last < number);
            numbers.extend(first.map_or(number, |last| last + 1)..=number);
            is_range = false;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "# A question?\n\n## What the notes say\n\n- **N5 to N7** Three. *Yes.*\n- **N8, N10** `a`\n  b.\n\n\
                       After.\n\n## Why\n\n**One.** Of *first-one*.\n\n**Two.** *first-one*, and *second*.\n\n## Try it\n";

    #[test]
    fn what_the_notes_say_is_found_by_number() {
        assert_eq!(on_notes(DOC, &[6]), ["N5 to N7 Three. Yes."]);
        assert_eq!(on_notes(DOC, &[10, 6]), ["N5 to N7 Three. Yes.", "N8, N10 a b."]);
        assert!(on_notes(DOC, &[9]).is_empty() && on_notes("", &[5]).is_empty());
    }

    #[test]
    fn why_is_told_of_what_was_shown_and_of_nothing_to_come() {
        assert_eq!(why(DOC, "Why", &["first-one"], &["second"]), ["One. Of first-one."]);
        assert_eq!(
            why(DOC, "Why", &["first-one", "second"], &[]),
            ["One. Of first-one.", "Two. first-one, and second."]
        );
        assert!(why(DOC, "Why", &["third"], &[]).is_empty());
    }
}
