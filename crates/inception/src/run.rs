//! `inception run`: runs experiments, shows what happens as it happens, and sums up.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use lesson::render::{Junit, Renderer, Tap, Text, cast};
use lesson::{Event, Screen, Transcript, complain};
use owo_colors::{OwoColorize, Style};

use crate::demos::{self, Demo};
use crate::outbox::Outbox;
use crate::trial::{self, Account, Conditions};
use crate::{attend, program, summary};

/// What to run, and how.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Numbers or names; none means all
    #[arg(value_name = "NN|NAME|all")]
    demos: Vec<OsString>,

    /// What to write: text for people, jsonl: one JSON object an event (docs/events.md), tap or junit: for graders
    #[arg(long, value_enum, default_value_t = Transcript::Text)]
    format: Transcript,

    #[command(flatten)]
    screen: Screen,

    /// Names in the place of what differs from run to run.
    // Not in the comment above, where rustdoc would take it for HTML.
    #[arg(long, help = "Show <pid A>, <name B> and the like for what differs from run to run")]
    stable: bool,

    /// Say too who saw what, and which namespaces each process is in
    #[arg(short, long)]
    verbose: bool,

    /// Show the summary alone
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,

    /// Record the text too, for asciinema's player, at the pace of a reader
    #[arg(long, value_name = "FILE.cast")]
    record: Option<PathBuf>,

    /// Stop at each step until a key is pressed; ? lists the keys
    #[arg(long, conflicts_with = "quiet")]
    pause: bool,

    /// Ask for a prediction before each verdict, and keep the score
    #[arg(long, conflicts_with = "quiet")]
    predict: bool,

    /// With --predict: take the answers from a file, one a line (-: standard input)
    #[arg(long, value_name = "FILE", requires = "predict", conflicts_with = "pause")]
    answers: Option<PathBuf>,

    #[command(flatten)]
    conditions: Conditions,
}

impl Run {
    /// Runs what was chosen. The exit status is the worst of theirs.
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        require_any(&chosen)?;
        if self.pause || self.predict {
            return self.attend(chosen);
        }
        let outbox = Outbox::open(&self.screen)?;
        let options = self.conditions.options();
        // Those that go on from one experiment to the next.
        let mut others: Vec<Box<dyn Renderer>> = Vec::new();
        match self.format {
            Transcript::Tap if !self.quiet => others.push(Box::new(Tap::new(outbox.clone()))),
            Transcript::Junit if !self.quiet => others.push(Box::new(Junit::new(outbox.clone()))),
            _ => {}
        }
        if let Some(path) = &self.record {
            others.push(Box::new(cast(path, self.screen.columns(), self.stable, self.verbose)?));
        }
        let mut accounts = Vec::new();
        for demo in &chosen {
            if chosen.len() > 1 && self.is_told() {
                outbox.show(&rule(demo, self.screen.columns()))?;
            }
            let account = self.tell(demo, &options, &outbox, &mut others)?;
            if self.format != Transcript::Text {
                complain_if_broken(&account);
            }
            accounts.push(account);
        }
        for other in &mut others {
            other.finish()?;
        }
        outbox.write_out()?;
        if self.format == Transcript::Text {
            outbox.show(&summary::text(
                &accounts,
                self.conditions.sabotage,
                self.stable,
                self.screen.columns(),
            ))?;
        }
        Ok(summary::status(&accounts))
    }

    /// Gives each experiment the terminal, one after another.
    fn attend(&self, chosen: Vec<&'static Demo>) -> Result<u8> {
        let option = if self.pause { "--pause" } else { "--predict" };
        ensure!(self.format == Transcript::Text, "{option} is for people: it goes with --format text alone");
        ensure!(
            self.record.is_none() || chosen.len() == 1,
            "with {option}, --record goes with one experiment alone"
        );
        let options = [
            (self.pause, "--pause"),
            (self.predict, "--predict"),
            (self.answers.is_some(), "--answers=-"),
            (self.stable, "--stable"),
            (self.verbose, "--verbose"),
        ];
        let mut arguments = attend::screen_arguments(&self.screen);
        arguments.extend(options.into_iter().filter(|(on, _)| *on).map(|(_, option)| option.into()));
        arguments.extend(self.conditions.options().into_iter().map(OsString::from));
        if let Some(path) = &self.record {
            arguments.extend(["--record".into(), path.into()]);
        }
        let answers = attend::Answers::open(self.answers.as_deref())?;
        attend::one_by_one(chosen.into_iter().map(|demo| (demo, arguments.clone())), &answers)
    }

    /// Whether each experiment is shown as text while it runs.
    fn is_told(&self) -> bool {
        self.format == Transcript::Text && !self.quiet
    }

    /// Runs one experiment, and shows it as it goes: to `others` too.
    fn tell(
        &self,
        demo: &'static Demo,
        options: &[&str],
        outbox: &Outbox,
        others: &mut [Box<dyn Renderer>],
    ) -> Result<Account> {
        let mut text = Text::new(outbox.styled(), self.screen.columns(), self.stable, self.verbose);
        let mut out = outbox.clone();
        trial::run(demo, options, outbox, |event: &Event, line| {
            if self.is_told() {
                text.show(event)?;
            } else if self.format == Transcript::Jsonl && !self.quiet {
                out.write_all(line)?;
                out.write_all(b"\n")?;
            }
            others.iter_mut().try_for_each(|other| other.show(event))?;
            Ok(())
        })
    }
}

/// Where nothing can be run, one line says so once.
///
/// # Errors
/// When no binary of those chosen is to be found.
pub(crate) fn require_any(chosen: &[&Demo]) -> Result<()> {
    if chosen.iter().any(|demo| program::find(demo.name).is_some()) {
        return Ok(());
    }
    let names: Vec<_> = chosen.iter().map(|demo| demo.name).collect();
    Err(program::not_found(&names))
}

/// Says on standard error why an experiment broke.
pub(crate) fn complain_if_broken(account: &Account) {
    if let Some(why) = &account.broken {
        complain("inception", &anyhow!("{}: {why}", account.demo.name));
    }
}

/// A line between two experiments.
fn rule(demo: &Demo, width: usize) -> String {
    let line = format!("━━ {} ", demo.title());
    let left = width.saturating_sub(line.chars().count());
    format!("\n{}\n", format!("{line}{}", "━".repeat(left)).style(Style::new().bold()))
}
