//! `inception walk`: an experiment by hand, command by command.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use anyhow::Result;
use clap::Args;

use crate::run::provide;
use crate::{classroom, demos, program};

/// What to walk through, and how.
#[derive(Debug, Args)]
pub(crate) struct Walk {
    /// Numbers or names
    #[arg(value_name = "NN|NAME|all", required = true)]
    demos: Vec<OsString>,

    /// Do not wait for a key before each command; nobody is waited for in a pipe, or where CI is set
    #[arg(long)]
    no_pause: bool,
}

impl Walk {
    /// Runs the scripts. The exit status is the worst of theirs.
    ///
    /// # Errors
    /// When a script or its experiment is not to be found, and as [`classroom::walk`].
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        let walkthroughs = chosen
            .iter()
            .map(|demo| Ok((*demo, program::walkthrough(&demo.stem())?)))
            .collect::<Result<Vec<_>>>()?;
        provide(&chosen)?;
        classroom::walk(&walkthroughs, self.is_paced())
    }

    fn is_paced(&self) -> bool {
        let ci = std::env::var_os("CI").is_some_and(|it| !it.is_empty());
        !self.no_pause && !ci && io::stdin().is_terminal() && io::stdout().is_terminal()
    }
}
