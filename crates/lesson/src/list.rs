//! The claims and the steps of an experiment, without a run of it.

use std::io::{self, Write};

use anyhow::{Context, Result, ensure};

use crate::experiment::Experiment;
use crate::render::{claim_head, step_head};
use crate::settings::{Settings, Transcript};
use crate::steps::Steps;

/// Writes the claims of an experiment, without judging any.
pub(crate) fn list_claims(experiment: &Experiment, settings: &Settings) -> Result<()> {
    ensure!(
        matches!(settings.format, Transcript::Text | Transcript::Jsonl),
        "--list-claims has no verdicts to write as tap or junit; choose from text, jsonl"
    );
    let mut out = String::new();
    for head in experiment.heads() {
        if settings.format == Transcript::Jsonl {
            out.push_str(&serde_json::to_string(&head)?);
            out.push('\n');
            continue;
        }
        out.push_str(&claim_head(&head, settings.screen.layout()));
    }
    write(&out, settings)
}

/// Writes the steps of an experiment, without running any: all of them, where none was chosen.
pub(crate) fn list_steps(experiment: &'static Experiment, settings: &Settings) -> Result<()> {
    ensure!(
        matches!(settings.format, Transcript::Text | Transcript::Jsonl),
        "--list-steps has no verdicts to write as tap or junit; choose from text, jsonl"
    );
    let chosen = if settings.steps.is_core() { &Steps::all() } else { &settings.steps };
    let mut out = String::new();
    for chosen in chosen.of(experiment)? {
        let event = chosen.announcement();
        if settings.format == Transcript::Jsonl {
            out.push_str(&serde_json::to_string(&event)?);
            out.push('\n');
            continue;
        }
        out.push_str(&step_head(&event, settings.screen.layout()));
    }
    write(out.trim_start_matches('\n'), settings)
}

fn write(out: &str, settings: &Settings) -> Result<()> {
    let mut stdout = settings.stdout()?;
    match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write the output"),
    }
}
