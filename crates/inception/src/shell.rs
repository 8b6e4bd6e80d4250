//! `inception shell`: the shell of an experiment, by its number.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use ns_core::error::AsErrno;

use crate::run::provide;
use crate::{demos, program};

/// Whose shell, and its options.
#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// The number or name of a demo
    #[arg(value_name = "NN|NAME")]
    demo: OsString,

    /// Options of its shell: inception shell NN --help lists them
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

impl Shell {
    /// Becomes the experiment's program, which opens its shell.
    ///
    /// # Errors
    /// When there is no such demo, or no such program. Otherwise this does not return.
    pub(crate) fn run(&self) -> Result<u8> {
        let demo = demos::named(&self.demo)?;
        provide(&[demo])?;
        let path = program::find(demo.name).with_context(|| format!("no binary called {}", demo.name))?;
        let error = Command::new(&path).arg("shell").args(&self.options).exec();
        Err(anyhow!("{}: {}", path.display(), ns_core::in_words(error.as_errno())))
    }
}

/// The arguments of this process. What follows the demo of `inception shell` is not for us, even `--help`.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let is_shell = arguments.get(1).is_some_and(|command| command == "shell");
    let names_one = arguments.get(2).is_some_and(|demo| !demo.as_encoded_bytes().starts_with(b"-"));
    if is_shell && names_one {
        arguments.insert(3, "--".into());
    }
    arguments.into_iter()
}
