//! What all shells have on their command line.

use std::ffi::OsString;
use std::str::FromStr;

use clap::{Args, Command};

use super::declared::Shell;
use crate::help::Help;
use crate::settings::Screen;

/// The command.
pub(crate) const SHELL: &str = "shell";

const AFTER: &str = "Exit status: that of the command, or 128 + N if signal N ended it. 2 misused, 77 the\n\
                     machine lacks something, 126 the command cannot be run, 127 it was not found.";

/// The options that every shell has.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// What it is called: ns-enter NAME enters it from another terminal [default: the program's name]
    // Not `name`, which an experiment's own options may have.
    #[arg(id = "shell-name", long = "name", value_name = "NAME")]
    pub(super) name: Option<Name>,

    /// Print the commands that do the same by hand, and run none
    #[arg(long)]
    pub(super) by_hand: bool,

    /// What the card says to try, as data.
    #[arg(long, hide = true)]
    pub(super) list_tries: bool,

    #[command(flatten)]
    pub(super) screen: Screen,

    /// A command and its arguments, in the place of a shell
    #[arg(value_name = "COMMAND", last = true)]
    pub(super) command: Vec<OsString>,
}

/// What a person calls a shell. It is no PID.
#[derive(Debug, Clone)]
pub(super) struct Name(pub(super) String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        let is_allowed = |it: char| it.is_ascii_alphanumeric() || "_.-".contains(it);
        let begins = text.starts_with(|it: char| it.is_ascii_alphabetic());
        if begins && text.len() <= 32 && text.chars().all(is_allowed) {
            return Ok(Name(text.into()));
        }
        Err("a name is 1 to 32 of A-Z a-z 0-9 _ . - and begins with a letter".into())
    }
}

/// The command of a shell.
pub(crate) fn command(shell: &Shell) -> Command {
    let help = Help { name: shell.name, about: shell.about, examples: shell.examples, after: AFTER };
    help.lead(Common::augment_args((shell.options)(Command::new(SHELL))))
}
