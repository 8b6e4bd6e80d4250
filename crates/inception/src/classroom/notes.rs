//! `--notes`: what the teacher has beside the class, on a second terminal or wherever else it is wanted.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use lesson::render::wrap;
use nix::fcntl::OFlag;
use ns_core::printable;
use transcript::{Claim, ClaimHead, ClaimResult, Event, Run, Verdict};

use super::doc;
use super::page::Part;
use super::terminal::CLEAR;
use crate::demos::Demo;

/// Columns, where nothing says how many there are.
const COLUMNS: usize = 80;

/// Where the notes go.
pub(super) struct Notes {
    name: String,
    out: Box<dyn Write>,
    /// A terminal shows the latest alone.
    is_terminal: bool,
    columns: usize,
    began: Instant,
}

impl Notes {
    /// Opens what `path` names, without waiting for anyone.
    ///
    /// # Errors
    /// One line that names it, and what to do. That is when nobody reads the FIFO or listens on the socket, when it is
    /// the terminal of the class, or cannot be written.
    pub(super) fn open(path: &Path) -> Result<Notes> {
        let name = path.display().to_string();
        let known = std::fs::metadata(path).ok();
        let is_socket = known.as_ref().is_some_and(|it| it.file_type().is_socket());
        let began = Instant::now();
        if is_socket {
            let socket = UnixStream::connect(path).map_err(|error| {
                anyhow!("cannot write the notes to {name}: {error}; listen on it first: socat UNIX-LISTEN:{name} -")
            })?;
            socket.set_nonblocking(true).context("fcntl(O_NONBLOCK)")?;
            return Ok(Notes { name, out: Box::new(socket), is_terminal: false, columns: COLUMNS, began });
        }
        // What cannot take them now must not make the class wait.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let opened = OpenOptions::new().append(true).create(true).custom_flags(flags.bits()).open(path);
        let file = opened.map_err(|error| {
            let is_fifo = known.as_ref().is_some_and(|it| it.file_type().is_fifo());
            let remedy = if is_fifo && error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32) {
                format!("; nobody reads it: on the second terminal, first: cat {name}")
            } else {
                String::new()
            };
            anyhow!("cannot write the notes to {name}: {error}{remedy}")
        })?;
        let is_terminal = file.is_terminal();
        if is_terminal && is_ours(&file) {
            bail!(
                "the notes would stand on the class's own terminal: {name}; tty on the second one says its name"
            );
        }
        let columns =
            terminal_size::terminal_size_of(&file).map_or(COLUMNS, |(width, _)| usize::from(width.0.max(20)));
        Ok(Notes { name, out: Box::new(file), is_terminal, columns, began })
    }

    /// Writes the notes for what is shown: `part` of the step whose `events` those are that were turned to.
    ///
    /// # Errors
    /// When nobody takes them any more.
    pub(super) fn write(
        &mut self,
        demo: &Demo,
        run: &Run,
        step: usize,
        part: Part,
        events: &[Event],
    ) -> Result<()> {
        let mut lines = vec![self.head(demo, step, part)];
        match part {
            Part::Announced => {
                for event in events {
                    if let Event::Step { title, claims, .. } = event {
                        lines.push((title.clone(), "", ""));
                        lines.extend(
                            claims.iter().filter_map(|id| run.claim(id)).flat_map(|it| ask(&it.head, run)),
                        );
                    }
                }
            }
            _ => {
                for event in events {
                    if let Event::Judged { claim, .. } = event {
                        lines.extend(run.claim(claim).into_iter().flat_map(|it| shown(it, run, demo)));
                    }
                }
                let next = next(run, step, events);
                lines.extend(next.into_iter().flat_map(|claim| {
                    let next = [("Next:".to_string(), "", "")];
                    next.into_iter().chain(ask(&claim.head, run)).collect::<Vec<_>>()
                }));
            }
        }
        let mut text = if self.is_terminal { CLEAR.to_string() } else { String::new() };
        for (line, first, rest) in lines {
            text += &wrap(&printable(&line), self.columns, first, rest);
        }
        text.push('\n');
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            // A reader that is slow, or a terminal that is stopped, gets the next.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other.with_context(|| format!("the notes go to {} no more", self.name)),
        }
    }

    /// Where the class is, and since when.
    fn head(&self, demo: &Demo, step: usize, part: Part) -> Line {
        let place = match part {
            Part::Claim(at, of) => format!("step {step}, claim {at} of {of}"),
            Part::End => "the end".into(),
            Part::Announced | Part::Rest => format!("step {step}"),
        };
        let seconds = self.began.elapsed().as_secs();
        let since = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let clock = clock().map_or_else(String::new, |clock| format!(", at {clock}"));
        (format!("== {}, {place}; {since} since the start{clock}", demo.title()), "", "   ")
    }
}

/// Text, and what its first line and the others begin with.
type Line = (String, &'static str, &'static str);

/// The question about a claim, with the right answer, and what others say.
fn ask(claim: &ClaimHead, run: &Run) -> Vec<Line> {
    let line = |text: String| (text, "      ", "        ");
    let mut lines = vec![(claim.question.as_deref().unwrap_or(&claim.text).to_string(), "  ?   ", "      ")];
    let right: Vec<_> = claim.answers.iter().filter(|it| it.right).map(|it| it.answer.as_str()).collect();
    lines.push(line(match (right.as_slice(), run.correction(claim)) {
        ([], Some(correction)) => format!("Right: no. {}", correction.text),
        ([], None) if claim.question.is_none() => format!("Expected: {}", claim.expect),
        ([], None) => format!("Right: {}", claim.text),
        (right, _) => format!("Right: {}", right.join("; ")),
    }));
    let wrong = claim.answers.iter().filter(|it| !it.right);
    let wrong = wrong.map(|it| (&it.answer, it.why.as_deref().unwrap_or_default()));
    for (answer, why) in wrong {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        lines.push(line(format!("Some say {answer}{why}")));
    }
    lines
}

/// A claim that was shown, with what the kernel said, and what the notes do.
fn shown(claim: &Claim, run: &Run, demo: &Demo) -> Vec<Line> {
    let verdict = claim.result.as_ref().map_or(Verdict::Skipped, ClaimResult::verdict);
    let head = &claim.head;
    let mut lines = vec![(format!("{}: {}", verdict.word(), head.text), "", "   ")];
    lines.extend(run.correction(head).map(|it| (format!("Correct: {}", it.text), "   ", "   ")));
    lines.extend(ask(head, run));
    let notes = doc::on_notes(demo.doc, &head.notes);
    lines.extend(notes.into_iter().map(|it| (format!("The notes: {it}"), "   ", "     ")));
    lines
}

/// The claim that comes after those that were judged in `events`, in the same step.
fn next<'r>(run: &'r Run, step: usize, events: &[Event]) -> Option<&'r Claim> {
    let last = events.iter().rev().find_map(|event| match event {
        Event::Judged { claim, .. } => Some(claim),
        _ => None,
    })?;
    let is_asked = |claim: &&Claim| matches!(claim.result, Some(ClaimResult::Judged { .. }));
    let mut of_the_step = run.claims.iter().filter(|it| it.step == Some(step)).filter(is_asked);
    of_the_step.find(|it| it.head.id == *last)?;
    of_the_step.next()
}

/// Whether a file is the terminal that standard output is.
fn is_ours(file: &File) -> bool {
    let device = |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fstat(fd).map(|it| it.st_rdev);
    matches!((file.metadata(), device(std::io::stdout().as_fd())), (Ok(it), Ok(own)) if it.rdev() == own)
}

/// The time of day, as date(1) knows it, which has the time zones.
fn clock() -> Option<String> {
    let output = Command::new("date").arg("+%H:%M").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
