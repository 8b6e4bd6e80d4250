//! What the runs said: JSON lines, one of a machine, of a kind of kill, or of a fuzz target.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A machine that tests made, and what the experiments said on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Machine {
    /// What it is called.
    pub(super) machine: String,
    /// How it is made.
    pub(super) how: String,
    /// How many experiments ran on it.
    pub(super) experiments: u64,
    /// Claims with the verdict of the plain machine.
    pub(super) same: u64,
    /// Claims that were skipped, with a cause.
    pub(super) skipped: u64,
    /// Claims with another verdict.
    pub(super) wrong: u64,
    /// Experiments that broke off, panicked, did not end in time or left something.
    pub(super) broken: u64,
    /// The longest that one experiment took, in milliseconds.
    pub(super) slowest_ms: u64,
}

/// A program in one mode, killed again and again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Kill {
    /// Which program.
    pub(super) program: String,
    /// Whom the signal hit, and when.
    pub(super) mode: String,
    /// How often.
    pub(super) kills: u64,
    /// After how many of them something was left.
    pub(super) left: u64,
    /// The longest until nothing was left, in milliseconds.
    pub(super) slowest_ms: u64,
}

/// Commands that are typed by hand into one shell, on one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ByHand {
    /// uname(2)'s release.
    pub(super) kernel: String,
    /// Who types them.
    pub(super) user: String,
    /// The experiment and its steps.
    pub(super) session: String,
    /// How many there are.
    pub(super) commands: u64,
    /// How many of them this machine cannot run.
    pub(super) left_out: u64,
    /// What became of the others.
    pub(super) result: Became,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Became {
    /// Each printed what is declared.
    Passed,
    /// One did not.
    Failed,
    /// This machine lacks what they need.
    Skipped,
}

/// A fuzz target, and how it was run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Input {
    /// Its name in fuzz/fuzz_targets.
    pub(super) target: String,
    /// What it parses.
    pub(super) parses: String,
    /// How many inputs were tried.
    pub(super) cases: u64,
    /// For how long, in seconds.
    pub(super) seconds: u64,
    /// How many of them made it panic, hang or use too much memory, in the code as it is now.
    pub(super) faults: u64,
}

/// The lines of a file of JSON lines. `name` is what a fault calls it.
///
/// # Errors
/// In one line, with the number of the line that is no such object, or when there is none at all.
pub(crate) fn lines<T: DeserializeOwned>(name: &str, text: &str) -> Result<Vec<T>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let all = lines.map(|(at, line)| {
        serde_json::from_str(line).with_context(|| format!("{name}: line {} is not of its form", at + 1))
    });
    let all: Vec<T> = all.collect::<Result<_>>()?;
    ensure!(!all.is_empty(), "{name} is empty");
    Ok(all)
}

/// The last row of each session on each kernel: as of machines.
pub(super) fn latest_sessions(rows: Vec<ByHand>) -> Vec<ByHand> {
    let mut latest: Vec<ByHand> = Vec::new();
    for row in rows {
        let is_it = |it: &&mut ByHand| (&it.kernel, &it.session) == (&row.kernel, &row.session);
        match latest.iter_mut().find(is_it) {
            // Who cannot type it skips what another user has run there.
            Some(earlier) if row.result == Became::Skipped && earlier.result != Became::Skipped => {}
            Some(earlier) => *earlier = row,
            None => latest.push(row),
        }
    }
    latest
}

/// The last row of each machine, in the order in which they were met first: a run adds to what runs before it kept.
pub(super) fn latest(rows: Vec<Machine>) -> Vec<Machine> {
    let mut latest: Vec<Machine> = Vec::new();
    for row in rows {
        match latest.iter_mut().find(|it| it.machine == row.machine) {
            Some(earlier) => *earlier = row,
            None => latest.push(row),
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_another_form_is_named() {
        let line = r#"{"program":"uts-demo","mode":"parent alone","kills":3,"left":0,"slowest_ms":7}"#;
        let all: Vec<Kill> = lines("kills.jsonl", &format!("{line}\n\n{line}\n")).unwrap();
        assert_eq!((all.len(), all[0].kills), (2, 3));
        let fault = |text: &str| lines::<Kill>("kills.jsonl", text).unwrap_err().to_string();
        assert_eq!(fault(&format!("{line}\n{{}}\n")), "kills.jsonl: line 2 is not of its form");
        assert_eq!(fault(&line.replace("left", "lost")), "kills.jsonl: line 1 is not of its form");
        assert_eq!(fault("\n"), "kills.jsonl is empty");
    }

    #[test]
    fn the_last_row_of_a_session_counts_if_it_was_run() {
        let row = |kernel: &str, result: &str| {
            format!(
                r#"{{"kernel":"{kernel}","user":"root","session":"a/1","commands":2,"left_out":0,"result":"{result}"}}"#
            )
        };
        let rows =
            [row("6.1", "failed"), row("6.1", "passed"), row("6.1", "skipped"), row("6.12", "skipped")];
        let latest = latest_sessions(lines("b", &rows.join("\n")).unwrap());
        assert_eq!(latest.iter().map(|it| it.result).collect::<Vec<_>>(), [Became::Passed, Became::Skipped]);
    }

    #[test]
    fn the_last_row_of_a_machine_counts() {
        let row = |machine: &str, same: u64| {
            format!(
                r#"{{"machine":"{machine}","how":"-","experiments":1,"same":{same},"skipped":0,"wrong":0,"broken":0,"slowest_ms":1,"faults":[]}}"#
            )
        };
        let rows = lines("m", &[row("a", 1), row("b", 2), row("a", 3)].join("\n")).unwrap();
        let found: Vec<_> = latest(rows).into_iter().map(|it| (it.machine, it.same)).collect();
        assert_eq!(found, [("a".into(), 3), ("b".into(), 2)]);
    }
}
