//! A question on the screen, and the answer that is given to it.

use anyhow::{Context, Result};
use lesson::render::{tone, wrap};
use owo_colors::OwoColorize;

use super::keys;
use super::page::Page;
use super::question::Question;
use super::room::{Next, Room};
use super::terminal::Pressed;

/// Asks the question about `claim`, and says whether the answer is right. Gives its place, or what was wanted instead.
///
/// # Errors
/// When the answer that was written down before is missing or none.
pub(super) fn ask(
    question: &Question,
    claim: &str,
    room: &mut Room<'_>,
    page: &Page<'_>,
) -> Result<Result<usize, Next>> {
    page.say(&set(question, page.columns()))?;
    let given = match answer(question, claim, room, page)? {
        Ok(place) => place,
        Err(next) => return Ok(Err(next)),
    };
    page.say(&set_reply(question, given, page.columns()))?;
    Ok(Ok(given))
}

fn answer(
    question: &Question,
    claim: &str,
    room: &mut Room<'_>,
    page: &Page<'_>,
) -> Result<Result<usize, Next>> {
    let count = question.answers.len();
    if let Some(answers) = &mut room.answers {
        let place = answers.next(question, claim)?;
        page.say(&format!("Your answer, 1 to {count}: {}\n", place + 1))?;
        return Ok(Ok(place));
    }
    let prompt = format!("Your answer, 1 to {count} (? lists the keys): ");
    let numbers = format!("1 to {count}");
    let list = [
        (numbers.as_str(), "that answer"),
        ("r", "run the experiment again, in fresh namespaces"),
        ("q", "quit, and clean up"),
        ("?", "this list"),
    ];
    let terminal = room.terminal.as_mut().context("no terminal")?;
    loop {
        let pressed = terminal.key(|| page.say(&prompt), None)?;
        page.say(&format!("{}\n", keys::echo(pressed)))?;
        let place = |key: char| key.to_digit(10).and_then(|digit| question.place(&digit.to_string()));
        match pressed {
            Pressed::Key('q') | Pressed::Interrupt => return Ok(Err(Next::Left)),
            Pressed::Key('r') => return Ok(Err(Next::Again)),
            Pressed::Key('?') => page.say(&keys::list(&list, page.columns()))?,
            Pressed::Key(key) => match place(key) {
                Some(place) => return Ok(Ok(place)),
                None => page.remark(&keys::unknown(&format!("{numbers}, r, q or ?")))?,
            },
            Pressed::Unknown => page.remark(&keys::unknown(&format!("{numbers}, r, q or ?")))?,
            Pressed::Ended(signal) => return Ok(Err(Next::Ended(signal))),
            // Nobody's end was waited for: the experiment may be over, and its last claims be asked about.
            Pressed::Gone => {}
        }
    }
}

/// A question with its answers.
fn set(question: &Question, width: usize) -> String {
    let asks = wrap(&question.asks, width, "PREDICT  ", "         ");
    let mut text = format!("\n{}\n", asks.trim_end().style(tone::note()));
    for (at, answer) in question.answers.iter().enumerate() {
        let number = format!("      {}  ", at + 1);
        text += &wrap(&answer.text, width, &number, "           ");
    }
    text
}

/// What is to be said to an answer: whether it is right, what is, and why people think otherwise.
fn set_reply(question: &Question, given: usize, width: usize) -> String {
    let right = question.right();
    let said = &question.answers[right].text;
    let (word, style, rest) = if given == right {
        ("Right.", tone::good(), String::new())
    } else {
        let rest = format!(" The kernel says {}: {said}", right + 1);
        ("Not so.", tone::bad(), rest)
    };
    let line = wrap(&format!("{word}{rest}"), width, "         ", "         ");
    let mut text = line.replacen(word, &word.style(style).to_string(), 1);
    for (at, answer) in question.answers.iter().enumerate() {
        let Some(why) = &answer.why else { continue };
        let stop = if why.ends_with('.') { "" } else { "." };
        let line = format!("Why people say {}: {why}{stop}", at + 1);
        text += &wrap(&line, width, "         ", "         ");
    }
    text
}
