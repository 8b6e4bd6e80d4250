//! What is longer than a screen goes through a pager.
//!
//! Three processes: the pager; this program once more, which writes into a pipe to it as into any other pipe; and this
//! one, which waits for both. So nothing that an experiment starts knows of the pager, and whoever quits it early is a
//! reader that has gone, as of `| head`.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use anstream::ColorChoice;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use ns_core::{probe, signals};

use crate::locale::is_dumb;
use crate::settings::Screen;
use crate::status::BROKEN;

/// What less(1) gets where the user sets nothing: to end by itself where all fits, to show colours, and to leave the
/// text.
const LESS: (&str, &str) = ("LESS", "FRX");

/// Runs this program again, with what it writes going through a pager, and gives its exit status. None where there is
/// no terminal or no pager, and so all is still to be done.
///
/// # Errors
/// When standard output was closed; those of fork(2) and execve(2).
pub fn page(screen: &Screen) -> Result<Option<u8>> {
    if is_dumb() || !io::stdout().is_terminal() {
        return Ok(None);
    }
    let is_there = |name: &str| probe::program(name).is_none();
    let Some(pager) = chosen(std::env::var_os("PAGER"), is_there) else { return Ok(None) };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let Some(arguments) = with(arguments.collect(), screen)? else { return Ok(None) };
    let mut reader = Command::new("/bin/sh");
    reader.arg("-c").arg(&pager).stdin(Stdio::piped());
    if std::env::var_os(LESS.0).is_none() {
        reader.env(LESS.0, LESS.1);
    }
    let mut reader = reader.spawn().with_context(|| format!("cannot start {}", pager.to_string_lossy()))?;
    let pipe = OwnedFd::from(reader.stdin.take().context("no pipe to the pager")?);
    let mut writer = Command::new("/proc/self/exe");
    writer.arg0(name).args(arguments);
    if io::stderr().is_terminal() {
        // Else a complaint would stand in the middle of a page.
        writer.stderr(pipe.try_clone().context("dup(pipe)")?);
    }
    let started = writer.stdout(Stdio::from(pipe)).spawn().context("execve(\"/proc/self/exe\")");
    // It holds our ends of the pipe, without which the pager would wait for us.
    drop(writer);
    // From here on the terminal's keys are for the pager, and for what writes.
    signals::block(&[Signal::SIGINT, Signal::SIGQUIT])?;
    let ended = started.and_then(|mut writer| writer.wait().context("waitpid(writer)"));
    reader.wait().context("waitpid(pager)")?;
    ended.map(|ended| Some(status(ended)))
}

/// The pager that `asked`, the value of PAGER, names, or less(1); none where it asks for none, or what it names is not
/// there.
fn chosen(asked: Option<OsString>, is_there: impl Fn(&str) -> bool) -> Option<OsString> {
    let asked = asked.unwrap_or_else(|| "less".into());
    let first = asked.to_str()?.split_whitespace().next()?.to_string();
    // What sets a variable first is the shell's business.
    (first != "cat" && (first.contains('=') || is_there(&first))).then_some(asked)
}

/// The arguments of what writes: those of this program, and what the terminal can show. None where nothing can be
/// added to them.
fn with(arguments: Vec<OsString>, screen: &Screen) -> Result<Option<Vec<OsString>>> {
    if arguments.iter().any(|it| it == OsStr::new("--")) {
        return Ok(None);
    }
    let layout = screen.layout();
    let color = if screen.stdout()?.current_choice() == ColorChoice::Never { "never" } else { "always" };
    let more = [format!("--color={color}"), format!("--width={}", layout.width)];
    let plain = layout.plain.then(|| "--plain".to_string());
    Ok(Some(arguments.into_iter().chain(more.into_iter().chain(plain).map(OsString::from)).collect()))
}

/// As a shell has it.
fn status(ended: ExitStatus) -> u8 {
    let signal = || ended.signal().map(|signal| 128 + signal);
    ended.code().or_else(signal).and_then(|status| u8::try_from(status).ok()).unwrap_or(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pager_says_which_and_whether() {
        let pager = |asked: Option<&str>| chosen(asked.map(OsString::from), |name| name == "less");
        assert_eq!(pager(None), Some("less".into()));
        assert_eq!(pager(Some("less -S")), Some("less -S".into()));
        assert_eq!(pager(Some("LESSCHARSET=ascii less")), Some("LESSCHARSET=ascii less".into()));
        for none in ["", "  ", "cat", "cat -v", "most"] {
            assert_eq!(pager(Some(none)), None, "{none:?}");
        }
        assert_eq!(chosen(None, |_| false), None, "less is not everywhere");
    }

    #[test]
    fn an_end_by_a_signal_is_told_as_a_shell_does() {
        assert_eq!(status(ExitStatus::from_raw(1 << 8)), 1);
        assert_eq!(status(ExitStatus::from_raw(2)), 130);
    }
}
