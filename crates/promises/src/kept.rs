//! All that is promised, a test each.

use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::experiment::Experiment;
use crate::{misuse, output, residue, screen, shell, verdicts};

/// So many runs of the experiment are under way for each processor.
const RUNS_A_PROCESSOR: usize = 3;

type Promise = fn(&Experiment) -> Result<(), Failed>;

type PromiseOfAShell = fn(&Experiment) -> Result<Completion, Failed>;

const PROMISES: &[(&str, Promise)] = &[
    ("every_verdict_is_as_expected", verdicts::every_verdict_is_as_expected),
    ("no_claim_holds_under_sabotage", verdicts::no_claim_holds_under_sabotage),
    ("every_claim_is_settled_once", verdicts::every_claim_is_settled_once),
    ("a_step_alone_says_the_same", verdicts::a_step_alone_says_the_same),
    ("a_skip_fails_when_it_must_run", verdicts::a_skip_fails_when_it_must_run),
    ("a_hostile_start_changes_nothing", verdicts::a_hostile_start_changes_nothing),
    ("the_core_is_few_claims_with_a_question_each", screen::the_core_is_few_claims_with_a_question_each),
    ("the_core_runs_by_default", screen::the_core_runs_by_default),
    ("the_core_fits_one_screen", screen::the_core_fits_one_screen),
    ("two_runs_read_alike", output::two_runs_read_alike),
    ("lines_fit_and_colour_adds_nothing", output::lines_fit_and_colour_adds_nothing),
    ("lost_output_is_told", output::lost_output_is_told),
    ("help_leads_with_examples", output::help_leads_with_examples),
    ("misuse_gets_one_line_and_exit_2", misuse::misuse_gets_one_line_and_exit_2),
    ("small_limits_get_one_line", misuse::small_limits_get_one_line),
];

/// Those of its shell, which a machine may lack something for.
const OF_ITS_SHELL: &[(&str, PromiseOfAShell)] = &[
    ("its_shell_shows_what_its_card_says", shell::it_shows_what_its_card_says),
    ("its_shell_has_job_control", shell::it_has_job_control),
    ("its_shell_ends_as_its_command_ends", shell::it_ends_as_its_command_ends),
    ("its_shell_is_the_same_by_hand", shell::it_is_the_same_by_hand),
    ("its_shell_leaves_nothing_whichever_process_is_killed", shell::it_leaves_nothing),
];

/// Those that look at the machine, and so run while no other runs the experiment. They begin: what the first runs, the
/// others need not run again.
const ALONE: &[(&str, Promise)] = &[
    ("nothing_is_left_after_a_run", residue::nothing_is_left_after_a_run),
    ("nothing_is_left_after_a_kill", residue::nothing_is_left_after_a_kill),
];

/// Runs an experiment as a user would, and checks that it keeps what every experiment promises.
///
/// The command line is that of every test program: a part of a name chooses, `--list` lists. Each claim is a test too,
/// called `claim::ID`. It passes if its verdict is as expected, and is ignored with the reason and the remedy if the
/// experiment skips it here. With `LAB_MUST_RUN=1` in the environment it fails then.
///
/// `program` is the experiment's path: `env!("CARGO_BIN_EXE_…")`. The exit status is the one for the test program.
///
/// # Panics
/// When the experiment cannot list its claims.
#[must_use = "the exit status says whether the promises are kept"]
pub fn kept(program: impl AsRef<Path>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A run waits for the kernel most of its time, not for a processor.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(RUNS_A_PROCESSOR * processors);
    let experiment = Arc::new(Experiment::new(program.as_ref()));
    let busy = Arc::new(RwLock::new(()));
    let mut trials = Vec::new();
    let claims = experiment.claims();
    for (name, promise) in ALONE {
        let (experiment, busy) = (experiment.clone(), busy.clone());
        trials.push(Trial::test(*name, move || {
            let _nobody_else_runs = busy.write().unwrap_or_else(PoisonError::into_inner);
            promise(&experiment)
        }));
    }
    for claim in claims.unwrap_or_else(|why| panic!("--list-claims: {}", why.message().unwrap_or_default())) {
        let (experiment, busy) = (experiment.clone(), busy.clone());
        trials.push(Trial::ignorable_test(format!("claim::{}", claim.id), move || {
            let _others_run = busy.read().unwrap_or_else(PoisonError::into_inner);
            verdicts::is_as_expected(&experiment, &claim.id)
        }));
    }
    for (name, promise) in PROMISES {
        let (experiment, busy) = (experiment.clone(), busy.clone());
        trials.push(Trial::test(*name, move || {
            let _others_run = busy.read().unwrap_or_else(PoisonError::into_inner);
            promise(&experiment)
        }));
    }
    for (name, promise) in OF_ITS_SHELL {
        let (experiment, busy) = (experiment.clone(), busy.clone());
        trials.push(Trial::ignorable_test(*name, move || {
            let _others_run = busy.read().unwrap_or_else(PoisonError::into_inner);
            promise(&experiment)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
