//! The main function of every experiment.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use nix::sys::stat::{Mode, umask};
use ns_core::probe::Unmet;
use ns_core::{cleanup, host, process, sandbox, signals, uts};
use transcript::{Event, Kernel, SCHEMA, Sandbox};

use crate::claim::Claim;
use crate::cli::{self, Asked};
use crate::driver;
use crate::experiment::{Experiment, first_unmet};
use crate::help::complain;
use crate::lab::Lab;
use crate::list::{list_claims, list_steps};
use crate::origin;
use crate::output;
use crate::pager;
use crate::refusal;
use crate::render::Dismissed;
use crate::settings::{Settings, require_a_class};
use crate::shell;
use crate::status::{AS_EXPECTED, BROKEN, NOTHING_ASKED, UNEXPECTED};
use crate::turn::Turns;

/// Runs an experiment from the command line.
pub fn main(experiment: &'static Experiment) -> ExitCode {
    main_with::<cli::NoMore>(experiment, |_, _| None)
}

/// Runs an experiment whose command line has more to it: `instead` may answer in the experiment's place.
pub fn main_with<More: clap::Args>(
    experiment: &'static Experiment,
    instead: fn(&More, &Settings) -> Option<Result<u8>>,
) -> ExitCode {
    let asked = match cli::parse::<More>(experiment) {
        Ok(asked) => asked,
        Err(status) => return ExitCode::from(status),
    };
    let began = signals::start_afresh().and_then(|()| host::remember()).map_err(anyhow::Error::from);
    let ended = began.and_then(|()| match asked {
        Asked::Shell(shell, options) => shell::run(experiment.name, &shell, &options),
        Asked::Experiment(settings, more) => answer(experiment, &settings, &more, instead),
    });
    let finished = cleanup::finish();
    let ended = ended.and_then(|status| finished.map(|()| status).map_err(Into::into));
    ExitCode::from(ended.unwrap_or_else(|error| {
        if !error.chain().any(Dismissed::is_why) {
            complain(experiment.name, &error);
        }
        BROKEN
    }))
}

/// Does what is asked of the experiment, or of what may answer `instead`.
fn answer<More>(
    experiment: &'static Experiment,
    settings: &Settings,
    more: &More,
    instead: fn(&More, &Settings) -> Option<Result<u8>>,
) -> Result<u8> {
    if settings.list_claims {
        return list_claims(experiment, settings).map(|()| AS_EXPECTED);
    }
    if settings.list_steps {
        return list_steps(experiment, settings).map(|()| AS_EXPECTED);
    }
    if let Some(answered) = instead(more, settings) {
        return answered;
    }
    require_a_class(settings.notes.as_deref(), settings.pause || settings.predict)?;
    if settings.pause || settings.predict {
        return driver::hand_over(experiment.name, settings);
    }
    let paged = if settings.is_long() { pager::page(&settings.screen)? } else { None };
    paged.map_or_else(|| perform(experiment, settings), Ok)
}

/// From the first event to the last.
fn perform(experiment: &'static Experiment, settings: &Settings) -> Result<u8> {
    let began = Instant::now();
    process::require_address_space()?;
    let steps = settings.steps.of(experiment)?;
    let claims: Vec<Claim> = steps.iter().flat_map(|chosen| &chosen.claims).copied().collect();
    // Some claims are about processes that a signal kills.
    process::leave_no_core();
    // One such as 0777 would deny the owner access to what the experiment creates.
    umask(Mode::from_bits_truncate(0o022));
    let origin = origin::of(settings);
    // What a start before has left whose cleanup worker was killed with it. Without a TMPDIR there is nothing.
    let _ = cleanup::sweep_directories();
    let (major, minor) = uts::kernel_version();
    let renderer = output::open_for(settings, &settings.steps)?;
    let turns = Turns::among_others(settings.turn.as_deref());
    let mut lab = Lab::new(renderer, Kernel(major, minor), settings.sabotage, settings.lockstep, turns);
    let prepared = experiment.prepare.map_or(Ok(()), |prepare| prepare());
    // A machine that refuses even to be asked lacks what is asked for.
    let missing = match ns_core::probe::sandbox(experiment.sandbox).map_err(Into::into) {
        Ok(None) => first_unmet(experiment.requires)?,
        Ok(missing) => missing,
        Err(error) => Some(refusal::of(&error).ok_or(error)?),
    };
    let wanted = if missing.is_none() { experiment.sandbox } else { ns_core::Namespaces::NONE };
    let entered = sandbox::enter(wanted)?;
    lab.emit(&Event::Begin {
        schema: SCHEMA,
        experiment: experiment.name.into(),
        question: experiment.question.into(),
        notes: experiment.notes.into(),
        man: experiment.man.iter().map(ToString::to_string).collect(),
        kernel: uts::release(),
        machine: uts::machine(),
        sabotage: settings.sabotage,
        must_run: settings.must_run,
        origin: Box::new(origin),
        sandbox: Sandbox { namespaces: entered.namespaces.kinds().collect(), uid: entered.uid },
        setup: experiment.setup.into(),
        in_short: experiment.in_short.into(),
        of: experiment.claims().count(),
        claims: claims.iter().map(|claim| claim.head(experiment.arms)).collect(),
    })?;
    let ran = prepared.and_then(|()| match missing {
        None => steps.iter().try_for_each(|chosen| lab.perform(chosen)),
        Some(missing) => skip_all(&claims, &mut lab, &missing),
    });
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

fn skip_all(claims: &[Claim], lab: &mut Lab, missing: &Unmet) -> Result<()> {
    lab.open(claims);
    for claim in claims {
        lab.skip(*claim, missing.clone())?;
    }
    Ok(())
}
