//! The command line that all experiments share.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::event::ClaimHead;
use crate::model::Experiment;
use crate::status::BROKEN;

/// How an experiment is to be run and shown.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// What to write: text for people, jsonl: one JSON object an event (docs/events.md), tap or junit: for graders
    #[arg(long, value_enum, default_value_t = Transcript::Text)]
    pub format: Transcript,

    /// What it is shown on.
    #[command(flatten)]
    pub screen: Screen,

    /// Names in the place of what differs from run to run.
    // Not in the comment above, where rustdoc would take it for HTML.
    #[arg(long, help = "Show <pid A>, <name B> and the like for what differs from run to run")]
    pub stable: bool,

    /// Say too who saw what, and which namespaces each process is in
    #[arg(short, long)]
    pub verbose: bool,

    /// Record the text too, for asciinema's player, at the pace of a reader
    #[arg(long, value_name = "FILE.cast")]
    pub record: Option<PathBuf>,

    /// Stop at each step until a key is pressed; ? lists the keys
    #[arg(long)]
    pub pause: bool,

    /// Ask for a prediction before each verdict, and keep the score
    #[arg(long)]
    pub predict: bool,

    /// With --predict: take the answers from a file, one a line (-: standard input)
    #[arg(long, value_name = "FILE", requires = "predict", conflicts_with = "pause")]
    pub answers: Option<PathBuf>,

    /// With --predict: ask about these claims alone
    #[arg(long, value_name = "CLAIM", requires = "predict", hide = true)]
    pub ask: Vec<String>,

    /// Wait after each step for a line on standard input (docs/events.md)
    #[arg(long, hide = true)]
    pub lockstep: bool,

    /// Leave the causes out: no claim may hold then
    #[arg(long)]
    pub sabotage: bool,

    /// Count a skipped claim as a failure (also LAB_MUST_RUN=1)
    #[arg(long)]
    pub must_run: bool,

    /// List the claims, and judge none
    #[arg(long)]
    pub list_claims: bool,
}

/// What text is shown on.
#[derive(Debug, Clone, Args)]
pub struct Screen {
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE count for auto
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,

    /// Columns to fill [default: the terminal's, at most 100; else 80]
    #[arg(long, value_parser = clap::value_parser!(u16).range(20..=400))]
    pub width: Option<u16>,
}

/// What is written of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transcript {
    /// For people.
    Text,
    /// One JSON object an event.
    Jsonl,
    /// The Test Anything Protocol: a claim is a test, which passes if its verdict is as expected.
    Tap,
    /// JUnit's XML: the same.
    Junit,
}

/// What is written of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object an entry.
    Jsonl,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// The word that asks for it.
    pub const fn word(self) -> &'static str {
        match self {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        }
    }
}

impl Settings {
    /// As [`Screen::columns`].
    pub fn columns(&self) -> usize {
        self.screen.columns()
    }

    /// As [`Screen::stdout`].
    ///
    /// # Errors
    /// When standard output was closed.
    pub fn stdout(&self) -> Result<anstream::AutoStream<io::Stdout>> {
        self.screen.stdout()
    }
}

impl Screen {
    /// The number of columns to fill.
    pub fn columns(&self) -> usize {
        const READABLE: u16 = 100;
        let terminal =
            || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.clamp(20, READABLE));
        usize::from(self.width.or_else(terminal).unwrap_or(80))
    }

    /// Standard output, which takes styled text and strips it where colour is not wanted.
    ///
    /// # Errors
    /// When standard output was closed.
    pub fn stdout(&self) -> Result<anstream::AutoStream<io::Stdout>> {
        if ns_core::stdout_was_closed() {
            bail!("standard output is closed: redirect it to a file, or to /dev/null to discard it");
        }
        let choice = match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        Ok(anstream::AutoStream::new(io::stdout(), choice))
    }
}

/// The command that is the experiment, where a program has commands.
pub const EXPLAIN: &str = "explain";

/// For an experiment whose command line has nothing more to it.
#[derive(Debug, Clone, Args)]
pub(crate) struct NoMore {}

#[derive(Debug, Parser)]
struct CommandLine<More: Args> {
    #[command(flatten)]
    more: More,
    #[command(flatten)]
    settings: Settings,
}

/// The help of a program: examples first.
#[derive(Debug, Clone, Copy)]
pub struct Help {
    /// The program's name.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// Command lines, and what each is good for.
    pub examples: &'static [(&'static str, &'static str)],
    /// What stands below the options.
    pub after: &'static str,
}

impl Help {
    /// The same command with this help: examples first. `name` may be several words, for a command of a command.
    pub fn lead(&self, command: clap::Command) -> clap::Command {
        let width = self.examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        let fits = self.examples.iter().all(|(_, what)| width + what.len() + 4 <= 80);
        let mut examples = String::from("Examples:");
        for (line, what) in self.examples {
            examples.push_str(&if fits {
                format!("\n  {line:width$}  {what}")
            } else {
                format!("\n  {line}\n      {what}")
            });
        }
        command
            .display_name(self.name)
            .about(self.about)
            .before_help(examples)
            .after_help(self.after)
            .help_template(
                "{name}: {about}\n\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}\n",
            )
            .disable_help_subcommand(true)
            // One screen for -h and --help alike; clap's long form takes three.
            .disable_help_flag(true)
            .arg(Arg::new("help").short('h').long("help").action(ArgAction::HelpShort).help("Print help"))
            .max_term_width(100)
            .color(ColorChoice::Auto)
    }

    /// Parses the arguments of this process by `command`, which this help leads.
    ///
    /// # Errors
    /// The exit status, when help was shown (0) or one line of complaint was (2).
    pub fn parse(&self, command: clap::Command) -> Result<clap::ArgMatches, u8> {
        self.parse_from(command, std::env::args_os())
    }

    fn parse_from(
        &self,
        command: clap::Command,
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<clap::ArgMatches, u8> {
        let mut command = self.lead(command.name(self.name).version(env!("CARGO_PKG_VERSION")));
        command.try_get_matches_from_mut(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => shown(error.print()),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => shown(command.print_help()),
            _ => {
                complain(self.name, &anyhow::anyhow!("{}", in_one_line(&error)));
                BROKEN
            }
        })
    }
}

/// The exit status after help was shown.
fn shown(printed: io::Result<()>) -> u8 {
    let printed = printed.and_then(|()| io::stdout().flush());
    u8::from(printed.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe)) * BROKEN
}

/// Reads the command line of an experiment. The error is the exit status, with all said that is to be said.
pub(crate) fn parse<More: Args>(experiment: &Experiment) -> Result<(Settings, More), u8> {
    let after = crate::exit_status!();
    let help =
        Help { name: experiment.name, about: experiment.question, examples: experiment.examples, after };
    #[cfg(feature = "manual")]
    if let Some(directory) = crate::manual::directory() {
        let command = CommandLine::<More>::command();
        let written = crate::manual::write_experiment(experiment, &help, command, &directory);
        return Err(written.map_or_else(
            |error| {
                complain(experiment.name, &error);
                BROKEN
            },
            |()| crate::status::AS_EXPECTED,
        ));
    }
    let matches = help.parse(CommandLine::<More>::command())?;
    // A program that does more than its experiment may have it as one command of several.
    // To ask for it by name would be an error where there is none.
    let matches = match matches.subcommand() {
        Some((EXPLAIN, explain)) => explain,
        _ => &matches,
    };
    let CommandLine { more, mut settings } = CommandLine::from_arg_matches(matches).map_err(|error| {
        complain(experiment.name, &anyhow::anyhow!("{}", in_one_line(&error)));
        BROKEN
    })?;
    settings.must_run |= std::env::var_os("LAB_MUST_RUN").is_some_and(|value| value == "1");
    Ok((settings, more))
}

/// Says in one line on standard error what went wrong: the chain of causes, whatever RUST_BACKTRACE says.
pub fn complain(program: &str, error: &anyhow::Error) {
    let line = ns_core::fact::printable(&format!("{program}: {error:#}"));
    // Where standard error is closed, the exit status has to say it alone.
    let _ = writeln!(io::stderr(), "{line}");
}

/// clap's complaint, which has several paragraphs, as one line.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
    let mut remedies = Vec::new();
    for (kind, value) in error.context() {
        let listed = match value {
            ContextValue::String(value) => value.clone(),
            ContextValue::Strings(values) => {
                values.iter().filter(|it| !it.is_empty()).cloned().collect::<Vec<_>>().join(", ")
            }
            _ => continue,
        };
        match kind {
            ContextKind::ValidValue if !listed.is_empty() => remedies.push(format!("choose from {listed}")),
            ContextKind::SuggestedArg | ContextKind::SuggestedSubcommand | ContextKind::SuggestedValue => {
                remedies.push(format!("did you mean {listed}?"));
            }
            _ => {}
        }
    }
    // Missing arguments stand on lines of their own.
    let more: Vec<_> =
        text.lines().skip(1).map(str::trim).take_while(|line| line.starts_with(['<', '-'])).collect();
    if remedies.is_empty() {
        remedies.push("try --help".into());
    }
    format!("{}; {}", [vec![first.as_str()], more].concat().join(" "), remedies.join("; "))
}

/// Writes the claims of an experiment, without judging any.
pub(crate) fn list_claims(experiment: &Experiment, settings: &Settings) -> Result<()> {
    let mut out = String::new();
    for claim in experiment.claims {
        let head = ClaimHead::from(claim);
        if settings.format == Transcript::Jsonl {
            out.push_str(&serde_json::to_string(&head)?);
            out.push('\n');
            continue;
        }
        out.push_str(&crate::render::claim_head(&head, settings.columns()));
    }
    let mut stdout = settings.stdout()?;
    match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write the output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let error = CommandLine::<NoMore>::command().try_get_matches_from(arguments).unwrap_err();
        in_one_line(&error)
    }

    #[test]
    fn a_bad_argument_gets_one_line_with_its_remedy() {
        assert_eq!(
            refusal(&["x", "--format", "xml"]),
            "invalid value 'xml' for '--format <FORMAT>'; choose from text, jsonl, tap, junit"
        );
        assert_eq!(
            refusal(&["x", "--answers", "file"]),
            "the following required arguments were not provided: --predict; try --help"
        );
        assert!(refusal(&["x", "--sabotag"]).contains("did you mean --sabotage?"));
        assert!(refusal(&["x", "--width", "5"]).starts_with("invalid value '5' for '--width <WIDTH>'"));
        assert!(!refusal(&["x", "stray"]).contains('\n'));
    }
}
