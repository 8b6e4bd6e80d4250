//! A line that is typed key by key: what is typed is shown, Backspace takes it back, Enter ends it.

use anyhow::Result;

use super::page::Page;
use super::terminal::{Pressed, Terminal};

/// No line that is wanted is longer.
const LONGEST: usize = 120;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, ended by Enter.
    Line(String),
    /// One of the keys that act at once, at the beginning of a line.
    Key(char),
    /// What is neither a character nor an end of the line.
    Other(Pressed),
}

/// Shows `prompt`, and reads a line. At its beginning the keys `at_once` act without Enter.
///
/// # Errors
/// When the terminal cannot be read, or the output not be written.
pub(super) fn read(terminal: &mut Terminal, prompt: &str, at_once: &str, page: &Page<'_>) -> Result<Typed> {
    let line = std::cell::RefCell::new(String::new());
    let show = || page.say(&format!("{prompt}{}", line.borrow()));
    terminal.keys(show, None, |pressed| take(pressed, &mut line.borrow_mut(), at_once, page))
}

fn take(pressed: Pressed, line: &mut String, at_once: &str, page: &Page<'_>) -> Result<Option<Typed>> {
    match pressed {
        Pressed::Key('\n') => {
            page.say("\n")?;
            return Ok(Some(Typed::Line(std::mem::take(line))));
        }
        Pressed::Key(key) if line.is_empty() && at_once.contains(key) => {
            page.say(&format!("{key}\n"))?;
            return Ok(Some(Typed::Key(key)));
        }
        Pressed::Key(BACKSPACE | CONTROL_H) => {
            if line.pop().is_some() {
                page.say("\u{8} \u{8}")?;
            }
        }
        Pressed::Key(CONTROL_U) => {
            page.say(&"\u{8} \u{8}".repeat(line.len()))?;
            line.clear();
        }
        // One column each, so that Backspace can take it back.
        Pressed::Key(key) if matches!(key, ' '..='~') && line.len() < LONGEST => {
            line.push(key);
            page.say(&key.to_string())?;
        }
        Pressed::Key(_) | Pressed::Unknown => {}
        Pressed::Interrupt | Pressed::Ended(_) | Pressed::Gone => {
            page.say("\n")?;
            return Ok(Some(Typed::Other(pressed)));
        }
    }
    Ok(None)
}

const BACKSPACE: char = '\u{7f}';
const CONTROL_H: char = '\u{8}';
const CONTROL_U: char = '\u{15}';
