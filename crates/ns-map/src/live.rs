//! `--live`: the map on a terminal, drawn anew whenever it has changed.
//!
//! The program beside this one, ns-map-live, does it better, and is handed over to. It is not everywhere: it is built by a
//! newer Rust. So this is what is left without it.

use std::io::{self, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use lesson::Screen;
use map::{Looks, Map};
use ns_core::error::AsErrno;
use ns_core::in_words;

use crate::reader::waited;

/// The program that is handed over to.
const INTERFACE: &str = "ns-map-live";

/// Becomes the terminal interface, with the arguments of this process, where a person sits at a terminal. Where it is
/// missing, this gives the line that says so.
///
/// # Errors
/// Where it is there and cannot be started; where standard output is no terminal whose text may be cleared.
pub(crate) fn hand_over(screen: &Screen) -> Result<Option<String>> {
    ensure!(screen.can_clear(), "--live needs a terminal that can be cleared; --watch writes lines anywhere");
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let program = std::env::current_exe().context("readlink(\"/proc/self/exe\")")?.with_file_name(INTERFACE);
    if !program.is_file() {
        return Ok(Some(format!(
            "{INTERFACE} has keys and details, and is missing beside this program: cargo build -p {INTERFACE}"
        )));
    }
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--live");
    let error = Command::new(&program).args(arguments).exec();
    let errno = in_words(error.as_errno());
    Err(anyhow!(
        "{} cannot be started: {errno}; to build it anew: cargo build -p {INTERFACE}",
        program.display()
    ))
}

/// Shows what `text` makes of the map, as much of it as the terminal has lines for, and below it `notes`, until the program
/// is ended.
///
/// # Errors
/// Those of a survey and of write(2).
pub(crate) fn run(
    screen: &Screen,
    mut looks: Looks,
    text: impl Fn(&Map) -> String,
    notes: &str,
    out: &mut impl Write,
) -> Result<()> {
    let mut shown = String::new();
    loop {
        let map = looks.look()?;
        let rows = screen.rows().unwrap_or(24).saturating_sub(notes.lines().count());
        let next = fitted(&text(&map), rows) + notes;
        if next != shown {
            // To the top left, and nothing from there on (console_codes(4)).
            write!(out, "\x1b[H\x1b[J{next}")?;
            out.flush()?;
            shown = next;
        }
        if !waited(&mut looks)? {
            return Ok(());
        }
    }
}

/// As many of the lines as fit above a last one, which says how many are missing.
fn fitted(text: &str, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let room = rows.saturating_sub(1);
    if lines.len() <= room {
        return text.into();
    }
    let kept = room.saturating_sub(1);
    let more = lines.len() - kept;
    lines[..kept].join("\n") + &format!("\n… {more} lines more: a taller terminal, or --filter\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(fitted("a\nb\n", 10), "a\nb\n");
        let ten = "x\n".repeat(10);
        let text = fitted(&ten, 6);
        assert_eq!(text.lines().count(), 5);
        assert!(text.contains("6 lines more"), "{text}");
    }
}
