//! The command line that all experiments share.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};

use crate::experiment::Experiment;
use crate::help::{Help, complain, in_one_line};
use crate::settings::Settings;
use crate::shell::{Shell, command as shell_command};
use crate::status::BROKEN;

/// The command that opens a shell.
const SHELL: &str = "shell";
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

/// What is asked for.
pub(crate) enum Asked<More> {
    /// The experiment.
    Experiment(Box<Settings>, More),
    /// Its shell, with these options.
    Shell(Shell, ArgMatches),
}

/// Reads the command line of an experiment. The error is the exit status, with all said that is to be said.
pub(crate) fn parse<More: Args>(experiment: &Experiment) -> Result<Asked<More>, u8> {
    let after = crate::exit_status!();
    let help =
        Help { name: experiment.name, about: experiment.question, examples: experiment.examples, after };
    #[cfg(feature = "manual")]
    if let Some(directory) = crate::manual::directory() {
        let command = command_line::<More>(experiment);
        let written = crate::manual::write_experiment(experiment, &help, command, &directory);
        return Err(written.map_or_else(
            |error| {
                complain(experiment.name, &error);
                BROKEN
            },
            |()| crate::status::AS_EXPECTED,
        ));
    }
    let matches = help.parse_from(command_line::<More>(experiment), arguments(experiment))?;
    if let (Some(shell), Some((SHELL, options))) = (experiment.shell, matches.subcommand()) {
        return Ok(Asked::Shell(shell, options.clone()));
    }
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
    Ok(Asked::Experiment(Box::new(settings), more))
}

fn command_line<More: Args>(experiment: &Experiment) -> Command {
    let command = CommandLine::<More>::command();
    match &experiment.shell {
        Some(shell) => command.subcommand(shell_command(shell)).subcommand_negates_reqs(true),
        None => command,
    }
}

/// The arguments of this process, with the word that may be left out of them.
fn arguments(experiment: &Experiment) -> impl Iterator<Item = OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let is_implied = experiment.shell.is_some_and(|shell| shell.is_implied);
    let names_a_target = arguments.get(1).and_then(|first| first.to_str());
    if is_implied && names_a_target.is_some_and(|first| !first.starts_with('-') && first != SHELL) {
        arguments.insert(1, SHELL.into());
    }
    arguments.into_iter()
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

    proptest::proptest! {
        #[test]
        fn any_command_line_is_taken_or_refused_in_one_line(
            arguments in proptest::collection::vec(
                "--(format|width|sabotage|step|list|all|stable|color|predict|answers|record)(=[a-z0-9-]{0,5})?|-[a-zA-Z]|[0-9]{1,20}|text|.{0,9}",
                0..6,
            ),
        ) {
            let arguments = ["x".to_string()].into_iter().chain(arguments);
            match CommandLine::<NoMore>::command().try_get_matches_from(arguments) {
                Ok(matches) => {
                    let _ = CommandLine::<NoMore>::from_arg_matches(&matches);
                }
                Err(error) => {
                    let line = ns_core::printable(&in_one_line(&error));
                    proptest::prop_assert!(!line.is_empty() && !line.contains('\n'), "{:?}", line);
                }
            }
        }
    }
}
