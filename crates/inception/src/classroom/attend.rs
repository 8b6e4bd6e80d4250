//! Experiments one after another, each with the terminal to itself.

use anyhow::{Result, anyhow};
use lesson::{complain, status};
use ns_core::host;
use transcript::Event;

use super::options::Options;
use super::page::Page;
use super::pause::pause;
use super::predict::Predictions;
use super::process::ExperimentProcess;
use super::room::{Next, Room};
use super::terminal::die_of;
use crate::demos::Demo;
use crate::stdout::is_reader_gone;

/// Runs experiments one after another until one is left, each with the claims that are asked about: all, where none is
/// named. The exit status is the worst of theirs, and of the answers' where they come from a file; one that breaks is
/// told of, and the next begins.
///
/// # Errors
/// When there is no terminal, the answers cannot be read, or nobody reads the output any more.
pub(crate) fn one_by_one(
    classes: impl IntoIterator<Item = (&'static Demo, Vec<String>)>,
    options: &Options,
) -> Result<u8> {
    host::remember()?;
    let mut room = Room::open(options)?;
    // What waits for us in the namespaces waits all day.
    ns_core::take_all_day();
    let mut statuses = Vec::new();
    for (demo, ask) in classes {
        let status = match attend(&mut room, demo, ask) {
            Err(error) if is_reader_gone(&error) => return Err(error),
            Err(error) => {
                complain(demo.name, &error);
                status::BROKEN
            }
            Ok(status) => status,
        };
        statuses.push(status);
        if status == status::LEFT {
            break;
        }
    }
    // A wrong answer is a finding where answers are handed in, and none where somebody sits and learns.
    if options.answers.is_some() && room.scored.has_wrong() {
        statuses.push(status::UNEXPECTED);
    }
    let any = |status| statuses.contains(&status);
    let order = [status::LEFT, status::BROKEN, status::UNEXPECTED, status::AS_EXPECTED];
    let status = order.into_iter().find(|it| any(*it)).unwrap_or(status::NOTHING_ASKED);
    room.scored.write(status)?;
    Ok(status)
}

/// Runs one experiment, as often as it is wanted. Gives the exit status.
fn attend(room: &mut Room<'_>, demo: &'static Demo, mut ask: Vec<String>) -> Result<u8> {
    loop {
        let mut process = ExperimentProcess::start(demo, &room.options.experiments())?;
        let mut page = Page::new(room.options)?;
        match run(room, demo, &mut ask, &mut process, &mut page) {
            Ok(Next::Over(status)) => return process.end(Some(status)),
            Ok(Next::On) => return process.end(None),
            other => {
                process.dismiss()?;
                match other? {
                    Next::Left => return Ok(status::LEFT),
                    Next::NothingToAsk => return Ok(status::AS_EXPECTED),
                    Next::Ended(signal) => return Err(die_of(signal)),
                    _ => page.say("\n")?,
                }
            }
        }
    }
}

/// One run, from its first event to its last.
fn run(
    room: &mut Room<'_>,
    demo: &'static Demo,
    ask: &mut Vec<String>,
    process: &mut ExperimentProcess,
    page: &mut Page<'_>,
) -> Result<Next> {
    let mut predictions = Predictions::of(demo);
    // A step that is asked about is shown after its questions; in a review, one that nothing is asked about never is.
    let mut announced: Option<Event> = None;
    loop {
        let mut done = Vec::new();
        let stop = loop {
            match process.next()? {
                Some(stop @ (Event::Step { .. } | Event::End { .. })) => break stop,
                None => return Ok(Next::On),
                Some(event) if room.options.predict => done.push(event),
                Some(event) => page.show(&event)?,
            }
        };
        let Some(run) = process.run() else { return Ok(Next::On) };
        if matches!(done.first(), Some(Event::Begin { .. })) && !ask.is_empty() {
            // A score may be older than the program.
            ask.retain(|id| {
                let is_known = run.claim(id).is_some();
                if !is_known {
                    complain(demo.name, &anyhow!("no claim is called '{id}' any more; it is not asked"));
                }
                is_known
            });
            if ask.is_empty() {
                return Ok(Next::NothingToAsk);
            }
        }
        if is_shown(&done, ask) {
            done.splice(0..0, announced.take());
            match predictions.ask_about(done, run, ask, room, page)? {
                Next::On => {}
                other => return Ok(other),
            }
        }
        if let Event::End { status, .. } = stop {
            page.show(&stop)?;
            if room.options.predict {
                predictions.sum_up(room, page)?;
            }
            return Ok(Next::Over(status));
        }
        if room.options.predict {
            announced = Some(stop);
        } else {
            page.show(&stop)?;
        }
        if room.options.pause {
            match pause(room, demo, process, page)? {
                Next::On => {}
                other => return Ok(other),
            }
        }
        process.go_on()?;
    }
}

/// Whether something in what was done in a step is asked about; where nothing is chosen, all is.
fn is_shown(done: &[Event], ask: &[String]) -> bool {
    let is_asked = |event: &Event| match event {
        Event::Begin { .. } => true,
        Event::Judged { claim, .. } => ask.contains(claim),
        _ => false,
    };
    ask.is_empty() || done.iter().any(is_asked)
}
