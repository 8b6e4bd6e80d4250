//! The main function of every experiment.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use ns_core::{host, janitor, sabotage, signals, stage, uts};

use crate::cli::{self, Settings, complain};
use crate::event::{ClaimHead, Event, SCHEMA, Stage};
use crate::lab::Lab;
use crate::model::{Experiment, Kernel};
use crate::render::Dismissed;
use crate::status::{AS_EXPECTED, BROKEN, NOTHING_ASKED, UNEXPECTED};
use crate::{Need, classroom, render};

/// Runs an experiment from the command line.
pub fn main(experiment: &'static Experiment) -> ExitCode {
    main_with::<cli::NoMore>(experiment, |_, _| None)
}

/// Runs an experiment whose command line has more to it: `instead` may answer in the experiment's place.
pub fn main_with<More: clap::Args>(
    experiment: &'static Experiment,
    instead: fn(&More, &Settings) -> Option<Result<u8>>,
) -> ExitCode {
    let (settings, more) = match cli::parse::<More>(experiment) {
        Ok(parsed) => parsed,
        Err(status) => return ExitCode::from(status),
    };
    let ended = signals::start_afresh().and_then(|()| host::remember()).map_err(Into::into).and_then(|()| {
        if settings.list_claims {
            cli::list_claims(experiment, &settings).map(|()| AS_EXPECTED)
        } else {
            instead(&more, &settings).unwrap_or_else(|| {
                if settings.pause || settings.predict {
                    classroom::attend(experiment, &settings)
                } else {
                    perform(experiment, &settings)
                }
            })
        }
    });
    let finished = janitor::finish();
    let ended = ended.and_then(|status| finished.map(|()| status).map_err(Into::into));
    ExitCode::from(ended.unwrap_or_else(|error| {
        if !error.chain().any(Dismissed::is_why) {
            complain(experiment.name, &error);
        }
        BROKEN
    }))
}

/// From the first event to the last.
fn perform(experiment: &'static Experiment, settings: &Settings) -> Result<u8> {
    let began = Instant::now();
    if settings.sabotage {
        sabotage::remove_causes();
    }
    let (major, minor) = uts::kernel_version();
    let mut lab = Lab::new(experiment, render::new(settings)?, Kernel(major, minor));
    let missing = match ns_core::probe::stage(experiment.stage)? {
        None => experiment.needs.iter().find_map(|need| Need::missing(need).transpose()).transpose()?,
        missing => missing,
    };
    let stage = if missing.is_none() { experiment.stage } else { ns_core::Namespaces::NONE };
    let stage = stage::enter(stage)?;
    lab.emit(&Event::Begin {
        schema: SCHEMA,
        experiment: experiment.name.into(),
        question: experiment.question.into(),
        notes: experiment.notes.into(),
        man: experiment.man.iter().map(ToString::to_string).collect(),
        kernel: uts::release(),
        machine: uts::machine(),
        sabotage: settings.sabotage,
        stage: Stage { namespaces: stage.namespaces.kinds().collect(), uid: stage.uid },
        claims: experiment.claims.iter().map(ClaimHead::from).collect(),
    })?;
    let ran = match missing {
        None => (experiment.run)(&mut lab).and_then(|()| all_settled(&lab)),
        Some(missing) => experiment.claims.iter().try_for_each(|claim| lab.skip(*claim, missing.clone())),
    };
    let tally = lab.tally();
    let must_run = settings.must_run && tally.skipped > 0;
    let status = match &ran {
        Err(_) => BROKEN,
        Ok(()) if tally.unexpected > 0 || must_run => UNEXPECTED,
        Ok(()) if tally.judged() == 0 => NOTHING_ASKED,
        Ok(()) => AS_EXPECTED,
    };
    let elapsed = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let broken = ran.as_ref().err().map(|error| format!("{error:#}"));
    lab.emit(&Event::End { tally, broken, status, elapsed })?;
    lab.finish()?;
    ran.map(|()| status)
}

/// A claim that was declared and not judged is a fault of ours.
fn all_settled(lab: &Lab) -> Result<()> {
    let left: Vec<_> = lab.unsettled().map(|claim| claim.id).collect();
    anyhow::ensure!(left.is_empty(), "declared and never judged: {}", left.join(", "));
    Ok(())
}
