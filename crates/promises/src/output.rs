//! What is promised of the output.

use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use unicode_width::UnicodeWidthStr;

use crate::ensure::ensure;
use crate::experiment::{Experiment, Transcript};
use crate::rendered::{View, rendered};

const VIEWS: [View; 3] = [View::Screen, View::Plain, View::Steps];

/// The run that a view shows, made once.
fn shown(experiment: &Experiment, view: View) -> Result<&Transcript, Failed> {
    if view == View::Steps { experiment.plain() } else { experiment.core() }
}

/// What one run prints is what the events of another say. Into a pipe goes no colour, 80 columns wide.
pub(crate) fn two_runs_read_alike(experiment: &Experiment) -> Result<(), Failed> {
    for view in [View::Screen, View::Steps] {
        let printed = experiment.run(&[&["--stable"], view.options()].concat())?.stdout;
        is_alike(&rendered(shown(experiment, view)?, view, 80, true)?, &String::from_utf8(printed)?)?;
    }
    Ok(())
}

fn is_alike(one: &str, other: &str) -> Result<(), Failed> {
    let differ = || one.lines().zip(other.lines()).find(|(a, b)| a != b);
    ensure(one == other, || format!("{:?}", differ()))
}

pub(crate) fn lines_fit_and_colour_adds_nothing(experiment: &Experiment) -> Result<(), Failed> {
    for view in VIEWS {
        let transcript = shown(experiment, view)?;
        for width in [20, 60, 80, 200] {
            lines_fit(&rendered(transcript, view, width, true)?, width)?;
        }
        let options = [&["--stable", "--width", "60", "--color", "always"], view.options()].concat();
        let coloured = experiment.run(&options)?.stdout;
        ensure(coloured.contains(&b'\x1b'), || "--color always gives no colour".into())?;
        let stripped = anstream::adapter::strip_bytes(&coloured).into_vec();
        is_alike(&rendered(transcript, view, 60, true)?, &String::from_utf8(stripped)?)?;
    }
    Ok(())
}

fn lines_fit(text: &str, width: usize) -> Result<(), Failed> {
    let mut is_command = false;
    for line in text.lines() {
        is_command = match line.trim_start() {
            // What is typed stays whole where it cannot be broken without saying something else.
            typed if typed.starts_with("by hand  ") => true,
            shown if shown.is_empty() || shown.starts_with("- ") => false,
            _ => is_command,
        };
        let columns = line.width();
        ensure(is_command || columns <= width, || format!("{columns} columns of {width}: {line:?}"))?;
    }
    Ok(())
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
