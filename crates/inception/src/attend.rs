//! Experiments that have the terminal to themselves: `--pause`, `--predict` and `inception review`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Screen, complain, status};
use nix::poll::{PollFd, PollFlags};
use nix::unistd::dup2_stdin;
use ns_core::child::become_program;
use ns_core::{Child, End, Named, Namespaces, poll_until};

use crate::demos::Demo;
use crate::program;

/// Answers that one experiment after another takes from one file.
#[derive(Debug)]
pub(crate) struct Answers(Option<File>);

impl Answers {
    /// `-` is our own standard input, which the experiments have as well.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(path: Option<&Path>) -> Result<Answers> {
        let named = path.filter(|path| path.as_os_str() != "-");
        let open = |path: &Path| {
            File::open(path).with_context(|| format!("cannot read the answers in {}", path.display()))
        };
        Ok(Answers(named.map(open).transpose()?))
    }
}

/// The arguments that hand a screen on.
pub(crate) fn screen_arguments(screen: &Screen) -> Vec<OsString> {
    let mut arguments = vec![OsString::from(format!("--color={}", screen.color.word()))];
    arguments.extend(screen.width.map(|width| format!("--width={width}").into()));
    arguments
}

/// Runs experiments one after another, each with its own arguments, until one is left. The exit status is the worst of
/// theirs; a program that is missing is told, and counts as broken.
///
/// # Errors
/// When a process cannot be made.
pub(crate) fn one_by_one(
    classes: impl IntoIterator<Item = (&'static Demo, Vec<OsString>)>,
    answers: &Answers,
) -> Result<u8> {
    let mut statuses = Vec::new();
    for (demo, arguments) in classes {
        let ended = run(demo, &arguments, answers)?;
        statuses.push(ended);
        if ended == status::LEFT {
            return Ok(status::LEFT);
        }
    }
    let any = |status| statuses.contains(&status);
    let worst = [status::BROKEN, status::UNEXPECTED, status::AS_EXPECTED].into_iter().find(|it| any(*it));
    Ok(worst.unwrap_or(status::NOTHING_ASKED))
}

fn run(demo: &'static Demo, arguments: &[OsString], answers: &Answers) -> Result<u8> {
    let Some(program) = program::find(demo.name) else {
        complain("inception", &program::not_found(&[demo.name]));
        return Ok(status::BROKEN);
    };
    let words = [OsStr::new(demo.name)].into_iter().chain(arguments.iter().map(OsString::as_os_str));
    let mut child = Child::spawn(demo.name, Namespaces::NONE, |_| {
        if let Some(file) = &answers.0 {
            dup2_stdin(file).named(|| "dup2(answers, 0)".into())?;
        }
        become_program(&program, words).map(drop)
    })?;
    // People take as long as they like.
    poll_until(&mut [PollFd::new(child.pidfd(), PollFlags::POLLIN)], None)?;
    let end = child.hear().and_then(|_| child.wait());
    match end {
        Ok(End::Exited(code)) => Ok(u8::try_from(code).unwrap_or(status::BROKEN)),
        Ok(killed) => {
            complain("inception", &anyhow::anyhow!("{}: {killed}", demo.name));
            Ok(status::BROKEN)
        }
        Err(error) => {
            complain("inception", &error.into());
            Ok(status::BROKEN)
        }
    }
}
