//! Of several machines: the counts, each thing that was skipped or failed, and where kernels differ.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use lesson::{Help, status};

use super::judge::{self, Judged};
use super::package;
use super::recorded::recorded;
use crate::console::Console;
use crate::project::{self, Project};

pub(crate) const HELP: Help = Help {
    name: "cargo xtask vms",
    about: "judge what the virtual machines said that scripts/test-vm ran",
    examples: &[
        ("cargo xtask vms", "of Debian 12 and 13: target/vm/12 and target/vm/13"),
        ("cargo xtask vms 13", "of Debian 13 alone"),
    ],
    after: "Shown are the counts, each claim that was skipped and why, and each verdict\n\
that was not expected or that differs between the kernels. scripts/test-vm\n\
--help says what counts as a failure. A machine without results is named; the\n\
others are judged.\n\
\n\
Exit status: 0 all as expected, 1 not, 2 misused, or there are no results of a\n\
machine.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Vms {
    /// The releases of Debian [default: 12 13]
    #[arg(value_name = "RELEASE", value_parser = ["12", "13"])]
    releases: Vec<String>,
}

impl Vms {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let mut releases: Vec<&str> = self.releases.iter().map(String::as_str).collect();
        if releases.is_empty() {
            releases = vec!["12", "13"];
        }
        judge(&project.target.join("vm"), &releases, console)
    }
}

const USERS: [&str; 2] = ["root", "student"];
const PACKAGE: &str = "package";

/// A line that is shown once, with those to whom it happened.
type Told<'a> = Vec<(String, Vec<(&'a str, Vec<&'a str>)>)>;

fn judge(results: &Path, releases: &[&str], console: &mut Console<'_>) -> Result<u8> {
    // What is written last shows that the rest was.
    let is_there = |release: &&&str| {
        ["student.runs", "package.txt"].iter().all(|file| results.join(release).join(file).exists())
    };
    let (there, absent): (Vec<&str>, Vec<&str>) = releases.iter().partition(is_there);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let (mut skips, mut failures) = (Told::new(), Told::new());
    for release in &there {
        let directory = results.join(release);
        let kernel = project::read(&directory.join("kernel"))?;
        console.say(format!("\nDebian {release}, Linux {}", kernel.trim_end()))?;
        for user in USERS.into_iter().chain([PACKAGE]) {
            let judged = if user == PACKAGE {
                package::judge(&String::from_utf8_lossy(&std::fs::read(directory.join("package.txt"))?))
            } else {
                judge::judge(&directory, user)?
            };
            console.say(format!("  {user:8} {}", judged.sum))?;
            let Judged { skips: more_skips, failures: more_failures, passed: more, .. } = judged;
            passed += more;
            failed += more_failures.len();
            skipped += more_skips.len();
            more_skips.into_iter().for_each(|what| tell(&mut skips, what, user, release));
            more_failures.into_iter().for_each(|what| tell(&mut failures, what, user, release));
        }
    }
    for (word, told) in [("skip", skips), ("FAILED", failures)] {
        for (index, (what, users)) in told.iter().enumerate() {
            let blank = if index == 0 { "\n" } else { "" };
            console.say(format!("{blank}{word}  {}: {what}", where_it_was(users, there.len())))?;
        }
    }
    if there.len() > 1 {
        for (index, line) in differences(results, &there)?.iter().enumerate() {
            console.say(format!("{}differs  {line}", if index == 0 { "\n" } else { "" }))?;
        }
    }
    if !there.is_empty() {
        console.say(format!("\n{passed} passed, {failed} failed, {skipped} skipped"))?;
    }
    for release in &absent {
        console.complain(format!("Debian {release}: there are no results"));
    }
    Ok(match (absent.is_empty(), failed) {
        (false, _) => status::BROKEN,
        (true, 0) => 0,
        (true, _) => 1,
    })
}

fn tell<'a>(told: &mut Told<'a>, what: String, user: &'a str, release: &'a str) {
    let at = told.iter().position(|(line, _)| *line == what).unwrap_or_else(|| {
        told.push((what, Vec::new()));
        told.len() - 1
    });
    let users = &mut told[at].1;
    match users.iter_mut().find(|(name, _)| *name == user) {
        Some((_, releases)) => releases.push(release),
        None => users.push((user, vec![release])),
    }
}

/// `root, 12 student`: the release is named where it was not so in all.
fn where_it_was(users: &[(&str, Vec<&str>)], releases: usize) -> String {
    let one = |(user, times): &(&str, Vec<&str>)| match times.last() {
        Some(release) if times.len() < releases => format!("{release} {user}"),
        _ => (*user).to_string(),
    };
    users.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The claims to which the kernels gave different answers, each once, with the users to whom.
fn differences(results: &Path, releases: &[&str]) -> Result<Vec<String>> {
    let mut told = Told::new();
    for user in USERS {
        let mut order = Vec::new();
        let mut answers: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for release in releases {
            // What is wrong with a transcript is among the failures.
            let (runs, _) = recorded(&results.join(release), &format!("{user}.jsonl"))?;
            for run in &runs.all {
                for claim in &run.claims {
                    let Some(result) = &claim.result else { continue };
                    let claim = format!("{}/{}", run.begin.experiment, claim.head.id);
                    if !answers.contains_key(&claim) {
                        order.push(claim.clone());
                    }
                    answers.entry(claim).or_default().push((result.verdict().word(), release));
                }
            }
        }
        for claim in order {
            let answers = &answers[&claim];
            if answers.iter().any(|(answer, _)| *answer != answers[0].0) {
                let said: Vec<_> =
                    answers.iter().map(|(answer, release)| format!("{answer} in {release}")).collect();
                tell(&mut told, format!("{claim}: {}", said.join(", ")), user, "");
            }
        }
    }
    let users =
        |users: &[(&str, Vec<&str>)]| users.iter().map(|(user, _)| *user).collect::<Vec<_>>().join(", ");
    Ok(told.iter().map(|(what, to)| format!("{}: {what}", users(to))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn transcript(verdict: &str) -> String {
        let holds = usize::from(verdict == "holds");
        let refuted = 1 - holds;
        let claim =
            |id| format!(r#"{{"id":"{id}","text":"A.","factor":"","expect":"holds","notes":[],"more":[]}}"#);
        let claims = [claim("c"), claim("d")].join(",");
        let arm = r#"{"effect":true,"facts":[]}"#;
        [
            format!(
                r#"{{"event":"begin","schema":2,"experiment":"x","question":"?","notes":"","man":[],"kernel":"6.1","sabotage":false,"sandbox":{{"namespaces":[],"uid":0}},"claims":[{claims}]}}"#
            ),
            format!(
                r#"{{"event":"judged","claim":"c","verdict":"{verdict}","expected":{},"control":{arm},"treatment":{arm}}}"#,
                holds == 1
            ),
            r#"{"event":"skipped","claim":"d","missing":"an engine","remedy":"r"}"#.into(),
            format!(
                r#"{{"event":"end","tally":{{"holds":{holds},"refuted":{refuted},"inconclusive":0,"skipped":1,"unexpected":{refuted}}},"broken":null,"status":0,"elapsed":1}}"#
            ),
            String::new(),
        ]
        .join("\n")
    }

    /// What is said of machines whose root was told these verdicts.
    fn of(verdicts: &[(&str, &str)]) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        for (release, verdict) in verdicts {
            let directory = folder.path().join(release);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("kernel"), format!("6.{release}\n")).unwrap();
            fs::write(directory.join("package.txt"), "ok nothing is left\n").unwrap();
            for user in USERS {
                fs::write(directory.join(format!("{user}.runs")), "0\tinception run all\n").unwrap();
                fs::write(directory.join(format!("{user}-sabotage.jsonl")), "").unwrap();
                let verdict = if user == "root" { verdict } else { "holds" };
                fs::write(directory.join(format!("{user}.jsonl")), transcript(verdict)).unwrap();
            }
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new("vms", &mut out, &mut err);
        let status = judge(folder.path(), &["12", "13"], &mut console).unwrap();
        drop(console);
        (status, String::from_utf8([out, err].concat()).unwrap())
    }

    #[test]
    fn what_happened_to_all_is_told_once() {
        let (status, said) = of(&[("12", "holds"), ("13", "holds")]);
        assert_eq!(status, 0, "{said}");
        assert!(said.contains("\nskip  root, student: x/d: an engine; r\n"), "{said}");
        assert!(!said.contains("differs"), "{said}");
        assert!(said.ends_with("\n6 passed, 0 failed, 4 skipped\n"), "{said}");
    }

    #[test]
    fn a_verdict_that_differs_is_told_with_its_kernel() {
        let (status, said) = of(&[("12", "refuted"), ("13", "holds")]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("\nFAILED  12 root: x/c is refuted: "), "{said}");
        assert!(said.contains("\ndiffers  root: x/c: refuted in 12, holds in 13\n"), "{said}");
    }

    #[test]
    fn a_machine_without_results_does_not_hide_those_of_another() {
        let (status, said) = of(&[("13", "holds")]);
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("Debian 13, Linux 6.13"), "{said}");
        assert!(said.contains("\n3 passed, 0 failed, 2 skipped\n"), "{said}");
        assert!(said.ends_with("vms: Debian 12: there are no results\n"), "{said}");
        assert_eq!(
            of(&[]),
            (2, "vms: Debian 12: there are no results\nvms: Debian 13: there are no results\n".into())
        );
    }
}
