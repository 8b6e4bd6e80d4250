//! What runs said, on emulated machines and in virtual ones, as docs/machines/runs.jsonl keeps it: which claims a machine takes from those that
//! the machine beneath it answers.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use transcript::{ClaimResult, Runs};

/// A row as `MACHINES_JSON` has it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    machine: String,
    how: String,
    /// The kernel and who ran it, where the run was another machine's.
    #[serde(default)]
    made: Option<String>,
    same: u64,
    skipped: u64,
    wrong: u64,
    broken: u64,
    #[serde(default)]
    skips: Vec<Skip>,
}

/// A claim that was skipped.
#[derive(Debug, Clone, Deserialize)]
struct Skip {
    claim: String,
    missing: String,
    remedy: String,
}

impl Row {
    /// The row of a machine that was not emulated, from what the experiments said there.
    ///
    /// # Errors
    /// When an experiment broke off.
    pub(super) fn of(machine: &str, how: &str, runs: &Runs) -> Result<Row> {
        let mut row = Row {
            machine: machine.into(),
            how: how.into(),
            made: None,
            same: 0,
            skipped: 0,
            wrong: 0,
            broken: 0,
            skips: Vec::new(),
        };
        for run in &runs.all {
            let experiment = &run.begin.experiment;
            row.made.get_or_insert_with(|| format!("kernel {}", run.begin.kernel));
            ensure!(
                run.end.as_ref().is_some_and(|end| end.broken.is_none()),
                "machine '{machine}': {experiment} broke off"
            );
            for claim in &run.claims {
                match &claim.result {
                    Some(ClaimResult::Judged { expected: true, .. }) => row.same += 1,
                    Some(ClaimResult::Skipped { missing, remedy }) => {
                        row.skipped += 1;
                        let claim = format!("{experiment}/{}", claim.head.id);
                        row.skips.push(Skip { claim, missing: missing.clone(), remedy: remedy.clone() });
                    }
                    Some(ClaimResult::Judged { .. }) | None => row.wrong += 1,
                }
            }
        }
        Ok(row)
    }

    /// What it is called.
    pub(super) fn machine(&self) -> &str {
        &self.machine
    }
}

/// What came of all experiments on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The machine's name, in crates/machines or in `pages`.
    pub(super) machine: String,
    /// How it is made.
    pub(super) how: String,
    /// On which kernel, and by whom.
    pub(super) made: String,
    /// Claims with a verdict.
    pub(super) answered: u64,
    /// The others.
    pub(super) skipped: u64,
    /// The machine that it is compared with: the same, with nothing taken from it.
    pub(super) beneath: String,
    /// Why it skips what that one answers; the most frequent first.
    pub(super) causes: Vec<Cause>,
    /// In which experiments, and how many claims of each.
    pub(super) experiments: Vec<(String, u64)>,
}

/// Why claims were skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cause {
    /// How many.
    pub(super) claims: u64,
    /// What was missing.
    pub(super) missing: String,
    /// How to get it.
    pub(super) remedy: String,
}

impl Run {
    /// How many claims it skips that the machine beneath it answers.
    pub(super) fn beyond(&self) -> u64 {
        self.causes.iter().map(|cause| cause.claims).sum()
    }
}

/// The run on `machine`, compared with that on `beneath`.
///
/// # Errors
/// When a row is missing, or broke a promise.
pub(super) fn run(rows: &[Row], machine: &str, beneath: &str, made: &str) -> Result<Run> {
    let row = |name: &str| {
        let row = rows.iter().rfind(|row| row.machine == name);
        let row = row.with_context(|| format!("there is no row of the machine '{name}'"))?;
        ensure!(
            row.wrong + row.broken == 0,
            "machine '{name}': {} wrong, {} broken off",
            row.wrong,
            row.broken
        );
        ensure!(
            row.skips.len() as u64 == row.skipped,
            "machine '{name}': its row does not say what was skipped"
        );
        Ok(row)
    };
    let (its, other) = (row(machine)?, row(beneath)?);
    let common: BTreeSet<&str> = other.skips.iter().map(|skip| skip.claim.as_str()).collect();
    let mut causes: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut experiments: BTreeMap<String, u64> = BTreeMap::new();
    for skip in its.skips.iter().filter(|skip| !common.contains(skip.claim.as_str())) {
        causes.entry(in_short(&skip.missing)).or_insert_with(|| (0, in_short(&skip.remedy))).0 += 1;
        let experiment = skip.claim.split('/').next().unwrap_or_default();
        *experiments.entry(experiment.into()).or_default() += 1;
    }
    let mut causes: Vec<_> =
        causes.into_iter().map(|(missing, (claims, remedy))| Cause { claims, missing, remedy }).collect();
    causes.sort_by(|a, b| b.claims.cmp(&a.claims).then_with(|| a.missing.cmp(&b.missing)));
    let mut experiments: Vec<_> = experiments.into_iter().collect();
    experiments.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(Run {
        machine: machine.into(),
        how: its.how.clone(),
        made: its.made.as_deref().unwrap_or(made).into(),
        answered: its.same,
        skipped: its.skipped,
        beneath: beneath.into(),
        causes,
        experiments,
    })
}

/// Without what is one claim's or one machine's: the arguments of a call for namespaces, the path below a hierarchy, and
/// what a program printed.
fn in_short(text: &str) -> String {
    let text = text.split(", which says: ").next().unwrap_or_default();
    let words = text.split(' ').map(|word| {
        if let Some((call, arguments)) = word.split_once('(') {
            if let Some((_, after)) =
                arguments.split_once(')').filter(|(inside, _)| inside.contains("CLONE_"))
            {
                return format!("{call}(…){after}");
            }
        }
        let below = word.strip_prefix("/sys/fs/cgroup/");
        below.map_or_else(
            || word.into(),
            |_| format!("/sys/fs/cgroup/…{}", if word.ends_with(':') { ":" } else { "" }),
        )
    });
    words.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reliability::lines;

    const ROWS: &str = r#"
{"machine":"plain","how":"-","same":3,"skipped":1,"wrong":0,"broken":0,"skips":[{"claim":"a/one","missing":"x","remedy":"y"}]}
{"machine":"bare","how":"h","same":0,"skipped":4,"wrong":0,"broken":0,"skips":[{"claim":"a/one","missing":"x","remedy":"y"},{"claim":"a/two","missing":"unshare(CLONE_NEWNS) gives EPERM","remedy":"z"},{"claim":"b/three","missing":"unshare(CLONE_NEWNET) gives EPERM","remedy":"z"},{"claim":"b/four","missing":"mkdir /sys/fs/cgroup/a/b: EROFS","remedy":"w"}]}
{"machine":"old","how":"h","same":0,"skipped":4,"wrong":0,"broken":0}
{"machine":"wrong","how":"h","same":0,"skipped":0,"wrong":1,"broken":0}
"#;

    #[test]
    fn a_run_has_what_the_machine_beneath_answers() {
        let rows: Vec<Row> = lines("rows", ROWS).unwrap();
        let run = run(&rows, "bare", "plain", "6.18").unwrap();
        assert_eq!((run.answered, run.skipped, run.beyond()), (0, 4, 3));
        let causes: Vec<_> = run.causes.iter().map(|it| (it.claims, it.missing.as_str())).collect();
        assert_eq!(causes, [(2, "unshare(…) gives EPERM"), (1, "mkdir /sys/fs/cgroup/…: EROFS")]);
        assert_eq!(run.experiments, [("b".into(), 2), ("a".into(), 1)]);
    }

    #[test]
    fn a_row_that_says_too_little_is_refused() {
        let rows: Vec<Row> = lines("rows", ROWS).unwrap();
        let fault = |machine| run(&rows, machine, "plain", "-").unwrap_err().to_string();
        assert_eq!(fault("none"), "there is no row of the machine 'none'");
        assert_eq!(fault("old"), "machine 'old': its row does not say what was skipped");
        assert_eq!(fault("wrong"), "machine 'wrong': 1 wrong, 0 broken off");
    }
}
