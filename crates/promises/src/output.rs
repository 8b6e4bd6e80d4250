//! What is promised of the output.

use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use unicode_width::UnicodeWidthStr;

use crate::ensure::ensure;
use crate::experiment::Experiment;

pub(crate) fn two_runs_read_alike(experiment: &Experiment) -> Result<(), Failed> {
    for options in [&["--stable"][..], &["--stable", "--all"]] {
        reads_alike_twice(experiment, options)?;
    }
    Ok(())
}

fn reads_alike_twice(experiment: &Experiment, options: &[&str]) -> Result<(), Failed> {
    let first = experiment.run(options)?;
    let again = experiment.run(options)?;
    let differ = |a: &[u8], b: &[u8]| {
        let (a, b) = (String::from_utf8_lossy(a).into_owned(), String::from_utf8_lossy(b).into_owned());
        a.lines().zip(b.lines()).find(|(a, b)| a != b).map(|(a, b)| format!("{a:?} and {b:?}"))
    };
    ensure(again.stdout == first.stdout, || format!("{:?}", differ(&first.stdout, &again.stdout)))
}

pub(crate) fn lines_fit_and_colour_adds_nothing(experiment: &Experiment) -> Result<(), Failed> {
    for view in [&["--stable"][..], &["--stable", "--plain"], &["--stable", "--all"]] {
        lines_of_view_fit(experiment, view)?;
    }
    Ok(())
}

fn lines_of_view_fit(experiment: &Experiment, view: &[&str]) -> Result<(), Failed> {
    let mut plain = Vec::new();
    for width in ["20", "60", "200", "80"] {
        let options = [view, &["--width", width]].concat();
        plain = experiment.command(&options).env("NO_COLOR", "1").output()?.stdout;
        let text = std::str::from_utf8(&plain)?;
        ensure(!text.contains('\x1b'), || "an escape sequence goes into a pipe".into())?;
        let mut is_command = false;
        for line in text.lines() {
            is_command = match line.trim_start() {
                // What is typed stays whole where it cannot be broken without saying something else.
                typed if typed.starts_with("by hand  ") => true,
                shown if shown.is_empty() || shown.starts_with("- ") => false,
                _ => is_command,
            };
            let columns = line.width();
            ensure(is_command || columns <= width.parse()?, || {
                format!("{columns} columns of {width}: {line:?}")
            })?;
        }
    }
    let coloured = experiment.run(&[view, &["--width", "80", "--color", "always"]].concat())?;
    ensure(coloured.stdout.contains(&b'\x1b'), || "--color always gives no colour".into())?;
    let stripped = anstream::adapter::strip_bytes(&coloured.stdout).into_vec();
    ensure(stripped == plain, || "colour changes the words".into())
}

pub(crate) fn lost_output_is_told(experiment: &Experiment) -> Result<(), Failed> {
    for (redirection, options, status, said) in [
        (">&-", &["", "--list-claims", "--help", "--version"][..], 2, "standard output is closed"),
        (
            ">/dev/full",
            &["", "--format jsonl", "--list-claims", "--help", "--version"],
            2,
            "cannot write the output",
        ),
        ("| :", &["", "--help"], 0, ""),
    ] {
        for options in options {
            let line = format!("set -o pipefail; \"$0\" {options} {redirection}");
            let mut shell = Command::new("bash");
            shell.args(["-c", &line]).arg(experiment.program()).stdin(Stdio::null());
            let output = shell.env_remove("LAB_MUST_RUN").output()?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure(
                output.status.code() == Some(status) || (status == 0 && output.status.code() == Some(77)),
                || format!("{options} {redirection}: {}: {text}", output.status),
            )?;
            ensure(text.contains(said) && text.lines().count() == usize::from(status == 2), || {
                format!("{options} {redirection}: says {text:?}")
            })?;
        }
    }
    Ok(())
}

pub(crate) fn help_leads_with_examples(experiment: &Experiment) -> Result<(), Failed> {
    let output = experiment.run(&["--help"])?;
    let text = String::from_utf8(output.stdout)?;
    ensure(output.status.success(), || format!("{}", output.status))?;
    let (examples, usage) = (text.find("Examples:"), text.find("Usage:"));
    ensure(examples.is_some() && examples < usage, || format!("no examples before the usage: {text}"))?;
    for line in text.lines() {
        ensure(line.len() <= 100, || format!("{} columns: {line:?}", line.len()))?;
    }
    Ok(())
}
