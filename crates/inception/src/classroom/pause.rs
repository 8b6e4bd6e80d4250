//! `--pause`: at each step, what a key does.

use std::collections::HashMap;

use anyhow::{Context, Result};
use lesson::render::wrap;
use ns_core::printable;

use super::page::Page;
use super::places::{self, Place};
use super::process::ExperimentProcess;
use super::room::{Next, Room};
use super::terminal::Pressed;
use super::{keys, shell, why};
use crate::demos::Demo;
use transcript::Run;

const KEYS: [(&str, &str); 7] = [
    ("Enter, n", "go on: do this step"),
    ("b", "read the step before again; once more, the one before that"),
    ("r", "run the experiment again, in fresh namespaces"),
    ("s", "a shell inside the namespaces that the steps so far have made"),
    ("w", "why: the rules, and the manual pages that state them"),
    ("q", "quit, and clean up"),
    ("?", "this list"),
];

/// Waits, before a step that was shown is done, for what is wanted.
pub(super) fn pause(
    room: &mut Room<'_>,
    demo: &Demo,
    process: &ExperimentProcess,
    page: &mut Page<'_>,
) -> Result<Next> {
    let Some(run) = process.run() else { return Ok(Next::On) };
    let step = run.step().unwrap_or_default();
    let mut reread = step;
    let prompt = format!("[step {step}] Enter goes on, ? lists the keys: ");
    loop {
        let terminal = room.terminal.as_mut().context("no terminal")?;
        let pressed = terminal.key(|| page.say(&prompt), Some(process.pidfd()))?;
        page.say(&format!("{}\n", keys::echo(pressed)))?;
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
                if let Some(next) = enter(room, run, process, page)? {
                    return Ok(next);
                }
            }
            Pressed::Key('w') => why::show(demo, run, page)?,
            Pressed::Key('q') | Pressed::Interrupt => return Ok(Next::Left),
            Pressed::Key('?') => {
                page.say(&keys::list(&KEYS, page.columns()))?;
            }
            Pressed::Key(_) | Pressed::Unknown => {
                page.remark(&keys::unknown("Enter, n, b, r, s, w, q or ?"))?;
            }
            Pressed::Ended(signal) => return Ok(Next::Ended(signal)),
            Pressed::Gone => return Ok(Next::On),
        }
    }
}

/// A shell at the place that is chosen. `Some` if the class ends with it.
fn enter(
    room: &mut Room<'_>,
    run: &Run,
    process: &ExperimentProcess,
    page: &Page<'_>,
) -> Result<Option<Next>> {
    let places = places::of(process.pid(), &labels(run))?;
    let place = match places.as_slice() {
        [] => {
            page.remark(
                "No process of the experiment is in a namespace that your own shell is not in. \
                 The next step may make one.",
            )?;
            return Ok(None);
        }
        [only] => only,
        several => match choose(room, several, process, page)? {
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
    let prompt = format!("step {}, {}", run.step().unwrap_or_default(), prompt_name(place));
    let terminal = room.terminal.as_mut().context("no terminal")?;
    match shell::open(process.pid(), place, &prompt, terminal.watchdog()) {
        Ok(None) => page.remark("Back from the shell."),
        Ok(Some(signal)) => return Ok(Some(Next::Ended(signal))),
        Err(error) => page.remark(&format!("No shell there: {}", printable(&format!("{error:#}")))),
    }?;
    Ok(None)
}

/// Which of several places.
fn choose<'p>(
    room: &mut Room<'_>,
    places: &'p [Place],
    process: &ExperimentProcess,
    page: &Page<'_>,
) -> Result<Result<&'p Place, Option<Next>>> {
    let places = &places[..places.len().min(9)];
    let lines: Vec<_> = places
        .iter()
        .enumerate()
        .map(|(at, place)| {
            let line = format!("{}, PID {}: {}", printable(&place.who), place.pid, place.kinds());
            wrap(&line, page.columns(), &format!("   {}  ", at + 1), "      ")
        })
        .collect();
    page.say(&lines.concat())?;
    let prompt = format!("In whose namespaces, 1 to {}: ", places.len());
    let terminal = room.terminal.as_mut().context("no terminal")?;
    let pressed = terminal.key(|| page.say(&prompt), Some(process.pidfd()))?;
    page.say(&format!("{}\n", keys::echo(pressed)))?;
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

/// What the processes that were shown are called, by their PIDs.
fn labels(run: &Run) -> HashMap<i32, String> {
    run.actors().filter_map(|actor| Some((*actor.pids.first()?, actor.label.clone()))).collect()
}

/// A name that no shell takes for anything else.
fn prompt_name(place: &Place) -> String {
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-');
    place.who.chars().filter(plain).collect()
}
