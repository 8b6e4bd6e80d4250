//! What experiments said: as they run, or as a transcript has it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lesson::Event;

use crate::demos::{self, Demo};
use crate::outbox::Outbox;
use crate::transcript::each_line;
use crate::trial::{self, Account, Watch};

/// What became of experiments, and the events of each.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) accounts: Vec<Account>,
    /// As many as there are accounts.
    events: Vec<Vec<Event>>,
}

impl Told {
    pub(crate) fn each(&self) -> impl Iterator<Item = (&Account, &[Event])> {
        self.accounts.iter().zip(self.events.iter().map(Vec::as_slice))
    }

    fn push(&mut self, account: Account, events: Vec<Event>) {
        self.accounts.push(account);
        self.events.push(events);
    }
}

/// Runs demos, one after another.
///
/// # Errors
/// As [`trial::run`].
pub(super) fn run(chosen: &[&'static Demo], options: &[&str], outbox: &Outbox) -> Result<Told> {
    let mut told = Told::default();
    for demo in chosen {
        let mut events = Vec::new();
        let account = trial::run(demo, options, outbox, |event, _| {
            events.push(event.clone());
            Ok(())
        })?;
        told.push(account, events);
    }
    Ok(told)
}

/// Reads of a transcript what is of the demos `chosen`.
///
/// # Errors
/// One line that names the file, and the line of it, when it cannot be read, is no transcript, is cut short, or has
/// nothing of these demos.
pub(super) fn read(file: &Path, chosen: &[&'static Demo]) -> Result<Told> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "standard input".into() } else { file.display().to_string() };
    let input: Box<dyn Read> = if is_stdin {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot open {name}"))?)
    };
    let mut reading = Reading::default();
    let number = each_line(&name, input, |line| reading.take(line))?;
    ensure!(reading.now.is_none(), "{name}: line {number}: cut short, the last experiment has not ended");
    let mut told = Told::default();
    for (account, events) in reading.told.accounts.into_iter().zip(reading.told.events) {
        if chosen.contains(&account.demo) {
            told.push(account, events);
        }
    }
    ensure!(!told.accounts.is_empty(), "{name}: nothing in it is of the demos that were asked for");
    Ok(told)
}

#[derive(Debug, Default)]
struct Reading {
    told: Told,
    /// The experiment that has not ended.
    now: Option<(&'static Demo, Watch, Vec<Event>)>,
}

impl Reading {
    fn take(&mut self, line: &[u8]) -> Result<()> {
        let event = trial::event(line).map_err(anyhow::Error::msg)?;
        if let Event::Begin { experiment, .. } = &event {
            if let Some((demo, ..)) = &self.now {
                bail!("cut short before it, '{}' has not ended", demo.name);
            }
            let demo = demos::ALL.iter().find(|demo| demo.name == *experiment);
            let demo = demo.with_context(|| format!("no demo is called '{experiment}'"))?;
            self.now = Some((demo, Watch::default(), Vec::new()));
        }
        let (_, watch, events) = self.now.as_mut().context("a transcript begins with 'begin'")?;
        watch.follow(&event)?;
        events.push(event);
        if watch.status.is_none() {
            return Ok(());
        }
        watch.all_settled()?;
        if let Some((demo, watch, events)) = self.now.take() {
            let elapsed = match events.last() {
                Some(Event::End { elapsed, .. }) => Duration::from_nanos(*elapsed),
                _ => Duration::ZERO,
            };
            let Watch { claims, broken, status, .. } = watch;
            let account = Account { demo, claims, status: status.unwrap_or_default(), broken, elapsed };
            self.told.push(account, events);
        }
        Ok(())
    }
}
