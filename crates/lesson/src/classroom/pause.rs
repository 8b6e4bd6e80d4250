//! `--pause`: at each step, what a key does.

use std::collections::HashMap;

use anyhow::{Context, Result};
use ns_core::fact::printable;

use super::page::Page;
use super::places::{self, Place};
use super::subject::Subject;
use super::terminal::Pressed;
use super::{Class, Next, set_keys, shell, why, wrong_key};
use crate::event::Event;

const KEYS: [(&str, &str); 7] = [
    ("Enter, n", "go on: do this step"),
    ("b", "read the step before again; once more, the one before that"),
    ("r", "run the experiment again, in fresh namespaces"),
    ("s", "a shell inside the namespaces that the steps so far have made"),
    ("w", "why: the rules, and the manual pages that state them"),
    ("q", "quit, and clean up"),
    ("?", "this list"),
];

impl Class<'_> {
    /// Waits, before a step that was shown is done, for what is wanted.
    pub(super) fn pause(&mut self, subject: &Subject, page: &mut Page<'_>) -> Result<Next> {
        let step = page.step();
        let mut reread = step;
        let prompt = format!("[step {step}] Enter goes on, ? lists the keys: ");
        loop {
            let terminal = self.terminal.as_mut().context("no terminal")?;
            let pressed = terminal.key(|| page.say(&prompt), Some(subject.pidfd()))?;
            page.say(&format!("{}\n", echo(pressed)))?;
            match pressed {
                Pressed::Key('\n' | 'n') => return Ok(Next::On),
                Pressed::Key('b') => {
                    reread = reread.saturating_sub(1);
                    if reread == 0 {
                        page.remark("There is no step before.")?;
                        reread = step;
                    } else {
                        page.again(reread)?;
                    }
                }
                Pressed::Key('r') => return Ok(Next::Again),
                Pressed::Key('s') => {
                    if let Some(next) = self.enter(subject, page)? {
                        return Ok(next);
                    }
                }
                Pressed::Key('w') => why::show(self.experiment, page)?,
                Pressed::Key('q') | Pressed::Interrupt => return Ok(Next::Left),
                Pressed::Key('?') => {
                    let keys = KEYS.map(|(key, does)| (key.to_string(), does));
                    page.say(&set_keys(&keys, page.columns()))?;
                }
                Pressed::Key(_) | Pressed::Unknown => {
                    page.remark(&wrong_key("Enter, n, b, r, s, w, q or ?"))?;
                }
                Pressed::Ended(signal) => return Ok(Next::Ended(signal)),
                Pressed::Gone => return Ok(Next::On),
            }
        }
    }

    /// A shell at the place that is chosen. `Some` if the class ends with it.
    fn enter(&mut self, subject: &Subject, page: &Page<'_>) -> Result<Option<Next>> {
        let places = places::of(subject.pid(), &labels(page))?;
        let place = match places.as_slice() {
            [] => {
                page.remark(
                    "No process of the experiment is in a namespace that your own shell is not in. \
                     The next step may make one.",
                )?;
                return Ok(None);
            }
            [only] => only,
            several => match self.choose(several, subject, page)? {
                Ok(place) => place,
                Err(next) => return Ok(next),
            },
        };
        page.remark(&format!(
            "A shell in the namespaces of {}, PID {}: {}. The experiment waits; exit comes back to it.",
            printable(&place.who),
            place.pid,
            place.kinds()
        ))?;
        match shell::open(subject.pid(), place, &format!("step {}, {}", page.step(), prompt_name(place))) {
            Ok(None) => page.remark("Back from the shell."),
            Ok(Some(signal)) => return Ok(Some(Next::Ended(signal))),
            Err(error) => page.remark(&format!("No shell there: {}", printable(&format!("{error:#}")))),
        }?;
        Ok(None)
    }

    /// Which of several places.
    fn choose<'p>(
        &mut self,
        places: &'p [Place],
        subject: &Subject,
        page: &Page<'_>,
    ) -> Result<Result<&'p Place, Option<Next>>> {
        let places = &places[..places.len().min(9)];
        let lines: Vec<_> = places
            .iter()
            .enumerate()
            .map(|(at, place)| {
                let line = format!("{}, PID {}: {}", printable(&place.who), place.pid, place.kinds());
                crate::render::wrap(&line, page.columns(), &format!("   {}  ", at + 1), "      ")
            })
            .collect();
        page.say(&lines.concat())?;
        let prompt = format!("In whose namespaces, 1 to {}: ", places.len());
        let terminal = self.terminal.as_mut().context("no terminal")?;
        let pressed = terminal.key(|| page.say(&prompt), Some(subject.pidfd()))?;
        page.say(&format!("{}\n", echo(pressed)))?;
        let place = |key: char| places.get((key.to_digit(10)? as usize).checked_sub(1)?);
        Ok(match pressed {
            Pressed::Key(key) if place(key).is_some() => place(key).ok_or(None),
            Pressed::Ended(signal) => Err(Some(Next::Ended(signal))),
            Pressed::Gone => Err(Some(Next::On)),
            _ => {
                page.remark("None of them: no shell.")?;
                Err(None)
            }
        })
    }
}

/// What the processes that were shown are called, by their PIDs.
fn labels(page: &Page<'_>) -> HashMap<i32, String> {
    let actor = |event: &Event| match event {
        Event::Actor(actor) => Some((*actor.pids.first()?, actor.label.clone())),
        _ => None,
    };
    page.events().iter().filter_map(actor).collect()
}

/// A name that no shell takes for anything else.
fn prompt_name(place: &Place) -> String {
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-');
    place.who.chars().filter(plain).collect()
}

/// What is shown of a key, since the terminal does not.
pub(super) fn echo(pressed: Pressed) -> String {
    match pressed {
        Pressed::Key(key) if !key.is_control() => key.into(),
        Pressed::Interrupt => "^C".into(),
        _ => String::new(),
    }
}
