//! Experiments, several at a time, shown one after another: from their events to an account of each.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use lesson::status;
use nix::unistd::getpid;
use ns_core::{ExitStatus, probe};
use rustix::fs::{MemfdFlags, memfd_create};
use transcript::{Event, Reader, Run};

use crate::demos::Demo;
use crate::program::{self, Running};
use crate::stdout::BufferedStdout;
use crate::trial::Account;

/// How many experiments run at the same time.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Jobs {
    /// Run up to N experiments at the same time; they are shown in order [default: three for each CPU, and 1 in a
    /// machine to throw away]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl Jobs {
    fn number(&self) -> usize {
        // There some change the whole machine.
        let is_expendable = || probe::throw_away().is_ok_and(|unmet| unmet.is_none());
        // Most of their time is spent waiting for the kernel. So several for each CPU keep it busy.
        let several = |cpus: NonZeroUsize| cpus.saturating_mul(NonZeroUsize::MIN.saturating_add(2));
        let by_default = || if is_expendable() { None } else { available_parallelism().ok().map(several) };
        self.jobs.or_else(by_default).map_or(1, NonZeroUsize::get)
    }
}

/// Experiments of which some run and some are to come. It gives an account of each in the order in which they were
/// chosen. Dropping it ends those that run.
pub(crate) struct Series<'a> {
    /// In the order in which they are shown. The first is the one that is read; what the others write waits.
    left: VecDeque<Place>,
    options: &'a [String],
    jobs: usize,
    /// What they lock, so that those that have to be alone are. It is in memory, and ends with us.
    turns: Option<OwnedFd>,
    stdout: &'a BufferedStdout,
}

/// An experiment's place in the order.
struct Place {
    demo: &'static Demo,
    started: Option<Started>,
}

struct Started {
    running: Result<Running>,
    began: Instant,
    elapsed: Option<Duration>,
}

impl Place {
    /// What runs, if it was started and goes on.
    fn running(&self) -> Option<&Running> {
        self.started.as_ref()?.running.as_ref().ok().filter(|running| !running.is_finished())
    }
}

impl Started {
    fn elapsed(&self) -> Duration {
        self.elapsed.unwrap_or_else(|| self.began.elapsed())
    }
}

impl<'a> Series<'a> {
    /// Of the experiments of `demos`, with `options` besides `--format jsonl`. What waits in `stdout` is written while
    /// they are waited for.
    pub(crate) fn new(
        demos: &[&'static Demo],
        options: &'a [String],
        jobs: &Jobs,
        stdout: &'a BufferedStdout,
    ) -> Series<'a> {
        let left: VecDeque<_> = demos.iter().map(|demo| Place { demo, started: None }).collect();
        let jobs = jobs.number().min(left.len());
        let turns = (jobs > 1).then(|| memfd_create("turns", MemfdFlags::CLOEXEC).ok()).flatten();
        // Without the lock, one at a time.
        let jobs = if turns.is_some() { jobs } else { 1 };
        Series { left, options, jobs, turns, stdout }
    }

    /// Reads the next experiment to its end. Each event is given to `show`, with the line that it came in; for an
    /// experiment that breaks without a last word, one is made.
    ///
    /// # Errors
    /// When the output cannot be written. That the experiment broke is no error, but stands in the account.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn next(&mut self, mut show: impl FnMut(&Event, &[u8]) -> Result<()>) -> Result<Account> {
        let mut reader = Reader::default();
        let faults = loop {
            match self.line()? {
                None => break Ok(()),
                Some(line) => match reader.take(&line) {
                    Ok(event) => show(&event, &line)?,
                    Err(error) => break Err(error),
                },
            }
        };
        let Place { demo, started } = self.left.pop_front().expect("one was read");
        let started = started.expect("it was started");
        let elapsed = started.elapsed();
        let faults = faults.and_then(|()| last(reader.run(), started.running?));
        let mut run = reader.into_run();
        let broken = match faults {
            Ok(()) => run.as_ref().and_then(Run::broken).map(String::from),
            Err(error) => Some(format!("{error:#}")),
        };
        let said = run.as_ref().and_then(|run| run.end.as_ref()).map(|end| end.status);
        if let (Some(why), Some(run), None) = (&broken, &mut run, said) {
            let event = run.break_off(why, status::BROKEN, elapsed);
            show(&event, &serde_json::to_vec(&event)?)?;
        }
        self.stdout.write_out()?;
        let status = if broken.is_some() { status::BROKEN } else { said.unwrap_or_default() };
        Ok(Account { demo, run, status, broken, elapsed })
    }

    /// Reads all to their ends, and shows nothing.
    ///
    /// # Errors
    /// As [`Series::next`].
    pub(crate) fn accounts(mut self) -> Result<Vec<Account>> {
        (0..self.left.len()).map(|_| self.next(|_, _| Ok(()))).collect()
    }

    /// The next line of the experiment that is read.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            self.start();
            let first = self.left.front_mut().expect("there is one to be read");
            let Some(started) = &mut first.started else {
                // Until one of the others ends.
                self.read()?;
                continue;
            };
            let Ok(running) = &mut started.running else { return Ok(None) };
            match running.take_line() {
                None if !running.is_finished() => self.read()?,
                line => return Ok(line),
            }
        }
    }

    /// Starts as many as may run: the one that is read, and then those that take longest, so that none of these is left
    /// for the end.
    fn start(&mut self) {
        while self.left.iter().filter_map(Place::running).count() < self.jobs {
            let to_come = self.left.iter_mut().enumerate().filter(|(_, place)| place.started.is_none());
            let Some((_, place)) = to_come.max_by_key(|(at, place)| urgency(*at, place.demo)) else { return };
            let turn = self.turns.as_ref().map(|file| format!("/proc/{}/fd/{}", getpid(), file.as_raw_fd()));
            let (began, running) = (Instant::now(), start(place.demo, self.options, turn.as_deref()));
            place.started = Some(Started { running, began, elapsed: None });
        }
    }

    /// Waits until one of those that run has written something or has ended, and reads that.
    fn read(&mut self) -> Result<()> {
        let sources: Vec<_> =
            self.left.iter().filter_map(Place::running).flat_map(Running::sources).collect();
        let ready = self.stdout.wait(&sources)?;
        let running = self.left.iter_mut().filter(|place| place.running().is_some());
        for (started, ready) in running.filter_map(|place| place.started.as_mut()).zip(ready.chunks(2)) {
            let Ok(running) = &mut started.running else { continue };
            if ready.contains(&true) {
                running.read(ready[0])?;
            }
            if running.is_finished() {
                started.elapsed = Some(started.began.elapsed());
            }
        }
        Ok(())
    }
}

/// The one that is read goes first, and of the others the longest. An experiment takes the longer, the more claims it has,
/// and so the longer its reference is, which lists them with a whole run.
fn urgency(at: usize, demo: &Demo) -> (bool, usize) {
    (at == 0, demo.reference.len())
}

fn start(demo: &Demo, options: &[String], turn: Option<&str>) -> Result<Running> {
    let options = options.iter().map(String::as_str);
    let turn = turn.into_iter().flat_map(|file| ["--turn", file]);
    let arguments: Vec<_> = ["--format", "jsonl"].into_iter().chain(options).chain(turn).collect();
    let program = program::find(demo.name).ok_or_else(|| program::not_found(&[demo.name]))?;
    Running::start(&program, &arguments)
}

/// It will say no more: it has to have ended as it said.
fn last(run: Option<&Run>, running: Running) -> Result<()> {
    let end = running.end()?;
    let Some((run, said)) = run.and_then(|run| Some((run, run.end.as_ref()?.status))) else {
        bail!("it ended without its last word: {end}");
    };
    ensure!(end == ExitStatus::Exited(i32::from(said)), "it said that it would exit with {said}: {end}");
    run.all_settled()
}
