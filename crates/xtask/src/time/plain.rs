//! A run that nothing disturbs: its wall time, and what its processes used.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use observation::printable;
use serde::{Deserialize, Serialize};

/// What a run used. Its orphans count, since they become children of this process.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// Milliseconds from its start until it ended.
    pub(crate) wall: f64,
    /// Milliseconds of all its processes, in their own code.
    pub(crate) user: f64,
    /// The same in the kernel, for them.
    pub(crate) system: f64,
    /// Page faults without a disk.
    pub(crate) minor: f64,
    /// Page faults that read a disk.
    pub(crate) major: f64,
}

/// Starts a command without input or output.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(words: &[OsString]) -> Result<Child> {
    let (program, arguments) = words.split_first().context("no command is given")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("cannot start {}", printable(&program.to_string_lossy())))
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be run, or does not come to its own end.
pub(super) fn run(words: &[OsString]) -> Result<Spent> {
    let before = used()?;
    let began = Instant::now();
    let mut child = start(words)?;
    let status = residue::wait_as_init(&mut child)?;
    let wall = began.elapsed().as_secs_f64() * 1000.0;
    ended(words, status)?;
    let after = used()?;
    let difference = |of: fn(&Usage) -> i64| (of(&after) - of(&before)) as f64;
    Ok(Spent {
        wall,
        user: difference(|it| it.user_time().num_microseconds()) / 1000.0,
        system: difference(|it| it.system_time().num_microseconds()) / 1000.0,
        minor: difference(Usage::minor_page_faults),
        major: difference(Usage::major_page_faults),
    })
}

/// An experiment may end with any status: 77 where nothing can be asked. What was killed, or never began, has no times.
///
/// # Errors
/// When a signal ended it, or it was broken or misused.
pub(super) fn ended(words: &[OsString], status: ExitStatus) -> Result<()> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let command = printable(&words.join(" "));
    ensure!(status.signal().is_none(), "a signal ended '{command}': run it by itself to see why");
    let code = status.code().unwrap_or_default();
    ensure!(
        code != 2 && code < 125,
        "'{command}' fails with exit status {code}: run it by itself to see why"
    );
    Ok(())
}

fn used() -> Result<Usage> {
    getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage(RUSAGE_CHILDREN)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<OsString> {
        command.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_run_takes_time_and_has_page_faults() {
        let spent = run(&words("true")).unwrap();
        assert!(spent.wall > 0.0 && spent.minor > 0.0, "{spent:?}");
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let error = run(&words("/no/such/program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /no/such/program");
        let told =
            |code: i32| ended(&words("x y"), ExitStatus::from_raw(code << 8)).map_err(|it| it.to_string());
        assert_eq!(told(77), Ok(()));
        assert_eq!(told(2), Err("'x y' fails with exit status 2: run it by itself to see why".into()));
    }
}
