//! Many copies of a program at once, which may not get in each other's way.

use std::fs::{self, File};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::lanes::Lanes;
use super::one::{clear_away, left, temporary};
use super::subject::Subject;
use residue::{SETTLE, Token, settled, started_now};

/// Many at once on a small machine take their time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs so many copies of `subject` at once. What is wrong, a line each: one that does not end as it should, and what is
/// left of all of them.
///
/// # Errors
/// When one cannot be started.
pub(super) fn at_once(subject: &Subject, copies: usize, lanes: &Lanes) -> Result<Vec<String>> {
    let temporary = temporary()?;
    let token = Token::new()?;
    let since = started_now().context("/proc/uptime cannot be read")?;
    let mut wrong = Vec::new();
    let mut started = Vec::new();
    let said = tempfile::tempdir().context("a temporary directory")?;
    for number in 0..copies {
        let mut command = subject.command(&[], &token, temporary.path());
        let complaint = File::create(said.path().join(number.to_string())).context("a temporary file")?;
        started.push(lanes.start(&mut command, Some(complaint))?);
    }
    for (number, copy) in started.into_iter().enumerate() {
        if !copy.ends_within(PATIENCE)? {
            wrong.push(format!("one of {copies} had not ended after {PATIENCE:?}"));
            let _ = killpg(Pid::from_raw(copy.pid()), Signal::SIGKILL);
            copy.ends_within(PATIENCE)?;
        }
        let status = copy.status()?;
        if !matches!(status.code(), Some(0 | 77)) {
            let complaint = fs::read_to_string(said.path().join(number.to_string())).unwrap_or_default();
            wrong.push(format!("one of {copies}: {status}: {}", complaint.trim_end()));
        }
    }
    wrong.extend(settled(SETTLE, || left(lanes, &token, temporary.path(), since)).0);
    clear_away(&token, since);
    Ok(wrong)
}
