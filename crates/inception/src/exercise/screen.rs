//! What an attempt looks like: its task, what of it is met, and what to do next.

use exercise::{Attempt, Exercise, Look, Open};
use lesson::render::{Layout, tone};
use lesson::unmet;
use ns_core::printable;
use ns_core::probe::Unmet;
use owo_colors::{OwoColorize, Style};
use unicode_width::UnicodeWidthStr;

/// The width of the longest name that sentences stand beside.
const NAME: usize = 16;

/// The title with the level and the attempt, and the task.
pub(super) fn task(attempt: &Attempt, layout: Layout) -> String {
    let Attempt { exercise, number, .. } = attempt;
    let title = printable(&format!("{}: {}", exercise.name, exercise.title));
    let about = format!("level {}, attempt {number}", exercise.level);
    let room = layout.width.saturating_sub(title.width() + about.width());
    let mut text = if room >= 2 && !layout.plain {
        format!("{}{}{}\n", title.style(tone::strong()), " ".repeat(room), about.style(tone::faint()))
    } else {
        let title = layout.wrap(&title, "", "  ");
        format!("{}\n{}\n", title.trim_end().style(tone::strong()), about.style(tone::faint()))
    };
    text += &flowing(&exercise.task, layout);
    text
}

/// Each requirement: whether it is met, and what was found.
pub(super) fn found(look: &Look, layout: Layout) -> String {
    let longest = look.requirements.iter().map(|it| it.name.width()).max().unwrap_or(0).min(NAME);
    let mut text = String::new();
    for judged in &look.requirements {
        let (sign, style) = match (judged.met, layout.plain) {
            (true, false) => ("✓", tone::good()),
            (false, false) => ("✗", tone::bad()),
            (true, true) => ("met:", tone::good()),
            (false, true) => ("not met:", tone::bad()),
        };
        let first = if layout.plain {
            format!("{sign} {}: ", judged.name)
        } else {
            format!(" {sign} {:longest$}  ", judged.name)
        };
        let rest = " ".repeat(if layout.plain { 4 } else { longest + 5 });
        text +=
            &layout.wrap(&judged.sentence, &first, &rest).replacen(sign, &sign.style(style).to_string(), 1);
    }
    if !look.is_done() {
        text += &unread(look, layout);
    }
    text
}

/// What could not be looked at, if anything.
fn unread(look: &Look, layout: Layout) -> String {
    match (look.unreadable.as_slice(), look.strangers) {
        ([], 0) => String::new(),
        ([], count) => faint(&format!("Not looked at: {count} that started since, of other users."), layout),
        (near, _) => {
            let near = several(near);
            faint(&format!("You may not read {near}; sudo inception exercise check looks there too."), layout)
        }
    }
}

/// How far it is, and what to do next.
pub(super) fn next(attempt: &Attempt, look: &Look, open: &Open, layout: Layout) -> String {
    let Exercise { name, lesson, explanation, .. } = &attempt.exercise;
    let (met, of) = (look.names(true).len(), look.requirements.len());
    let Some(unmet) = look.names(false).first().cloned() else {
        let done = format!("Done: {met} of {of}.");
        let mut text =
            layout.wrap(&done, "", "").replacen("Done", &"Done".style(tone::good()).to_string(), 1);
        text += &flowing(explanation, layout);
        text += &faint(&format!("To end what you started: inception exercise reset {name}"), layout);
        return text;
    };
    let level = open.hints.get(&unmet).copied().unwrap_or(0);
    let which = ["a first hint", "a second hint", "the command"];
    let hint = which.get(usize::from(level)).unwrap_or(&"the hints");
    let line = format!("{met} of {of}. inception exercise hint: {hint} on {unmet}. {lesson} explains it.");
    faint(&line, layout)
}

/// That an exercise cannot be done here, and what helps.
pub(super) fn lacking(name: &str, lacking: &Unmet, layout: Layout) -> String {
    let line = format!("{name} is skipped: {}", unmet::in_words(lacking));
    layout.wrap(&line, "", "  ").replacen("skipped", &"skipped".style(tone::note()).to_string(), 1)
}

/// An author's text: the lines of a paragraph are joined, and one that is indented or an item of a list stays.
pub(super) fn flowing(text: &str, layout: Layout) -> String {
    let mut flowing = String::new();
    for line in text.trim().lines() {
        let begins = line.is_empty()
            || line.starts_with([' ', '-', '*'])
            || line.starts_with(|c: char| c.is_ascii_digit());
        flowing += if flowing.is_empty() {
            ""
        } else if begins || flowing.ends_with('\n') {
            "\n"
        } else {
            " "
        };
        flowing += line.trim_end();
        flowing += if line.is_empty() { "\n" } else { "" };
    }
    layout.wrap(&flowing, "", "")
}

/// What matters less, in lines of their own.
pub(super) fn faint(text: &str, layout: Layout) -> String {
    styled(text, tone::faint(), layout)
}

/// Lines of one style, each on its own.
pub(super) fn styled(text: &str, style: Style, layout: Layout) -> String {
    layout.wrap(text, "", "").lines().map(|line| format!("{}\n", line.style(style))).collect()
}

/// A few of them by name, and how many more.
fn several(all: &[String]) -> String {
    const FEW: usize = 3;
    let shown = all.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(FEW) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
