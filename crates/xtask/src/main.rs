//! What the project does with its own files: what documents quote, what belongs together, what virtual machines said.
//!
//! Bash starts things (`scripts/`); what reads events, cargo's JSON or Markdown is here. `cargo xtask` lists it.

mod audit;
mod bench;
mod built;
mod check;
mod claims;
mod console;
mod difference;
mod docs;
mod figures;
mod kernels;
mod kills;
mod licences;
mod machines;
mod new;
mod own_box;
mod pairs;
mod project;
mod reliability;
mod runtimes;
mod time;
mod vms;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use lesson::{Help, complain, status};

use crate::console::Console;
use crate::project::Project;

const HELP: Help = Help {
    name: "cargo xtask",
    about: "what the project does with its own files",
    examples: &[
        (
            "cargo xtask new dev-shm --question \"Who sees a file in /dev/shm?\"",
            "a new experiment that passes",
        ),
        ("cargo xtask check dev-shm", "what is missing of it"),
        ("cargo xtask pairs", "do crate, demo, document and claims agree?"),
        ("cargo xtask docs", "refresh what documents quote"),
        ("cargo xtask claims", "write docs/claims.md"),
        ("cargo xtask kernels", "write docs/kernels.md"),
        ("cargo xtask reliability", "write docs/reliability.md"),
        ("cargo xtask machines", "write the numbers of docs/machines.md"),
        ("cargo xtask runtimes", "write the tables of docs/what-docker-run-did.md"),
        ("cargo xtask time ns-lifetime", "where the time of a program goes"),
        ("cargo xtask words", "words, sentences and terms of all that a person reads"),
    ],
    after: "Each command has its own --help. scripts/ has what starts machines and\n\
installs.\n\
\n\
Exit status: 0 as it should be, 1 not, 2 misused or broken, 77 nothing could\n\
be compared.",
};

const COMMANDS: &[(&str, Help)] = &[
    ("docs", docs::HELP),
    ("claims", claims::HELP),
    ("pairs", pairs::HELP),
    ("kernels", kernels::HELP),
    ("reliability", reliability::HELP),
    ("machines", machines::HELP),
    ("runtimes", runtimes::HELP),
    ("vms", vms::HELP),
    ("new", new::HELP),
    ("check", check::HELP),
    ("tests", built::HELP),
    ("licences", licences::HELP),
    ("audit", audit::HELP),
    ("kills", kills::HELP),
    ("words", words::HELP),
    ("time", time::HELP),
    ("bench", bench::HELP),
];

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Docs(docs::Docs),
    Claims(claims::Claims),
    Pairs(pairs::Pairs),
    Kernels(kernels::Kernels),
    Reliability(reliability::Reliability),
    Machines(machines::Machines),
    Runtimes(runtimes::Runtimes),
    Vms(vms::Vms),
    New(new::New),
    Check(check::Check),
    Tests(built::Tests),
    Licences(licences::Licences),
    Audit(audit::Audit),
    Kills(kills::Kills),
    Words(words::Words),
    Time(time::Time),
    Bench(bench::Bench),
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Command::Docs(_) => docs::HELP.name,
            Command::Claims(_) => claims::HELP.name,
            Command::Pairs(_) => pairs::HELP.name,
            Command::Kernels(_) => kernels::HELP.name,
            Command::Reliability(_) => reliability::HELP.name,
            Command::Machines(_) => machines::HELP.name,
            Command::Runtimes(_) => runtimes::HELP.name,
            Command::Vms(_) => vms::HELP.name,
            Command::New(_) => new::HELP.name,
            Command::Check(_) => check::HELP.name,
            Command::Tests(_) => built::HELP.name,
            Command::Licences(_) => licences::HELP.name,
            Command::Audit(_) => audit::HELP.name,
            Command::Kills(_) => kills::HELP.name,
            Command::Words(_) => words::HELP.name,
            Command::Time(_) => time::HELP.name,
            Command::Bench(_) => bench::HELP.name,
        }
    }

    fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        match self {
            Command::Docs(docs) => docs.run(project, console),
            Command::Claims(claims) => claims.run(project, console),
            Command::Pairs(pairs) => pairs.run(project, console),
            Command::Kernels(kernels) => kernels.run(project, console),
            Command::Reliability(reliability) => reliability.run(project, console),
            Command::Machines(machines) => machines.run(project, console),
            Command::Runtimes(runtimes) => runtimes.run(project, console),
            Command::Vms(vms) => vms.run(project, console),
            Command::New(new) => new.run(project, console),
            Command::Check(check) => check.run(project, console),
            Command::Tests(tests) => tests.run(project, console),
            Command::Licences(licences) => licences.run(project, console),
            Command::Audit(audit) => audit.run(console),
            Command::Kills(kills) => kills.run(project, console),
            Command::Words(words) => words.run(project, console),
            Command::Time(time) => time.run(project, console),
            Command::Bench(bench) => bench.run(project, console),
        }
    }
}

fn main() -> ExitCode {
    let mut command = CommandLine::command().bin_name(HELP.name);
    for (name, help) in COMMANDS {
        command = command.mut_subcommand(name, |command| help.lead(command));
    }
    let parsed = HELP.parse(command).map(|matches| CommandLine::from_arg_matches(&matches));
    let (name, ended) = match parsed {
        Err(status) => return ExitCode::from(status),
        Ok(Err(error)) => (HELP.name, Err(error.into())),
        Ok(Ok(line)) => {
            let mut console = Console::new(line.command.name(), std::io::stdout(), std::io::stderr());
            (line.command.name(), line.command.run(&Project::of_this_checkout(), &mut console))
        }
    };
    ExitCode::from(ended.unwrap_or_else(|error| {
        if lesson::is_reader_gone(&error) {
            return status::AS_EXPECTED;
        }
        complain(name, &error);
        status::BROKEN
    }))
}
