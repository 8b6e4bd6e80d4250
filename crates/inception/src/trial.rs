//! One experiment, run and read: from its events to an account of it.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use clap::Args;
use lesson::{ClaimHead, Event, SCHEMA, Tally, Verdict};
use ns_core::End;
use ns_core::fact::printable;
use serde::Deserialize;

use crate::demos::Demo;
use crate::outbox::Outbox;
use crate::program::{self, Running};

/// What became of an experiment.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) demo: &'static Demo,
    /// Its claims, in the order in which it declares them.
    pub(crate) claims: Vec<Settled>,
    /// The status with which it exited.
    pub(crate) status: u8,
    /// Why it broke, if it did.
    pub(crate) broken: Option<String>,
    pub(crate) elapsed: Duration,
}

/// A claim, and what became of it.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) head: ClaimHead,
    pub(crate) fate: Option<Fate>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Judged { verdict: Verdict, expected: bool },
    Skipped { missing: String, remedy: String },
}

/// What is left out or asked for, in all experiments of a run.
#[derive(Debug, Args)]
pub(crate) struct Conditions {
    /// Leave the causes out: no claim may hold then
    #[arg(long)]
    pub(crate) sabotage: bool,

    /// Count a skipped claim as a failure (also LAB_MUST_RUN=1)
    #[arg(long)]
    must_run: bool,
}

impl Conditions {
    /// As options of an experiment.
    pub(crate) fn options(&self) -> Vec<&'static str> {
        let options = [(self.sabotage, "--sabotage"), (self.must_run, "--must-run")];
        options.into_iter().filter(|(on, _)| *on).map(|(_, option)| option).collect()
    }
}

/// Runs a demo's experiment with `options` besides `--format jsonl`. Each event is given to `show`, with the line that
/// it came in; for an experiment that breaks without a last word, one is made.
///
/// # Errors
/// When the output cannot be written. That the experiment broke is no error, but stands in the account.
pub(crate) fn run(
    demo: &'static Demo,
    options: &[&str],
    outbox: &Outbox,
    mut show: impl FnMut(&Event, &[u8]) -> Result<()>,
) -> Result<Account> {
    let began = Instant::now();
    let mut watch = Watch::default();
    let faults = match start(demo, options) {
        Err(error) => Err(error),
        Ok(mut running) => loop {
            let Some(line) = running.line(outbox)? else {
                break watch.last(running);
            };
            match watch.read(&line) {
                Ok(event) => show(&event, &line)?,
                Err(error) => break Err(error),
            }
        },
    };
    let broken = match faults {
        Ok(()) => watch.broken,
        Err(error) => Some(format!("{error:#}")),
    };
    let elapsed = began.elapsed();
    if broken.is_some() && watch.begun && watch.status.is_none() {
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let status = lesson::status::BROKEN;
        let event = Event::End { tally: watch.tally, broken: broken.clone(), status, elapsed: nanoseconds };
        show(&event, &serde_json::to_vec(&event)?)?;
    }
    outbox.write_out()?;
    let status = if broken.is_some() { lesson::status::BROKEN } else { watch.status.unwrap_or_default() };
    Ok(Account { demo, claims: watch.claims, status, broken, elapsed })
}

fn start(demo: &Demo, options: &[&str]) -> Result<Running> {
    let arguments = [&["--format", "jsonl"], options].concat();
    let program = program::find(demo.name).ok_or_else(|| program::not_found(&[demo.name]))?;
    Running::start(&program, &arguments)
}

/// What an experiment has said so far. It may not contradict itself.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    lines: usize,
    begun: bool,
    pub(crate) claims: Vec<Settled>,
    tally: Tally,
    /// The status that it said it would exit with, which is its last word.
    pub(crate) status: Option<u8>,
    pub(crate) broken: Option<String>,
}

impl Watch {
    fn read(&mut self, line: &[u8]) -> Result<Event> {
        self.lines += 1;
        let event = event(line).map_err(|why| anyhow!("its line {} is {why}", self.lines))?;
        self.follow(&event)?;
        Ok(event)
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When it contradicts what was said before.
    pub(crate) fn follow(&mut self, event: &Event) -> Result<()> {
        ensure!(self.status.is_none(), "it goes on after its end");
        match event {
            Event::Begin { claims, .. } => {
                ensure!(!self.begun, "it begins twice");
                self.begun = true;
                self.claims = claims.iter().map(|head| Settled { head: head.clone(), fate: None }).collect();
            }
            _ if !self.begun => bail!("it does not begin with 'begin'"),
            Event::Judged { claim, verdict, expected, .. } => {
                self.tally.count(*verdict, *expected);
                self.settle(claim, Fate::Judged { verdict: *verdict, expected: *expected })?;
            }
            Event::Skipped { claim, missing, remedy } => {
                self.tally.count(Verdict::Skipped, true);
                self.settle(claim, Fate::Skipped { missing: missing.clone(), remedy: remedy.clone() })?;
            }
            Event::End { tally, broken, status, .. } => {
                ensure!(*tally == self.tally, "its last count of the verdicts is wrong");
                self.status = Some(*status);
                self.broken.clone_from(broken);
            }
            Event::Step { .. } | Event::Actor(_) | Event::Saw(_) | Event::Table { .. } => {}
        }
        Ok(())
    }

    fn settle(&mut self, id: &str, fate: Fate) -> Result<()> {
        let claim = self.claims.iter_mut().find(|claim| claim.head.id == id);
        let claim = claim.ok_or_else(|| anyhow!("it settles '{id}', which it has not declared"))?;
        ensure!(claim.fate.is_none(), "it settles '{id}' twice");
        claim.fate = Some(fate);
        Ok(())
    }

    /// It will say no more.
    fn last(&self, running: Running) -> Result<()> {
        let end = running.end()?;
        let Some(said) = self.status else { bail!("it ended without its last word: {end}") };
        ensure!(end == End::Exited(i32::from(said)), "it said that it would exit with {said}: {end}");
        self.all_settled()
    }

    /// Whether it has settled all that it declared, unless it broke.
    ///
    /// # Errors
    /// One line that names the first claim that is left.
    pub(crate) fn all_settled(&self) -> Result<()> {
        match self.claims.iter().find(|claim| claim.fate.is_none()) {
            Some(left) if self.broken.is_none() => bail!("it has not settled '{}'", left.head.id),
            _ => Ok(()),
        }
    }
}

/// The event in a line, or why there is none.
pub(crate) fn event(line: &[u8]) -> Result<Event, String> {
    /// What a line of another version has in common with ours.
    #[derive(Deserialize)]
    struct Versioned {
        schema: u32,
    }
    let event = serde_json::from_slice(line);
    let version = match &event {
        Ok(Event::Begin { schema, .. }) => *schema,
        Ok(_) => SCHEMA,
        Err(_) => serde_json::from_slice(line).map_or(SCHEMA, |Versioned { schema }| schema),
    };
    if version != SCHEMA {
        return Err(format!(
            "an event of version {version}, and this program reads {SCHEMA}: take both from one build"
        ));
    }
    event.map_err(|error| format!("no event ({error}): {}", beginning_of(line)))
}

fn beginning_of(line: &[u8]) -> String {
    const ENOUGH: usize = 40;
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * ENOUGH)]);
    printable(&text.chars().take(ENOUGH).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = r#"{"event":"begin","schema":1,"experiment":"x","question":"?","notes":"","man":[],"kernel":"6.12","sabotage":false,"stage":{"namespaces":[],"uid":0},"claims":[{"id":"a","text":"A.","cause":"","expect":"holds","correction":null,"notes":[],"more":[]}]}"#;
    const JUDGED: &str = r#"{"event":"judged","claim":"a","verdict":"holds","expected":true,"without":{"effect":false,"facts":[]},"with":{"effect":true,"facts":[]}}"#;
    const END: &str = r#"{"event":"end","tally":{"holds":1,"refuted":0,"unproven":0,"skipped":0,"unexpected":0},"broken":null,"status":0,"elapsed":1}"#;

    fn fault(lines: &[&str]) -> String {
        let mut watch = Watch::default();
        let faults: Vec<_> = lines.iter().filter_map(|line| watch.read(line.as_bytes()).err()).collect();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_whole_transcript_is_taken() {
        assert_eq!(fault(&[BEGIN, JUDGED, END]), "");
    }

    #[test]
    fn a_transcript_may_not_contradict_itself() {
        assert_eq!(fault(&[JUDGED]), "it does not begin with 'begin'");
        assert_eq!(fault(&[BEGIN, BEGIN]), "it begins twice");
        assert_eq!(fault(&[BEGIN, JUDGED, JUDGED]), "it settles 'a' twice");
        assert_eq!(fault(&[BEGIN, END]), "its last count of the verdicts is wrong");
        assert_eq!(fault(&[BEGIN, JUDGED, END, JUDGED]), "it goes on after its end");
        let other = JUDGED.replace(r#""claim":"a""#, r#""claim":"b""#);
        assert_eq!(fault(&[BEGIN, &other]), "it settles 'b', which it has not declared");
        let later = BEGIN.replace(r#""schema":1"#, r#""schema":2"#);
        assert_eq!(
            fault(&[&later]),
            "its line 1 is an event of version 2, and this program reads 1: take both from one build"
        );
    }

    #[test]
    fn a_line_that_is_no_event_is_shown() {
        assert_eq!(
            fault(&["\u{1b}[2Jhello"]),
            "its line 1 is no event (expected value at line 1 column 1): \\u{1b}[2Jhello"
        );
    }
}
