//! The modes that replace the experiment: they show processes of this machine.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use lesson::Settings;
use lesson::render::Renderer;
use lesson::status::AS_EXPECTED;
use transcript::Event;

use crate::{census, compare};

/// The processes to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Processes {
    /// Compare these processes, or one with ns-compare itself. Exit status: 0 if they share every namespace, 1 if not,
    /// 2 on an error
    #[arg(value_name = "PID", allow_negative_numbers = true)]
    pids: Vec<OsString>,

    /// List every namespace that a process is a member of
    #[arg(long, conflicts_with = "pids")]
    list: bool,

    /// Read this directory as if it were /proc
    #[arg(long, value_name = "DIR", default_value = "/proc", hide = true)]
    proc: PathBuf,
}

/// Shows processes of this machine, if the arguments ask for it.
pub(crate) fn instead(asked: &Processes, settings: &Settings) -> Option<Result<u8>> {
    (asked.list || !asked.pids.is_empty()).then(|| answer(asked, settings))
}

fn answer(Processes { pids, list, proc }: &Processes, settings: &Settings) -> Result<u8> {
    let (events, status) =
        if *list { (census::of(proc)?, AS_EXPECTED) } else { compare::compare(pids, proc)? };
    show(lesson::open(settings)?, &events)?;
    Ok(status)
}

/// Shows events that are not part of a transcript. A reader that closes the pipe early is no error.
fn show(mut renderer: Box<dyn Renderer>, events: &[Event]) -> Result<()> {
    for event in events {
        match renderer.show(event) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            shown => shown.context("cannot write the output")?,
        }
    }
    Ok(())
}
