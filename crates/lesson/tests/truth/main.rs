//! A lesson cannot lie by a slip: what a misspelt name, an answer that nobody thought of, a refused call and a claim that
//! was forgotten come to.
//!
//! This program is the experiment, too: with `SLIP` in its environment it makes the one that is named there.

mod experiment;

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    if let Ok(slip) = std::env::var("SLIP") {
        return experiment::run(&slip);
    }
    let trials = vec![
        Trial::test("a_misspelt_name_breaks_a_claim_that_is_to_be_refuted", misspelt),
        Trial::test("it_does_so_behind_a_condition_that_is_not_met", misspelt_behind_another),
        Trial::test("a_part_that_the_factor_does_not_change_is_inconclusive", part_in_the_control),
        Trial::test("what_is_so_in_both_arms_is_no_part", kept_in_both),
        Trial::test("without_it_in_the_control_nothing_is_decided", lost_in_the_control),
        Trial::test("without_it_in_the_treatment_alone_the_claim_is_refuted", lost_in_the_treatment),
        Trial::test("it_makes_no_claim_refuted_that_is_to_be_refuted", lost_as_expected),
        Trial::test("a_third_answer_is_skipped_with_call_and_errno", third_answer),
        Trial::test("a_call_that_the_machine_refuses_to_a_child_is_skipped", refused_in_a_child),
        Trial::test("a_probe_that_the_machine_refuses_is_skipped", refused_probe),
        Trial::test("a_fault_of_the_experiment_is_no_skip", fault),
        Trial::test("a_claim_that_is_declared_and_not_judged_breaks_it", forgotten),
        Trial::test("what_is_exported_says_whose_run_it_was_where_and_when", whose_run),
        Trial::test("a_skip_fails_in_what_graders_read_where_all_must_run", must_run),
        Trial::test("a_claim_without_slips_holds_and_is_refuted_without_its_factor", no_slip),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What the experiment with this slip exits with, and prints on both outputs.
fn with(slip: &str, arguments: &[&str]) -> Result<(i32, String), Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).env("SLIP", slip).env_remove("LAB_MUST_RUN").stdin(Stdio::null());
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    // As one line: where it is broken is no matter here.
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok((output.status.code().ok_or("killed")?, words))
}

fn says(said: &(i32, String), status: i32, words: &[&str]) -> Result<(), Failed> {
    let missing = words.iter().find(|word| !said.1.contains(**word));
    match missing {
        None if said.0 == status => Ok(()),
        _ => Err(format!("exit status {}, without {missing:?}: {}", said.0, said.1).into()),
    }
}

fn misspelt() -> Result<(), Failed> {
    let names = ["'wrong'", "inside \"anwser\"", "inside(\"answer\")"];
    says(&with("misspelt", &[])?, 2, &names)?;
    says(&with("misspelt", &["--sabotage"])?, 2, &names)
}

fn misspelt_behind_another() -> Result<(), Failed> {
    says(&with("misspelt behind another", &[])?, 2, &["inside \"anwser\""])?;
    says(&with("misspelt in both", &[])?, 2, &["inside \"anwser\""])
}

fn part_in_the_control() -> Result<(), Failed> {
    says(&with("part in the control", &["--all"])?, 1, &["INCONCLUSIVE"])?;
    says(&with("part in the control", &["--all", "--sabotage"])?, 0, &["REFUTED"])
}

fn kept_in_both() -> Result<(), Failed> {
    says(&with("kept in both", &["--all"])?, 0, &["HOLDS"])?;
    says(&with("kept in both", &["--all", "--sabotage"])?, 0, &["REFUTED"])
}

const LOST: &str = "what is so in both arms: inside(\"kept\") = no";

fn lost_in_the_control() -> Result<(), Failed> {
    let said = ["BROKEN", "'right' lacks in its control", LOST];
    says(&with("lost in the control", &["--all"])?, 2, &said)?;
    says(&with("lost in the control", &["--all", "--sabotage"])?, 2, &said)
}

fn lost_in_the_treatment() -> Result<(), Failed> {
    says(&with("lost in the treatment", &["--all"])?, 1, &["REFUTED"])
}

fn lost_as_expected() -> Result<(), Failed> {
    let said = ["BROKEN", "'wrong' lacks in its treatment", LOST];
    says(&with("lost in the treatment, as expected", &["--all"])?, 2, &said)
}

fn third_answer() -> Result<(), Failed> {
    says(&with("third answer", &["--all"])?, 77, &["SKIPPED", "answer gives ENOSYS"])?;
    says(&with("third answer in both", &["--all"])?, 77, &["SKIPPED", "answer gives EPERM"])
}

fn refused_in_a_child() -> Result<(), Failed> {
    says(&with("refused", &["--all"])?, 77, &["SKIPPED", "sethostname(\"refused\") gives EPERM"])
}

fn refused_probe() -> Result<(), Failed> {
    says(&with("refused probe", &["--all"])?, 77, &["SKIPPED", "sethostname(\"refused\") gives EPERM"])
}

fn fault() -> Result<(), Failed> {
    says(&with("fault", &["--all"])?, 2, &["BROKEN", "EBADF"])
}

fn forgotten() -> Result<(), Failed> {
    says(&with("forgotten", &[])?, 2, &["declared and never judged: wrong"])
}

fn no_slip() -> Result<(), Failed> {
    says(&with("none", &["--steps"])?, 0, &["HOLDS"])?;
    says(
        &with("none", &["--steps", "--sabotage"])?,
        0,
        &["REFUTED", "None of 1 claims holds without its factor"],
    )
}

fn whose_run() -> Result<(), Failed> {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid())?.map(|user| user.name);
    let user = user.unwrap_or_else(|| nix::unistd::getuid().to_string());
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let student = ["--student", "Ann Lee"];
    let formats = [
        ("jsonl", format!(r#""user":"{user}","host":"{host}","time":"2"#), r#""student":"Ann Lee""#),
        ("tap", format!("# user: {user} # host: {host} # time: 2"), "# student: Ann Lee"),
        ("junit", format!(r#"<property name="user" value="{user}"/>"#), r#"name="student" value="Ann Lee""#),
    ];
    for (format, origin, name) in &formats {
        let said = with("none", &[&["--format", format], &student[..]].concat())?;
        says(&said, 0, &[origin, name, ns_core::uts::release().as_str()])?;
        // What differs from run to run is left out, and what was said is not.
        let stable = with("none", &[&["--format", format, "--stable"], &student[..]].concat())?;
        says(&stable, 0, &[name])?;
        for left_out in [origin.as_str(), "time\":\"", "# host", "hostname=", "timestamp="] {
            if stable.1.contains(left_out) {
                return Err(format!("--stable leaves {left_out:?} in: {}", stable.1).into());
            }
        }
    }
    Ok(())
}

fn must_run() -> Result<(), Failed> {
    says(&with("refused", &["--format", "tap"])?, 77, &["ok 1 - slip right", "# SKIP"])?;
    let strict = ["--must-run", "--format"];
    let why = "skipped, where all must run: sethostname";
    says(&with("refused", &[&strict[..], &["tap"]].concat())?, 1, &["not ok 1 - slip right", why])?;
    says(&with("refused", &[&strict[..], &["junit"]].concat())?, 1, &["failures=\"1\"", "<failure", why])
}
