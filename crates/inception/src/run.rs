//! `inception run`: runs experiments, shows what happens as it happens, and sums up.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use lesson::render::{Junit, Layout, Renderer, Tap, tone};
use lesson::{Look, Screen, Steps, Transcript, complain};
use lesson::{cast, page, require_a_class};
use owo_colors::OwoColorize;
use transcript::Event;

use crate::demos::{self, Demo};
use crate::series::{Jobs, Series};
use crate::stdout::BufferedStdout;
use crate::trial::{Account, Conditions};
use crate::{classroom, program, summary};

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

    #[command(flatten)]
    look: Look,

    /// Show the summary alone
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,

    /// Record the text too, for asciinema's player, at the pace of a reader
    #[arg(long, value_name = "FILE.cast")]
    record: Option<PathBuf>,

    /// Stop at each step until a key is pressed; ? lists the keys
    #[arg(long, conflicts_with = "quiet")]
    pause: bool,

    /// With --pause or --predict: the teacher's notes and the time go to a second terminal (its tty), a FIFO, a Unix
    /// socket that is listened on, or a file
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,

    /// Ask for a prediction before each verdict, and keep the score
    #[arg(long, conflicts_with = "quiet")]
    predict: bool,

    /// With --predict: take the answers from a file, one a line (-: standard input)
    #[arg(long, value_name = "FILE", requires = "predict", conflicts_with = "pause")]
    answers: Option<PathBuf>,

    /// With --predict: write what was predicted, and how much of it was right, to a file, as JSON (-: standard output)
    #[arg(long, value_name = "FILE", requires = "predict")]
    score: Option<PathBuf>,

    /// With --predict: ask about these claims alone
    #[arg(long, value_name = "CLAIM", requires = "predict", hide = true)]
    ask: Vec<String>,

    #[command(flatten)]
    steps: Steps,

    #[command(flatten)]
    jobs: Jobs,

    #[command(flatten)]
    conditions: Conditions,
}

impl Run {
    /// Runs what was chosen. The exit status is the worst of theirs.
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        ensure!(
            !self.steps.are_numbered() || chosen.len() == 1,
            "--step and --from go with one experiment: each has numbers of its own"
        );
        provide(&chosen)?;
        require_a_class(self.notes.as_deref(), self.pause || self.predict)?;
        if self.pause || self.predict {
            return self.attend(chosen);
        }
        if self.is_told() && (chosen.len() > 1 || self.look.is_long(&self.steps)) {
            if let Some(status) = page(&self.screen)? {
                return Ok(status);
            }
        }
        let stdout = BufferedStdout::open(&self.screen)?;
        let stable = self.look.stable.then(|| "--stable".to_string());
        let options =
            [self.conditions.options(), self.steps.options(), stable.into_iter().collect()].concat();
        // Those that go on from one experiment to the next.
        let mut others: Vec<Box<dyn Renderer>> = Vec::new();
        match self.format {
            Transcript::Tap if !self.quiet => others.push(Box::new(Tap::new(stdout.clone()))),
            Transcript::Junit if !self.quiet => others.push(Box::new(Junit::new(stdout.clone()))),
            _ => {}
        }
        if let Some(path) = &self.record {
            others.push(Box::new(cast(path, self.screen.columns(), self.look.stable, self.look.verbose)?));
        }
        let began = Instant::now();
        let mut series = Series::new(&chosen, &options, &self.jobs, &stdout);
        let mut accounts = Vec::new();
        for demo in &chosen {
            if chosen.len() > 1 && self.is_told() {
                stdout.show(&rule(demo, self.screen.layout()))?;
            }
            let account = self.tell(&mut series, &stdout, &mut others)?;
            if self.format != Transcript::Text {
                complain_if_broken(&account);
            }
            accounts.push(account);
        }
        for other in &mut others {
            other.finish()?;
        }
        stdout.write_out()?;
        // One that was shown has summed itself up.
        let is_summed_up = self.is_told() && matches!(accounts.as_slice(), [it] if it.broken.is_none());
        if self.format == Transcript::Text && !is_summed_up {
            stdout.show(&summary::text(
                &accounts,
                (!self.look.stable).then(|| began.elapsed()),
                self.conditions.sabotage,
                self.screen.layout(),
            ))?;
        }
        Ok(summary::status(&accounts))
    }

    /// Gives each experiment the terminal, one after another.
    fn attend(&self, chosen: Vec<&'static Demo>) -> Result<u8> {
        let options = classroom::Options {
            pause: self.pause,
            predict: self.predict,
            answers: self.answers.clone(),
            score: self.score.clone(),
            screen: self.screen.clone(),
            look: self.look.clone(),
            notes: self.notes.clone(),
            record: self.record.clone(),
            conditions: self.conditions.clone(),
            steps: self.steps.clone(),
        };
        let option = options.name();
        ensure!(self.format == Transcript::Text, "{option} is for people: it goes with --format text alone");
        ensure!(
            self.record.is_none() || chosen.len() == 1,
            "with {option}, --record goes with one experiment alone"
        );
        classroom::one_by_one(chosen.into_iter().map(|demo| (demo, self.ask.clone())), &options)
    }

    /// Whether each experiment is shown as text while it runs.
    fn is_told(&self) -> bool {
        self.format == Transcript::Text && !self.quiet
    }

    /// Reads the next experiment of `series`, and shows it as it goes: to `others` too.
    fn tell(
        &self,
        series: &mut Series<'_>,
        stdout: &BufferedStdout,
        others: &mut [Box<dyn Renderer>],
    ) -> Result<Account> {
        let mut text = self.look.renderer(&self.steps, stdout.styled(), self.screen.layout());
        let mut out = stdout.clone();
        series.next(|event: &Event, line| {
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

/// Sees to it that there is something to run: what is missing is built, where that can be done.
///
/// # Errors
/// When a build fails, or no binary of those chosen is to be found. One line says so once.
pub(crate) fn provide(chosen: &[&Demo]) -> Result<()> {
    let names: Vec<_> = chosen.iter().map(|demo| demo.name).collect();
    program::build(&names)?;
    if names.iter().any(|name| program::find(name).is_some()) {
        return Ok(());
    }
    Err(program::not_found(&names))
}

/// Says on standard error why an experiment broke.
pub(crate) fn complain_if_broken(account: &Account) {
    if let Some(why) = &account.broken {
        complain("inception", &anyhow!("{}: {why}", account.demo.name));
    }
}

/// A line between two experiments.
fn rule(demo: &Demo, layout: Layout) -> String {
    let line = if layout.plain {
        format!("Demo {}", demo.title())
    } else {
        let line = format!("━━ {} ", demo.title());
        let left = layout.width.saturating_sub(line.chars().count());
        format!("{line}{}", "━".repeat(left))
    };
    format!("\n{}\n", line.style(tone::strong()))
}
