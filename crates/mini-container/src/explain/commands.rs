//! What the command line of the experiment has besides: that it is one command of two.

use lesson::{Help, Settings};

#[derive(Debug)]
pub(crate) struct Commands;

const EXPLAIN: Help = Help {
    name: "mini-container explain",
    about: "the experiment: each ingredient left out, and what leaks then",
    examples: &[
        ("mini-container explain", "as without a command"),
        ("mini-container explain --sabotage", "without the factors: no claim holds"),
        ("mini-container explain --format jsonl", "as data"),
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
