//! The command: traces that are kept, and the page that is made of them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use lesson::Help;

use super::data::{self, RUNTIMES};
use super::page;
use crate::console::Console;
use crate::difference;
use crate::project::{self, Project};

const PAGE: &str = "docs/what-docker-run-did.md";
const FOLDER: &str = "docs/runtimes";
/// Where the traces were made, and how.
const MACHINE: &str = "machine.tsv";

pub(crate) const HELP: Help = Help {
    name: "cargo xtask runtimes",
    about: "write the tables of docs/what-docker-run-did.md",
    examples: &[
        ("cargo xtask runtimes", "write them, of the traces that are kept"),
        ("cargo xtask runtimes --from target/runtimes", "keep new traces, and write them"),
        ("cargo xtask runtimes --check", "compare, change nothing; exit 1 and show what is stale"),
    ],
    after: "The traces are kept in docs/runtimes/, and ns-trace answers the questions. New\n\
ones are made by root, where docker.io, podman, runc, bubblewrap and\n\
busybox-static are installed; with target/debug in PATH:\n\
\x20 scripts/docker-lab run scripts/vm.d/runtimes target/runtimes\n\
or, slowly, in a VM with systemd:\n\
\x20 packages=docker.io,docker-cli,iptables,podman,runc,bubblewrap,busybox-static\n\
\x20 scripts/vm 13 --user root --with $packages \\\n\
\x20   --fetch /root/runtimes:target/runtimes -- scripts/vm.d/runtimes /root/runtimes\n\
Read the words around the tables then: they are written by hand.\n\
\n\
Exit status: 0 written, or as it should be; 1 stale; 2 misused, or a trace is\n\
missing.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Runtimes {
    /// Compare, and change nothing
    #[arg(long, conflicts_with = "from")]
    check: bool,
    /// Keep the traces of this directory
    #[arg(long, value_name = "DIRECTORY")]
    from: Option<PathBuf>,
}

impl Runtimes {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let files: Vec<String> = RUNTIMES.iter().map(|name| format!("{FOLDER}/{name}.jsonl")).collect();
        let machine = format!("{FOLDER}/{MACHINE}");
        if let Some(from) = &self.from {
            for file in files.iter().chain([&machine]) {
                let name = file.trim_start_matches(FOLDER).trim_start_matches('/');
                project::write(&project.root.join(file), &project::read(&from.join(name))?)?;
            }
        }
        project.build(&["--package", "ns-trace"])?;
        let mut arguments = vec!["--format", "jsonl", "--compare"];
        arguments.extend(files.iter().map(String::as_str));
        let (told, status) = project.ask("ns-trace", &arguments)?;
        ensure!(status == 0, "ns-trace ended with status {status}");
        let before = project.read(PAGE)?;
        let text = page::with(&before, &data::machine(&project.read(&machine)?)?, &data::stories(&told)?)?;
        if !self.check {
            project::write(&project.root.join(PAGE), &text)?;
            console.say(format!("{PAGE}: written"))?;
        } else if let Some(shown) = difference::between((PAGE, &before), ("as the traces say", &text))? {
            console.show(&shown)?;
            console.complain(format!("stale: {PAGE}; run: {}", HELP.name));
            return Ok(1);
        } else {
            console.say(format!("{PAGE}: as the traces say"))?;
        }
        Ok(0)
    }
}
