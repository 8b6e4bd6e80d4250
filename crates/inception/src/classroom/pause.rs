//! `--pause`: at each step, what a key does.

use std::collections::HashMap;

use anyhow::{Context, Result};
use lesson::complain;
use ns_core::{Kind, Namespaces, printable};

use super::page::{Label, Page, Part};
use super::places::{self, Place};
use super::process::ExperimentProcess;
use super::room::{Next, Room};
use super::terminal::Pressed;
use super::{keys, shell, why};
use crate::demos::Demo;
use transcript::{Event, Run};

const KEYS: [(&str, &str); 7] = [
    ("Enter, n", "go on: do the step that is announced; then its claims, one by one"),
    ("b", "back: what was shown before, again; Enter comes forward"),
    ("r", "run the experiment again, in fresh namespaces"),
    ("s", "a shell inside the namespaces that the steps so far have made"),
    ("w", "why: the rules that this step has shown, and the manual pages that state them"),
    ("q", "quit, and clean up"),
    ("?", "this list"),
];
/// The same in a line, and in a shorter one.
const LINE: [&str; 2] = ["Enter next  b back  r again  s shell  w why  q quit  ? help", "Enter b r s w q ? "];

/// Shows what happened, and where the class pauses waits after it for what is wanted.
pub(super) fn reveal(
    room: &mut Room<'_>,
    demo: &Demo,
    process: &ExperimentProcess,
    page: &mut Page<'_>,
    part: Part,
    events: Vec<Event>,
) -> Result<Next> {
    let last = events.iter().rev().find_map(|event| match event {
        Event::Step { number, .. } => Some(*number),
        _ => None,
    });
    note(room, demo, process, last.unwrap_or(page.step()), part, &events);
    if !room.options.pause {
        page.show(part, events)?;
        return Ok(Next::On);
    }
    if page.turn_to(part, events)? && !page.is_over() {
        pause(room, demo, process, page)
    } else {
        Ok(Next::On)
    }
}

/// Writes the teacher's notes for what is shown or asked about.
pub(super) fn note(
    room: &mut Room<'_>,
    demo: &Demo,
    process: &ExperimentProcess,
    step: usize,
    part: Part,
    events: &[Event],
) {
    if let (Some(notes), Some(run), false) = (&mut room.notes, process.run(), events.is_empty()) {
        if let Err(error) = notes.write(demo, run, step, part, events) {
            // Said once; the class goes on.
            complain("inception", &error);
            room.notes = None;
        }
    }
}

/// Waits until what is shown was read, and all that was turned to meanwhile.
fn pause(room: &mut Room<'_>, demo: &Demo, process: &ExperimentProcess, page: &mut Page<'_>) -> Result<Next> {
    let Some(run) = process.run() else { return Ok(Next::On) };
    loop {
        let prompt = prompt(page.label(), page.columns());
        let terminal = room.terminal.as_mut().context("no terminal")?;
        let pressed = terminal.key(|| page.say(&prompt), Some(process.pidfd()))?;
        let turns = matches!(pressed, Pressed::Key('\n' | 'n' | 'b'));
        page.answered(&if turns { String::new() } else { format!(" {}", keys::echo(pressed)) })?;
        match pressed {
            Pressed::Key('\n' | 'n') => {
                if !page.forward()? || page.is_over() {
                    return Ok(Next::On);
                }
            }
            Pressed::Key('b') => {
                if !page.back()? {
                    page.remark("There is nothing before this.")?;
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
            // It says itself how it ended.
            Pressed::Gone => return Ok(Next::On),
        }
    }
}

/// Where the class is, and the keys, in less than a line.
fn prompt(label: Option<Label>, columns: usize) -> String {
    // Before the first step there is no place.
    let place = label.filter(|it| it.step > 0 || it.part == Part::End);
    let place = place.map_or_else(String::new, |Label { step, part, screen: (screen, screens) }| {
        let step = if part == Part::End { "end".into() } else { format!("step {step}") };
        let more = match part {
            _ if screens > 1 => format!(", page {screen}/{screens}"),
            Part::Claim(at, of) => format!(", {at} of {of}"),
            Part::Rest => ", done".into(),
            Part::Announced | Part::End => String::new(),
        };
        format!("[{step}{more}] ")
    });
    let lines = LINE.iter().flat_map(|keys| [format!("{place}{keys}"), (*keys).to_string()]);
    let mut fitting = lines.filter(|line| line.len() < columns);
    fitting.next().unwrap_or_else(|| LINE[1].into())
}

/// A shell at the place that is chosen. `Some` if the class ends with it.
fn enter(
    room: &mut Room<'_>,
    run: &Run,
    process: &ExperimentProcess,
    page: &Page<'_>,
) -> Result<Option<Next>> {
    let step = page.label().map_or(0, |label| label.step);
    let places = places::of(process.pid(), &labels(run), made(run, step))?;
    let place = match places.as_slice() {
        [] => {
            page.remark(
                "No process of the experiment is in a namespace or a cgroup that your own shell is not in. \
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
    let prompt = format!("step {step}, {}", prompt_name(place));
    let ended = shell::open(process.pid(), place, &prompt, page.layout());
    page.is_disturbed();
    match ended {
        Ok(None) => page.remark("Back from the shell."),
        Ok(Some(signal)) => return Ok(Some(Next::Ended(signal))),
        Err(error) => page.remark(&format!("No shell there: {}", printable(&format!("{error:#}")))),
    }?;
    Ok(None)
}

/// Which of several places: a digit, and Enter.
fn choose<'p>(
    room: &mut Room<'_>,
    places: &'p [Place],
    process: &ExperimentProcess,
    page: &Page<'_>,
) -> Result<Result<&'p Place, Option<Next>>> {
    let places = &places[..places.len().min(9)];
    let lines = places.iter().enumerate().map(|(at, place)| {
        page.layout().wrap(&printable(&place.words()), &format!("   {}  ", at + 1), "      ")
    });
    page.say(&lines.collect::<String>())?;
    let prompt = format!("In whose namespaces, 1 to {}, then Enter: ", places.len());
    let place = |key: char| places.get((key.to_digit(10)? as usize).checked_sub(1)?);
    let mut chosen = None;
    loop {
        let terminal = room.terminal.as_mut().context("no terminal")?;
        let typed = chosen.map_or_else(String::new, |key: char| key.to_string());
        let pressed = terminal.key(|| page.say(&format!("{prompt}{typed}")), Some(process.pidfd()))?;
        match pressed {
            Pressed::Key(key) if place(key).is_some() => {
                chosen = Some(key);
                page.retract()?;
            }
            // A digit by itself is no answer, so its Enter is none to what comes next.
            Pressed::Key('\n') if chosen.is_some() => {
                page.answered(" ")?;
                return Ok(chosen.and_then(place).ok_or(None));
            }
            Pressed::Ended(signal) => return Ok(Err(Some(Next::Ended(signal)))),
            Pressed::Gone => return Ok(Err(Some(Next::On))),
            other => {
                page.answered(&format!("{} ", keys::echo(other)))?;
                page.remark("None of them: no shell.")?;
                return Ok(Err(None));
            }
        }
    }
}

/// The kinds of namespaces that a step has made: those that its processes were in, and those that
/// its calls name, and what sets its arms apart.
fn made(run: &Run, step: usize) -> Namespaces {
    let is_it = |event: &Event| matches!(event, Event::Step { number, .. } if *number == step);
    let Some(events) = run.steps().find(|events| events.first().is_some_and(is_it)) else {
        return Namespaces::NONE;
    };
    let named_in = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let kinds = words.filter_map(|word| Kind::ALL.into_iter().find(|kind| kind.flag() == word));
        kinds.fold(Namespaces::NONE, |all, kind| all | Namespaces::only(kind))
    };
    let mut made = Namespaces::NONE;
    for event in events {
        match event {
            Event::Step { calls, claims, .. } => {
                made |= calls.iter().fold(Namespaces::NONE, |all, call| all | named_in(call));
                for claim in claims.iter().filter_map(|id| run.claim(id)) {
                    let [_, treatment] = claim.head.arm_names();
                    made |= named_in(&claim.head.factor) | named_in(&treatment);
                }
            }
            Event::Actor(actor) => {
                made |=
                    actor.elsewhere.iter().fold(Namespaces::NONE, |all, id| all | Namespaces::only(id.kind));
            }
            _ => {}
        }
    }
    made
}

/// What the processes that were shown are called, by their PIDs.
fn labels(run: &Run) -> HashMap<i32, String> {
    run.actors().filter_map(|actor| Some((*actor.pids.first()?, actor.label.clone()))).collect()
}

/// A name that no shell takes for anything else.
fn prompt_name(place: &Place) -> String {
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-');
    let words = if place.held.is_some() || !place.anew.is_empty() {
        let kinds: Vec<_> = place.own.kinds().map(|kind| kind.to_string()).collect();
        format!("new {}", kinds.join(" "))
    } else {
        place.who.clone()
    };
    words.chars().filter(plain).collect()
}
