//! The transcripts that are compared, and what each is called.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ns_core::printable;

use transcript::{Begin, Run, Runs};

/// What one kernel said to one user.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) file: PathBuf,
    pub(super) runs: Runs,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// One line that names the file, and the line of it. That is when it cannot be read, is no transcript, is cut
    /// short, or is not of one kernel and one user.
    pub(super) fn read(file: &Path) -> Result<Transcript> {
        let name = file.display().to_string();
        let input = File::open(file).with_context(|| format!("cannot open {name}"))?;
        Ok(Transcript { file: file.into(), runs: Runs::read(&name, input, admit)? })
    }

    /// uname(2)'s release.
    pub(super) fn kernel(&self) -> &str {
        self.first().map_or("", |begin| &begin.kernel)
    }

    /// The user's ID.
    pub(super) fn uid(&self) -> u32 {
        self.first().map_or(0, |begin| begin.sandbox.uid)
    }

    fn first(&self) -> Option<&Begin> {
        self.runs.all.first().map(|run| &run.begin)
    }
}

/// Whether another run may stand beside those before it.
fn admit(run: &Run, runs: &Runs) -> Result<()> {
    let Begin { experiment, kernel, sabotage, sandbox, .. } = &run.begin;
    ensure!(!sabotage, "a run with --sabotage says nothing about the kernel");
    let Some(first) = runs.all.first().map(|run| &run.begin) else { return Ok(()) };
    ensure!(
        *kernel == first.kernel && sandbox.uid == first.sandbox.uid,
        "another run begins, of {} on {kernel}, after that of {} on {}; give each a file",
        who(sandbox.uid),
        who(first.sandbox.uid),
        first.kernel
    );
    ensure!(runs.of(experiment).is_none(), "'{experiment}' a second time; give each run a file");
    Ok(())
}

fn who(uid: u32) -> String {
    if uid == 0 { "root".into() } else { format!("uid {uid}") }
}

/// `6.1` of `6.1.0-40-amd64`.
fn short(release: &str) -> String {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if !major.is_empty() && !minor.is_empty() => format!("{major}.{minor}"),
        _ => printable(release),
    }
}

/// What each transcript is called: by its kernel, then by who ran it, then by its file, as far as it takes to tell it
/// from the others.
pub(super) fn columns(transcripts: &[Transcript], at_least: usize) -> Vec<String> {
    let names = |it: &Transcript| {
        let file = it.file.file_name().unwrap_or(it.file.as_os_str()).to_string_lossy();
        [short(it.kernel()), who(it.uid()), printable(&file), printable(&it.file.to_string_lossy())]
    };
    let all: Vec<_> = transcripts.iter().map(names).collect();
    let name = |own: &[String; 4]| {
        let is_alone = |parts: &usize| all.iter().filter(|it| it.starts_with(&own[..*parts])).count() == 1;
        match (at_least..=3).find(is_alone) {
            Some(parts) => own[..parts].join("\n"),
            None => [&own[0], &own[1], &own[3]].map(String::as_str).join("\n"),
        }
    };
    all.iter().map(name).collect()
}
