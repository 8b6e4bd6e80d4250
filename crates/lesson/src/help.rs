//! The help of a program, and what it says of arguments that it cannot take.

use std::ffi::OsString;
use std::io::{self, Write};

use anstream::AutoStream;
use anyhow::Context;
use clap::builder::{StyledStr, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ColorChoice};

use crate::settings::require_stdout;
use crate::status::{AS_EXPECTED, BROKEN};

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

    /// As [`Help::parse`]. `known` is asked about an option that `command` does not have, and may give what is to be said
    /// of it: people know options of other programs.
    ///
    /// # Errors
    /// As [`Help::parse`].
    pub fn parse_knowing(
        &self,
        command: clap::Command,
        known: impl Fn(&str) -> Option<String>,
    ) -> Result<clap::ArgMatches, u8> {
        self.parse_all(command, std::env::args_os(), known)
    }

    /// As [`Help::parse`], of these arguments.
    ///
    /// # Errors
    /// As [`Help::parse`].
    pub fn parse_from(
        &self,
        command: clap::Command,
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<clap::ArgMatches, u8> {
        self.parse_all(command, arguments, |_| None)
    }

    fn parse_all(
        &self,
        command: clap::Command,
        arguments: impl Iterator<Item = OsString>,
        known: impl Fn(&str) -> Option<String>,
    ) -> Result<clap::ArgMatches, u8> {
        let mut command = self.lead(command.name(self.name).version(env!("CARGO_PKG_VERSION")));
        // Colour where standard output shows it, as clap does. Else none: to put it in and to take it out of each line
        // again is a tenth of all instructions of --help.
        if AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never {
            command = command.styles(Styles::plain());
        }
        command.try_get_matches_from_mut(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => self.shown(&error.render()),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => self.shown(&command.render_help()),
            _ => {
                let line = unknown_option(&error).and_then(known).unwrap_or_else(|| in_one_line(&error));
                complain(self.name, &anyhow::anyhow!("{line}"));
                BROKEN
            }
        })
    }

    /// Shows help or version, and gives the exit status: 0, or 2 where it cannot be written, with a complaint.
    fn shown(&self, text: &StyledStr) -> u8 {
        let printed = require_stdout().and_then(|()| print(text).context("cannot write the output"));
        match printed {
            Ok(()) => AS_EXPECTED,
            // A reader that has gone needs no complaint.
            Err(error) if is_reader_gone(&error) => AS_EXPECTED,
            Err(error) => {
                complain(self.name, &error);
                BROKEN
            }
        }
    }
}

/// Prints as clap does, but in one write(2) and not in one a line.
fn print(text: &StyledStr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.ansi().to_string().as_bytes())?;
    out.flush()
}

/// Whether an error says that nobody reads our output any more, as after `| head`: no failure of ours.
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Says in one line on standard error what went wrong: the chain of causes, whatever RUST_BACKTRACE says.
pub fn complain(program: &str, error: &anyhow::Error) {
    let line = ns_core::printable(&format!("{program}: {error:#}"));
    // Where standard error is closed, the exit status has to say it alone.
    let _ = writeln!(io::stderr(), "{line}");
}

/// The option that the command line has and the command has not, without its value.
fn unknown_option(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(option) if error.kind() == ErrorKind::UnknownArgument => {
            option.split('=').next()
        }
        _ => None,
    }
}

/// clap's complaint, which has several paragraphs, as one line.
pub(crate) fn in_one_line(error: &clap::Error) -> String {
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
