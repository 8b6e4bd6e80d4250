//! Every namespace of the machine at a glance: who is in it, what keeps it, and what made it.
//!
//! A namespace lives as long as something refers to it: a process, a mount, an open file, a socket, a child. So a list
//! of processes does not show them all. The crate `map` finds them; here they are shown: as a table, a tree, a picture, a
//! page, data, and as they change.

mod live;
mod outline;
mod page;
mod picture;
mod reader;
mod table;
mod tree;
mod watch;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser};
use lesson::{Help, Screen, complain, is_reader_gone, page as paged, status};
use map::{Asked, Choice, Looks, Map, Survey, words};
use ns_core::printable;
use pages::{Target, write_now};

use watch::Watch;

const HELP: Help = Help {
    name: "ns-map",
    about: "every namespace of this machine: who is in it, what keeps it, what made it",
    examples: &[
        ("ns-map", "a row for each process with namespaces of its own"),
        ("ns-map --list", "a row for each namespace"),
        ("ns-map --tree", "user namespaces by their parents, and what each owns"),
        ("ns-map --tree pid", "PID namespaces by their parents"),
        ("ns-map --cgroups", "cgroups and their limits as well"),
        ("sudo ns-map --held", "look at descriptors and sockets as well"),
        ("ns-map --filter kind=net", "those that meet all conditions"),
        ("ns-map --watch", "what changes, as it happens"),
        ("ns-map --live", "the map on a terminal, with keys"),
        ("ns-map --html map.html", "a page to keep, or to print"),
        ("ns-map --json | jq .", "the same as data"),
    ],
    after: "Conditions of --filter: kind, members, pid, user, command, kept (mount, descriptor,\n\
            socket, for-children, child, owned), made; each with = or !=, numbers with > or <.\n\n\
            Exit status: 0 shown, 2 misused.",
};

/// Said where a change in what processes do comes without an event.
const UNHEARD: &str = "the kernel does not report here what processes do: a change is found within 100 ms; from Linux 6.6 \
                       on it is reported to root of the machine";

/// Pages that its manual page leads to.
const SEE_ALSO: &[&str] = &["ns-trace(1)", "inception(1)", "lsns(8)", "namespaces(7)", "ioctl_ns(2)"];

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    asked: Asked,

    /// One JSON object (docs/ns-map.md); with --watch one for each change
    #[arg(short, long, conflicts_with_all = ["list", "tree"])]
    json: bool,

    /// Draw a picture, in SVG; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "tree", "json"])]
    svg: Option<PathBuf>,

    /// Write a page, in HTML, that needs no other file; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "tree", "json"])]
    html: Option<PathBuf>,

    /// Write what changes, a line each, until Ctrl-C
    #[arg(short, long, conflicts_with_all = ["list", "tree", "svg", "html", "pid", "proc"])]
    watch: bool,

    /// Show the map anew whenever it changes, until Ctrl-C
    #[arg(long, conflicts_with_all = ["json", "svg", "html", "watch", "proc"])]
    live: bool,

    /// Read another procfs than the one at /proc
    #[arg(long, value_name = "DIR", default_value = "/proc", hide_default_value = true)]
    proc: PathBuf,

    #[command(flatten)]
    screen: Screen,
}

fn main() -> ExitCode {
    let parsed = lesson::arguments(&HELP, CommandLine::command(), SEE_ALSO);
    let shown = match parsed.map(|matches| CommandLine::from_arg_matches(&matches)) {
        Err(status) => return ExitCode::from(status),
        Ok(parsed) => parsed.map_err(Into::into).and_then(|line| line.run()),
    };
    ExitCode::from(shown.unwrap_or_else(|error| {
        if is_reader_gone(&error) {
            return status::AS_EXPECTED;
        }
        complain(HELP.name, &error);
        status::BROKEN
    }))
}

impl CommandLine {
    fn run(&self) -> Result<u8> {
        ns_core::signals::start_afresh()?;
        ns_core::process::require_address_space()?;
        if self.watch || self.live {
            return self.follow();
        }
        if self.svg.is_some() || self.html.is_some() {
            return self.write_files();
        }
        if !self.json {
            if let Some(status) = paged(&self.screen)? {
                return Ok(status);
            }
        }
        let choice = self.asked.choice(&self.proc)?;
        let mut map = self.survey().take()?;
        let mut stdout = BufWriter::new(self.screen.stdout()?);
        if self.json {
            map.namespaces.retain(|_, namespace| choice.takes(namespace));
            serde_json::to_writer_pretty(&mut stdout, &map).map_err(io::Error::from)?;
            writeln!(stdout)?;
        } else {
            stdout.write_all(self.text(&map, &choice).as_bytes())?;
        }
        stdout.flush()?;
        Ok(status::AS_EXPECTED)
    }

    /// Shows what changes.
    fn follow(&self) -> Result<u8> {
        let lacks = if self.live { live::hand_over(&self.screen)? } else { None };
        let mut stdout = BufWriter::new(self.screen.stdout()?);
        let looks = Looks::begin(Survey { serials: true, ..self.survey() });
        let unheard = (!looks.hears_of_processes()).then(|| UNHEARD.to_string());
        let notes: Vec<String> = unheard.into_iter().chain(lacks).collect();
        let notes: String = notes.iter().map(|note| format!("{}: {note}\n", HELP.name)).collect();
        if self.live {
            let choice = self.asked.choice(&self.proc)?;
            live::run(&self.screen, looks, |map| self.text(map, &choice), &notes, &mut stdout)?;
        } else {
            // Where standard error is closed, nobody wants to know.
            let _ = io::stderr().write_all(notes.as_bytes());
            Watch { filter: &self.asked.filter, json: self.json }.run(looks, &mut stdout)?;
        }
        Ok(status::AS_EXPECTED)
    }

    /// Writes a picture, a page, or both.
    fn write_files(&self) -> Result<u8> {
        // What cannot be written shall be known before anything is looked at.
        let open = |path: &Option<PathBuf>| path.as_deref().map(Target::open).transpose();
        let (svg, html) = (open(&self.svg)?, open(&self.html)?);
        let choice = self.asked.choice(&self.proc)?;
        let map = Survey { cgroups: true, ..self.survey() }.take()?;
        let forest = choice.forest(&map);
        let shown = choice.shown(&map);
        if let (Some(target), Some(path)) = (svg, &self.svg) {
            self.write_file(target, path, picture::svg(&map, &forest, shown.len()).as_bytes())?;
        }
        if let (Some(target), Some(path)) = (html, &self.html) {
            self.write_file(target, path, page::html(&map, &forest, &shown)?.as_bytes())?;
        }
        Ok(status::AS_EXPECTED)
    }

    fn write_file(&self, target: Target, path: &Path, bytes: &[u8]) -> Result<()> {
        let Target::File(file) = target else { return write_now(bytes) };
        file.replace(bytes)?;
        let path = printable(&path.to_string_lossy());
        let mut stdout = self.screen.stdout()?;
        Ok(writeln!(stdout, "ns-map: written: {path} ({} KiB)", bytes.len().div_ceil(1024))?)
    }

    /// What to look at.
    fn survey(&self) -> Survey {
        let survey = self.asked.survey(&self.proc);
        Survey { cgroups: survey.cgroups || self.json, ..survey }
    }

    fn text(&self, map: &Map, choice: &Choice) -> String {
        let layout = self.screen.layout();
        let shown = choice.shown(map);
        let Asked { cgroups, list, .. } = self.asked;
        let body = match self.asked.tree() {
            Some(kind) => tree::draw(&choice.forest(map), kind, layout),
            None if list => table::one_by_one(&shown, cgroups, layout),
            None => table::by_process(&shown, cgroups, layout),
        };
        let last = layout.wrap(&words::summary(map, shown.len()), "", "");
        if shown.is_empty() { last } else { body + &last }
    }
}
