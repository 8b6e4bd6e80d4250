//! What an experiment declares of its shell.

use anyhow::Result;
use clap::{ArgMatches, Args, Command};
use shell::Plan;

/// The options of a shell, and what they make of it.
pub trait Options: Args {
    /// What these options ask for.
    ///
    /// # Errors
    /// One line that names the option and the remedy.
    fn plan(&self) -> Result<Plan>;
}

/// An experiment's shell.
#[derive(Debug, Clone, Copy)]
pub struct Shell {
    /// The words that open it: `NAME shell`.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Command lines, and what each is good for.
    pub examples: &'static [(&'static str, &'static str)],
    /// Whether the word `shell` may be left out.
    pub is_implied: bool,
    /// Adds the options to a command.
    pub(crate) options: fn(Command) -> Command,
    /// What they ask for.
    pub(crate) plan: fn(&ArgMatches) -> Result<Plan>,
}

impl Shell {
    /// A shell with these options.
    pub const fn of<O: Options>(
        name: &'static str,
        about: &'static str,
        examples: &'static [(&'static str, &'static str)],
    ) -> Shell {
        Shell { name, about, examples, is_implied: false, options: O::augment_args, plan: plan_of::<O> }
    }

    /// The same, for a program that is used for its shell at least as much as for its experiment.
    #[must_use]
    pub const fn implied(self) -> Shell {
        Shell { is_implied: true, ..self }
    }
}

fn plan_of<O: Options>(matches: &ArgMatches) -> Result<Plan> {
    O::from_arg_matches(matches)?.plan()
}
