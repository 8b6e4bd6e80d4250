//! A question on the screen, and the answer that is given to it: by one, or by a class that votes.

use anyhow::{Context, Result};
use lesson::render::{tone, wrap};
use owo_colors::OwoColorize;

use super::keys;
use super::line::{self, Typed};
use super::page::Page;
use super::question::Question;
use super::room::{Next, Room};
use super::terminal::Pressed;
use super::vote::Vote;
use super::why;
use crate::demos::Demo;
use transcript::Run;

/// What was answered.
pub(super) struct Given {
    /// The place of the answer that counts.
    pub(super) place: usize,
    /// How the class voted before, in order.
    pub(super) votes: Vec<Vote>,
}

/// The keys that act at once, at the beginning of a line. No answer has so late a letter.
const AT_ONCE: &str = "pwrq?";

/// Asks the question about `claim` of an experiment that runs, and says whether the answer is right. Gives it, or what was wanted instead.
///
/// # Errors
/// When the answer that was written down before is missing or none.
pub(super) fn ask(
    question: &Question,
    claim: &str,
    of: (&Demo, &Run),
    room: &mut Room<'_>,
    page: &mut Page<'_>,
) -> Result<Result<Given, Next>> {
    page.say(&set(question, page.columns()))?;
    let given = match &mut room.answers {
        Some(answers) => {
            let place = answers.next(question, claim)?;
            page.say(&format!("{}{}\n", prompt(question), Question::letter(place)))?;
            Given { place, votes: Vec::new() }
        }
        None => {
            let place = page.place();
            let typed = typed(question, of, room, page)?;
            page.come_back(place);
            match typed {
                Ok(given) => given,
                Err(next) => return Ok(Err(next)),
            }
        }
    };
    page.say(&set_reply(question, &given, page.columns()))?;
    Ok(Ok(given))
}

/// The answer that is typed, after as many votes as are wanted.
fn typed(
    question: &Question,
    of: (&Demo, &Run),
    room: &mut Room<'_>,
    page: &mut Page<'_>,
) -> Result<Result<Given, Next>> {
    let letters = format!("a to {}", question.last());
    let list = [
        (letters.as_str(), "that answer, with Enter"),
        ("a 7 b 12", "a vote: how many of the class give each answer; then vote again"),
        ("p", "what was shown before, again; once more, what was before that"),
        ("w", "why: the rules, and the manual pages that state them"),
        ("r", "run the experiment again, in fresh namespaces"),
        ("q", "quit, and clean up"),
        ("?", "this list"),
    ];
    let mut is_away = false;
    let mut votes: Vec<Vote> = Vec::new();
    // Whoever ends a key with Enter has not asked the kernel by it.
    let mut was_key = false;
    loop {
        let asks = if votes.is_empty() {
            prompt(question)
        } else {
            "Vote, answer or Enter (? lists the keys): ".into()
        };
        let terminal = room.terminal.as_mut().context("no terminal")?;
        let typed = line::read(terminal, &asks, AT_ONCE, page)?;
        let is_after_key = std::mem::replace(&mut was_key, matches!(typed, Typed::Key(_)));
        match typed {
            Typed::Key('p') => {
                let is_shown =
                    if std::mem::replace(&mut is_away, true) { page.back()? } else { page.again()? };
                if !is_shown {
                    page.remark("There is nothing before this.")?;
                }
                // It may have taken the place of the question.
                page.say(&set(question, page.columns()))?;
            }
            Typed::Key('w') => {
                why::show(of.0, of.1, page)?;
                page.say(&set(question, page.columns()))?;
            }
            Typed::Key('?') => page.say(&keys::list(&list, page.columns()))?,
            Typed::Key('r') => return Ok(Err(Next::Again)),
            Typed::Key(_) | Typed::Other(Pressed::Interrupt) => return Ok(Err(Next::Left)),
            Typed::Other(Pressed::Ended(signal)) => return Ok(Err(Next::Ended(signal))),
            // Nobody's end was waited for: the experiment may be over, and its last claims be asked about.
            Typed::Other(_) => {}
            Typed::Line(line) if line.trim().is_empty() => {
                let Some(last) = votes.last().filter(|_| !is_after_key) else { continue };
                match last.most() {
                    Ok(place) => return Ok(Ok(Given { place, votes })),
                    Err(letters) => page.remark(&format!(
                        "As many voted for {letters}: type the letter that counts, or vote again."
                    ))?,
                }
            }
            Typed::Line(line) => match Vote::of(&line, question) {
                Some(Ok(vote)) => {
                    page.say(&vote.bars(page.columns()))?;
                    page.remark("Discuss, then vote again. Enter alone: the kernel answers.")?;
                    votes.push(vote);
                }
                Some(Err(error)) => page.remark(&format!("No vote: {error}."))?,
                None => {
                    let mut characters = line.trim().chars();
                    let letter = characters.next().filter(|_| characters.next().is_none());
                    match letter.and_then(|it| question.lettered(it)) {
                        Some(place) => return Ok(Ok(Given { place, votes })),
                        None => {
                            page.remark(&keys::unknown(&format!("{letters} and Enter, p, w, r, q or ?")))?;
                        }
                    }
                }
            },
        }
    }
}

/// What stands before the answer.
fn prompt(question: &Question) -> String {
    format!("Your answer, a to {} (? lists the keys): ", question.last())
}

/// A question with its answers.
fn set(question: &Question, width: usize) -> String {
    let asks = wrap(&question.asks, width, "PREDICT  ", "         ");
    let mut text = format!("\n{}\n", asks.trim_end().style(tone::note()));
    for (at, answer) in question.answers.iter().enumerate() {
        text += &wrap(&answer.text, width, &format!("      {}  ", Question::letter(at)), "         ");
    }
    text
}

/// What is to be said to an answer: whether it is right, what is, how the votes were, and why people think otherwise.
fn set_reply(question: &Question, given: &Given, width: usize) -> String {
    let right = question.right();
    let (word, style) =
        if given.place == right { ("Right.", tone::good()) } else { ("Not so.", tone::bad()) };
    let indented = |line: &str| wrap(line, width, "         ", "         ");
    let says =
        format!("{word} The kernel says {}: {}", Question::letter(right), question.answers[right].text);
    let mut text = indented(&says).replacen(word, &word.style(style).to_string(), 1);
    for (name, vote) in
        [("First vote", given.votes.first()), ("Last vote", given.votes.get(1..).and_then(<[_]>::last))]
    {
        if let Some(vote) = vote {
            text += &indented(&format!("{name}: {} of {} right.", vote.count(right), vote.all()));
        }
    }
    for (at, answer) in question.answers.iter().enumerate() {
        let Some(why) = &answer.why else { continue };
        let stop = if why.ends_with('.') { "" } else { "." };
        text += &indented(&format!("Why people say {}: {why}{stop}", Question::letter(at)));
    }
    text
}
