//! The command line.

use anyhow::Result;
use lesson::Help;

use super::self_test;
use super::write::write;
use crate::console::Console;
use crate::project::Project;

pub(crate) const HELP: Help = Help {
    name: "cargo xtask new",
    about: "write the files of a new experiment, which passes at once",
    examples: &[
        ("cargo xtask new dev-shm --question \"Who sees a file in /dev/shm?\"", "under the next free number"),
        (
            "cargo xtask new --self-test",
            "in a copy of the project: is nothing missing of it, and does it pass?",
        ),
    ],
    after: "Written are crates/NAME (Cargo.toml, src/main.rs, tests/promises.rs),\n\
demos/NN-NAME.sh, docs/NN-NAME.md, docs/reference/NN-NAME.md and a row of\n\
README.md. Its one claim, about /dev/shm, is to become yours:\n\
docs/contributor.md says how.\n\
\n\
Exit status: 0 written; 1 the self-test failed; 2 misused.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The experiment's: lower-case words and hyphens
    #[arg(required_unless_present = "self_test")]
    name: Option<String>,
    /// What it asks, in one line
    #[arg(long, required_unless_present = "self_test")]
    question: Option<String>,
    /// See that what is written passes
    #[arg(long, conflicts_with_all = ["name", "question"])]
    self_test: bool,
}

impl New {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let (Some(name), Some(question)) = (&self.name, &self.question) else {
            return self_test::run(project, console);
        };
        for file in write(project, name, question)? {
            console.say(format!("written: {file}"))?;
        }
        console.say(format!(
            "to type: cargo test -p {name}; cargo xtask docs {name}; cargo xtask check {name}; docs/contributor.md says the rest"
        ))?;
        Ok(0)
    }
}
