//! What is promised to whoever types something wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use libtest_mimic::Failed;

use crate::ensure::ensure;
use crate::experiment::Experiment;

pub(crate) fn misuse_gets_one_line_and_exit_2(experiment: &Experiment) -> Result<(), Failed> {
    for (arguments, named) in [
        (["--format", "xml"].as_slice(), "xml"),
        (&["--moon"], "--moon"),
        (&["--width", "3"], "3"),
        (&["--color"], "--color"),
        (&["--width", "\x1b[2J"], "--width"),
    ] {
        let output = experiment.run(arguments)?;
        let line = one_line(&output)?;
        ensure(line.contains(named), || format!("{arguments:?} is not named: {line}"))?;
        ensure(output.stdout.is_empty(), || "something was printed all the same".into())?;
    }
    let garbled = experiment.command(&[]).arg(OsStr::from_bytes(b"\xff\xfe")).output()?;
    one_line(&garbled).map(drop)
}

/// What cannot go on says so in one line, without a panic's text, whatever RUST_BACKTRACE says.
pub(crate) fn small_limits_get_one_line(experiment: &Experiment) -> Result<(), Failed> {
    for limit in ["-n 6", "-n 9", "-n 14", "-v 30000", "-v 60000"] {
        let line = format!("ulimit {limit} && exec \"$0\" --format tap");
        let mut shell = Command::new("bash");
        shell.args(["-c", &line]).arg(experiment.program()).stdin(Stdio::null());
        let output = shell.env("RUST_BACKTRACE", "1").env_remove("LAB_MUST_RUN").output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &said;
        let ended = || format!("ulimit {limit}: {}: {said}", output.status);
        ensure(matches!(output.status.code(), Some(0 | 2 | 77)), ended)?;
        ensure(said.lines().count() == usize::from(output.status.code() == Some(2)), ended)?;
        ensure(!shown.contains("panicked") && !shown.contains("stack backtrace"), || shown.clone())?;
    }
    Ok(())
}

fn one_line(output: &Output) -> Result<String, Failed> {
    let text = String::from_utf8(output.stderr.clone())?;
    ensure(output.status.code() == Some(2), || format!("{}: {text}", output.status))?;
    ensure(text.lines().count() == 1, || format!("not one line: {text}"))?;
    ensure(!text.contains("panicked") && !text.contains('\x1b'), || format!("{text:?}"))?;
    Ok(text)
}
