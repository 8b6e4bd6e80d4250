//! What stands between two pauses fits the screen.

use std::fs;
use std::path::Path;

use libtest_mimic::Failed;
use unicode_width::UnicodeWidthStr;

use super::desk::{Desk, Person};
use super::{ensure, prompt_at};

/// What clears the screen.
pub(crate) const CLEAR: &str = "\u{1b}[2J";

/// Every experiment with its core, and a few whole, at the sizes of a small terminal and of projectors.
pub(super) fn what_stands_between_two_pauses_fits_the_screen(person: &Person) -> Result<(), Failed> {
    let all: Vec<String> = numbers()?;
    let all: Vec<&str> =
        if person.is_stranger { vec!["11", "16"] } else { all.iter().map(String::as_str).collect() };
    for number in &all {
        fits(person, number, &[], (80, 24))?;
    }
    fits(person, "11", &["--all"], (80, 24))?;
    fits(person, "11", &["--all"], (80, 28))?;
    fits(person, "14", &["--all"], (80, 24))?;
    fits(person, "16", &["--all"], (100, 30))?;
    fits(person, "16", &["--all"], (60, 20))
}

fn numbers() -> Result<Vec<String>, Failed> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let names = fs::read_dir(docs)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_number = |name: &String| name.len() > 2 && name.as_bytes()[..2].iter().all(u8::is_ascii_digit);
    let mut numbers: Vec<_> = names.filter(is_number).map(|name| name[..2].to_string()).collect();
    numbers.sort();
    ensure(numbers.len() >= 21, || format!("{numbers:?}"))?;
    Ok(numbers)
}

fn fits(person: &Person, number: &str, options: &[&str], (columns, rows): (u16, u16)) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open_sized((columns, rows), &[&["inception", "run", number, "--pause"], options].concat());
    let mut pauses = 0;
    loop {
        let mut is_over = false;
        desk.until("the next pause", |_| {
            let written = desk.written();
            is_over = written.contains("exit status ");
            is_over || written.matches("? help").count() > pauses
        })?;
        if is_over {
            break;
        }
        pauses += 1;
        desk.press("Enter");
    }
    let written = desk.written();
    for (at, shown) in written.split("? help").enumerate() {
        // What stands before is on the screen that was cleared: at most the line with the keys.
        let text = shown.rsplit(CLEAR).next().unwrap_or_default();
        let text = anstream::adapter::strip_str(text).to_string().replace('\r', "");
        let columns = usize::from(columns);
        let height: usize = text.split('\n').map(|line| line.width().max(1).div_ceil(columns)).sum();
        // The last is the line of keys itself; after the end, what the shell says and the line that it waits in.
        let room = usize::from(rows) + usize::from(shown.contains("exit status"));
        ensure(height <= room, || {
            format!("{number} {options:?}, pause {at}: {height} of {rows} lines:\n{text}")
        })?;
        let cleared = shown.matches(CLEAR).count();
        ensure(cleared <= 1, || {
            format!("{number}, pause {at}: what was shown was cleared at once:\n{shown:?}")
        })?;
    }
    ensure(pauses > 1 || written.contains("exit status 77"), || written.clone())?;
    ensure(!written.contains("exit status 2") && !written.contains("exit status 130"), || written.clone())
}

pub(super) fn a_matrix_keeps_its_head_on_every_page(person: &Person) -> Result<(), Failed> {
    let desk = Desk::new(person);
    desk.open_sized((80, 18), &["inception", "run", "11", "--pause", "--step", "6"]);
    desk.ends_with(&prompt_at("step 6"))?;
    desk.press("Enter");
    let has_head = |place: &str| -> Result<(), Failed> {
        desk.ends_with(&prompt_at(place))?;
        let screen = desk.visible();
        let head = screen.lines().position(|line| line.contains("│ signal"));
        let rows = screen.matches("│ SIG").count();
        ensure(head.is_some() && rows > 0, || format!("{place}:\n{screen}"))
    };
    let pages = {
        desk.shows(", page 1/", 1)?;
        let screen = desk.screen();
        let last = screen.trim_end().lines().last().unwrap_or_default().to_string();
        last.split_once(", page 1/").and_then(|(_, rest)| rest.chars().next()?.to_digit(10)).unwrap_or(0)
    };
    ensure(pages >= 2, || desk.screen())?;
    has_head(&format!("step 6, page 1/{pages}"))?;
    desk.press("Enter");
    has_head(&format!("step 6, page 2/{pages}"))?;
    desk.press("b");
    has_head(&format!("step 6, page 1/{pages}"))?;
    desk.press("q");
    desk.ends_with("exit status 130")
}
