//! Any container runtime, told in words: which process creates which namespaces, mounts what, maps whom, and gives up
//! what.
//!
//! A program is launched behind a seccomp filter, so that only the calls that are reported stop. Three processes take part: this
//! one tells; the keeper traces, and outlives it; the program is a child of this one, as if nobody looked. What the keeper
//! reports is data (`model`), which `--format jsonl` keeps and `--replay` tells again.

mod calls;
mod compare;
mod decode;
mod facts;
mod flags;
mod fold;
mod keeper;
mod lessons;
mod messages;
mod model;
mod netlink;
mod output;
mod page;
mod perfetto;
mod program;
mod questions;
mod replay;
mod sink;
mod story;
mod teller;
mod timeline;
mod tracer;
mod watch;
mod why;
mod words;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{CommandFactory, FromArgMatches, Parser};
use lesson::{Help, Screen, complain, is_reader_gone, status};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use output::{Form, Wanted};
use sink::Sink;

const HELP: Help = Help {
    name: "ns-trace",
    about: "what a container runtime does with namespaces, in words, as it does it",
    examples: &[
        ("ns-trace -- unshare -Urpf --mount-proc true", "each step of unshare"),
        ("sudo ns-trace -- podman run --rm alpine true", "of podman and all that it starts"),
        ("ns-trace -o story.txt -- bwrap --ro-bind / / sh", "the story goes to a file"),
        ("ns-trace --format jsonl -o kept.jsonl -- COMMAND", "the same as data"),
        ("ns-trace --replay kept.jsonl --html page.html", "tell it again, and draw it"),
        ("ns-trace --compare kept.jsonl 'unshare -Ur true'", "two side by side"),
        ("sudo ns-trace -p 4213", "a process that runs, until Ctrl-C"),
    ],
    after: "Exit status: that of COMMAND; 128+N if signal N killed it; 126 or 127 if it could\n\
            not be executed; 2 misused. With -p, --replay and --compare: 0 done, 2 misused.",
};

/// Pages that its manual page leads to.
const SEE_ALSO: &[&str] = &["ns-map(1)", "inception(1)", "namespaces(7)", "ptrace(2)", "seccomp(2)"];

#[derive(Debug, Parser)]
struct CommandLine {
    /// The program to run, and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,

    /// Tell what a process does that runs already: all its threads, and what it creates from now on. Give it once for each
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..), conflicts_with = "command")]
    pid: Vec<i32>,

    /// Tell a kept story again, on standard output (-: read it from standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "pid"])]
    replay: Option<PathBuf>,

    /// Lay two or more side by side, each a kept story or a command line, which is run
    #[arg(long, value_names = ["A", "B"], num_args = 2.., conflicts_with_all = ["command", "pid", "replay"])]
    compare: Vec<String>,

    /// Write the story to a file, and not to standard error
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Its form
    #[arg(long, value_enum, default_value_t = Form::Text, hide_possible_values = true, value_name = "text|jsonl|perfetto")]
    format: Form,

    /// Draw a timeline too, as a page in one file
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    html: Option<PathBuf>,

    /// Go on until all that COMMAND started has ended
    #[arg(short, long, requires = "command")]
    wait: bool,

    /// Stop at every call, without a filter: slower, and sees calls too that a filter of COMMAND's own refuses
    #[arg(long, requires = "command")]
    every_call: bool,

    #[command(flatten)]
    screen: Screen,
}

fn main() -> ExitCode {
    let parsed = lesson::arguments(&HELP, CommandLine::command(), SEE_ALSO)
        .map(|matches| CommandLine::from_arg_matches(&matches));
    let told = match parsed {
        Err(status) => return ExitCode::from(status),
        Ok(parsed) => parsed.map_err(Into::into).and_then(|line| run(&line)),
    };
    ExitCode::from(told.unwrap_or_else(|error| {
        if is_reader_gone(&error) {
            return status::AS_EXPECTED;
        }
        complain(HELP.name, &error);
        status::BROKEN
    }))
}

fn run(line: &CommandLine) -> Result<u8> {
    // Before anything changes it: the program gets it as it was.
    let mask = SigSet::thread_get_mask()?;
    ns_core::signals::start_afresh()?;
    ns_core::process::require_address_space()?;
    let wanted = Wanted {
        form: line.format,
        file: line.output.as_deref(),
        page: line.html.as_deref(),
        screen: &line.screen,
        to_stdout: line.replay.is_some(),
    };
    if !line.compare.is_empty() {
        return compare(line, mask);
    }
    if let Some(path) = &line.replay {
        return replay(line, path, &wanted);
    }
    ensure!(
        !line.pid.is_empty() || !line.command.is_empty(),
        "nothing to trace; try ns-trace -- COMMAND, -p PID or --help"
    );
    let mut sinks = output::open(&wanted)?;
    if line.command.is_empty() {
        let mut known = BTreeSet::new();
        let pids = line.pid.iter().filter(|pid| known.insert(**pid));
        return teller::attach(&pids.map(|pid| Pid::from_raw(*pid)).collect::<Vec<_>>(), &mut sinks);
    }
    let start = teller::Start { command: &line.command, mask, every_call: line.every_call, wait: line.wait };
    teller::run(start, &mut sinks)
}

fn compare(line: &CommandLine, mask: SigSet) -> Result<u8> {
    let answered = |name: &String| Ok((name.clone(), questions::answers(&compare::records(name, mask)?)));
    let stories = line.compare.iter().map(answered).collect::<Result<Vec<_>>>()?;
    let text = match line.format {
        Form::Text => compare::table(&stories, line.screen.layout()),
        Form::Jsonl => compare::lines(&stories),
        Form::Perfetto => bail!("--compare has no form 'perfetto': text or jsonl"),
    };
    match &line.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => {
            let mut stdout = line.screen.stdout()?;
            stdout.write_all(text.as_bytes())?;
            stdout.flush()?;
        }
    }
    Ok(status::AS_EXPECTED)
}

fn replay(line: &CommandLine, path: &std::path::Path, wanted: &Wanted<'_>) -> Result<u8> {
    let records = replay::read(path)?;
    if line.format == Form::Text
        && line.output.is_none()
        && line.html.is_none()
        && path != std::path::Path::new("-")
    {
        if let Some(status) = lesson::page(&line.screen)? {
            return Ok(status);
        }
    }
    let mut sinks = output::open(wanted)?;
    records.iter().try_for_each(|record| sinks.take(record))?;
    sinks.finish()?;
    Ok(status::AS_EXPECTED)
}
