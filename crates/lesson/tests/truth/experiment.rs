//! An experiment for each slip. Nothing in it needs a privilege.

use std::process::ExitCode;

use lesson::{Claim, Experiment, Requirement, Step, first, inside};
use ns_core::{Child, Errno, Fact, Named, Namespaces, Outcome};

const RIGHT: Claim = Claim::holds("right", "It answers EPERM.").factor("a factor").more(&[1]);
const WRONG: Claim = Claim::refuted("wrong", "It answers ENOENT.", "right").factor("a factor").more(&[1]);

macro_rules! experiment {
    ($claim:expr, $run:expr) => {{
        const STEP: Step = Step { title: "Slip.", calls: &[], by_hand: &[], claims: &[$claim], run: $run };
        const EXPERIMENT: Experiment = Experiment {
            name: "slip",
            question: "What does a slip come to?",
            setup: "",
            arms: ["", ""],
            in_short: "",
            notes: "None",
            man: &[],
            examples: &[("slip", "slip")],
            sandbox: Namespaces::NONE,
            requires: &[],
            shell: None,
            prepare: None,
            steps: &[STEP],
        };
        lesson::main(&EXPERIMENT)
    }};
}

/// Becomes the experiment with this slip.
pub(crate) fn run(slip: &str) -> ExitCode {
    match slip {
        "misspelt" => experiment!(WRONG, |lab| lab
            .compare(WRONG, false, true, answer)?
            .shows(inside("anwser").is("ENOENT"))),
        "misspelt behind another" => experiment!(WRONG, |lab| lab
            .compare(WRONG, false, true, answer)?
            .shows(inside("answer").is("ENOENT") & inside("anwser").is("ENOENT"))),
        // The factor changes the answer, and not the other fact.
        "part in the control" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, (false, true), (true, true), answer_and)?
            .shows(inside("answer").is("EPERM") & inside("kept").is("yes"))),
        "kept in both" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, (false, true), (true, true), answer_and)?
            .in_both_arms(inside("kept").is("yes"))
            .shows(inside("answer").is("EPERM"))),
        "lost in the control" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, (false, false), (true, true), answer_and)?
            .in_both_arms(inside("kept").is("yes"))
            .shows(inside("answer").is("EPERM"))),
        "lost in the treatment" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, (false, true), (true, false), answer_and)?
            .in_both_arms(inside("kept").is("yes"))
            .shows(inside("answer").is("EPERM"))),
        "lost in the treatment, as expected" => experiment!(WRONG, |lab| lab
            .compare(WRONG, (false, true), (true, false), answer_and)?
            .in_both_arms(inside("kept").is("yes"))
            .shows(inside("answer").is("EPERM"))),
        "misspelt in both" => experiment!(WRONG, |lab| lab
            .compare(WRONG, false, true, answer)?
            .in_both_arms(inside("anwser").is("ENOENT"))
            .shows(inside("answer").is("ENOENT"))),
        "third answer in both" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, false, true, answer)?
            .in_both_arms(inside("answer").is("OK"))
            .shows(inside("answer").is("EPERM"))),
        "third answer" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, Outcome::Done, Outcome::Failed(Errno::ENOSYS), |answer| {
                Ok(Fact::inside("child", "answer", answer))
            })?
            .shows(first().is("EPERM"))),
        "refused" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, false, true, |_| failing(Errno::EPERM))?
            .shows(first().is("EPERM"))),
        "refused probe" => experiment!(
            RIGHT.requires(&[Requirement::Probe(|| {
                Err::<(), _>(Errno::EPERM).named(|| "sethostname(\"refused\")".into()).map(|()| None)
            })]),
            |lab| lab.compare(RIGHT, false, true, answer)?.shows(inside("answer").is("EPERM"))
        ),
        "fault" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, false, true, |_| failing(Errno::EBADF))?
            .shows(first().is("EPERM"))),
        "forgotten" => experiment!(WRONG, |_| Ok(())),
        "none" => experiment!(RIGHT, |lab| lab
            .compare(RIGHT, false, true, answer)?
            .shows(inside("answer").is("EPERM"))),
        other => panic!("no slip is called {other}"),
    }
}

fn answer(refused: bool) -> anyhow::Result<Fact> {
    let outcome = if refused { Outcome::Failed(Errno::EPERM) } else { Outcome::Done };
    Ok(Fact::inside("child", "answer", outcome))
}

fn answer_and((refused, kept): (bool, bool)) -> anyhow::Result<[Fact; 2]> {
    Ok([answer(refused)?, Fact::inside("child", "kept", kept)])
}

/// A child whose set-up fails in this way.
fn failing(errno: Errno) -> anyhow::Result<Fact> {
    let mut child = Child::spawn("child", Namespaces::NONE, move |_| {
        Err::<(), _>(errno).named(|| "sethostname(\"refused\")".into())
    })?;
    Ok(child.fact()?)
}
