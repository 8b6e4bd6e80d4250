//! Experiments one after another, each with the terminal to itself.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};
use lesson::{complain, status};
use ns_core::host;
use transcript::{Event, Run};

use super::go_on;
use super::options::Options;
use super::page::{Page, Part};
use super::pause::reveal;
use super::predict::Predictions;
use super::process::ExperimentProcess;
use super::room::{Next, Room};
use super::terminal::die_of;
use crate::demos::Demo;

/// Runs experiments one after another until one is left, each with the claims that are asked about: all, where none is
/// named. The exit status is the worst of theirs, and of the answers' where they come from a file; one that breaks is
/// named, and the next begins.
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
    let mut classes: VecDeque<_> = classes.into_iter().collect();
    while let Some((demo, ask)) = classes.pop_front() {
        let others: Vec<&Demo> = classes.iter().map(|(demo, _)| *demo).collect();
        let status = match attend(&mut room, demo, ask, &others) {
            Err(error) if lesson::is_reader_gone(&error) => return Err(error),
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
    let status = status::worst(&statuses);
    room.scored.write(status)?;
    Ok(status)
}

/// Runs one experiment, as often as it is wanted. Gives the exit status. Leaving prints how to go on, with the `others`
/// that were to come.
fn attend(room: &mut Room<'_>, demo: &'static Demo, mut ask: Vec<String>, others: &[&Demo]) -> Result<u8> {
    loop {
        let mut process = ExperimentProcess::start(demo, &room.options.experiments())?;
        let mut page = Page::new(room.options)?;
        match run(room, demo, &mut ask, &mut process, &mut page) {
            Ok(Next::Over(status)) => return process.end(Some(status)),
            Ok(Next::On) => return process.end(None),
            other => {
                let next = room.asking.or_else(|| next_step(process.run()?, &page));
                let left = next.map(|next| (demo, next));
                process.dismiss()?;
                match other? {
                    Next::Left => {
                        let program = std::env::args().next().unwrap_or_default();
                        // A review asks again what it has not asked.
                        let command = go_on::command(&program, room.options, left, others);
                        if let Some(command) = command.filter(|_| ask.is_empty()) {
                            page.say(&format!("go on: {command}\n"))?;
                        }
                        return Ok(status::LEFT);
                    }
                    Next::NothingToAsk => return Ok(status::AS_EXPECTED),
                    Next::Ended(signal) => return Err(die_of(signal)),
                    _ => page.say("\n")?,
                }
            }
        }
    }
}

/// The step that a run is gone on with: the one that is shown, unless it was shown whole.
fn next_step(run: &Run, page: &Page<'_>) -> Option<usize> {
    let is_done = page.is_done();
    let next = if is_done && run.end.is_some() { None } else { run.step() };
    if is_done { next } else { Some(page.step().max(1)) }
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
    // What comes before all steps, to be read with the first.
    let mut before = Vec::new();
    loop {
        let mut done = Vec::new();
        let stop = loop {
            match process.next()? {
                Some(stop @ (Event::Step { .. } | Event::End { .. })) => break stop,
                // What it said before it ended without a last word.
                None => {
                    page.show(Part::Rest, done)?;
                    return Ok(Next::On);
                }
                Some(event) => done.push(event),
            }
        };
        let Some(run) = process.run() else { return Ok(Next::On) };
        if let Some(Event::Begin { .. }) = done.first() {
            if !ask.is_empty() {
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
            room.scored.begin(&run.begin.origin, &run.begin.kernel);
            if room.options.pause {
                before = std::mem::take(&mut done);
            }
        }
        if is_shown(&done, ask) {
            if let Some(Event::Step { number, .. }) = &announced {
                room.asking = Some(*number);
            }
            done.splice(0..0, announced.take());
            match predictions.ask_about(done, process, ask, room, page)? {
                Next::On => {}
                other => return Ok(other),
            }
        }
        if let Event::End { status, .. } = stop {
            before.push(stop);
            match reveal(room, demo, process, page, Part::End, before)? {
                Next::On => {}
                other => return Ok(other),
            }
            if room.options.predict {
                predictions.sum_up(room, page)?;
            }
            process.go_on()?;
            return Ok(Next::Over(status));
        }
        // A step that is asked about would give its answers away.
        if room.options.predict {
            announced = Some(stop);
        } else {
            before.push(stop);
        }
        match reveal(room, demo, process, page, Part::Announced, std::mem::take(&mut before))? {
            Next::On => {}
            other => return Ok(other),
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
