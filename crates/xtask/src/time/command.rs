//! The command: which program, and what is shown of it.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Result, ensure};
use lesson::Help;
use observation::printable;

use super::measure;
use super::report;
use crate::console::Console;
use crate::project::{Project, TOOLS};

pub(crate) const HELP: Help = Help {
    name: "cargo xtask time",
    about: "where the time of a program goes",
    examples: &[
        ("cargo xtask time ns-lifetime", "an experiment"),
        ("cargo xtask time ns-lifetime --all", "with all of its claims"),
        ("cargo xtask time inception run", "all experiments"),
        ("cargo xtask time --seconds 30 veth-pair", "more runs of it"),
        ("cargo xtask time unshare -Urn true", "any program"),
    ],
    after: "A program of this project is built as a release first. It is run by turns as it\n\
is, and while its threads are looked at in /proc, some thousand times a second.\n\
A moment belongs to those that do not wait for others of the program: if three\n\
wait for one that the kernel makes wait, the moment is that one's. The function\n\
in which the kernel waits (/proc/PID/wchan) says for what. Then strace(1) counts\n\
processes and calls in a run of its own. Needs no root.\n\
\n\
Exit status: 0 shown, 2 misused, or the program fails.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Time {
    /// For how long the program is run again and again
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u64,

    /// The program as it was built before
    #[arg(long)]
    no_build: bool,

    /// A program of this project by its name, or any other, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// A screen.
const COLUMNS: usize = 80;

impl Time {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        ensure!((1..=3600).contains(&self.seconds), "--seconds takes 1 to 3600");
        residue::adopt()?;
        let (words, start) = self.words(project)?;
        let typed: Vec<_> = self.command.iter().map(|word| printable(&word.to_string_lossy())).collect();
        let budget = Duration::from_secs(self.seconds);
        let profile = measure::profile(typed.join(" "), &words, start.as_deref(), budget)?;
        for line in profile.lines() {
            console.say(line)?;
        }
        console.say("")?;
        console.show(&report::table(&profile).screen(COLUMNS))?;
        console.say("")?;
        console.say(textwrap::fill(&profile.distortion(), COLUMNS))?;
        Ok(0)
    }

    /// The command with the path of its program; and of ours, a start that does nothing.
    fn words(&self, project: &Project) -> Result<(Vec<OsString>, Option<Vec<OsString>>)> {
        let (name, arguments) = self.command.split_first().expect("clap requires it");
        let name = name.to_string_lossy();
        let is_experiment = project.experiments()?.contains(name.as_ref());
        if !is_experiment && !TOOLS.contains(&name.as_ref()) {
            return Ok((self.command.clone(), None));
        }
        // The driver starts the experiments.
        let built: &[&str] = match name.as_ref() {
            "inception" => &["--workspace", "--exclude", "xtask", "--exclude", "ns-map-live", "--bins"],
            name => &["--package", name],
        };
        if !self.no_build {
            project.build(&[&["--release"], built].concat())?;
        }
        let program = project.release(&name);
        ensure!(program.is_file(), "{name} was not built; leave out --no-build");
        let program: OsString = program.into();
        let words = [program.clone()].into_iter().chain(arguments.iter().cloned()).collect();
        Ok((words, Some(vec![program, "--version".into()])))
    }
}
