//! The command line of the experiment, which is one of two subcommands.

use lesson::{Help, Settings};

#[derive(Debug)]
pub(crate) struct Commands;

const EXPLAIN: Help = Help {
    name: "mini-container explain",
    about: "the experiment: leave out one ingredient at a time, and show which way out is open",
    examples: &[
        ("mini-container explain", "the same as without a subcommand"),
        ("mini-container explain --sabotage", "without the factors: no claim holds"),
        ("mini-container explain --format jsonl", "the events as JSON lines"),
    ],
    after: lesson::exit_status!(),
};

impl clap::Args for Commands {
    fn augment_args(command: clap::Command) -> clap::Command {
        let explain = EXPLAIN.lead(Settings::augment_args(clap::Command::new(lesson::EXPLAIN)));
        command.args_conflicts_with_subcommands(true).subcommand(explain).subcommand(crate::run::command())
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Commands::augment_args(command)
    }
}

impl clap::FromArgMatches for Commands {
    fn from_arg_matches(_: &clap::ArgMatches) -> Result<Commands, clap::Error> {
        Ok(Commands)
    }

    fn update_from_arg_matches(&mut self, _: &clap::ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}
