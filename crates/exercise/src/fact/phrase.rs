//! What is said of a process, in words that follow its PID.

use std::collections::BTreeSet;

use ns_core::{Kind, printable};

use super::arguments::Arguments;
use super::row::Row;
use super::{form, sets};
use crate::seen::Seen;

/// Of more words than these, the number is given.
const MOST_WORDS: usize = 4;

/// What is said of a process of which `row` reads `seen`.
pub(super) fn of(row: &Row, arguments: &Arguments, seen: &Seen) -> String {
    let [with, without] = row.says;
    let say = |template: &str, value: &str| {
        let words = form::variable_words(row.form).zip(arguments.words());
        let mut text = template.to_string();
        for (at, (of_form, word)) in words.enumerate() {
            text = text.replace(&format!("{{{}}}", at + 1), &argument_in_words(of_form, word));
        }
        // The value last, since it may hold braces.
        text.replacen("{}", value, 1)
    };
    match seen {
        Seen::Absent | Seen::Flag(false) => say(without, ""),
        Seen::Flag(true) => say(with, ""),
        Seen::Unreadable(why) => format!("{} cannot be read: {why}", form::filled(row.form, arguments)),
        Seen::Text(text) => say(with, &printable(text)),
        Seen::Number(number) => say(with, &number_in_words(*number, row.form, arguments)),
        Seen::Set(words) => say(with, &set_in_words(words)),
        Seen::Namespace(id) => say(with, &id.ino.to_string()),
    }
}

/// A kind of namespace by the term of namespaces(7), and anything else as it was written.
fn argument_in_words(of_form: &str, word: &str) -> String {
    let kind = if matches!(of_form, "KIND" | "user|pid") { Kind::from_link(word) } else { None };
    let term = kind.map(|kind| match kind {
        Kind::Ipc => "IPC",
        Kind::Net => "network",
        Kind::Mnt => "mount",
        Kind::Pid => "PID",
        Kind::Uts => "UTS",
        Kind::Cgroup | Kind::Time | Kind::User => kind.link(),
    });
    term.map_or_else(|| printable(word), String::from)
}

fn number_in_words(number: f64, form: &str, arguments: &Arguments) -> String {
    const UNITS: [(f64, &str); 3] =
        [((1_u64 << 30) as f64, "G"), ((1_u64 << 20) as f64, "M"), ((1_u64 << 10) as f64, "K")];
    let is_bytes = form.starts_with("limit") && arguments.first() == "memory.max";
    let unit = UNITS.into_iter().find(|(bytes, _)| is_bytes && number >= *bytes && number % bytes == 0.0);
    unit.map_or_else(|| number.to_string(), |(bytes, unit)| format!("{}{unit}", number / bytes))
}

fn set_in_words(words: &BTreeSet<String>) -> String {
    if words.is_empty() {
        return "none".into();
    }
    if words.len() > MOST_WORDS {
        let all = sets::all_capabilities();
        let missing: Vec<String> = all.difference(words).cloned().collect();
        match missing.len() {
            0 => return "all".into(),
            // Only of capabilities can so few be missing.
            1..=MOST_WORDS => return format!("all but {}", missing.join(", ")),
            _ => {}
        }
    }
    let shown: Vec<String> = words.iter().take(MOST_WORDS).map(|word| printable(word)).collect();
    let more = words.len().saturating_sub(MOST_WORDS);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}
